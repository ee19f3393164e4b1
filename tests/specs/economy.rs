//! Key Vault is asked as seldom as can be.

use std::collections::HashSet;

use futures::{StreamExt, future::join_all, stream};
use keyferry_client::{Client, Context, OpenedKey, Policy, SealedKey, Secret};
use keyferry_emulator::{Fault, Operation, Order};
use keyferry_tests::{Database, Keyferry, PATIENCE, World, wrapped_data_key_of};
use serde_json::json;

/// Connections over which requests come, and requests under way on each.
const CONNECTIONS: usize = 100;
const STREAMS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_unwraps_at_once_ask_key_vault_once() {
    let mut world = World::new(Database::sqlite()).await;
    world.look_seldom();
    let keyferry = world.start().await;
    let acme = world.tenant(&keyferry, "acme", None).await;
    world.is_looked_at(&keyferry, "acme").await;
    let context = Context::new();
    let key = world.data(&keyferry, "acme").generate_data_key(&context).await.unwrap();
    let fresh = world.start().await;
    world.order(Order::ResetCalls);
    // The answer comes late, so that all of them wait for it.
    world.fault(&acme, Operation::UnwrapKey, Fault::Latency { millis: 1500 });
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| multiplexed(&world, &fresh).tenant("acme"))
        .collect();
    let unwraps = clients
        .iter()
        .flat_map(|client| (0..STREAMS).map(|_| client.unwrap(&key.wrapped_key, &context)));
    let opened = join_all(unwraps).await;
    let expected = key.plaintext.unwrap();
    assert_eq!(opened.len(), 10_000);
    assert!(
        opened
            .iter()
            .all(|opened| opened.as_ref().unwrap().key.expose() == expected.expose())
    );
    assert_eq!(world.count(&acme, Operation::UnwrapKey), 1);
}

/// A client with a connection of its own that carries many requests.
fn multiplexed(world: &World, keyferry: &Keyferry) -> Client {
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .http2_prior_knowledge()
        .build()
        .unwrap();
    Client::with_http(http, keyferry.url("/"), world.service())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_wrapped_keys_cost_key_vault_what_their_data_keys_cost() {
    const TENANTS: usize = 100;
    const KEYS: usize = 1000;
    // Every tenth tenant has its data keys seal few messages, and so needs eight or more of them.
    let frugal = Policy {
        cache_ttl_seconds: 300,
        lease_max_age_seconds: 300,
        lease_max_messages: 125,
        outage_grace_seconds: 0,
    };
    let mut world = World::new(Database::sqlite()).await;
    world.look_seldom();
    let keyferry = world.start().await;
    let tenants = stream::iter(0..TENANTS).map(|number| {
        let (world, keyferry) = (&world, &keyferry);
        let policy = (number % 10 == 0).then_some(frugal);
        async move { world.tenant(keyferry, &format!("tenant-{number}"), policy).await }
    });
    let tenants: Vec<_> = tenants.buffered(8).collect().await;
    for tenant in &tenants {
        world.is_looked_at(&keyferry, &tenant.slug).await;
    }
    world.order(Order::ResetCalls);
    let key = Secret::from(vec![7; 32]);
    let items = vec![json!({"key": &key}); KEYS];
    let wraps = stream::iter(&tenants).map(|tenant| {
        let client = world.data(&keyferry, &tenant.slug);
        let items = &items;
        async move { client.batch::<SealedKey>("wrap", items).await.unwrap() }
    });
    let wrapped: Vec<_> = wraps.buffered(4).collect().await;
    let wrapped: Vec<Vec<_>> = wrapped
        .into_iter()
        .map(|items| {
            items
                .into_iter()
                .map(|item| item.into_result().unwrap().wrapped_key)
                .collect()
        })
        .collect();
    let mut data_keys = 0;
    for (number, (tenant, envelopes)) in tenants.iter().zip(&wrapped).enumerate() {
        let distinct: HashSet<_> = envelopes.iter().map(|envelope| wrapped_data_key_of(envelope)).collect();
        let made = world.count(tenant, Operation::WrapKey);
        if number % 10 == 0 {
            assert!(
                distinct.len() >= 8 && made >= distinct.len() as u64,
                "{} of {made}",
                distinct.len()
            );
        } else {
            let proofs = world.count(tenant, Operation::UnwrapKey);
            assert_eq!(
                (distinct.len(), made, proofs),
                (1, 1, 1),
                "a lease is one data key, proven once: {number}"
            );
        }
        data_keys += distinct.len() as u64;
    }
    assert!(data_keys > TENANTS as u64);

    let fresh = world.start().await;
    world.order(Order::ResetCalls);
    let opens = stream::iter(tenants.iter().zip(wrapped)).map(|(tenant, wrapped)| {
        let client = world.data(&fresh, &tenant.slug);
        let items: Vec<_> = wrapped.iter().map(|key| json!({"wrapped_key": key})).collect();
        async move { client.batch::<OpenedKey>("unwrap", &items).await.unwrap() }
    });
    let opened: Vec<_> = opens.buffered(4).collect().await;
    let mut count = 0;
    for opened in opened.into_iter().flatten() {
        assert_eq!(opened.into_result().unwrap().key.expose(), key.expose());
        count += 1;
    }
    assert_eq!(count, TENANTS * KEYS);
    let unwraps: u64 = tenants
        .iter()
        .map(|tenant| world.count(tenant, Operation::UnwrapKey))
        .sum();
    assert_eq!(unwraps, data_keys, "each once, however many keys it seals");
}

#[tokio::test]
async fn a_lease_serves_every_operation_that_seals() {
    let mut world = World::new(Database::sqlite()).await;
    world.look_seldom();
    let keyferry = world.start().await;
    let acme = world.tenant(&keyferry, "acme", None).await;
    world.is_looked_at(&keyferry, "acme").await;
    world.order(Order::ResetCalls);
    let (data, context) = (world.data(&keyferry, "acme"), Context::new());
    data.generate_data_key(&context).await.unwrap();
    data.wrap(&Secret::from(vec![1; 32]), &context).await.unwrap();
    data.encrypt(&Secret::from(vec![2; 1000]), &context).await.unwrap();
    data.encrypt_bytes(vec![3; 1 << 20], &context).await.unwrap();
    assert_eq!(world.count(&acme, Operation::WrapKey), 1);
    assert_eq!(world.count(&acme, Operation::UnwrapKey), 1, "the lease's proof");
}
