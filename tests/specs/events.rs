//! Event Grid tells of a new version of a customer's key, long before anybody would have looked it up.

use std::collections::BTreeMap;

use keyferry_client::{Context, Policy, Secret};
use keyferry_emulator::{EVENT_GRID, EventBearer, EventSchema, EventSubscription, Order, Validation};
use keyferry_tests::{Database, Keyferry, World, eventually};

/// A lease outlives the test, so that nobody wraps anew who would meet the new version.
const PATIENT: Policy = Policy {
    cache_ttl_seconds: 3_600,
    lease_max_age_seconds: 3_600,
    lease_max_messages: 1_000_000,
    outage_grace_seconds: 0,
};
const SECRET: &str = "one-secret-of-thirty-two-letters";

/// A world whose keys' newest versions are looked up once a day, and that takes events.
async fn told_by(events: impl FnOnce(&World) -> String) -> (World, Keyferry) {
    let mut world = World::new(Database::sqlite()).await;
    world.extra = format!(
        "[health]\nversion_period_seconds = 86400.0\n[events]\n{}\n",
        events(&world)
    );
    let keyferry = world.start().await;
    (world, keyferry)
}

fn by_secret(world: &World) -> String {
    let file = world.file("event-secret", SECRET.as_bytes());
    format!("secret_file = \"{}\"", file.display())
}

fn subscription(keyferry: &Keyferry, schema: EventSchema) -> EventSubscription {
    EventSubscription {
        endpoint: keyferry.url("/v1/events/azure"),
        schema,
        headers: BTreeMap::new(),
        bearer: None,
        max_batch: 1,
    }
}

fn with_secret(keyferry: &Keyferry, schema: EventSchema) -> EventSubscription {
    EventSubscription {
        headers: BTreeMap::from([("keyferry-event-secret".to_owned(), SECRET.to_owned())]),
        ..subscription(keyferry, schema)
    }
}

/// The webhook agrees, and a version that is made then is sealed under.
async fn a_new_version_is_noticed(world: &World, keyferry: &Keyferry, subscription: EventSubscription) {
    let acme = world.tenant(keyferry, "acme", Some(PATIENT)).await;
    let (data, context) = (world.data(keyferry, "acme"), Context::new());
    let seal = async || data.encrypt(&Secret::from(Vec::new()), &context).await.unwrap().key_id;
    world.order(Order::SubscribeEvents {
        host: acme.vault.clone(),
        name: "keyferry".into(),
        subscription,
    });
    eventually("the webhook agrees", async || {
        world.emulator.event_subscriptions()[0].validation == Validation::Done
    })
    .await;
    let before = seal().await;
    // What is not known yet when it changes is no news.
    let admin = world.admin(keyferry);
    eventually("the version is known", async || {
        let health = admin.key("acme").await.unwrap();
        health.newest.is_some_and(|newest| newest.key_id == before)
    })
    .await;
    world.new_version(&acme);
    eventually("it is sealed under the new version", async || seal().await != before).await;
    assert_eq!(world.emulator.event_subscriptions()[0].delivered, 1);
}

#[tokio::test]
async fn a_rotation_is_followed_by_an_event_of_either_schema() {
    for schema in [EventSchema::EventGrid, EventSchema::CloudEvents] {
        let (world, keyferry) = told_by(by_secret).await;
        let subscription = with_secret(&keyferry, schema);
        a_new_version_is_noticed(&world, &keyferry, subscription).await;
    }
}

#[tokio::test]
async fn a_rotation_is_followed_by_an_event_that_comes_with_event_grids_token() {
    let (world, keyferry) = told_by(|world| {
        let (directory, audience) = (world.platform_directory(), world.application_id());
        format!("entra = {{ directory = \"{directory}\", audience = \"{audience}\" }}")
    })
    .await;
    let (directory, resource) = (world.platform_directory(), "api://keyferry".to_owned());
    world.order(Order::Consent {
        directory,
        client_id: EVENT_GRID,
        resource: resource.clone(),
        roles: Vec::new(),
        usable_after_seconds: 0,
    });
    let subscription = EventSubscription {
        bearer: Some(EventBearer { directory, resource }),
        ..subscription(&keyferry, EventSchema::CloudEvents)
    };
    a_new_version_is_noticed(&world, &keyferry, subscription).await;
}

#[tokio::test]
async fn no_webhook_agrees_to_what_does_not_prove_itself() {
    let (world, keyferry) = told_by(by_secret).await;
    let acme = world.tenant(&keyferry, "acme", None).await;
    for schema in [EventSchema::EventGrid, EventSchema::CloudEvents] {
        world.order(Order::SubscribeEvents {
            host: acme.vault.clone(),
            name: "keyferry".into(),
            subscription: subscription(&keyferry, schema),
        });
        eventually("the webhook does not agree", async || {
            let found = world.emulator.event_subscriptions();
            matches!(&found[0].validation, Validation::Failed(why) if why.contains("401"))
        })
        .await;
    }
}
