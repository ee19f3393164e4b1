//! Each key is looked at by one replica, and goes on being looked at.

use std::{collections::BTreeSet, time::Duration};

use keyferry_crypto::vault::VaultCause;
use keyferry_registry::{TenantStatus, key::KeyState};

use crate::world::{LEASE, PERIOD, SECOND, TRY, World};

#[tokio::test(start_paused = true)]
async fn a_key_is_looked_at_by_one_replica() {
    let world = World::new();
    let acme = world.tenant();
    let (one, two) = (world.replica(), world.replica());
    world.passes(SECOND * 2).await;
    one.keys.holds(acme.keys.tenant);
    two.keys.holds(acme.keys.tenant);
    world.passes(PERIOD * 10).await;
    let looks = world.looks_at(&acme, 0);
    let by: BTreeSet<_> = looks.iter().collect();
    assert_eq!(by.len(), 1, "{looks:?}");
    assert!((10..=13).contains(&looks.len()), "{}", looks.len());
    assert_eq!(world.vault.plants().len(), 1);
    assert_eq!(world.store.health(acme.keys.tenant).state, KeyState::Healthy);
}

#[tokio::test(start_paused = true)]
async fn another_takes_over_from_a_replica_that_died_before_the_key_is_overdue() {
    let world = World::new();
    let acme = world.tenant();
    let (one, two) = (world.replica(), world.replica());
    for replica in [&one, &two] {
        replica.keys.holds(acme.keys.tenant);
    }
    world.passes(PERIOD * 3).await;
    let looks = world.looks_at(&acme, 0);
    let (owner, other) = if looks.last() == Some(&one.id) {
        (one, two)
    } else {
        (two, one)
    };
    owner.dies();
    let since = world.store.looks().len();
    world.passes(PERIOD + LEASE + TRY).await;
    assert_eq!(world.looks_at(&acme, since).first(), Some(&other.id));
    assert!(!other.keys.told().mistrusted.contains(&acme.keys.tenant));
}

#[tokio::test(start_paused = true)]
async fn what_a_replica_that_ends_looked_after_is_taken_over_at_once() {
    let world = World::new();
    let acme = world.tenant();
    let one = world.replica();
    one.keys.holds(acme.keys.tenant);
    world.passes(PERIOD * 2).await;
    let two = world.replica();
    world.passes(SECOND).await;
    assert_eq!(
        *one.shared_among.lock().unwrap(),
        1,
        "it has not heard of the other yet"
    );
    one.ends().await;
    assert_eq!(world.store.health(acme.keys.tenant).owner, None);
    let since = world.store.looks().len();
    world.passes(PERIOD).await;
    assert_eq!(world.looks_at(&acme, since).first(), Some(&two.id));
}

#[tokio::test(start_paused = true)]
async fn an_idle_tenants_key_is_looked_at_rarely_until_somebody_holds_something() {
    let world = World::new();
    let acme = world.tenant();
    let one = world.replica();
    world.passes(PERIOD * 60).await;
    let idle = world.looks_at(&acme, 0).len();
    assert!((2..=5).contains(&idle), "{idle} looks in half an hour");
    one.keys.holds(acme.keys.tenant);
    let since = world.store.looks().len();
    world.passes(PERIOD + SECOND * 4).await;
    assert!(!world.looks_at(&acme, since).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_suspended_tenants_key_is_not_looked_at() {
    let world = World::new();
    let acme = world.tenant_that(|tenant| tenant.status = TenantStatus::Suspended);
    let _one = world.replica();
    world.passes(PERIOD * 60).await;
    assert_eq!(world.vault.plants(), []);
    assert_eq!(world.vault.probes(acme.keys.tenant), 0);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_takes_long_is_made_once_and_keeps_no_other_key_from_being_looked_at() {
    let world = World::new();
    let hanging: Vec<_> = (0..100).map(|_| world.tenant()).collect();
    for tenant in &hanging {
        world.vault.hangs(tenant.keys.tenant);
    }
    let acme = world.tenant();
    let one = world.replica();
    one.keys.holds(acme.keys.tenant);
    world.passes(SECOND * 6).await;
    assert_eq!(world.store.health(acme.keys.tenant).state, KeyState::Healthy);
    world.passes(SECOND * 10).await;
    let slow = &hanging[0];
    assert_eq!(world.looks_at(slow, 0).len(), 1);
    assert_eq!(world.store.health(slow.keys.tenant).state.slug(), "degraded");
}

/// A call, what confirms it, and a wrap and an unwrap besides may take longer than the lease.
#[tokio::test(start_paused = true)]
async fn a_look_that_takes_longer_than_the_lease_is_kept_from_other_replicas() {
    let world = World::new();
    let tenants: Vec<_> = (0..8).map(|_| world.tenant()).collect();
    let replicas = [world.replica(), world.replica(), world.replica()];
    for tenant in &tenants {
        replicas[0].keys.holds(tenant.keys.tenant);
    }
    world.passes(PERIOD).await;
    // So that replicas come to ask at all times, and not only at those at which leases are over.
    for (tenant, shift) in tenants.iter().zip(1..) {
        let time = LEASE + SECOND * 5 + Duration::from_millis(170) * shift;
        world.vault.hangs_for(tenant.keys.tenant, time);
    }
    world.passes(PERIOD * 20).await;
    for tenant in &tenants {
        let (made, saved) = (world.vault.probes(tenant.keys.tenant), world.looks_at(tenant, 0).len());
        // The first plants a canary, which is no probe; and one may be under way.
        assert!((saved - 1..=saved).contains(&made), "{made} looks, {saved} saved");
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_in_vain_is_tried_by_another_replica_at_once() {
    let world = World::new();
    let acme = world.tenant();
    let (one, two) = (world.replica(), world.replica());
    for replica in [&one, &two] {
        replica.keys.holds(acme.keys.tenant);
    }
    world.passes(PERIOD * 2).await;
    let (owner, other) = if world.looks_at(&acme, 0).last() == Some(&one.id) {
        (one, two)
    } else {
        (two, one)
    };
    world.vault.is_cut_off(owner.id);
    world.vault.fails(acme.keys.tenant, VaultCause::KeyDisabled);
    world.passes(PERIOD + TRY + Duration::from_secs(3) + SECOND * 3).await;
    let health = world.store.health(acme.keys.tenant);
    assert_eq!(health.state.slug(), "refused", "the other has a way there");
    assert_eq!(health.owner, Some(other.id));
    assert_eq!(owner.keys.told().obeyed.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_keys_that_are_due_at_once_are_spread_out() {
    let world = World::new();
    let tenants: Vec<_> = (0..300).map(|_| world.tenant()).collect();
    let one = world.replica();
    for tenant in &tenants {
        one.keys.holds(tenant.keys.tenant);
    }
    world.passes(PERIOD).await;
    let mut due: Vec<_> = tenants
        .iter()
        .map(|tenant| world.store.health(tenant.keys.tenant).due_at)
        .collect();
    due.sort_unstable();
    let (first, last) = (due[0], due[due.len() - 1]);
    assert!(last - first > PERIOD / 2, "{first} to {last}");
    world.passes(PERIOD * 4).await;
    for tenant in &tenants {
        let looks = world.looks_at(tenant, 0).len();
        assert!(
            (5..=7).contains(&looks),
            "{looks} looks at {} in five periods",
            tenant.slug
        );
    }
    assert!(one.keys.told().mistrusted.is_empty());
}

#[tokio::test(start_paused = true)]
async fn limits_are_shared_among_the_replicas_that_live() {
    let world = World::new();
    let (one, two) = (world.replica(), world.replica());
    world.passes(LEASE * 2).await;
    assert_eq!((*one.shared_among.lock().unwrap(), one.watch.stats().replicas), (2, 2));
    two.dies();
    world.passes(LEASE * 3).await;
    assert_eq!(*one.shared_among.lock().unwrap(), 1);
}
