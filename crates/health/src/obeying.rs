//! What others found out holds here too, at once, and is acknowledged.

use std::sync::{Arc, PoisonError, atomic::Ordering::Relaxed};

use keyferry_crypto::{
    id::{KekId, TenantId},
    news::Refusal,
};
use keyferry_registry::{
    Changed, Tenant,
    key::{KeyEvent, KeyNews},
};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{
    patience::{Away, in_time},
    stats::Counters,
    watch::KeyWatch,
};

impl KeyWatch {
    /// Takes what the feed tells, in its order, until the feed ends. Another key, another policy or a suspension must hold at once
    /// as well: the keys of every tenant that changes are forgotten. What is held after that is said to be held anew: the registry may
    /// have forgotten that it was, too.
    ///
    /// Begun anew after it broke off, it evicts everything: what was told then may not have been obeyed.
    pub(crate) async fn obey(&self, feed: &mut Receiver<Changed>) {
        let sealer = &self.parts.sealer;
        if self.has_begun_to_obey.swap(true, Relaxed) {
            self.evict_all();
        }
        loop {
            match feed.recv().await {
                Ok(Changed::Tenant(tenant)) => self.evict(tenant),
                Ok(Changed::Everything) => {
                    self.followed.store(0, Relaxed);
                    self.evict_all();
                }
                Ok(Changed::Key(event)) => self.take_event(&event).await,
                Ok(Changed::Heard(at, revision)) => {
                    self.followed.store(revision.0, Relaxed);
                    if self.knows_who_is_watched() {
                        *self.heard_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
                        sealer.heard(at);
                    }
                }
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "changes of tenants were missed: all cached keys are evicted");
                    self.evict_all();
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn take_event(&self, event: &KeyEvent) {
        match &event.what {
            KeyNews::Withdrawn(refusal) => {
                // What was found out here was obeyed here before it was told.
                if event.by != self.me.id {
                    self.take_withdrawal(event.tenant, refusal).await;
                }
                self.acknowledgements.owe(event.revision);
            }
            // Whether a key serves is asked, with whose key is overdue: a state that is not heard of would be believed for long.
            KeyNews::State(_) => {}
            KeyNews::Version(newest) => self.take_version(event.tenant, newest).await,
        }
    }

    async fn take_withdrawal(&self, tenant: TenantId, refusal: &Refusal) {
        Counters::count(&self.counters.withdrawals_obeyed);
        // What is read now may have been told long ago, if the feed could not be read: it may not be so any more.
        let is_late = self.is_deaf();
        let obey = |known: &Tenant| {
            if is_late {
                self.parts.sealer.obey_late(&known.keys, refusal);
            } else {
                self.parts.sealer.obey(&known.keys, refusal);
            }
            self.held.let_go(tenant);
        };
        if let Some(known) = self.parts.registry.held(tenant) {
            return obey(&known);
        }
        // The tenant must be read first, and nothing waits for that.
        self.evict(tenant);
        match self.known(tenant).await {
            Ok(Some(known)) => obey(&known),
            Ok(None) => {}
            Err(error) => tracing::warn!(%tenant, %error, "a withdrawal is obeyed without knowing the tenant"),
        }
    }

    async fn take_version(&self, tenant: TenantId, newest: &KekId) {
        self.held.rotates(tenant);
        match self.known(tenant).await {
            Ok(Some(known)) => self.parts.sealer.follow(&known.keys, newest),
            Ok(None) => {}
            // What is held is let go, and the vault wraps under the newest.
            Err(error) => {
                tracing::warn!(%tenant, %error, "a new version is followed without knowing the tenant");
                self.evict(tenant);
            }
        }
    }

    fn is_deaf(&self) -> bool {
        let heard_at = *self.heard_at.lock().unwrap_or_else(PoisonError::into_inner);
        heard_at.is_none_or(|at| at.elapsed() > self.config.hearing())
    }

    fn evict(&self, tenant: TenantId) {
        self.parts.sealer.evict(tenant);
        self.held.let_go(tenant);
    }

    fn evict_all(&self) {
        self.parts.sealer.evict_all();
        self.held.let_go_of_all();
    }

    /// The tenant, from memory if it is there.
    pub(crate) async fn known(&self, tenant: TenantId) -> Result<Option<Arc<Tenant>>, Away> {
        in_time(self.parts.registry.tenant(tenant)).await
    }
}
