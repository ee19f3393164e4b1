//! Replicas that work on onboardings at the same time.

use std::{collections::HashSet, sync::Arc};

use keyferry_registry::{
    RegistryError, Tenant,
    onboarding::{Onboarding, Schedule, Stage},
};

use crate::{
    customers::{active, complete, event, onboarding, opened},
    stores::{Raw, at, clock, on_each_database, open_whole},
    world::{slug, tenant},
};

on_each_database!(
    a_claimed_onboarding_is_nobody_elses_until_the_claim_ends,
    saving_gives_a_claim_back,
    a_claim_is_no_change,
    what_is_due_longest_is_claimed_first,
    what_is_closed_or_not_due_is_not_claimed,
    the_onboarding_of_a_purged_tenant_is_due_at_once,
    claimants_at_the_same_time_share_what_is_due,
    of_activations_at_the_same_time_one_happens,
    of_a_tenant_and_an_onboarding_at_the_same_time_one_gets_the_slug,
    an_onboarding_that_cannot_be_read_keeps_none_from_being_claimed,
);

async fn a_claimed_onboarding_is_nobody_elses_until_the_claim_ends(url: &str) {
    let store = open_whole(url).await;
    let acme = opened(&*store, &onboarding("acme")).await;
    let claim = async |now| store.claim_due(at(now), at(now + 10), 5).await.expect("asked");
    assert_eq!(claim(0).await, std::slice::from_ref(&acme));
    assert_eq!(claim(9).await, []);
    assert_eq!(claim(10).await, [acme], "its claimant died");
}

async fn saving_gives_a_claim_back(url: &str) {
    let store = open_whole(url).await;
    opened(&*store, &onboarding("acme")).await;
    let claimed = store.claim_due(at(0), at(1_000), 5).await.expect("asked");
    let acme = store.save_onboarding(&claimed[0], &[]).await.expect("saved");
    assert_eq!(store.claim_due(at(1), at(1_000), 5).await.expect("asked"), [acme]);
}

/// The customer's answers are taken while checks are made; it is the checks' saving that comes too late.
async fn a_claim_is_no_change(url: &str) {
    let store = open_whole(url).await;
    let read = opened(&*store, &onboarding("acme")).await;
    let claimed = store.claim_due(at(0), at(1_000), 5).await.expect("asked");
    store.save_onboarding(&read, &[event("answered")]).await.expect("saved");
    let late = store.save_onboarding(&claimed[0], &[]).await;
    assert!(matches!(late, Err(RegistryError::Conflict)), "{late:?}");
}

async fn what_is_due_longest_is_claimed_first(url: &str) {
    let store = open_whole(url).await;
    for (name, due) in [("b", 2), ("c", 3), ("a", 1)] {
        opened(&*store, &due_at(name, due)).await;
    }
    let claim = async || {
        let claimed = store.claim_due(at(9), at(10), 2).await.expect("asked");
        claimed.into_iter().map(|o| o.slug.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(claim().await, ["a", "b"]);
    assert_eq!(claim().await, ["c"]);
    assert_eq!(claim().await, [""; 0]);
}

async fn what_is_closed_or_not_due_is_not_claimed(url: &str) {
    let store = open_whole(url).await;
    opened(&*store, &due_at("later", 10)).await;
    let mut never = onboarding("never");
    never.schedule.due_at = None;
    opened(&*store, &never).await;
    for (name, stage) in [
        ("active", Stage::Active { since: clock() }),
        ("closed", Stage::Closed { at: clock() }),
        ("closing", Stage::Closing { since: clock() }),
    ] {
        let stage = Onboarding {
            stage,
            ..due_at(name, 1)
        };
        opened(&*store, &stage).await;
    }
    let claimed = store.claim_due(at(9), at(10), 5).await.expect("asked");
    let mut claimed: Vec<_> = claimed.iter().map(|o| o.slug.as_str()).collect();
    claimed.sort_unstable();
    assert_eq!(claimed, ["active", "closing"]);
}

async fn the_onboarding_of_a_purged_tenant_is_due_at_once(url: &str) {
    let store = open_whole(url).await;
    let open = opened(&*store, &complete("acme")).await;
    let registered = Tenant::onboarded(&open, clock()).expect("complete");
    let activated = store.activate(&active(&open), &registered, &[]).await;
    let (read, mut registered) = activated.expect("activated");
    registered.delete(clock(), std::time::Duration::ZERO);
    store.save(&registered).await.expect("saved");
    assert_eq!(store.claim_due(at(0), at(10), 5).await.expect("asked"), []);
    store.purge().await.expect("purged");
    let claimed = store.claim_due(at(0), at(10), 5).await.expect("asked");
    let [claimed] = &claimed[..] else { panic!("{claimed:?}") };
    assert_eq!(claimed.tenant, registered.keys.tenant);
    let late = store.save_onboarding(&read, &[]).await;
    assert!(
        matches!(late, Err(RegistryError::Conflict)),
        "nobody undoes it unknowingly: {late:?}"
    );
}

async fn claimants_at_the_same_time_share_what_is_due(url: &str) {
    let replicas = [open_whole(url).await, open_whole(url).await];
    for n in 0..20 {
        opened(&*replicas[0], &onboarding(&format!("o{n}"))).await;
    }
    let claimants = (0..8).map(|n| {
        let replica = Arc::clone(&replicas[n % 2]);
        tokio::spawn(async move { replica.claim_due(at(0), at(60), 4).await.expect("asked") })
    });
    let mut claimed = Vec::new();
    for claimant in claimants.collect::<Vec<_>>() {
        claimed.extend(claimant.await.expect("joined"));
    }
    // One that is just being claimed by another is passed over; whoever comes next takes it.
    claimed.extend(replicas[0].claim_due(at(0), at(60), 20).await.expect("asked"));
    let each: HashSet<_> = claimed.iter().map(|onboarding| onboarding.tenant).collect();
    assert_eq!((claimed.len(), each.len()), (20, 20));
}

async fn of_activations_at_the_same_time_one_happens(url: &str) {
    let replicas = [open_whole(url).await, open_whole(url).await];
    let acme = active(&opened(&*replicas[0], &complete("acme")).await);
    let registered = Tenant::onboarded(&acme, clock()).expect("complete");
    let activations = (0..4).map(|n| {
        let (replica, acme, registered) = (Arc::clone(&replicas[n % 2]), acme.clone(), registered.clone());
        tokio::spawn(async move { replica.activate(&acme, &registered, &[event("activated")]).await })
    });
    let mut happened = 0;
    for activation in activations.collect::<Vec<_>>() {
        match activation.await.expect("joined") {
            Ok(_) => happened += 1,
            Err(error) => assert!(matches!(error, RegistryError::Conflict), "{error:?}"),
        }
    }
    assert_eq!(happened, 1);
    let history = replicas[0].history(acme.tenant, None, 10).await.expect("read");
    assert_eq!(history.len(), 2, "opened and activated, once each");
}

async fn of_a_tenant_and_an_onboarding_at_the_same_time_one_gets_the_slug(url: &str) {
    let store = open_whole(url).await;
    for n in 0..10 {
        let name = format!("t{n}");
        let (tenant, onboarding, opening) = (tenant(&name), onboarding(&name), event("opened"));
        let both = tokio::join!(store.create(&tenant, None), store.open(&onboarding, &opening, None));
        let there = (
            store.find(&slug(&name)).await.expect("asked").is_some(),
            store.find_onboarding(&slug(&name)).await.expect("asked").is_some(),
        );
        match both {
            (Ok(_), Err(RegistryError::SlugTaken)) => assert_eq!(there, (true, false)),
            (Err(RegistryError::SlugTaken), Ok(_)) => assert_eq!(there, (false, true)),
            both => panic!("{both:?}"),
        }
    }
}

async fn an_onboarding_that_cannot_be_read_keeps_none_from_being_claimed(url: &str) {
    let store = open_whole(url).await;
    opened(&*store, &onboarding("bad")).await;
    let good = opened(&*store, &onboarding("good")).await;
    let mut raw = Raw::connect(url).await;
    raw.execute("update onboardings set document = '{\"format\": 1}' where slug = 'bad'")
        .await
        .expect("written");
    assert_eq!(store.claim_due(at(0), at(10), 5).await.expect("asked"), [good]);
}

fn due_at(name: &str, seconds: i64) -> Onboarding {
    Onboarding {
        schedule: Schedule {
            due_at: Some(at(seconds)),
            idle_rounds: 0,
        },
        ..onboarding(name)
    }
}
