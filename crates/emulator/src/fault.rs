//! Faults to order: what shall go wrong, where, and how often. `docs/emulator.md` lists them.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::calls::Operation;

/// An order: the first matching one is applied to a request, before anything else looks at it.
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
}

/// What can happen to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// Answers as always, but this much later.
    Latency {
        /// Milliseconds.
        millis: u64,
    },
    /// Never answers. Ends when the client gives up or the order is cleared.
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
pub(crate) struct Faults {
    orders: Mutex<Vec<FaultOrder>>,
    random: Mutex<u64>,
}

impl Faults {
    pub(crate) fn order(&self, order: FaultOrder) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push(order);
    }

    pub(crate) fn clear(&self) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn list(&self) -> Vec<FaultOrder> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The fault that this request meets, if any; counts it off its order.
    pub(crate) fn meet(&self, host: &str, operation: Operation) -> Option<Fault> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let met = orders
            .iter()
            .position(|order| order.matches(host, operation) && self.happens(order.probability))?;
        let order = orders.get_mut(met)?;
        let fault = order.fault.clone();
        if let Some(times) = &mut order.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                orders.remove(met);
            }
        }
        Some(fault)
    }

    /// Whether a hang that began under some order shall go on.
    pub(crate) fn still_hangs(&self, host: &str) -> bool {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders
            .iter()
            .any(|order| order.fault == Fault::Hang && order.host.as_deref().is_none_or(|h| h == host))
    }

    /// A seeded draw, so that a run with probabilities can be had again (the generator is `SplitMix64`).
    #[expect(clippy::cast_precision_loss, reason = "53 bits are drawn")]
    fn happens(&self, probability: Option<f64>) -> bool {
        let Some(probability) = probability else { return true };
        let mut state = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 <= probability
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
        }
    }

    fn matches(&self, host: &str, operation: Operation) -> bool {
        self.host.as_deref().is_none_or(|wanted| wanted == host)
            && self.operation.is_none_or(|wanted| wanted == operation)
    }
}

/// How often a hanging request looks whether its order was cleared.
pub(crate) const HANG_CHECK: Duration = Duration::from_millis(50);
