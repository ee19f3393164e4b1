//! The way to a vault: the one that is said, or none.

use std::net::{IpAddr, SocketAddr};

use keyferry_azure::{AzureConfig, AzureKeyVault, PrivateEndpointsConfig};
use keyferry_crypto::{
    id::DirectoryId,
    tenant::{Route, TenantKeys},
    vault::VaultCause,
};
use keyferry_emulator::{Operation, Order};

use crate::{
    way::Way,
    world::{self, DIRECTORY, VAULT, World, data_key, tenant, wrapped},
};

/// Addresses of this machine that nobody else uses: where private endpoints could be.
const ENDPOINT: [u8; 4] = [127, 88, 0, 1];
const OTHER_ENDPOINT: [u8; 4] = [127, 88, 0, 2];

fn by(route: Route) -> TenantKeys {
    TenantKeys { route, ..tenant(VAULT) }
}

fn private(address: [u8; 4]) -> Route {
    Route::Private(IpAddr::from(address))
}

/// Endpoints at a port.
pub(crate) fn endpoints(port: u16) -> PrivateEndpointsConfig {
    toml::from_str(&format!(
        r#"
        directory = "11111111-1111-4111-8111-111111111111"
        subscription = "5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11"
        resource_group = "keyferry-endpoints"
        location = "westeurope"
        subnet = "/subscriptions/5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/hub/subnets/pe"
        port = {port}
        "#
    ))
    .unwrap()
}

fn config(world: &World, port: u16) -> AzureConfig {
    AzureConfig {
        private_endpoints: Some(endpoints(port)),
        ..world.config(world::secret())
    }
}

/// A way to the emulator at an address, and at another one on the same port.
async fn two_endpoints(world: &World) -> (Way, Way) {
    let end = Some(world.emulator.https_addr());
    loop {
        let first = Way::at(SocketAddr::from((ENDPOINT, 0)), end).await.unwrap();
        let port = first.address.port();
        // Somebody else may have that port at the other address: then another one.
        if let Ok(second) = Way::at(SocketAddr::from((OTHER_ENDPOINT, port)), end).await {
            return (first, second);
        }
    }
}

#[tokio::test]
async fn a_private_endpoint_is_connected_to_and_nothing_else_is_and_a_new_one_is_at_once() {
    let world = World::new().await;
    let (first, second) = two_endpoints(&world).await;
    let mut config = config(&world, first.address.port());
    // The public network would lead nowhere.
    let nowhere = Way::to(None).await;
    config.overrides.insert(VAULT.to_owned(), nowhere.address);
    let vault = AzureKeyVault::new(&config).unwrap();
    for _ in 0..2 {
        let wrapped = vault.wrap(&by(private(ENDPOINT)), &data_key()).await.unwrap();
        let unwrapped = vault.unwrap(&by(private(ENDPOINT)), &wrapped).await.unwrap();
        assert_eq!(unwrapped.expose(), data_key().expose());
    }
    assert_eq!((first.taken(), second.taken()), (1, 0), "one connection for all of it");
    vault.wrap(&by(private(OTHER_ENDPOINT)), &data_key()).await.unwrap();
    assert_eq!((first.taken(), second.taken()), (1, 1));
    assert_eq!(nowhere.taken(), 0);
}

#[tokio::test]
async fn a_pooled_public_connection_is_not_used_for_a_private_endpoint_nor_the_other_way_round() {
    let world = World::new().await;
    let (endpoint, _) = two_endpoints(&world).await;
    let vault = AzureKeyVault::new(&config(&world, endpoint.address.port())).unwrap();
    vault.wrap(&by(Route::Public), &data_key()).await.unwrap();
    assert_eq!(endpoint.taken(), 0);
    vault.wrap(&by(private(ENDPOINT)), &data_key()).await.unwrap();
    assert_eq!(endpoint.taken(), 1);
    let public = Way::to(Some(world.emulator.https_addr())).await;
    vault.overrides().set(VAULT, public.address).unwrap();
    vault.wrap(&by(Route::Public), &data_key()).await.unwrap();
    assert_eq!((endpoint.taken(), public.taken()), (1, 1));
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_not_gone_around() {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    // Nobody listens there.
    let mut config = config(&world, 1);
    config.retries.attempts = 2;
    let vault = AzureKeyVault::new(&config).unwrap();
    world.order(Order::ResetCalls);
    let refused = vault.unwrap(&by(private(ENDPOINT)), &wrapped).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::ConnectionFailed);
    assert_eq!(world.count(Operation::UnwrapKey), 0);
}

#[tokio::test]
async fn an_endpoint_that_is_somebody_elses_cannot_stand_in_for_the_vault() {
    let world = World::new().await;
    let stranger = World::new().await;
    let wrapped = wrapped(&world).await;
    // Another authority's certificate, though for the same name.
    let way = Way::at(SocketAddr::from((ENDPOINT, 0)), Some(stranger.emulator.https_addr())).await;
    let way = way.unwrap();
    let vault = AzureKeyVault::new(&config(&world, way.address.port())).unwrap();
    let refused = vault.unwrap(&by(private(ENDPOINT)), &wrapped).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::CertificateInvalid);
    assert!(way.taken() > 0);
}

#[tokio::test]
async fn where_the_way_is_closed_nobody_is_asked_for_anything() {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    let vault = world.vault();
    world.order(Order::ResetCalls);
    let (directory, key) = (DirectoryId(DIRECTORY), tenant(VAULT).current);
    let closed = by(Route::Closed);
    for refused in [
        vault.wrap(&closed, &data_key()).await.map(drop).unwrap_err(),
        vault.unwrap(&closed, &wrapped).await.map(drop).unwrap_err(),
        vault
            .describe(directory, &key, None, Route::Closed)
            .await
            .map(drop)
            .unwrap_err(),
        vault
            .rotation_policy(directory, &key, Route::Closed)
            .await
            .map(drop)
            .unwrap_err(),
        vault
            .excess(directory, &key, Route::Closed)
            .await
            .map(drop)
            .unwrap_err(),
        vault.challenge(&key.vault, Route::Closed).await.map(drop).unwrap_err(),
        vault.network(&key.vault, Route::Closed).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(refused.cause(), VaultCause::PrivateEndpointClosed);
    }
    assert_eq!(world.emulator.calls(), []);
}

#[tokio::test]
async fn a_former_keys_vault_is_reached_over_the_public_network() {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    let vault = world.vault();
    let mut moved = by(Route::Closed);
    moved.former.push(moved.current.clone());
    moved.current.vault = "acme-new.vault.azure.net".parse().unwrap();
    let unwrapped = vault.unwrap(&moved, &wrapped).await.unwrap();
    assert_eq!(unwrapped.expose(), data_key().expose());
    let refused = vault.wrap(&moved, &data_key()).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::PrivateEndpointClosed);
}
