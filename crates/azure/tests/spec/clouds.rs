//! Managed HSMs and the other clouds, end to end.

use keyferry_azure::{AzureConfig, AzureKeyVault};
use keyferry_crypto::{id::Cloud, vault::VaultCause};
use keyferry_emulator::Operation;

use crate::world::{self, World, data_key, tenant};

const HSM: &str = "pool.managedhsm.azure.net";
const GOVERNMENT: &str = "acme.vault.usgovcloudapi.net";

#[tokio::test]
async fn a_managed_hsm_whose_role_was_removed_refuses() {
    let world = World::with(HSM, world::application()).await;
    let vault = world.vault();
    let wrapped = vault.wrap(&tenant(HSM), &data_key()).await.unwrap();
    world.order(world.assignment(HSM, false));
    let refused = vault.unwrap(&tenant(HSM), &wrapped).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::RoleMissing);
}

/// The application of the US Government's cloud, and where that cloud's hosts are.
fn governments(world: &World) -> AzureConfig {
    let mut config = world.config(world::secret());
    config.cloud = Cloud::UsGovernment;
    for name in ["usgovcloudapi.net", "microsoftonline.us"] {
        config.overrides.insert(name.to_owned(), world.emulator.https_addr());
    }
    config
}

#[tokio::test]
async fn the_us_governments_cloud_has_its_own_entra_and_vaults() {
    let world = World::with(GOVERNMENT, world::application()).await;
    let vault = AzureKeyVault::new(&governments(&world)).unwrap();
    let wrapped = vault.wrap(&tenant(GOVERNMENT), &data_key()).await.unwrap();
    let unwrapped = vault.unwrap(&tenant(GOVERNMENT), &wrapped).await.unwrap();
    assert_eq!(unwrapped.expose(), data_key().expose());
    assert_eq!(world.emulator.count("login.microsoftonline.us", Operation::Token), 1);
    assert_eq!(
        world.count(Operation::Token),
        0,
        "the secret is not shown to another cloud"
    );
}

#[tokio::test]
async fn a_vault_of_the_us_governments_cloud_refuses_like_any_other() {
    let world = World::with(GOVERNMENT, world::application()).await;
    let vault = AzureKeyVault::new(&governments(&world)).unwrap();
    let wrapped = vault.wrap(&tenant(GOVERNMENT), &data_key()).await.unwrap();
    world.order(world.assignment(GOVERNMENT, false));
    let refused = vault.unwrap(&tenant(GOVERNMENT), &wrapped).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::RoleMissing);
}
