//! The vault's own word, where it is not enough that others watch: it is asked to unwrap what it unwrapped before.
//!
//! One call serves all that is held under a standing, and all who wait. If the vault refuses, none of them is served. If it
//! gives no answer, they are, as unavailable is not revoked; and for a while it is asked in the background only, so that in
//! an outage nobody waits twice. Ahead of time it is asked in the background too, by one of those who come: so who uses a key
//! all along never waits while the vault is well; nor where others, who watch, tell that it gives no answer.
//!
//! Where a word is needed, the vault is asked as by a canary, past all that is known of it: that it was asked in vain must not be
//! believed for what was in truth not asked. Ahead of time, such a call gives way to others, unless an answer is known to be missed.
//! There are bounds to what a vault is asked like that, too (one vault's looks have a share of its limit, and no more); beyond them it
//! was not asked: nobody is served, nothing is evicted, and the next who comes asks again.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Keyring, is_no_answer, is_unasked, lost};
use crate::{
    assurance::Trust,
    flight::Flight,
    held::{HeldKey, OUTAGE_MEMORY, REVALIDATION_PAUSE},
    lease::Lease,
    standing::Standing,
    tenant::TenantKeys,
    vault::{Urgency, VaultError, WrappedDataKey},
};

impl Keyring {
    /// Makes sure that a data key may be used which is held, and was unwrapped from `wrapped`. Fails if the vault refuses,
    /// or could not be asked for our own reasons.
    pub(super) async fn assure(
        self: &Arc<Self>,
        tenant: &TenantKeys,
        held: &Arc<HeldKey>,
        wrapped: impl FnOnce() -> WrappedDataKey,
    ) -> Result<(), VaultError> {
        self.counters.assurances.count();
        let word = self.ask_for_word(tenant, held, wrapped, Urgency::Watch);
        match word.landing().await.unwrap_or_else(|| Err(lost())) {
            Err(error) if is_unasked(&error) || !is_no_answer(&error) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The same in the background, for one of those who come.
    pub(super) fn assure_ahead(
        self: &Arc<Self>,
        tenant: &TenantKeys,
        held: &Arc<HeldKey>,
        wrapped: impl FnOnce() -> WrappedDataKey,
        trust: Trust,
        now: Instant,
    ) {
        let (urgency, pause) = if trust == Trust::Warned || held.standing().is_in_vain(now) {
            (Urgency::Watch, self.memory_of_outage() / 3)
        } else {
            (Urgency::Background, REVALIDATION_PAUSE)
        };
        if held.standing().claims_asking(now, pause) {
            drop(self.ask_for_word(tenant, held, wrapped, urgency));
        }
    }

    /// How far a lease may be used: not while it is in question, and no further than its data key.
    pub(super) fn trust_in_lease(&self, lease: &Lease, now: Instant) -> Trust {
        if lease.is_in_question() {
            return Trust::None;
        }
        self.watch.trust(lease.held().standing(), now)
    }

    /// Whether what is known of a version may be relied on without asking: it is not in question, and what counts is enough.
    pub(super) fn is_relied_on(&self, opening: &Standing, now: Instant) -> bool {
        !opening.is_in_question() && self.watch.trust(opening, now) != Trust::None
    }

    /// Whether the caller is to prove anew that a version unwraps, though it was proven: as the proof does not count any more,
    /// or as it is the caller's turn.
    pub(super) fn is_proof_due(&self, opening: &Standing, now: Instant) -> bool {
        match self.watch.trust(opening, now) {
            Trust::Full => false,
            Trust::Ending | Trust::Warned => opening.claims_asking(now, REVALIDATION_PAUSE),
            Trust::None => true,
        }
    }

    /// Whether the vault was asked for its word and gave no answer, which is remembered. Not if it was taken away meanwhile.
    pub(super) fn is_in_vain(&self, standing: &Standing, error: &VaultError) -> bool {
        let is_in_vain = is_no_answer(error) && !is_unasked(error);
        if is_in_vain {
            standing.note_in_vain(Instant::now(), self.memory_of_outage());
        }
        is_in_vain && !standing.is_withdrawn()
    }

    /// How long it counts that the vault was asked in vain.
    pub(super) fn memory_of_outage(&self) -> Duration {
        self.watch.memory_of_outage(OUTAGE_MEMORY)
    }

    /// Asks the vault, unless it is being asked already under the same standing, and as urgently.
    fn ask_for_word(
        self: &Arc<Self>,
        tenant: &TenantKeys,
        held: &Arc<HeldKey>,
        wrapped: impl FnOnce() -> WrappedDataKey,
        urgency: Urgency,
    ) -> Flight<Result<(), VaultError>> {
        let standing = held.standing();
        let landed = || (self.watch.trust(standing, Instant::now()) == Trust::Full).then_some(Ok(()));
        self.assurances.join((standing.id(), urgency), landed, || {
            let (keyring, tenant, held, wrapped) = (Arc::clone(self), tenant.clone(), Arc::clone(held), wrapped());
            async move {
                let standing = held.standing();
                let word = keyring
                    .unwrap_known(&tenant, standing, &wrapped, held.data_key(), urgency)
                    .await;
                if let Err(error) = &word
                    && urgency == Urgency::Watch
                {
                    keyring.is_in_vain(standing, error);
                }
                word
            }
        })
    }
}
