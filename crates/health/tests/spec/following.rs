//! A new version of a key is noticed by one replica and followed by all.

use keyferry_crypto::{news::Learnt, tenant::VersionPolicy};
use keyferry_registry::key::KeyNews;

use crate::{
    vault::kek,
    world::{PERIOD, SECOND, World},
};

#[tokio::test(start_paused = true)]
async fn a_new_version_is_followed_by_all_and_its_canary_planted_once() {
    let world = World::new();
    let acme = world.tenant();
    let (one, two) = (world.replica(), world.replica());
    for replica in [&one, &two] {
        replica.keys.holds(acme.keys.tenant);
    }
    world.passes(PERIOD * 2).await;
    let newest = world.vault.rotates(&acme.keys);
    world.passes(PERIOD * 2 + SECOND * 3).await;
    for replica in [&one, &two] {
        let followed = [kek(&acme.keys, 1), newest.clone()].map(|version| (acme.keys.tenant, version));
        assert_eq!(replica.keys.told().followed, followed);
        let watched = &replica.keys.told().watched[&acme.keys.tenant];
        assert_eq!(*watched, [newest.clone(), kek(&acme.keys, 1)]);
    }
    assert_eq!(world.vault.plants(), [kek(&acme.keys, 1), newest.clone()]);
    let health = world.store.health(acme.keys.tenant);
    let watched: Vec<_> = health.canaries.iter().map(|canary| canary.kek.clone()).collect();
    assert_eq!(watched, [newest, kek(&acme.keys, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_a_wrap_was_done_under_is_followed_at_once() {
    let world = World::new();
    let acme = world.tenant();
    let (one, two) = (world.replica(), world.replica());
    world.passes(PERIOD).await;
    let newest = world.vault.rotates(&acme.keys);
    one.keys.learns(acme.keys.tenant, Learnt::Wrapped(newest.clone()));
    world.passes(SECOND * 3).await;
    let followed = [kek(&acme.keys, 1), newest].map(|version| (acme.keys.tenant, version));
    assert_eq!(two.keys.told().followed, followed);
}

#[tokio::test(start_paused = true)]
async fn a_wrap_under_the_version_that_is_known_brings_no_look_forward() {
    let world = World::new();
    let acme = world.tenant();
    let one = world.replica();
    world.passes(PERIOD).await;
    let looks = world.store.looks().len();
    one.keys.learns(acme.keys.tenant, Learnt::Wrapped(kek(&acme.keys, 1)));
    world.passes(SECOND * 3).await;
    assert_eq!(world.store.looks().len(), looks);
}

#[tokio::test(start_paused = true)]
async fn a_pinned_tenant_follows_nothing() {
    let world = World::new();
    let version = format!("{:032x}", 1).parse().unwrap();
    let acme = world.tenant_that(|tenant| tenant.keys.version = VersionPolicy::Pinned(version));
    let one = world.replica();
    one.keys.holds(acme.keys.tenant);
    world.passes(PERIOD).await;
    world.vault.rotates(&acme.keys);
    world.passes(PERIOD * 5).await;
    assert_eq!(world.vault.plants(), [kek(&acme.keys, 1)]);
    let news = world.store.news(acme.keys.tenant);
    assert!(!news.iter().any(|news| matches!(news, KeyNews::Version(_))), "{news:?}");
}
