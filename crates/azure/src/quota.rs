//! How much of a vault's limit is spent, and when there is room for more.
//!
//! Key Vault counts by spans of ten seconds and does not say where they begin. So no ten seconds, wherever they begin, may
//! hold more than we allow ourselves. `governor`, which limits callers elsewhere in Keyferry, keeps to a rate with bursts: with
//! the limit as its burst it lets nearly twice that into some ten seconds, with less it wastes what is left. It cannot count
//! what went past it, as canaries do, nor change its limit without forgetting what was spent.

mod window;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use self::window::Window;
use crate::{gauge::Gauge, jitter::between};

/// What one replica spends of one vault's limit.
#[derive(Debug)]
pub(crate) struct Quota(Mutex<Account>);

#[derive(Debug)]
struct Account {
    window: Window,
    /// What of it is spent with looks.
    looks: Window,
    /// The share of the limit that was left when the vault last throttled us, and when that was.
    cut: Option<(f64, Instant)>,
    /// What the last call cost.
    price: u32,
    /// Until when those who were told to come back will have taken all room there is.
    promised: Instant,
}

impl Quota {
    pub(crate) fn new(now: Instant) -> Self {
        Self(Mutex::new(Account {
            window: Window::new(now),
            looks: Window::new(now),
            cut: None,
            price: 1,
            promised: now,
        }))
    }

    /// Spends `units` for a call that somebody waits for: the time at which it may be made, after those that were told theirs
    /// before it. If that is later than `latest`, nothing is spent, and the error is the time to come back at: when there is
    /// room, and will be when others who were told a time have come back too.
    pub(crate) fn book(&self, units: u32, limit: f64, latest: Instant, now: Instant) -> Result<Instant, Instant> {
        let mut account = self.account();
        let limit = account.left_of(limit, now);
        let turn = account.window.turn(units, limit, now);
        if turn > latest {
            return Err(account.promise(turn, f64::from(units) / limit, now));
        }
        account.spend(units, turn);
        Ok(turn)
    }

    /// Takes back what was spent for a turn that is waited for no more.
    pub(crate) fn give_back(&self, units: u32, turn: Instant) {
        self.account().window.give_back(units, turn);
    }

    /// Spends `units` for a call that gives way to others: now, and only if no more than a `share` of the limit is spent with it.
    /// If not, the time at which it could be is the error.
    pub(crate) fn take_spare(&self, units: u32, share: f64, now: Instant) -> Result<(), Instant> {
        let mut account = self.account();
        let share = account.left_of(share, now);
        let turn = account.window.turn(units, share, now);
        if turn > now {
            return Err(turn);
        }
        account.spend(units, now);
        Ok(())
    }

    /// Spends `units` for a look: now, whatever else is spent, unless looks have spent their `share`. If so, the time at which they
    /// have not is the error. A few are always made, and the share is not less where the vault throttles: others may be why, and
    /// the less we ask it otherwise, the more depends on looks.
    pub(crate) fn take_to_look(&self, units: u32, share: f64, now: Instant) -> Result<(), Instant> {
        let mut account = self.account();
        let share = share.max(units.saturating_mul(LEAST_LOOKS).into());
        let turn = account.looks.turn(units, share, now);
        if turn > now {
            return Err(turn);
        }
        account.looks.spend(units, now);
        account.spend(units, now);
        Ok(())
    }

    /// Spends `units` for a call that is made whatever else was.
    pub(crate) fn take_anyway(&self, units: u32, now: Instant) {
        self.account().spend(units, now);
    }

    /// The vault says that it is too much (429): half of the limit is used for a while, and then more and more. The answers to
    /// calls that were under way together count as one.
    pub(crate) fn cut(&self, now: Instant) {
        let mut account = self.account();
        if account.cut.is_none_or(|(_, at)| at + SETTLING <= now) {
            let share = (account.share(now) / 2.0).max(LEAST_SHARE);
            account.cut = Some((share, now));
        }
    }

    /// How much is used, of that limit. `None` if nothing was lately.
    pub(crate) fn gauge(&self, limit: f64, now: Instant) -> Option<Gauge> {
        let mut account = self.account();
        let used = account.window.spent(now);
        let per_second = |units: f64| units / f64::from(account.price) / Gauge::WINDOW.as_secs_f64();
        (used > 0).then(|| Gauge {
            used_per_second: per_second(used.into()),
            limit_per_second: per_second(account.left_of(limit, now)),
            is_open: false,
        })
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn spend(&mut self, units: u32, at: Instant) {
        self.price = units.max(1);
        self.window.spend(units, at);
    }

    /// A time for somebody to come back at, who will take that share of a window's room. Times are not told for ever ahead:
    /// whoever was told one may never come. Those for whom no room is left until then come back at any time in its second half.
    fn promise(&mut self, turn: Instant, share: f64, now: Instant) -> Instant {
        let told = turn.max(self.promised);
        if told > now + LONGEST_PROMISE {
            return turn.max(now + between(LONGEST_PROMISE / 2, LONGEST_PROMISE));
        }
        self.promised = told + Gauge::WINDOW.mul_f64(share.min(1.0));
        told
    }

    fn left_of(&self, limit: f64, now: Instant) -> f64 {
        limit * self.share(now)
    }

    /// The share of the limit that is used: all of it, but for a while after the vault throttled us.
    fn share(&self, now: Instant) -> f64 {
        self.cut.map_or(1.0, |(share, at)| {
            let since = now.saturating_duration_since(at).saturating_sub(SETTLING);
            (share + since.as_secs_f64() / RECOVERY.as_secs_f64()).min(1.0)
        })
    }
}

/// As many calls as one look at one key makes, each of its versions and another's planting.
const LEAST_LOOKS: u32 = 10;

/// The longest that somebody is told to stay away while there is room before that.
const LONGEST_PROMISE: Duration = Duration::from_mins(1);

/// For how long a cut limit stays as it is: until the vault's own span of ten seconds is over.
const SETTLING: Duration = Gauge::WINDOW;

/// How long a limit that was cut to nothing would take to be whole again.
const RECOVERY: Duration = Duration::from_mins(2);

/// The least share of a limit that is used, however often the vault throttles.
const LEAST_SHARE: f64 = 1.0 / 32.0;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many calls of that price are let through now.
    fn taken(quota: &Quota, units: u32, limit: f64, now: Instant) -> u32 {
        let booked = std::iter::repeat_with(|| quota.book(units, limit, now, now));
        u32::try_from(booked.take_while(Result::is_ok).count()).unwrap()
    }

    #[tokio::test]
    async fn as_much_as_the_limit_is_spent_at_once_and_no_more_for_ten_seconds() {
        let now = Instant::now();
        let quota = Quota::new(now);
        assert_eq!(taken(&quota, 8, 3200.0, now), 400);
        assert_eq!(taken(&quota, 8, 3200.0, now + SECOND * 10), 0);
        assert_eq!(taken(&quota, 8, 3200.0, now + SECOND * 10 + SECOND / 10), 400);
    }

    #[tokio::test]
    async fn who_waits_is_told_a_turn_after_those_that_waited_before_and_who_would_wait_too_long_when_to_come_back() {
        let now = Instant::now();
        let quota = Quota::new(now);
        quota.book(8, 16.0, now, now).unwrap();
        let later = now + SECOND;
        quota.book(8, 16.0, later, later).unwrap();
        let soon = now + Duration::from_millis(9_500);
        let first = quota.book(8, 16.0, soon + SECOND, soon).unwrap();
        assert!(
            first >= now + SECOND * 10 && first <= soon + SECOND,
            "{:?}",
            first - now
        );
        let second = quota.book(1, 16.0, soon + SECOND, soon).unwrap_err();
        assert!(second >= later + SECOND * 10, "{:?}", second - now);
        // What was told is true.
        assert_eq!(quota.book(1, 16.0, second, second), Ok(second));
    }

    #[tokio::test]
    async fn whoever_is_sent_away_together_is_not_told_to_come_back_together() {
        let now = Instant::now();
        let quota = Quota::new(now);
        taken(&quota, 8, 3200.0, now);
        let mut told: Vec<_> = (0..10_000)
            .map(|_| quota.book(8, 3200.0, now, now).unwrap_err() - now)
            .collect();
        told.sort();
        // As many at a time as there is room for, and the rest spread.
        let within = |from: u64, to: u64| {
            let span = Duration::from_secs(from)..Duration::from_secs(to);
            told.iter().filter(|told| span.contains(*told)).count()
        };
        assert!((395..=400).contains(&within(20, 30)), "{}", within(20, 30));
        assert!(told[9_999] <= LONGEST_PROMISE && told[2_500] < told[9_000]);
        // They come back when they were told, and are let in.
        let mut let_in = 0;
        for told in told.iter().filter(|told| **told < SECOND * 50) {
            let back = now + *told;
            let_in += u32::from(quota.book(8, 3200.0, back + SECOND, back).is_ok());
        }
        assert!(let_in > 1_500, "{let_in}");
    }

    #[tokio::test]
    async fn a_turn_that_is_waited_for_no_more_is_anothers() {
        let now = Instant::now();
        let quota = Quota::new(now);
        taken(&quota, 1, 10.0, now);
        let soon = now + Duration::from_millis(9_500);
        for _ in 0..100 {
            let turn = quota.book(10, 10.0, soon + SECOND, soon).unwrap();
            quota.give_back(10, turn);
        }
    }

    #[tokio::test]
    async fn what_nobody_waits_for_leaves_half_of_the_limit_to_the_others() {
        let now = Instant::now();
        let quota = Quota::new(now);
        let spare = std::iter::repeat_with(|| quota.take_spare(1, 50.0, now));
        assert_eq!(spare.take_while(Result::is_ok).count(), 50);
        assert_eq!(taken(&quota, 1, 100.0, now), 50);
    }

    #[tokio::test]
    async fn a_canary_goes_past_the_limit_and_counts() {
        let now = Instant::now();
        let quota = Quota::new(now);
        assert_eq!(taken(&quota, 1, 10.0, now), 10);
        quota.take_anyway(1, now + SECOND);
        let again = now + SECOND * 10 + SECOND / 10;
        assert_eq!(taken(&quota, 1, 10.0, again), 9);
    }

    #[tokio::test]
    async fn looks_leave_a_share_to_the_others_and_are_refused_nothing_for_their_sake() {
        let now = Instant::now();
        let quota = Quota::new(now);
        assert_eq!(taken(&quota, 1, 100.0, now), 100);
        let look = |at| quota.take_to_look(1, 50.0, at);
        assert_eq!((0..100).filter(|_| look(now).is_ok()).count(), 50);
        let again = look(now).unwrap_err();
        assert_eq!(again, now + SECOND * 10 + SECOND / 10);
        look(again).unwrap();
        assert_eq!(taken(&quota, 1, 100.0, again), 99);
        // However little it is.
        let quota = Quota::new(now);
        quota.cut(now);
        let looks = (0..100).filter(|_| quota.take_to_look(8, 0.8, now).is_ok());
        assert_eq!(looks.count(), 10);
    }

    #[tokio::test]
    async fn a_429_halves_the_limit_once_for_all_that_were_under_way_and_it_grows_back() {
        let now = Instant::now();
        let quota = Quota::new(now);
        for _ in 0..50 {
            quota.cut(now);
        }
        assert_eq!(taken(&quota, 1, 100.0, now), 50);
        let settled = now + SECOND * 11;
        quota.cut(settled);
        let left = taken(&quota, 1, 100.0, settled);
        assert!((25..=26).contains(&left), "{left}");
        assert_eq!(taken(&quota, 1, 100.0, settled + SECOND * 130), 100);
    }

    #[tokio::test]
    async fn a_call_that_costs_more_than_the_limit_is_made_when_nothing_else_was() {
        let now = Instant::now();
        let quota = Quota::new(now);
        assert_eq!(taken(&quota, 8, 0.8, now), 1);
        assert_eq!(taken(&quota, 8, 0.8, now + SECOND * 10 + SECOND / 10), 1);
    }

    #[tokio::test]
    async fn the_gauge_counts_calls_with_the_vaults_key() {
        let now = Instant::now();
        let quota = Quota::new(now);
        assert_eq!(quota.gauge(3200.0, now), None);
        for _ in 0..100 {
            quota.take_anyway(8, now);
        }
        let gauge = quota.gauge(3200.0, now + SECOND).unwrap();
        assert!((gauge.used_per_second - 10.0).abs() < 1e-9, "{gauge:?}");
        assert!((gauge.limit_per_second - 40.0).abs() < 1e-9, "{gauge:?}");
        assert_eq!(quota.gauge(3200.0, now + SECOND * 11), None);
    }
}
