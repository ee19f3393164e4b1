//! Nothing is sealed that its vault would not open.
//!
//! That a vault wraps proves nothing: whoever may read a key may also wrap with it, and unwrapping is another right, which
//! the customer can take away alone. So what was wrapped is given to nobody before the vault has unwrapped under the same
//! version of the key. A data key that seals many messages has an unwrap of its own, which also lets it be kept for
//! opening; those that seal one message each, and rewrapped ones, share a proof for as long as the tenant lets a lease last,
//! and no longer than the vault's word counts where nobody watches (see `assurance`).

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::Keyring;
use crate::{
    lease,
    refusals::Version,
    secret::DataKey,
    standing::{Standing, Subject},
    tenant::TenantKeys,
    vault::{Urgency, VaultCause, VaultError, WrappedDataKey},
};

/// Which unwrap proves that a version of a key unwraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// That of the data key itself.
    Own,
    /// Any that is not older than the tenant lets a lease grow.
    Shared,
}

/// A data key that was wrapped and would be unwrapped.
pub(super) struct Proven {
    pub(super) wrapped: WrappedDataKey,
    /// The standing under which it was, or would be, unwrapped.
    pub(super) opening: Arc<Standing>,
}

impl Keyring {
    /// Has a data key wrapped, and makes sure that the vault unwraps under the version that wrapped it.
    pub(super) async fn wrap_proven(
        &self,
        tenant: &TenantKeys,
        standing: &Arc<Standing>,
        data_key: &DataKey,
        proof: Proof,
        urgency: Urgency,
    ) -> Result<Proven, VaultError> {
        let wrapped = self.wrap(tenant, standing, data_key, urgency).await?;
        // The order matters: an eviction before this line has withdrawn `standing`, one after it withdraws both.
        let opening = self.opening_standing(tenant, &wrapped.kek);
        let proven = self.prove(tenant, &opening, &wrapped, data_key, proof, urgency).await;
        // Somebody else may have been refused in between.
        let proven = proven.and_then(|()| {
            [standing, &opening]
                .into_iter()
                .try_for_each(|standing| self.stands(standing))
        });
        match proven {
            Ok(()) => Ok(Proven { wrapped, opening }),
            Err(error) => {
                self.stop_sealing(tenant, &error);
                Err(error)
            }
        }
    }

    async fn prove(
        &self,
        tenant: &TenantKeys,
        opening: &Arc<Standing>,
        wrapped: &WrappedDataKey,
        data_key: &DataKey,
        proof: Proof,
        urgency: Urgency,
    ) -> Result<(), VaultError> {
        self.verdicts(opening).await;
        self.stands(opening)?;
        self.recall(opening, None)
            .map_err(|error| self.unheard_of(opening, error))?;
        let now = Instant::now();
        let is_proven = proof == Proof::Shared && opening.has_served_within(proof_age(tenant), now);
        if is_proven && !self.is_proof_due(opening, now) {
            // Who relies on the watch must be watched over.
            self.relied_on.insert(tenant.tenant, Arc::clone(opening));
            return Ok(());
        }
        match self.unwrap_known(tenant, opening, wrapped, data_key, urgency).await {
            Err(error) if is_proven && self.is_in_vain(opening, &error) => Ok(()),
            answer => answer.map_err(|error| self.unheard_of(opening, error)),
        }
    }

    /// What has just wrapped under a version is there: a machine that does not know the version has not heard of it yet, and has
    /// given no answer.
    pub(super) fn unheard_of(&self, opening: &Standing, error: VaultError) -> VaultError {
        if error.cause() == VaultCause::KeyNotFound && self.version_of(opening) == Version::Unknown {
            return VaultCause::AnswerInvalid.into();
        }
        error
    }

    /// Fails as the vault did, if a refusal has withdrawn a standing. (An eviction is for those who come after it.)
    fn stands(&self, standing: &Standing) -> Result<(), VaultError> {
        if !standing.is_withdrawn() {
            return Ok(());
        }
        let anew = self.standings.of(standing.tenant(), standing.subject().clone());
        self.recall(&anew, None)
    }

    /// Remembers for a moment that what is wrapped would not be unwrapped, so that the next to seal need not wrap to find out.
    pub(super) fn stop_sealing(&self, tenant: &TenantKeys, error: &VaultError) {
        if error.cause().is_refusal() {
            let standing = self.standings.of(tenant.tenant, Subject::wrap(tenant));
            self.refusals.remember(standing, Version::Known, error.clone());
        }
    }
}

/// How old a shared proof may be.
pub(super) fn proof_age(tenant: &TenantKeys) -> Duration {
    lease::max_age(&tenant.policy)
}
