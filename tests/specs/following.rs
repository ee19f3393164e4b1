//! A customer's key gets a new version while it is used: it is sealed under at once, nothing fails, and what there is is rewrapped
//! exactly.

use keyferry_client::Policy;
use keyferry_tests::{Caller, Database, Deed, Fleet, Load, Pace, Ways, World, eventually, rewrap_though_killed};
use tokio::time::Instant;

/// Nothing that is held ends for its age.
const LONG: Policy = Policy {
    cache_ttl_seconds: 3_600,
    lease_max_age_seconds: 3_600,
    lease_max_messages: 1_000_000,
    outage_grace_seconds: 0,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_every_seal_is_under_the_new_version_within_one_poll_and_none_fails() {
    let world = World::new(Database::postgres().await.unwrap_or_else(Database::sqlite)).await;
    let fleet = Fleet::start(&world, Pace::FAST, 3, Ways::Straight).await;
    let customer = world.tenant(fleet.replica(0).process(), "acme", Some(LONG)).await;
    for replica in fleet.replicas() {
        eventually("the tenant is known", async || {
            Caller::of(replica.client(), "acme").await.is_ok()
        })
        .await;
    }
    let caller = Caller::of(fleet.replica(0).client(), "acme").await.unwrap();
    let load = Load::start(&fleet.clients(), &[caller], 120.0);
    eventually("it is hot", async || {
        load.so_far(|records| records.successes().0.len() > 100)
    })
    .await;
    let bound = fleet.pace.rotation();
    let mut rotations = Vec::new();
    for _ in 0..3 {
        let before = Instant::now();
        let newest = world.import_version(&customer, World::customers_key().pkcs8());
        rotations.push((before, newest));
        eventually("every replica has sealed since", async || {
            load.so_far(|records| {
                let since = records.sent_since(before + bound);
                (0..3).all(|replica| {
                    since
                        .of_replica(replica)
                        .which(|record| record.deed == Deed::Seal)
                        .0
                        .len()
                        > 20
                })
            })
        })
        .await;
    }
    let records = load.stop().await;
    assert!(records.failures().is_empty(), "{:?}", records.failures());
    let sealed = records.which(|record| record.deed == Deed::Seal);
    let ends = rotations.iter().skip(1).map(|(at, _)| Some(*at)).chain([None]);
    for ((at, newest), end) in rotations.iter().zip(ends) {
        let meanwhile = sealed.which(|record| record.sent_at >= *at && end.is_none_or(|end| record.finished_at < end));
        let old = meanwhile.which(|record| record.key_id.as_deref() != Some(newest));
        let last = old.0.iter().map(|record| record.sent_at - *at).max();
        assert!(
            last.is_none_or(|last| last <= bound),
            "the last that was sealed under the old version was sent after {last:?}, and the bound is {bound:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_envelopes_are_rewrapped_exactly_however_often_it_is_killed() {
    let world = World::new(Database::sqlite()).await;
    let fleet = Fleet::start(&world, Pace::FAST, 1, Ways::Straight).await;
    let done = rewrap_though_killed(&world, &fleet, 3_000, 50).await;
    assert!(done.data_keys >= 60, "{done:?}");
    assert_eq!(done.wraps, done.data_keys, "one wrap for each data key");
}
