//! The bound, whatever breaks: seeded faults at seeded times, and the one invariant that no request which is sent later than the
//! bound after the withdrawal succeeds. A failure names its seed, and `KEYFERRY_SEED` runs that one again.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use keyferry_crypto::{id::TenantId, vault::VaultCause};
use keyferry_registry::key::ReplicaId;
use tokio::time::Instant;

use crate::{
    load::Load,
    store::Cut,
    world::{CONFIRMATION, HEARING, PERIOD, SECOND, Seals, TRY, World},
};

/// W + T + C + H, within which every replica that reaches the vault stops, deaf or not.
const BOUND: Duration = Duration::from_secs(48)
    .saturating_add(TRY)
    .saturating_add(CONFIRMATION)
    .saturating_add(HEARING);

/// Numbers from a seed: splitmix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.roll(all.len() as u64)).expect("small")]
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_millis()).expect("short");
        Duration::from_millis(self.roll(most) + 1)
    }
}

/// Something breaks, or is mended. Answers who has no way to the vault from now on.
fn strike(dice: &mut Dice, world: &World, replicas: &[Seals], tenant: TenantId) -> Option<ReplicaId> {
    let victim = dice.one_of(replicas);
    match dice.roll(12) {
        0 => world.store.is_cut_off(victim.id, Cut::Silent),
        1 => world.store.is_cut_off(victim.id, Cut::Failing),
        10 => world.store.is_cut_off(victim.id, Cut::ReadOnly),
        11 => world.store.is_cut_off(victim.id, Cut::Untold),
        2 => world.store.goes_away(),
        3 | 4 => world.store.comes_back(),
        // One stays, to be held to the bound.
        5 if replicas.iter().filter(|replica| replica.lives()).count() > 1 => victim.dies(),
        6 | 7 => world.store.is_kept_by_nobody(tenant),
        8 => {
            world.vault.is_cut_off(victim.id);
            return Some(victim.id);
        }
        _ => world.vault.is_reached(),
    }
    None
}

async fn run(seed: u64) {
    let dice = &mut Dice(seed);
    let world = World::new();
    let replicas = [
        world.sealing_replica(),
        world.sealing_replica(),
        world.sealing_replica(),
    ];
    let mut load = Load::on(&world, &replicas).await;
    load.passes(PERIOD + dice.up_to(PERIOD * 2)).await;
    let tenant = load.tenant().keys.tenant;
    let causes = [
        VaultCause::KeyDisabled,
        VaultCause::RoleMissing,
        VaultCause::ConsentMissing,
        VaultCause::FirewallDenied,
    ];
    // The key goes and comes back, noticed or not, before it goes for good.
    for _ in 0..dice.roll(6) {
        strike(dice, &world, &replicas, tenant);
        let goes = dice.roll(2) == 0;
        world.vault.fails(tenant, goes.then_some(*dice.one_of(&causes)));
        load.passes(dice.up_to(PERIOD)).await;
    }
    world.vault.is_reached();
    world.vault.fails(tenant, None);
    load.asks(Some(dice.one_of(&replicas).id));
    load.passes(dice.up_to(PERIOD)).await;
    load.asks(None);
    world.vault.fails(tenant, *dice.one_of(&causes));
    let act = Instant::now();
    // Who does not reach the vault is bound otherwise.
    let mut excused = BTreeSet::new();
    let mut left = BOUND * 2;
    while !left.is_zero() {
        let some = dice.up_to(PERIOD).min(left);
        left -= some;
        load.passes(some).await;
        excused.extend(strike(dice, &world, &replicas, tenant));
    }
    load.ends().await;
    for replica in replicas.iter().filter(|replica| !excused.contains(&replica.id)) {
        let last = load.last_success(Some(replica.id)).expect("served");
        assert!(
            last <= act + BOUND,
            "seed {seed}: a success {:?} after the withdrawal",
            last - act
        );
    }
}

#[test]
fn no_request_succeeds_later_than_the_bound_after_the_withdrawal() {
    let chosen: Option<u64> = std::env::var("KEYFERRY_SEED")
        .ok()
        .map(|seed| seed.parse().expect("a number"));
    let many: u64 = std::env::var("KEYFERRY_SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("a number"));
    let (first, end) = chosen.map_or((0, many), |seed| (seed, seed + 1));
    let (next, threads) = (
        AtomicU64::new(first),
        std::thread::available_parallelism().map_or(1, usize::from),
    );
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let seeds = std::iter::repeat_with(|| next.fetch_add(1, Relaxed));
                seeds.take_while(|&seed| seed < end).for_each(simulate);
            });
        }
    });
}

fn simulate(seed: u64) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(run(seed));
}

const SEEDS: u64 = 40;

#[test]
fn a_seed_makes_the_same_of_the_same() {
    let rolls = |seed| {
        let mut dice = Dice(seed);
        std::iter::repeat_with(|| dice.roll(1_000)).take(10).collect::<Vec<_>>()
    };
    assert_eq!(rolls(7), rolls(7));
    assert_ne!(rolls(7), rolls(8));
    assert!(Dice(7).up_to(SECOND) <= SECOND);
}
