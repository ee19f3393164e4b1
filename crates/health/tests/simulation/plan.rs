//! What happens in a run, and when: all of it from the seed.

use std::time::Duration;

use keyferry_crypto::{tenant::SealingPolicy, vault::VaultCause};

use crate::{
    clocks::MACHINES,
    customer,
    dice::Dice,
    registry::{self, Cut},
    terms::{AFTERMATH, HEARS, PERIOD, SECOND},
};

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) machines: usize,
    /// By how many milliseconds each machine's clock is ahead of the registry's.
    pub(crate) ahead: [i64; MACHINES],
    pub(crate) policy: SealingPolicy,
    pub(crate) withdrawal: Option<Withdrawal>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) end: Duration,
}

/// The customer takes its key away. All times are from the beginning of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Withdrawal {
    pub(crate) at: Duration,
    pub(crate) cause: VaultCause,
    /// When it gives it back, if it does.
    pub(crate) returns: Option<Duration>,
}

/// Something is wrong for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) from: Duration,
    pub(crate) until: Duration,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Vault(customer::Trouble),
    Registry(registry::Trouble),
    /// The registry is lost at the end, and all that happened since the beginning with it.
    FailsOver,
    /// The replica on a machine dies, and another is started at the end.
    Dies(Whose),
    /// The replica on a machine is paused, and goes on at the end.
    Pauses(Whose),
    /// The key has a new version, for good.
    Rotates,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Machine(usize),
    /// That of the replica which looks at the key.
    Looks,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let dice = &mut Dice::of(seed);
        let machines = dice.one_of(&[2, 2, 3, 3, MACHINES]);
        let ahead = std::array::from_fn(|_| i64::try_from(dice.roll(8_000)).expect("small") - 4_000);
        let at = dice.between(SECOND * 10, PERIOD * 3);
        let withdrawal = dice.chance(80).then(|| Withdrawal {
            at,
            cause: dice.one_of(&CAUSES),
            returns: dice
                .chance(40)
                .then(|| at + dice.between(Duration::from_millis(100), HEARS + PERIOD)),
        });
        let faults: Vec<_> = (0..dice.roll(6))
            .map(|_| Fault::at(dice, at + PERIOD * 2, machines))
            .collect();
        let over = faults.iter().map(|fault| fault.until).fold(at, Duration::max);
        let end = match withdrawal {
            Some(Withdrawal { returns: None, .. }) => over.max(at + HEARS) + END,
            Some(Withdrawal {
                returns: Some(returns), ..
            }) => over.max(returns) + AFTERMATH + END,
            None => over + AFTERMATH + END,
        };
        Self {
            machines,
            ahead,
            policy: policy(dice),
            withdrawal,
            faults,
            end,
        }
    }

    /// From when on nothing is wrong any more, though some of what was may still be felt.
    pub(crate) fn over(&self) -> Duration {
        let faults = self.faults.iter().map(|fault| fault.until);
        let returns = self.withdrawal.and_then(|withdrawal| withdrawal.returns);
        faults.chain(returns).max().unwrap_or_default()
    }

    /// From when on all must serve, if the customer gives its key back, or never took it.
    pub(crate) fn serves_from(&self) -> Option<Duration> {
        let is_there = self.withdrawal.is_none_or(|withdrawal| withdrawal.returns.is_some());
        is_there.then(|| self.over() + AFTERMATH)
    }
}

impl Fault {
    fn at(dice: &mut Dice, latest: Duration, machines: usize) -> Self {
        let from = dice.between(SECOND * 3, latest);
        let what = What::any(dice, machines);
        let lasts = match what {
            What::Vault(_) | What::Registry(_) | What::Pauses(_) | What::Dies(_) => {
                let longest = dice.one_of(&[SECOND * 2, PERIOD, PERIOD * 3]);
                dice.between(Duration::from_millis(100), longest)
            }
            What::FailsOver => dice.between(Duration::from_millis(100), SECOND * 20),
            What::Rotates => Duration::ZERO,
        };
        Self {
            from,
            until: from + lasts,
            what,
        }
    }
}

impl What {
    fn any(dice: &mut Dice, machines: usize) -> Self {
        let machine = dice.place(machines);
        let cut = dice.one_of(&[Cut::Silent, Cut::Failing, Cut::Unanswered]);
        let whose = dice.one_of(&[Whose::Machine(machine), Whose::Looks]);
        let doubtful = dice.one_of(&[VaultCause::RoleMissing, VaultCause::AccessDenied]);
        let percent = dice.one_of(&[20, 50, 80]);
        let vault = [
            customer::Trouble::Slow,
            customer::Trouble::Hangs,
            customer::Trouble::Throttles,
            customer::Trouble::Fails,
            customer::Trouble::Disagrees(doubtful, percent),
            customer::Trouble::Cut(machine),
            customer::Trouble::Cut(machine),
        ];
        let registry = [
            registry::Trouble::Slow,
            registry::Trouble::Away(cut),
            registry::Trouble::CutOff(machine, cut),
            registry::Trouble::CutOff(machine, cut),
            registry::Trouble::Mute,
        ];
        match dice.roll(12) {
            0..3 => Self::Vault(dice.one_of(&vault)),
            3..6 => Self::Registry(dice.one_of(&registry)),
            6 => Self::FailsOver,
            7 | 8 => Self::Dies(whose),
            9 | 10 => Self::Pauses(whose),
            _ => Self::Rotates,
        }
    }
}

fn policy(dice: &mut Dice) -> SealingPolicy {
    let policy = SealingPolicy::default();
    SealingPolicy {
        cache_ttl: dice.one_of(&[policy.cache_ttl, policy.cache_ttl, SECOND * 90]),
        lease_max_age: dice.one_of(&[policy.lease_max_age, policy.lease_max_age, SECOND * 90]),
        lease_max_messages: dice.one_of(&[policy.lease_max_messages, policy.lease_max_messages, 5, 1]),
        outage_grace: dice.one_of(&[Duration::ZERO, Duration::ZERO, SECOND * 60]),
    }
}

/// How long it is looked whether all is well in the end.
const END: Duration = Duration::from_secs(16);

const CAUSES: [VaultCause; 5] = [
    VaultCause::KeyDisabled,
    VaultCause::KeyNotFound,
    VaultCause::RoleMissing,
    VaultCause::ConsentMissing,
    VaultCause::FirewallDenied,
];
