//! The database is away: those who are known are served, and nothing is lost.

use keyferry_client::{Context, Secret};
use keyferry_tests::{Cut, Database, World, eventually};

#[tokio::test]
async fn with_the_database_away_known_tenants_are_served_and_administration_says_so() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let (world, wire) = behind_a_wire(database).await;
    let keyferry = world.start().await;
    world.tenant(&keyferry, "acme", None).await;
    let (data, admin, context) = (world.data(&keyferry, "acme"), world.admin(&keyferry), Context::new());
    let key = data.generate_data_key(&context).await.unwrap();

    wire.cut();
    data.unwrap(&key.wrapped_key, &context).await.unwrap();
    data.encrypt(&Secret::from(vec![1]), &context).await.unwrap();
    let unknown = world
        .data(&keyferry, "nobody")
        .generate_data_key(&context)
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!(unknown.problem().unwrap().slug(), "registry-unavailable");
    let customer = world.customer("late");
    let refused = admin
        .create(&customer.registration(None), Some("late"))
        .await
        .unwrap_err();
    assert_eq!(refused.problem().unwrap().status, 503);

    wire.mend();
    let registration = customer.registration(None);
    eventually("administration works again", async || {
        admin.create(&registration, Some("late")).await.is_ok()
    })
    .await;
    world.data(&keyferry, "late").generate_data_key(&context).await.unwrap();
    // The feed is followed again, too: what another replica changes shows here.
    let other = world.start().await;
    let read = world.admin(&other).get("acme").await.unwrap();
    world.admin(&other).suspend(&read).await.unwrap();
    eventually("the suspension shows", async || {
        data.generate_data_key(&context).await.is_err()
    })
    .await;
}

#[tokio::test]
async fn a_service_starts_without_its_database_and_is_ready_when_that_comes() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let (world, wire) = behind_a_wire(database).await;
    wire.cut();
    let keyferry = keyferry_tests::Keyferry::start(&world.write_config());
    let client = keyferry.client(world.service());
    assert!(!client.is_ready().await);
    wire.mend();
    eventually("the service is ready", async || client.is_ready().await).await;
}

/// A world whose service reaches its database over a wire that can be cut.
async fn behind_a_wire(database: Database) -> (World, Cut) {
    let mut world = World::new(database).await;
    let mut url: url::Url = world.database.url().parse().unwrap();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let wire = Cut::to(server.parse().unwrap()).await;
    url.set_port(Some(wire.addr().port())).unwrap();
    world.registry_url = Some(url.to_string());
    (world, wire)
}
