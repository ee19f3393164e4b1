//! How often something may be asked, by each link and, for links that are none, by each address.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

use governor::{
    DefaultKeyedRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};
use keyferry_crypto::id::TenantId;

use super::trouble::Trouble;

/// The limits, and what was used of them.
pub(super) struct Rates {
    looks: Limit<TenantId>,
    changes: Limit<TenantId>,
    parses: Limit<TenantId>,
    checks: Limit<TenantId>,
    guesses: Limit<IpAddr>,
    clock: DefaultClock,
}

type Limit<K> = DefaultKeyedRateLimiter<K>;

impl Rates {
    pub(super) fn new() -> Self {
        Self {
            looks: Limit::keyed(a_minute(600)),
            changes: Limit::keyed(a_minute(30)),
            parses: Limit::keyed(a_minute(240)),
            checks: Limit::keyed(once_in(Duration::from_secs(5))),
            guesses: Limit::keyed(a_minute(30)),
            clock: DefaultClock::default(),
        }
    }

    /// For whatever is asked with a good link: to write a page takes time that others' requests want too.
    pub(super) fn look(&self, tenant: TenantId) -> Result<(), Trouble> {
        self.take(&self.looks, &tenant)
    }

    /// For what changes something: answers, consent, a private endpoint made anew.
    pub(super) fn change(&self, tenant: TenantId) -> Result<(), Trouble> {
        self.take(&self.changes, &tenant)
    }

    /// For answers that are read as they are typed.
    pub(super) fn parse(&self, tenant: TenantId) -> Result<(), Trouble> {
        self.take(&self.parses, &tenant)
    }

    /// Whether a round of checks may be asked for. If not, one was asked for a moment ago, and its outcome does.
    pub(super) fn may_check(&self, tenant: TenantId) -> bool {
        self.take(&self.checks, &tenant).is_ok()
    }

    /// For links that are none.
    pub(super) fn guess(&self, from: Option<IpAddr>) -> Result<(), Trouble> {
        let Some(from) = from else { return Ok(()) };
        self.take(&self.guesses, &network(from))
    }

    fn take<K: Hash + Eq + Clone>(&self, limit: &Limit<K>, key: &K) -> Result<(), Trouble> {
        // Whoever has not asked for long is as good as unknown.
        if limit.len() > MOST_KNOWN {
            limit.retain_recent();
        }
        limit
            .check_key(key)
            .map_err(|until| Trouble::TooOften(until.wait_time_from(self.clock.now())))
    }
}

/// What stands for one asker: an address, or, as one has many of version 6, its network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

fn a_minute(times: u32) -> Quota {
    Quota::per_minute(NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN))
}

fn once_in(pause: Duration) -> Quota {
    Quota::with_period(pause).unwrap_or(Quota::per_second(NonZeroU32::MIN))
}

/// How many askers are known before those are forgotten who have not asked for long.
const MOST_KNOWN: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_link_has_a_limit_of_its_own() {
        let rates = Rates::new();
        let (one, other) = (TenantId::generate(), TenantId::generate());
        for _ in 0..30 {
            assert!(rates.change(one).is_ok());
        }
        assert!(matches!(rates.change(one), Err(Trouble::TooOften(wait)) if wait <= Duration::from_secs(2)));
        assert!(rates.change(other).is_ok());
        for _ in 0..600 {
            assert!(rates.look(one).is_ok());
        }
        assert!(matches!(rates.look(one), Err(Trouble::TooOften(_))) && rates.look(other).is_ok());
        assert!(rates.may_check(one) && !rates.may_check(one) && rates.may_check(other));
    }

    #[test]
    fn a_network_of_version_6_is_one_asker() {
        let network = |text: &str| super::network(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
