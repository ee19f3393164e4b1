//! Canaries: how it is found out whether a customer still lets us, whether or not anybody asks for anything.
//!
//! A canary is asked about past all that is kept: no refusal that is remembered answers it, no cached key, no call of anybody
//! else's. It takes no place among the calls under way, since it must get through when a vault that hangs has taken them all;
//! whoever watches makes few, and each ends with whoever asked for it. What it teaches is learnt as from any other call; and if
//! it unwraps, then what was refused before, and would not be refused any more, is forgotten at once.

use tokio::time::Instant;

use super::Keyring;
use crate::{
    canary::Canary,
    id::KekId,
    sealer::SealerError,
    secret::DataKey,
    standing::{Standing, Subject},
    tenant::{TenantKeys, VersionPolicy},
    vault::{Urgency, VaultCause, VaultError},
};

impl Keyring {
    /// Has a new random value wrapped under the tenant's current key, and unwrapped once.
    pub(crate) async fn plant(&self, tenant: &TenantKeys) -> Result<Canary, SealerError> {
        let value = DataKey::generate()?;
        let standing = self.standings.of(tenant.tenant, Subject::wrap(tenant));
        let wrapped = self.wrap(tenant, &standing, &value, Urgency::Watch).await?;
        let opening = self.opening_standing(tenant, &wrapped.kek);
        let proven = self
            .unwrap_known(tenant, &opening, &wrapped, &value, Urgency::Watch)
            .await;
        if let Err(error) = proven {
            let error = self.unheard_of(&opening, error);
            self.stop_sealing(tenant, &error);
            return Err(error.into());
        }
        self.end_refusals(&opening);
        Ok(Canary::of(&value, wrapped))
    }

    /// Has a canary unwrapped. It was, when it was planted: so its version is none that somebody made up, and if the vault does not
    /// know it, the key is gone.
    pub(crate) async fn probe(&self, tenant: &TenantKeys, canary: &Canary) -> Result<(), VaultError> {
        let standing = self.opening_standing(tenant, &canary.kek);
        self.versions.note_known(&standing);
        let wrapped = &canary.to_unwrap();
        let unwrap = |urgency| async move {
            match self.vault.unwrap(tenant, wrapped, urgency).await {
                Ok(unwrapped) if canary.is(&unwrapped) => Ok(()),
                Err(error) if error.cause() != VaultCause::WrappedKeyInvalid => Err(error),
                // These bytes come from no caller.
                Ok(_) | Err(_) => Err(VaultCause::AnswerInvalid.into()),
            }
        };
        self.counters.probes.count();
        let probed = self
            .call(tenant, &standing, &self.counters.vault_unwraps, Urgency::Watch, unwrap)
            .await;
        match &probed {
            Ok(()) => self.end_refusals(&standing),
            // Whoever uses what is held under that version need not wait to be told the same.
            Err(error) => {
                self.is_in_vain(&standing, error);
            }
        }
        probed
    }

    /// The version that would wrap now. To read a key is a right of its own, and of a key that is gone the canaries tell; so a
    /// refusal is learnt only if it is about the way to the vault.
    pub(crate) async fn newest(&self, tenant: &TenantKeys) -> Result<KekId, VaultError> {
        let standing = self.standings.of(tenant.tenant, Subject::wrap(tenant));
        let answer = self.vault.newest(tenant, Urgency::Watch).await;
        let answer = answer.and_then(|newest| of_the_current_key(tenant, newest));
        if let Err(error) = &answer
            && (!error.cause().is_refusal() || error.cause().is_about_the_way())
        {
            self.learn_failure(tenant, &standing, error, Instant::now());
        }
        answer
    }

    /// Forgets the refusals that an unwrap under this standing has disproved: those whose cause reaches as far as here.
    fn end_refusals(&self, served: &Standing) {
        for standing in self.standings.all_of(served.tenant()) {
            self.refusals.end(&standing, |cause| {
                cause
                    .reach()
                    .is_some_and(|reach| standing.subject().concerns(served.subject(), reach))
            });
        }
    }
}

/// Requires that a version is the current key's, and the one that the tenant's policy names.
fn of_the_current_key(tenant: &TenantKeys, newest: KekId) -> Result<KekId, VaultError> {
    let version_fits = match &tenant.version {
        VersionPolicy::FollowLatest => true,
        VersionPolicy::Pinned(version) => newest.version == *version,
    };
    if version_fits && newest.key == tenant.current {
        Ok(newest)
    } else {
        Err(VaultCause::AnswerInvalid.into())
    }
}
