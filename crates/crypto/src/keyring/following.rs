//! Rotation: from the moment that a newer version of a key is told of, nothing is sealed under an older one.
//!
//! To follow is to begin the standing under which the tenant's data keys are wrapped anew. A lease that was made under the old one
//! is used by nobody who comes after, and what was still under way under it is for those who asked for it then. So no request
//! fails, and none that begins later seals under the old version; the first of them may wait for a call, which is begun here,
//! before anybody asks. A lease that is under the newest version already goes on under the new standing, and nobody waits.

use std::sync::Arc;

use tokio::time::{Instant, sleep};

use super::{Keyring, as_asked};
use crate::{
    id::{KekId, KeyVersion},
    lease::Lease,
    secret::DataKey,
    standing::{Standing, Subject},
    tenant::{TenantKeys, VersionPolicy},
    vault::{Urgency, VaultCause, VaultError, WrappedDataKey},
};

impl Keyring {
    /// Has a tenant that follows its key's versions sealed for under `newest`, or a newer one, from now on.
    pub(crate) fn follow(self: &Arc<Self>, tenant: &TenantKeys, newest: &KekId) {
        if tenant.version != VersionPolicy::FollowLatest || newest.key != tenant.current {
            return;
        }
        let lease = self.leases.usable(tenant, Instant::now());
        let sealing = lease.as_ref().map(|lease| &lease.kek().version);
        let begin_anew = || self.standings.renew(tenant.tenant, Subject::wrap(tenant));
        let Some(anew) = self.versions.follow(tenant, &newest.version, sealing, begin_anew) else {
            return;
        };
        tracing::debug!(tenant = %tenant.tenant, version = newest.version.as_str(), "a newer version of the key is followed");
        if let Some(lease) = lease {
            self.go_on_under(tenant, newest, anew, &lease);
        }
    }

    /// Moves a lease to the standing that was begun anew, if it is under the newest version and in no question; else has another
    /// one made.
    fn go_on_under(self: &Arc<Self>, tenant: &TenantKeys, newest: &KekId, anew: Arc<Standing>, lease: &Lease) {
        if lease.kek() == newest && !lease.is_in_question() {
            self.leases.insert(tenant.tenant, &Arc::new(lease.moved_to(anew)));
        } else {
            self.note_superseded();
            self.renew(tenant);
        }
    }

    /// Wraps again under the newest version what one of the vault's machines, which had not heard of it, wrapped under a former
    /// one. Asked for it by name, such a machine knows no such version; that is no refusal of a key that has just wrapped, so
    /// another machine is hoped for, and if none is met, the vault has given no answer.
    pub(super) async fn wrap_under_newest(
        &self,
        tenant: &TenantKeys,
        standing: &Arc<Standing>,
        data_key: &DataKey,
        newest: KeyVersion,
        urgency: Urgency,
    ) -> Result<WrappedDataKey, VaultError> {
        let pinned = TenantKeys {
            version: VersionPolicy::Pinned(newest),
            ..tenant.clone()
        };
        let pinned = &pinned;
        let wrap = |urgency| async move {
            for pause in self.pauses() {
                match self.vault.wrap(pinned, data_key, urgency).await {
                    Err(error) if error.cause() == VaultCause::KeyNotFound => sleep(pause).await,
                    answer => return as_asked(pinned, answer?),
                }
                self.counters.vault_wraps.count();
            }
            let answer = self.vault.wrap(pinned, data_key, urgency).await;
            match answer {
                Err(error) if error.cause() == VaultCause::KeyNotFound => Err(VaultCause::AnswerInvalid.into()),
                answer => as_asked(pinned, answer?),
            }
        };
        self.call(pinned, standing, &self.counters.vault_wraps, urgency, wrap)
            .await
    }
}
