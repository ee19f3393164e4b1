//! What was spent in the last ten seconds, to a tenth of a second.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::gauge::Gauge;

/// Units by the tenth of a second in which they are spent, some of which may be yet to come.
#[derive(Debug)]
pub(super) struct Window {
    began: Instant,
    spent: VecDeque<(Tick, u32)>,
}

/// Tenths of a second since the window's beginning.
type Tick = u128;

impl Window {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            spent: VecDeque::new(),
        }
    }

    /// The first time from `now` on at which `units` can be spent, after all that is spent already. However little the limit
    /// is, something goes when nothing else did.
    pub(super) fn turn(&mut self, units: u32, limit: f64, now: Instant) -> Instant {
        self.forget(now);
        let at = self.tick(now);
        let mut turn = self.spent.back().map_or(at, |&(last, _)| at.max(last));
        let counted = |&(tick, _): &&(Tick, u32)| tick + TICKS >= turn;
        let mut used: u32 = self.spent.iter().filter(counted).map(|(_, units)| units).sum();
        for &(tick, gone) in &self.spent {
            if used == 0 || f64::from(used.saturating_add(units)) <= limit {
                break;
            }
            if tick + TICKS >= turn {
                used -= gone;
                turn = tick + TICKS + 1;
            }
        }
        if turn == at { now } else { self.time(turn) }
    }

    /// Spends units at a time.
    pub(super) fn spend(&mut self, units: u32, at: Instant) {
        let tick = self.tick(at);
        let place = self.spent.partition_point(|&(other, _)| other < tick);
        match self.spent.get_mut(place) {
            Some((there, sum)) if *there == tick => *sum = sum.saturating_add(units),
            _ => self.spent.insert(place, (tick, units)),
        }
    }

    /// Takes back what was spent at a time, as it was not used after all.
    pub(super) fn give_back(&mut self, units: u32, at: Instant) {
        let tick = self.tick(at);
        if let Some((_, sum)) = self.spent.iter_mut().find(|(there, _)| *there == tick) {
            *sum = sum.saturating_sub(units);
        }
        // A last turn that is nobody's keeps nobody waiting.
        while self.spent.back().is_some_and(|&(_, sum)| sum == 0) {
            self.spent.pop_back();
        }
    }

    /// What is spent in the last ten seconds, and promised for the next.
    pub(super) fn spent(&mut self, now: Instant) -> u32 {
        self.forget(now);
        self.spent.iter().map(|(_, units)| units).sum()
    }

    /// A tenth of a second counts until ten whole seconds have passed since its end.
    fn forget(&mut self, now: Instant) {
        let now = self.tick(now);
        while self.spent.front().is_some_and(|&(tick, _)| tick + TICKS < now) {
            self.spent.pop_front();
        }
    }

    fn tick(&self, at: Instant) -> Tick {
        at.saturating_duration_since(self.began).as_millis() / TICK.as_millis()
    }

    fn time(&self, tick: Tick) -> Instant {
        let millis = u64::try_from(tick * TICK.as_millis()).unwrap_or(u64::MAX);
        self.began + Duration::from_millis(millis)
    }
}

const TICK: Duration = Duration::from_millis(100);
const TICKS: Tick = Gauge::WINDOW.as_millis() / TICK.as_millis();

#[cfg(test)]
mod tests {
    use super::*;

    /// A source of numbers that are the same in every run.
    fn numbers() -> impl FnMut(u64) -> u64 {
        let mut state: u64 = 0x9e37_79b9;
        move |below| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        }
    }

    #[tokio::test]
    async fn no_ten_seconds_hold_more_than_the_limit_wherever_they_begin() {
        let (began, mut draw) = (Instant::now(), numbers());
        let (mut window, mut now, mut made) = (Window::new(began), began, Vec::new());
        for _ in 0..5_000 {
            now += Duration::from_millis(draw(120));
            let units = [1, 4, 8, 16][usize::try_from(draw(4)).unwrap()];
            let turn = window.turn(units, 400.0, now);
            if turn <= now + Duration::from_secs(1) {
                window.spend(units, turn);
                made.push((turn, units));
            }
        }
        assert!(made.is_sorted_by_key(|(at, _)| *at), "turns are in order");
        let fullest = made.iter().enumerate().map(|(first, (from, _))| {
            let span = made[first..].iter().take_while(|(at, _)| *at < *from + Gauge::WINDOW);
            span.map(|(_, units)| units).sum::<u32>()
        });
        let fullest = fullest.max().unwrap();
        assert!((380..=400).contains(&fullest), "{fullest}");
        let all: u32 = made.iter().map(|(_, units)| units).sum();
        let tens = (now - began).as_secs_f64() / 10.0;
        assert!(
            f64::from(all) > 0.95 * 400.0 * tens,
            "what may be used is: {all} in {tens}"
        );
    }

    #[tokio::test]
    async fn what_is_long_past_takes_no_room() {
        let now = Instant::now();
        let mut window = Window::new(now);
        for tenth in 0..10_000 {
            let at = now + TICK * tenth;
            window.spend(1, at);
            window.spent(at);
        }
        assert!(window.spent.len() <= 102, "{}", window.spent.len());
    }

    #[tokio::test]
    async fn what_could_go_at_once_before_others_that_wait_waits_behind_them() {
        let now = Instant::now();
        let mut window = Window::new(now);
        window.spend(10, now);
        let turn = window.turn(8, 10.0, now);
        assert_eq!(turn, now + Gauge::WINDOW + TICK);
        window.spend(8, turn);
        // A canary, which goes past: those that wait keep their place.
        window.spend(1, now + TICK);
        assert!(window.turn(1, 100.0, now + TICK) >= turn);
    }
}
