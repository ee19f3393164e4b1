//! Data keys for sealing: a tenant's lease, renewed ahead of time.

use std::{future::Future, sync::Arc};

use tokio::time::Instant;

use super::{
    Keyring, lost,
    proving::{Proof, Proven},
};
use crate::{
    cache::Slot,
    flight::Flight,
    held::HeldKey,
    id::DataKeyId,
    lease::{Lease, Taken, Terms},
    random,
    sealer::SealerError,
    secret::DataKey,
    standing::Standing,
    tenant::TenantKeys,
};

type NewLease = Result<Arc<Lease>, SealerError>;

impl Keyring {
    /// A lease with one message taken for the caller. It waits for the vault only if the tenant has no usable lease.
    pub(crate) async fn lease(self: &Arc<Self>, tenant: &TenantKeys) -> NewLease {
        let now = Instant::now();
        if let Some(lease) = self.leases.usable(tenant, now)
            && let Some(taken) = lease.take(now)
        {
            if taken == Taken::RenewalDue {
                self.renew(tenant);
            }
            return Ok(lease);
        }
        self.first_lease(tenant).await
    }

    /// All who find no lease wait for one and the same, and again if others have used it up. Who comes away empty-handed
    /// from both gets a lease of its own: with few messages to a lease and many callers, calls to the vault side by side
    /// are better than a long queue of them. With one message to a lease there is nothing to share from the start.
    async fn first_lease(self: &Arc<Self>, tenant: &TenantKeys) -> NewLease {
        let standing = self.wrapping_standing(tenant)?;
        let tries = if is_shared(tenant) { SHARED_TRIES } else { 0 };
        for _ in 0..tries {
            let landed = || self.leases.usable(tenant, Instant::now()).map(Ok);
            let flight = self.board(tenant, Arc::clone(&standing), landed);
            let lease = flight.landing().await.unwrap_or_else(|| Err(lost().into()))?;
            if lease.take(Instant::now()).is_some() {
                return Ok(lease);
            }
        }
        let lease = self.new_lease(tenant, standing).await?;
        lease.take(Instant::now());
        Ok(lease)
    }

    /// Has a new lease made in the background. If that fails, the present one serves until its end, and another try is
    /// made a moment later; a refusal has evicted it by then.
    fn renew(self: &Arc<Self>, tenant: &TenantKeys) {
        if let Ok(standing) = self.wrapping_standing(tenant) {
            drop(self.board(tenant, standing, || None));
        }
    }

    fn board(
        self: &Arc<Self>,
        tenant: &TenantKeys,
        standing: Arc<Standing>,
        landed: impl FnOnce() -> Option<NewLease>,
    ) -> Flight<NewLease> {
        let key = (standing.id(), Terms::of(tenant));
        self.new_leases.join(key, landed, || self.make_lease(tenant, standing))
    }

    fn make_lease(
        self: &Arc<Self>,
        tenant: &TenantKeys,
        standing: Arc<Standing>,
    ) -> impl Future<Output = NewLease> + use<> {
        let keyring = Arc::clone(self);
        let tenant = tenant.clone();
        async move { keyring.new_lease(&tenant, standing).await }
    }

    /// Makes a data key, has it wrapped, and lets it be used: for sealing as a lease, and for opening what it seals if the
    /// vault has unwrapped it.
    async fn new_lease(&self, tenant: &TenantKeys, standing: Arc<Standing>) -> NewLease {
        let data_key = DataKey::generate()?;
        let kid = DataKeyId(random::array()?);
        let proof = if is_shared(tenant) { Proof::Own } else { Proof::Shared };
        let Proven { wrapped, opening } = self.wrap_proven(tenant, &standing, &data_key, proof).await?;
        let held = Arc::new(HeldKey::new(data_key, opening, &tenant.policy));
        let lease = Arc::new(Lease::new(tenant, held, kid, wrapped, Arc::clone(&standing)));
        if is_shared(tenant) && !standing.is_withdrawn() {
            self.cache.insert(Slot::of(tenant, &lease.wrapping()), lease.held());
            self.leases.insert(tenant.tenant, &lease);
        }
        Ok(lease)
    }
}

/// Whether a tenant's leases are for more than one message, and so for more than one caller.
fn is_shared(tenant: &TenantKeys) -> bool {
    tenant.policy.lease_max_messages > 1
}

/// How often a caller waits for a lease that it shares with others, before it has one made for itself.
const SHARED_TRIES: usize = 2;
