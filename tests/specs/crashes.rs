//! A process dies while it writes.

mod changes;
mod purging;

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use keyferry_client::{Admin, Context};
use keyferry_tests::{Customer, Database, World, eventually};

/// Registrations that are under way when the process is killed.
const CUSTOMERS: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_registered_survives_a_kill_and_nothing_half_registered_shows() {
    for database in Database::each().await {
        let world = World::new(database).await;
        let customers: Vec<_> = (0..CUSTOMERS)
            .map(|number| world.customer(&format!("customer-{number}")))
            .collect();
        let mut acknowledged = BTreeSet::new();
        let mut refused_at_least_once = false;
        // Killed early, later, late: each round goes on where the last one died.
        for confirmations in [1, 10, 25] {
            let keyferry = world.start().await;
            let admin = world.admin(&keyferry);
            let mut registrations = register(&admin, &customers);
            let mut this_round = 0;
            while this_round < confirmations {
                let (slug, outcome) = registrations.next().await.unwrap();
                outcome.unwrap();
                acknowledged.insert(slug);
                this_round += 1;
            }
            keyferry.kill();
            while let Some((slug, outcome)) = registrations.next().await {
                refused_at_least_once |= outcome.is_err();
                if outcome.is_ok() {
                    acknowledged.insert(slug);
                }
            }
        }
        assert!(refused_at_least_once, "the kill came in the middle");
        let keyferry = world.start().await;
        shows_only_whole_tenants(&world, &keyferry, &acknowledged).await;
        // The same requests again, each by its idempotency key, bring all of them to their end.
        let admin = world.admin(&keyferry);
        let outcomes: Vec<_> = register(&admin, &customers).collect().await;
        assert!(outcomes.iter().all(|(_, outcome)| outcome.is_ok()), "{outcomes:?}");
        let listed = listed(&admin).await;
        assert_eq!(listed.len(), CUSTOMERS);
    }
}

type Outcome = (String, Result<keyferry_client::Tenant, keyferry_client::Error>);

fn register<'a>(admin: &'a Admin, customers: &'a [Customer]) -> impl futures::Stream<Item = Outcome> + Unpin + 'a {
    let requests = stream::iter(customers).map(move |customer| async move {
        let registration = customer.registration(None);
        (
            customer.slug.clone(),
            admin.create(&registration, Some(&customer.slug)).await,
        )
    });
    Box::pin(requests.buffer_unordered(8))
}

async fn listed(admin: &Admin) -> BTreeSet<String> {
    let (mut slugs, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page = admin.list(cursor.as_deref(), 25).await.unwrap();
        slugs.extend(page.tenants.into_iter().map(|tenant| tenant.slug));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return slugs;
        }
    }
}

async fn shows_only_whole_tenants(world: &World, keyferry: &keyferry_tests::Keyferry, acknowledged: &BTreeSet<String>) {
    let admin = world.admin(keyferry);
    let listed = listed(&admin).await;
    assert!(
        listed.is_superset(acknowledged),
        "lost: {:?}",
        acknowledged.difference(&listed)
    );
    for slug in &listed {
        assert_eq!(admin.get(slug).await.unwrap().status, "active");
        let data = world.data(keyferry, slug);
        let key = data.generate_data_key(&Context::new()).await.unwrap();
        data.unwrap(&key.wrapped_key, &Context::new()).await.unwrap();
    }
}

#[tokio::test]
async fn a_process_that_is_asked_to_end_finishes_what_it_began() {
    let world = World::new(Database::sqlite()).await;
    let keyferry = world.start().await;
    let acme = world.tenant(&keyferry, "acme", None).await;
    let slow = keyferry_emulator::Fault::Latency { millis: 1500 };
    world.fault(&acme, keyferry_emulator::Operation::WrapKey, slow);
    let data = world.data(&keyferry, "acme");
    let under_way = tokio::spawn(async move { data.generate_data_key(&Context::new()).await.map(drop) });
    eventually("the vault is asked", async || {
        let asked = world.emulator.calls();
        asked.iter().any(|call| call.host == acme.vault)
    })
    .await;
    let ended = tokio::task::spawn_blocking(move || keyferry.terminate());
    under_way.await.unwrap().unwrap();
    assert!(ended.await.unwrap().success());
}
