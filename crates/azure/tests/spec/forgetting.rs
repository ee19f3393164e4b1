//! What was got for a tenant is forgotten when it may have been taken away, so that the next call shows whether it was.

use std::net::SocketAddr;

use keyferry_azure::{AzureConfig, AzureKeyVault};
use keyferry_crypto::{
    tenant::{Route, TenantKeys},
    vault::{KeyVault, VaultCause},
};
use keyferry_emulator::{Fault, Operation, Order};

use crate::{
    routes::endpoints,
    way::Way,
    world::{self, CLIENT, DIRECTORY, VAULT, World, data_key, tenant, unwrap_cause, wrapped},
};

#[tokio::test]
async fn a_withdrawn_consent_shows_with_the_next_call() {
    let world = World::new().await;
    let (wrapped, vault) = (wrapped(&world).await, world.vault());
    vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
    let (directory, client_id) = (DIRECTORY, CLIENT);
    world.order(Order::WithdrawConsent { directory, client_id });
    // The token that was got before is as good as ever to the vault.
    vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
    vault.forget(&tenant(VAULT));
    assert_eq!(unwrap_cause(&vault, &wrapped).await, VaultCause::ConsentMissing);
}

#[tokio::test]
async fn forgetting_again_and_again_asks_for_few_tokens() {
    let world = World::new().await;
    let (wrapped, vault) = (wrapped(&world).await, world.vault());
    world.order(Order::ResetCalls);
    let mut forgotten = 0;
    while world.count(Operation::Token) < 2 {
        vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
        vault.forget(&tenant(VAULT));
        forgotten += 1;
    }
    // One for the first call and one after the first time; the next only when a pause is over.
    assert_eq!(forgotten, 2);
    for _ in 0..10 {
        vault.forget(&tenant(VAULT));
        vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
    }
    assert!(world.count(Operation::Token) < 10, "{}", world.count(Operation::Token));
}

#[tokio::test]
async fn an_entra_without_an_answer_takes_nothing_away() {
    let world = World::new().await;
    let (wrapped, vault) = (wrapped(&world).await, world.vault());
    vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
    world.fault(Operation::Token, Fault::Status { status: 503 }, None);
    world.order(Order::ResetCalls);
    vault.forget(&tenant(VAULT));
    // The vault takes the old token as before.
    for _ in 0..2 {
        vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
    }
    assert_eq!(
        world.count(Operation::Token),
        1,
        "it was asked, and not with every call"
    );
}

#[tokio::test]
async fn the_connection_to_a_private_endpoint_is_made_anew() {
    let world = World::new().await;
    let way = Way::at(
        SocketAddr::from(([127, 88, 0, 4], 0)),
        Some(world.emulator.https_addr()),
    )
    .await
    .unwrap();
    let config = AzureConfig {
        private_endpoints: Some(endpoints(way.address.port())),
        ..world.config(world::secret())
    };
    let vault = AzureKeyVault::new(&config).unwrap();
    let private = TenantKeys {
        route: Route::Private(way.address.ip()),
        ..tenant(VAULT)
    };
    for _ in 0..2 {
        vault.wrap(&private, &data_key()).await.unwrap();
    }
    assert_eq!(way.taken(), 1);
    vault.forget(&private);
    vault.wrap(&private, &data_key()).await.unwrap();
    assert_eq!(way.taken(), 2);
}
