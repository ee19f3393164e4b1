//! Which versions of tenants' keys are looked at: it is asked for those that something is held under, so that nothing is relied on
//! that nobody looks at.

use std::{collections::HashMap, time::Duration};

use keyferry_crypto::id::{KekId, TenantId};
use tokio::time::Instant;

use crate::{
    look,
    patience::{Away, in_time},
    watch::KeyWatch,
};

/// When it was last asked, of those of whom it was not long ago.
pub(crate) type AskedAt = HashMap<TenantId, Instant>;

impl KeyWatch {
    /// Tells the sealer under which versions keys are looked at: those of tenants of whom it holds something that it does not know it
    /// of, and of those whose key was rotated, as then another version may be looked at no more.
    pub(crate) async fn tell_what_is_watched(&self, asked_at: &mut AskedAt) -> Result<(), Away> {
        let again = (self.config.period() / 3).min(ASK_AGAIN);
        asked_at.retain(|_, at| at.elapsed() < again);
        let mut unknown = self.parts.sealer.holding_unwatched();
        unknown.retain(|tenant| !asked_at.contains_key(tenant));
        unknown.truncate(AT_ONCE);
        for tenant in unknown {
            self.held.rotates(tenant);
        }
        while let Some(tenant) = self.held.next_rotated() {
            asked_at.insert(tenant, Instant::now());
            match self.watched_versions(tenant).await {
                Ok(Some(versions)) if !self.held.is_let_go(tenant) => {
                    self.parts.sealer.watch_versions(tenant, &versions);
                }
                Ok(_) => {}
                Err(away) => {
                    self.held.rotates(tenant);
                    return Err(away);
                }
            }
        }
        Ok(())
    }

    async fn watched_versions(&self, id: TenantId) -> Result<Option<Vec<KekId>>, Away> {
        let Some(tenant) = self.known(id).await? else {
            return Ok(None);
        };
        let health = in_time(self.parts.store.key_health(id)).await?;
        Ok(health.and_then(|health| look::watched_versions(&tenant.keys, &health)))
    }
}

/// After which, at the latest, it is asked again about a version that is not looked at: its canary may be planted by then.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// How many tenants it is asked of in one round.
const AT_ONCE: usize = 64;
