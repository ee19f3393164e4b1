//! What happens in a run, and when: all of it from the seed.

use std::time::Duration;

use keyferry_crypto::{tenant::SealingPolicy, vault::VaultCause};

use crate::{
    clocks::MACHINES,
    customer,
    dice::Dice,
    registry::{self, Cut},
    terms::{SECOND, Terms},
};

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) machines: usize,
    /// By how many milliseconds each machine's clock is ahead of the registry's.
    pub(crate) ahead: [i64; MACHINES],
    pub(crate) terms: Terms,
    pub(crate) policy: SealingPolicy,
    /// Between two requests to a replica, mostly.
    pub(crate) pause: Duration,
    /// Of the key, one after the other; or of a former version.
    pub(crate) withdrawals: Vec<Withdrawal>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) end: Duration,
}

/// The customer takes something away. All times are from the beginning of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Withdrawal {
    pub(crate) at: Duration,
    pub(crate) taken: Taken,
    pub(crate) cause: VaultCause,
    /// When it gives it back, if it does.
    pub(crate) returns: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Key,
    /// One of its versions: of those that are not the newest then, the one in this place, counted round.
    Former(usize),
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
        let terms = Terms::any(dice);
        let at = dice.between(SECOND * 10, SECOND * 10 + terms.period * 3);
        let mut withdrawals = of_the_key(dice, at, &terms);
        let mut faults: Vec<_> = (0..dice.roll(6))
            .map(|_| Fault::at(dice, at + terms.period * 2, machines, &terms))
            .collect();
        if dice.chance(30) {
            let (rotation, former) = of_a_version(dice, at, &terms);
            faults.push(rotation);
            withdrawals.push(former);
        }
        let over = faults.iter().map(|fault| fault.until).fold(at, Duration::max);
        let ends = withdrawals.iter().map(|withdrawal| {
            let obeyed = withdrawal.at + terms.hears();
            let settled = withdrawal.returns.unwrap_or(withdrawal.at) + terms.aftermath();
            if withdrawal.is_for_good() {
                obeyed
            } else {
                obeyed.max(settled)
            }
        });
        let is_gone = withdrawals.iter().any(Withdrawal::is_for_good);
        let settled = if is_gone { over } else { over + terms.aftermath() };
        Self {
            machines,
            ahead,
            terms,
            policy: policy(dice),
            // So rarely, too, that what is held is not asked for ahead of time.
            pause: dice.one_of(&[SECOND * 9 / 10, SECOND * 9 / 10, SECOND * 4]),
            end: ends.fold(settled, Duration::max) + END,
            withdrawals,
            faults,
        }
    }

    /// From when on nothing is wrong any more, though some of what was may still be felt.
    pub(crate) fn over(&self) -> Duration {
        let faults = self.faults.iter().map(|fault| fault.until);
        let given = self.withdrawals.iter();
        let given = given.filter_map(|withdrawal| match withdrawal.taken {
            Taken::Key => withdrawal.returns,
            Taken::Former(_) => Some(withdrawal.returns.unwrap_or(withdrawal.at)),
        });
        faults.chain(given).max().unwrap_or_default()
    }

    /// From when on all must serve, but for a version that is gone, if the customer gives its key back, or never took it.
    pub(crate) fn serves_from(&self) -> Option<Duration> {
        let is_gone = self.withdrawals.iter().any(Withdrawal::is_for_good);
        (!is_gone).then(|| self.over() + self.terms.aftermath())
    }
}

impl Withdrawal {
    /// Whether the key is gone, and stays so.
    pub(crate) fn is_for_good(&self) -> bool {
        self.taken == Taken::Key && self.returns.is_none()
    }
}

/// Some customers take their key away, some of them give it back, and some of those take it away again: soon, and perhaps between
/// two looks.
fn of_the_key(dice: &mut Dice, at: Duration, terms: &Terms) -> Vec<Withdrawal> {
    let mut all = Vec::new();
    let mut next = dice.chance(80).then_some(at);
    while let Some(at) = next.take() {
        let most = dice.one_of(&[terms.period / 2, terms.hears() + terms.period]);
        let returns = dice.chance(40).then(|| at + dice.between(SECOND / 10, most));
        all.push(Withdrawal {
            at,
            taken: Taken::Key,
            cause: dice.one_of(&CAUSES),
            returns,
        });
        if let Some(returns) = returns
            && all.len() < 2
            && dice.chance(50)
        {
            let most = dice.one_of(&[SECOND * 3, terms.period]);
            next = Some(returns + dice.between(SECOND / 10, most));
        }
    }
    all
}

/// A customer rotates its key, and takes away a version from before, that only.
fn of_a_version(dice: &mut Dice, around: Duration, terms: &Terms) -> (Fault, Withdrawal) {
    let rotated = dice.between(SECOND * 3, around);
    let at = rotated + dice.between(SECOND / 10, terms.period * 3);
    let rotation = Fault {
        from: rotated,
        until: rotated,
        what: What::Rotates,
    };
    let withdrawal = Withdrawal {
        at,
        taken: Taken::Former(dice.place(8)),
        cause: VaultCause::KeyDisabled,
        returns: dice.chance(20).then(|| at + dice.between(SECOND / 10, terms.hears())),
    };
    (rotation, withdrawal)
}

impl Fault {
    fn at(dice: &mut Dice, latest: Duration, machines: usize, terms: &Terms) -> Self {
        let from = dice.between(SECOND * 3, latest);
        let what = What::any(dice, machines);
        let lasts = match what {
            What::Vault(_) | What::Registry(_) | What::Pauses(_) | What::Dies(_) => {
                let longest = dice.one_of(&[SECOND * 2, terms.period, terms.period * 3]);
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
        cache_ttl: dice.one_of(&[policy.cache_ttl, policy.cache_ttl, SECOND * 90, SECOND * 20]),
        lease_max_age: dice.one_of(&[policy.lease_max_age, policy.lease_max_age, SECOND * 90, SECOND * 20]),
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
