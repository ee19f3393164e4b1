//! Why what was got through a customer's key a while ago may still be used.
//!
//! A data key that is held, or a lease, would be used to its end though the customer had taken its key away, unless somebody
//! noticed. Somebody does: a *watch* over each tenant's key, which one replica keeps and all hear of. But a replica trusts the
//! watch only as far as it hears, and as far as it sees that the watch is kept; else it is *deaf*, or the tenant
//! *mistrusted*, and only the vault's own word counts. So it does for a while after a refusal, as some of a vault's machines may
//! be late to obey the customer, and always of a version that those who watch do not look at. What was watched until a moment ago
//! is used a moment longer, while the vault is asked: so in an
//! outage, of which those who watch tell, nobody waits for a vault that gives no answer.
//!
//! The vault's word is an unwrap: of the same tenant, with the same version of the same key. That a vault wraps is none (see
//! `keyring::proving`), nor that it unwraps with another version, which the customer may have left enabled. So it is looked for
//! in the standing under which a data key was unwrapped or, where it was made here for sealing, would be: there is one of
//! each version at a time, and all that is held of that version holds it. What the standing under which it was wrapped knows
//! of counts for nothing here.
//!
//! A word counts from when the call began, as the vault may have said it at any time from then on.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::{
    id::TenantId,
    moment::{AtomicMoment, Epoch, Moment},
    standing::Standing,
};

/// What a sealer needs to be assured of before it uses a data key or lease that it holds: either that somebody watches the
/// tenant's key and would be heard (it was told by [`Sealer::heard`](crate::sealer::Sealer::heard) within `hearing`, and not by
/// [`Sealer::mistrust`](crate::sealer::Sealer::mistrust) that the tenant is not watched), or that the vault itself has unwrapped
/// for the tenant, here, within `period`. If neither, the vault is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assurance {
    /// How long the vault's own word counts.
    pub period: Duration,
    /// How long it counts that others were heard.
    pub hearing: Duration,
}

/// How far what is held may be used without asking the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// It may.
    Full,
    /// It may, but not for long: the vault should be asked in the background.
    Ending,
    /// The same, as those who watch get no answer: it counts here, too, if there is none.
    Warned,
    /// It may not: the vault is asked first.
    None,
}

/// What is known of the watch over the tenants' keys. To look is a few loads, as every message does.
pub(crate) struct Watch {
    assurance: Option<Assurance>,
    epoch: Epoch,
    /// Until when it counts that others were heard.
    heard_until: AtomicMoment,
    /// Since when it counts what is heard.
    counts_since: AtomicMoment,
    has_mistrusted: AtomicBool,
    /// Tenants whose keys are not known to serve, and from when on that counts.
    mistrusted: ArcSwap<HashMap<TenantId, Moment>>,
}

impl Watch {
    /// Nothing was heard yet. `epoch` must be that of the standings.
    pub(crate) fn new(assurance: Option<Assurance>, epoch: Epoch) -> Self {
        Self {
            assurance,
            epoch,
            heard_until: AtomicMoment::default(),
            counts_since: AtomicMoment::default(),
            has_mistrusted: AtomicBool::new(false),
            mistrusted: ArcSwap::default(),
        }
    }

    /// How far that may be used which is held under a standing to unwrap.
    pub(crate) fn trust(&self, standing: &Standing, now: Instant) -> Trust {
        let Some(assurance) = &self.assurance else {
            return Trust::Full;
        };
        let now = self.epoch.moment(now);
        let is_heard = self.heard_until.get().is_some_and(|until| now < until);
        if is_heard && standing.is_watched(now) {
            match self.mistrusted_from(standing.tenant()) {
                None => return Trust::Full,
                Some(from) if now < from => return Trust::Warned,
                Some(_) => {}
            }
        }
        match standing.served() {
            Some(served) if now < served.plus(assurance.period * 7 / 10) => Trust::Full,
            Some(served) if now < served.plus(assurance.period) => Trust::Ending,
            // Unavailable is not revoked.
            _ if standing.in_vain_until().is_some_and(|until| now < until) => Trust::Ending,
            _ => Trust::None,
        }
    }

    /// How long it counts that a vault was asked in vain, which could be for as long as `longest`: no longer than its word
    /// would.
    pub(crate) fn memory_of_outage(&self, longest: Duration) -> Duration {
        self.assurance
            .map_or(longest, |assurance| longest.min(assurance.period))
    }

    /// All was heard that was told up to `at`.
    pub(crate) fn heard(&self, at: Instant) {
        let Some(assurance) = self.assurance else { return };
        let at = self.epoch.moment(at);
        let counts = || self.counts_since.get().is_none_or(|since| at > since);
        if counts() {
            self.heard_until.advance(at.plus(assurance.hearing));
            // Deafened in between, it was heard too early.
            if !counts() {
                self.heard_until.take();
            }
        }
    }

    /// Nothing counts that was heard up to now.
    pub(crate) fn deafen(&self, now: Instant) {
        self.counts_since.advance(self.epoch.moment(now));
        self.heard_until.take();
    }

    /// These tenants' keys are not known to serve, and no others. That they are watched counts no longer than until then.
    pub(crate) fn mistrust(&self, tenants: HashMap<TenantId, Instant>) {
        let has_mistrusted = !tenants.is_empty();
        let tenants = tenants
            .into_iter()
            .map(|(tenant, from)| (tenant, self.epoch.moment(from)));
        self.mistrusted.store(Arc::new(tenants.collect()));
        self.has_mistrusted.store(has_mistrusted, Ordering::Release);
    }

    fn mistrusted_from(&self, tenant: TenantId) -> Option<Moment> {
        if self.has_mistrusted.load(Ordering::Acquire) {
            self.mistrusted.load().get(&tenant).copied()
        } else {
            None
        }
    }
}
