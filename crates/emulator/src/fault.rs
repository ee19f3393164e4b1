//! Faults to order: what shall go wrong, where, and how often. `docs/emulator.md` lists them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::{calls::Operation, encoding::now, order::OrderError, service::Service, world::World};

/// An order: the first matching one is applied to a request, before anything but the presence of a token is looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultOrder {
    /// The host it applies to: `acme.vault.azure.net`, `login.microsoftonline.com`. Every host if left out.
    #[serde(default)]
    pub host: Option<String>,
    /// The operation it applies to. Every operation if left out.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// What happens.
    pub fault: Fault,
    /// How many times; without end if left out.
    #[serde(default)]
    pub times: Option<u64>,
    /// How likely, from 0 to 1, for each matching request; always if left out.
    #[serde(default)]
    pub probability: Option<f64>,
    /// Comes and goes, beginning with its order; there all the time if left out.
    #[serde(default)]
    pub flapping: Option<Flapping>,
}

/// How a fault comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flapping {
    /// Milliseconds that it is there.
    pub fails_millis: u64,
    /// Milliseconds that it is not, before it is there again.
    pub serves_millis: u64,
}

/// What can happen to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// Answers as always, but this much later, or when the faults are cleared.
    Latency {
        /// Milliseconds.
        millis: u64,
    },
    /// Never answers. Ends when the client gives up or the faults are cleared.
    Hang,
    /// Breaks the connection off without an answer.
    Reset,
    /// 429, as the service throttles.
    Throttle {
        /// Seconds for a `Retry-After` header, if one is to be sent.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// This status with the service's own kind of body (or HTML for the token endpoint's 5xx).
    Status {
        /// The status.
        status: u16,
    },
    /// The true answer's head, and half of its body.
    Truncate,
    /// 200 with a body that is not what was asked for.
    Nonsense,
}

/// The orders in force.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<InForce>);

#[derive(Debug, Default)]
struct InForce {
    orders: Vec<Ordered>,
    /// Cancelled, and replaced, when the orders are cleared.
    cleared: CancellationToken,
    random: Random,
}

/// An order, and when it was given.
#[derive(Debug)]
struct Ordered {
    order: FaultOrder,
    at: OffsetDateTime,
}

/// A fault that a request met.
#[derive(Debug)]
pub(crate) struct Met {
    pub(crate) fault: Fault,
    /// Cancelled when the faults are cleared. What is kept back goes on then, though its order was used up long before.
    pub(crate) cleared: CancellationToken,
}

impl Faults {
    pub(crate) fn order(&self, order: FaultOrder) {
        self.in_force().orders.push(Ordered { order, at: now() });
    }

    pub(crate) fn clear(&self) {
        let mut in_force = self.in_force();
        in_force.orders.clear();
        std::mem::take(&mut in_force.cleared).cancel();
    }

    pub(crate) fn list(&self) -> Vec<FaultOrder> {
        let in_force = self.in_force();
        in_force.orders.iter().map(|ordered| ordered.order.clone()).collect()
    }

    /// The fault that this request meets, if any; counts it off its order.
    pub(crate) fn meet(&self, host: &str, operation: Operation) -> Option<Met> {
        let mut in_force = self.in_force();
        let InForce {
            orders,
            cleared,
            random,
        } = &mut *in_force;
        let met = orders.iter().position(|ordered| {
            let order = &ordered.order;
            order.matches(host, operation) && ordered.is_there(now()) && random.happens(order.probability)
        })?;
        let order = &mut orders.get_mut(met)?.order;
        let fault = order.fault.clone();
        if let Some(times) = &mut order.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                orders.remove(met);
            }
        }
        let cleared = cleared.clone();
        Some(Met { fault, cleared })
    }

    fn in_force(&self) -> MutexGuard<'_, InForce> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FaultOrder {
    /// An order that holds until it is cleared.
    #[must_use]
    pub fn always(host: &str, operation: Option<Operation>, fault: Fault) -> Self {
        Self {
            host: Some(host.to_owned()),
            operation,
            fault,
            times: None,
            probability: None,
            flapping: None,
        }
    }

    /// Whether some request can meet it, in a world of these vaults.
    pub(crate) fn check(&self, world: &World) -> Result<(), OrderError> {
        if let Some(host) = &self.host {
            let service = Service::at(host);
            if service == Service::KeyVault && !world.vaults.contains_key(host) {
                return Err(OrderError::Missing("host"));
            }
            if self.operation.is_some_and(|operation| !operation.is_asked_of(service)) {
                return Err(OrderError::NeverMet("the host is not asked this operation"));
            }
        }
        if self.times == Some(0) {
            return Err(OrderError::NeverMet("it is ordered no times"));
        }
        if self.probability.is_some_and(|likely| !(0.0..=1.0).contains(&likely)) {
            return Err(OrderError::NeverMet("a probability is from 0 to 1"));
        }
        if self.flapping.is_some_and(|flapping| flapping.fails_millis == 0) {
            return Err(OrderError::NeverMet("it is never there"));
        }
        match self.fault {
            Fault::Status { status } if !(200..=599).contains(&status) => {
                Err(OrderError::NeverMet("a status is from 200 to 599"))
            }
            _ => Ok(()),
        }
    }

    fn matches(&self, host: &str, operation: Operation) -> bool {
        self.host.as_deref().is_none_or(|wanted| wanted == host)
            && self.operation.is_none_or(|wanted| wanted == operation)
    }
}

impl Ordered {
    /// Whether it is there at that time, if it comes and goes.
    fn is_there(&self, at: OffsetDateTime) -> bool {
        let Some(flapping) = self.order.flapping else {
            return true;
        };
        let since = (at - self.at).whole_milliseconds().unsigned_abs();
        let fails = u128::from(flapping.fails_millis);
        since % (fails + u128::from(flapping.serves_millis)) < fails
    }
}

/// A seeded draw, so that a run with probabilities can be had again (the generator is `SplitMix64`).
#[derive(Debug, Default)]
struct Random(u64);

impl Random {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are drawn")]
    fn happens(&mut self, probability: Option<f64>) -> bool {
        let Some(probability) = probability else { return true };
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // Drawn from 0 up to, but not including, 1: so 0 never happens and 1 always does.
        (((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64) < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "acme.vault.azure.net";

    fn order(fault: Fault, times: Option<u64>) -> FaultOrder {
        FaultOrder {
            times,
            ..FaultOrder::always(HOST, Some(Operation::UnwrapKey), fault)
        }
    }

    #[test]
    fn an_order_is_met_as_often_as_it_says() {
        let faults = Faults::default();
        faults.order(order(Fault::Reset, Some(2)));
        assert!(faults.meet(HOST, Operation::WrapKey).is_none());
        assert!(faults.meet("other.vault.azure.net", Operation::UnwrapKey).is_none());
        for left in [1, 0] {
            assert!(faults.meet(HOST, Operation::UnwrapKey).is_some());
            let orders = faults.list();
            assert_eq!(orders.first().map_or(Some(0), |order| order.times), Some(left));
        }
        assert!(faults.meet(HOST, Operation::UnwrapKey).is_none());
    }

    #[test]
    fn a_fault_that_flaps_is_there_and_not_by_turns() {
        let at = now();
        let flapping = Some(Flapping {
            fails_millis: 200,
            serves_millis: 300,
        });
        let order = FaultOrder {
            flapping,
            ..order(Fault::Reset, None)
        };
        let ordered = Ordered { order, at };
        for (millis, is_there) in [
            (0, true),
            (199, true),
            (200, false),
            (499, false),
            (500, true),
            (700, false),
        ] {
            let after = at + time::Duration::milliseconds(millis);
            assert_eq!(ordered.is_there(after), is_there, "{millis}");
        }
    }

    #[test]
    fn what_hangs_goes_on_when_the_faults_are_cleared_and_not_when_its_order_is_used_up() {
        let faults = Faults::default();
        faults.order(order(Fault::Hang, Some(1)));
        let met = faults.meet(HOST, Operation::UnwrapKey).unwrap();
        assert!(faults.list().is_empty() && !met.cleared.is_cancelled());
        faults.clear();
        assert!(met.cleared.is_cancelled());
        faults.order(order(Fault::Hang, None));
        let next = faults.meet(HOST, Operation::UnwrapKey).unwrap();
        assert!(!next.cleared.is_cancelled(), "cleared before it began");
    }
}
