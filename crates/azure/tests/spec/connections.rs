//! Connections: kept, shared, and given up for the hosts that moved, and for those alone.

use keyferry_azure::AzureKeyVault;
use keyferry_crypto::vault::VaultCause;

use crate::{
    way::Way,
    world::{self, VAULT, World, data_key, tenant},
};

#[tokio::test]
async fn an_override_that_changes_costs_no_other_host_its_connection() {
    let world = World::new().await;
    let (first, second) = (
        Way::to(Some(world.emulator.https_addr())).await,
        Way::to(Some(world.emulator.https_addr())).await,
    );
    let vault = world.vault();
    vault.overrides().set(VAULT, first.address).unwrap();
    vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
    assert_eq!(first.taken(), 1);
    vault.overrides().set("other.vault.azure.net", second.address).unwrap();
    vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
    assert_eq!(first.taken(), 1, "the connection is still in use");
    vault.overrides().set(VAULT, second.address).unwrap();
    vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
    assert_eq!((first.taken(), second.taken()), (1, 1));
}

#[tokio::test]
async fn a_vault_that_takes_connections_and_says_nothing_is_tried_again_until_the_time_is_up() {
    let world = World::new().await;
    let nowhere = Way::to(None).await;
    let mut config = world.config(world::secret());
    config.timeouts.connect = std::time::Duration::from_millis(100);
    config.timeouts.per_try = std::time::Duration::from_mins(1);
    config.timeouts.total = std::time::Duration::from_secs(2);
    config.retries.attempts = u32::MAX;
    let vault = AzureKeyVault::new(&config).unwrap();
    vault.overrides().set(VAULT, nowhere.address).unwrap();
    let failed = vault.wrap(&tenant(VAULT), &data_key()).await.unwrap_err();
    assert_eq!(failed.cause(), VaultCause::Timeout);
    // Each try took a tenth of a second at least.
    assert!((2..=20).contains(&nowhere.taken()), "{} tries", nowhere.taken());
}
