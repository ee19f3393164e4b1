//! Data keys for sealing: a tenant's lease, renewed ahead of time.

use std::{future::Future, sync::Arc};

use tokio::time::Instant;

use super::{
    Keyring, gave_way, lost,
    proving::{Proof, Proven},
};
use crate::{
    assurance::Trust,
    cache::Slot,
    flight::Flight,
    held::HeldKey,
    id::DataKeyId,
    lease::{Lease, Taken, Terms},
    random,
    sealer::SealerError,
    secret::DataKey,
    standing::{Standing, Subject},
    tenant::TenantKeys,
    vault::{Urgency, VaultError},
};

type NewLease = Result<Arc<Lease>, SealerError>;

impl Keyring {
    /// A lease with one message taken for the caller. It waits for the vault only if the tenant has no usable lease.
    pub(crate) async fn lease(self: &Arc<Self>, tenant: &TenantKeys) -> NewLease {
        let mut now = Instant::now();
        let mut usable = self.leases.usable(tenant, now);
        if let Some(lease) = &usable
            && self.trust_in_lease(lease, now) != Trust::Full
        {
            self.regain(tenant, lease).await?;
            now = Instant::now();
            usable = self.leases.usable(tenant, now);
        }
        if let Some(lease) = usable
            && let Some(taken) = lease.take(now)
        {
            if taken == Taken::RenewalDue {
                self.renew(tenant);
            }
            return Ok(lease);
        }
        self.first_lease(tenant).await
    }

    /// Has it found out whether a lease may be used that is in question, or is used on the vault's word alone, which is old. If
    /// it may not, it is withdrawn by then, or this fails.
    async fn regain(self: &Arc<Self>, tenant: &TenantKeys, lease: &Lease) -> Result<(), VaultError> {
        for standing in lease.standings() {
            self.verdicts(standing).await;
            if standing.is_withdrawn() {
                return Ok(());
            }
        }
        let (wrapped, now) = (|| lease.to_unwrap().clone(), Instant::now());
        match self.watch.trust(lease.held().standing(), now) {
            Trust::Full => Ok(()),
            trust @ (Trust::Ending | Trust::Warned) => {
                self.assure_ahead(tenant, lease.held(), wrapped, trust, now);
                Ok(())
            }
            Trust::None => match self.assure(tenant, lease.held(), wrapped).await {
                // What was refused may be the lease's version alone, and another seals: the vault is asked to.
                Err(_) if lease.is_withdrawn() => Ok(()),
                word => word,
            },
        }
    }

    /// All who find no lease wait for one and the same, and again if others have used it up. Who comes away empty-handed
    /// from both gets a lease of its own: with few messages to a lease and many callers, calls to the vault side by side
    /// are better than a long queue of them. With one message to a lease there is nothing to share from the start.
    async fn first_lease(self: &Arc<Self>, tenant: &TenantKeys) -> NewLease {
        let standing = self.wrapping_standing(tenant).await?;
        let tries = if is_shared(tenant) { SHARED_TRIES } else { 0 };
        for _ in 0..tries {
            let lease = self.wait_for_lease(tenant, &standing).await?;
            if lease.take(Instant::now()).is_some() {
                return Ok(lease);
            }
        }
        let lease = self.new_lease(tenant, standing, Urgency::Request).await?;
        lease.take(Instant::now());
        Ok(lease)
    }

    /// Waits for the lease that is being made, or has one made. One that is made in the background gives way to other calls, and
    /// then is none.
    async fn wait_for_lease(self: &Arc<Self>, tenant: &TenantKeys, standing: &Arc<Standing>) -> NewLease {
        if let Some(flight) = self
            .new_leases
            .under_way(&(standing.id(), Terms::of(tenant), Urgency::Background))
        {
            match landing(flight).await {
                Err(SealerError::Vault(error)) if gave_way(&error) => {}
                lease => return lease,
            }
        }
        let landed = || self.leases.usable(tenant, Instant::now()).map(Ok);
        landing(self.board(tenant, Arc::clone(standing), Urgency::Request, landed)).await
    }

    /// Has a new lease made in the background. If that fails, the present one serves until its end, and another try is
    /// made a moment later; a refusal has evicted it by then.
    pub(super) fn renew(self: &Arc<Self>, tenant: &TenantKeys) {
        let standing = self.standings.of(tenant.tenant, Subject::wrap(tenant));
        if !standing.is_in_question() && self.recall(&standing, None).is_ok() {
            drop(self.board(tenant, standing, Urgency::Background, || None));
        }
    }

    fn board(
        self: &Arc<Self>,
        tenant: &TenantKeys,
        standing: Arc<Standing>,
        urgency: Urgency,
        landed: impl FnOnce() -> Option<NewLease>,
    ) -> Flight<NewLease> {
        let key = (standing.id(), Terms::of(tenant), urgency);
        self.new_leases
            .join(key, landed, || self.make_lease(tenant, standing, urgency))
    }

    fn make_lease(
        self: &Arc<Self>,
        tenant: &TenantKeys,
        standing: Arc<Standing>,
        urgency: Urgency,
    ) -> impl Future<Output = NewLease> + use<> {
        let keyring = Arc::clone(self);
        let tenant = tenant.clone();
        async move { keyring.new_lease(&tenant, standing, urgency).await }
    }

    /// Makes a data key, has it wrapped, and lets it be used: for sealing as a lease, and for opening what it seals if the
    /// vault has unwrapped it.
    async fn new_lease(&self, tenant: &TenantKeys, standing: Arc<Standing>, urgency: Urgency) -> NewLease {
        let data_key = DataKey::generate()?;
        let kid = DataKeyId(random::array()?);
        let proof = if is_shared(tenant) { Proof::Own } else { Proof::Shared };
        let asked = Instant::now();
        let Proven { wrapped, opening } = self.wrap_proven(tenant, &standing, &data_key, proof, urgency).await?;
        let held = Arc::new(HeldKey::new(data_key, opening, &tenant.policy, asked));
        let lease = Arc::new(Lease::new(tenant, held, kid, wrapped, Arc::clone(&standing), asked));
        if is_shared(tenant) && !standing.is_withdrawn() {
            self.cache.insert(Slot::of(tenant, &lease.wrapping()), lease.held());
            self.leases.insert(tenant.tenant, &lease);
        }
        Ok(lease)
    }
}

async fn landing(flight: Flight<NewLease>) -> NewLease {
    flight.landing().await.unwrap_or_else(|| Err(lost().into()))
}

/// Whether a tenant's leases are for more than one message, and so for more than one caller.
fn is_shared(tenant: &TenantKeys) -> bool {
    tenant.policy.lease_max_messages > 1
}

/// How often a caller waits for a lease that it shares with others, before it has one made for itself.
const SHARED_TRIES: usize = 2;
