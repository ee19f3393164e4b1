//! A process dies at each step of an onboarding, and another goes on: nothing is made twice, no answer is lost.

use std::{sync::Arc, time::Duration};

use keyferry_client::onboarding::{OnboardingChange, Typed};
use keyferry_emulator::Decision;
use keyferry_tests::{Database, Keyferry, Setup, World, check, eventually, findings, has_all};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_every_step_an_onboarding_goes_on_where_it_was() {
    for database in Database::each().await {
        let mut world = World::new(database).await;
        world.offer_onboarding(Setup::default());
        let customer = world.customer("acme");
        let mut keyferry = world.start().await;
        let mut new = customer.onboarding();
        let all = std::mem::take(&mut new.answers);
        new.endpoint_policy = Some("required".into());
        world.onboardings(&keyferry).open(&new, Some("once")).await.unwrap();
        keyferry = again(&world, keyferry).await;
        // Whoever did not hear the answer asks again, and gets the same.
        let replayed = world.onboardings(&keyferry).open(&new, Some("once")).await.unwrap();
        let id = replayed.onboarding.id;

        let steps = [
            Typed {
                directory_id: all.directory_id.clone(),
                ..Typed::default()
            },
            Typed {
                vault: all.vault.clone(),
                ..Typed::default()
            },
            Typed {
                key: all.key.clone(),
                ..Typed::default()
            },
            Typed {
                vault_resource_id: Some(customer.resource_id()),
                ..Typed::default()
            },
        ];
        for answers in steps {
            let onboardings = world.onboardings(&keyferry);
            let change = OnboardingChange {
                answers,
                ..OnboardingChange::default()
            };
            // A check that ends meanwhile is another change: read again, as any client does.
            eventually("the answer is taken", async || {
                let read = onboardings.get("acme").await.unwrap();
                onboardings.change(&read, &change).await.is_ok()
            })
            .await;
            keyferry = again(&world, keyferry).await;
        }
        let shown = world.onboardings(&keyferry).get("acme").await.unwrap();
        assert!(has_all(&shown.answers, &customer), "{:?}", shown.answers);
        assert_eq!(
            shown.answers.vault_resource_id.as_deref(),
            Some(customer.resource_id().as_str())
        );

        keyferry = killed_while_checking(&world, keyferry, 4).await;
        until(&world, &keyferry, "endpoint-pending").await;
        let endpoints = world.emulator.private_addresses(&customer.vault);
        assert_eq!(
            endpoints.len(),
            1,
            "one endpoint, however often it was asked for: {endpoints:?}"
        );
        let pending = world.onboardings(&keyferry).get("acme").await.unwrap();
        world.decide(&customer, &pending.private_endpoint.unwrap().name, Decision::Approve);
        keyferry = killed_while_checking(&world, keyferry, 4).await;
        let onboardings = world.onboardings(&keyferry);
        eventually("it is active", async || {
            onboardings.verify("acme").await.unwrap().stage == "active"
        })
        .await;
        let done = onboardings.get("acme").await.unwrap();
        assert_eq!(done.id, id, "{}", findings(&done));
        assert_eq!(world.admin(&keyferry).get("acme").await.unwrap().id, id);
        assert_eq!(world.emulator.private_addresses(&customer.vault).len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_replicas_checks_are_made_by_another() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let mut world = World::new(database).await;
    world.offer_onboarding(Setup::default());
    let customer = world.customer("acme");
    let (one, other) = (world.start().await, world.start().await);
    world.order(customer.assignment(false));
    world.open(&one, &customer).await;
    one.kill();
    world.order(customer.assignment(true));
    // Nobody asks for a check: what was the dead one's comes to the living.
    eventually("the living replica ends it", async || {
        world.onboardings(&other).get("acme").await.unwrap().stage == "active"
    })
    .await;
}

/// Kills the process, and starts another on what it left.
async fn again(world: &World, keyferry: Keyferry) -> Keyferry {
    keyferry.kill();
    world.start().await
}

/// Kills processes in the midst of a round of checks, later in it each time.
async fn killed_while_checking(world: &World, mut keyferry: Keyferry, times: u32) -> Keyferry {
    for time in 0..times {
        let onboardings = Arc::new(world.onboardings(&keyferry));
        let checking = tokio::spawn({
            let onboardings = Arc::clone(&onboardings);
            async move { onboardings.verify("acme").await.is_ok() }
        });
        // Where in the round it dies is left to the machine: anywhere must do.
        tokio::time::sleep(Duration::from_millis(15) * time * time).await;
        keyferry.kill();
        let _ = checking.await;
        keyferry = world.start().await;
    }
    keyferry
}

async fn until(world: &World, keyferry: &Keyferry, finding: &str) {
    let onboardings = world.onboardings(keyferry);
    eventually(finding, async || {
        let shown = onboardings.verify("acme").await.unwrap();
        check(&shown, "private-endpoint").finding == finding
    })
    .await;
}
