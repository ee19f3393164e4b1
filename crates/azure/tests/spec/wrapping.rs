//! Wrapping, unwrapping and describing.

use keyferry_azure::AzureKeyVault;
use keyferry_crypto::{id::DirectoryId, tenant::Route, vault::VaultCause};
use keyferry_emulator::{Operation, Order};

use uuid::Uuid;

use crate::world::{self, KEY, VAULT, World, data_key, pinned, tenant, unwrap_cause, wrapped};

#[tokio::test]
async fn what_was_wrapped_unwraps() {
    let world = World::new().await;
    let vault = world.vault();
    let wrapped = vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
    assert_eq!(wrapped.bytes.len(), 256);
    assert!(
        wrapped
            .kek
            .to_string()
            .starts_with("https://acme.vault.azure.net/keys/kek/")
    );
    let unwrapped = vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
    assert_eq!(unwrapped.expose(), data_key().expose());
}

#[tokio::test]
async fn the_latest_version_wraps_and_old_ones_unwrap() {
    let world = World::new().await;
    let vault = world.vault();
    let before = vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
    world.import(VAULT);
    let after = vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
    assert_ne!(before.kek.version, after.kek.version);
    vault.unwrap(&tenant(VAULT), &before).await.unwrap();
    vault.unwrap(&tenant(VAULT), &after).await.unwrap();
}

#[tokio::test]
async fn a_pinned_version_goes_on_wrapping() {
    let world = World::new().await;
    let first = wrapped(&world).await;
    world.import(VAULT);
    let again = world.vault().wrap(&pinned(&first.kek), &data_key()).await.unwrap();
    assert_eq!(again.kek, first.kek);
}

#[tokio::test]
async fn changed_bytes_do_not_unwrap() {
    let world = World::new().await;
    let mut wrapped = wrapped(&world).await;
    wrapped.bytes[100] ^= 1;
    assert_eq!(
        unwrap_cause(&world.vault(), &wrapped).await,
        VaultCause::WrappedKeyInvalid
    );
}

#[tokio::test]
async fn a_managed_hsm_wraps_too() {
    let hsm = "pool.managedhsm.azure.net";
    let world = World::with(hsm, world::application()).await;
    let vault = world.vault();
    let wrapped = vault.wrap(&tenant(hsm), &data_key()).await.unwrap();
    vault.unwrap(&tenant(hsm), &wrapped).await.unwrap();
    assert_eq!(world.emulator.count(hsm, Operation::UnwrapKey), 1);
}

#[tokio::test]
async fn a_managed_hsm_refuses_without_a_word_and_is_understood() {
    let hsm = "pool.managedhsm.azure.net";
    let world = World::with(hsm, world::application()).await;
    let vault = world.vault();
    let wrapped = vault.wrap(&tenant(hsm), &data_key()).await.unwrap();
    // A token that it cannot verify is replaced, one that it will never take is not our fault.
    world.order(Order::RotateSigningKey { forget_old: true });
    vault.unwrap(&tenant(hsm), &wrapped).await.unwrap();
    world.order(Order::MoveVault {
        host: hsm.into(),
        directory: Uuid::from_u128(0x99),
    });
    for vault in [vault, world.vault()] {
        let refused = vault.unwrap(&tenant(hsm), &wrapped).await.unwrap_err();
        assert_eq!(refused.cause(), VaultCause::WrongDirectory);
    }
}

#[tokio::test]
async fn another_cloud_is_reached_with_its_own_registration() {
    let china = "acme.vault.azure.cn";
    let world = World::with(china, world::application()).await;
    let mut config = world.config(world::secret());
    let alone = AzureKeyVault::new(&config).unwrap();
    let refused = alone.wrap(&tenant(china), &data_key()).await.unwrap_err();
    assert_eq!(
        refused.cause(),
        VaultCause::AppCredentialUnavailable,
        "the public cloud's secret stays in its cloud"
    );
    config.other_clouds = vec![keyferry_azure::config::Registration {
        cloud: keyferry_crypto::id::Cloud::China,
        client_id: config.client_id,
        credential: world::secret(),
    }];
    let vault = AzureKeyVault::new(&config).unwrap();
    vault.wrap(&tenant(china), &data_key()).await.unwrap();
    assert_eq!(world.emulator.count("login.chinacloudapi.cn", Operation::Token), 1);
    assert_eq!(world.count(Operation::Token), 0);
}

#[tokio::test]
async fn an_override_that_changes_holds_for_the_next_request() {
    let (first, second) = (World::new().await, World::new().await);
    let mut config = first.config(world::secret());
    config.extra_roots_pem = Some(format!("{}{}", first.emulator.ca_pem(), second.emulator.ca_pem()));
    let vault = AzureKeyVault::new(&config).unwrap();
    vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
    // Entra too: the second vault does not know the first Entra's tokens.
    for host in [VAULT, world::ENTRA] {
        vault.overrides().set(host, second.emulator.https_addr()).unwrap();
    }
    vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
    assert_eq!(
        first.count(Operation::WrapKey),
        1,
        "a connection to the first is open, and not used"
    );
    let at_second = second.count(Operation::WrapKey);
    assert!(at_second > 0);
    for host in [VAULT, world::ENTRA] {
        vault.overrides().remove(host);
    }
    // The first does not know the second Entra's token either; where it is shown is what counts.
    drop(vault.wrap(&tenant(VAULT), &data_key()).await);
    assert!(first.count(Operation::WrapKey) > 1);
    assert_eq!(second.count(Operation::WrapKey), at_second);
}

#[tokio::test]
async fn a_key_is_described() {
    let world = World::new().await;
    let (vault, tenant) = (world.vault(), tenant(VAULT));
    let directory = DirectoryId(world::DIRECTORY);
    let latest = vault
        .describe(directory, &tenant.current, None, Route::Public)
        .await
        .unwrap();
    assert_eq!(
        (latest.rsa_bits, latest.is_enabled, latest.is_in_hsm),
        (Some(2048), true, false)
    );
    assert!(latest.operations.iter().any(|operation| operation == "unwrapKey"));
    assert_eq!(latest.recovery_level.as_deref(), Some("Recoverable+Purgeable"));
    world.import(VAULT);
    world.set_key(Some(false), None, Some(2_000_000_000));
    let newer = vault
        .describe(directory, &tenant.current, None, Route::Public)
        .await
        .unwrap();
    assert!(!newer.is_enabled && newer.kek != latest.kek);
    assert_eq!(newer.expires.unwrap().unix_timestamp(), 2_000_000_000);
    let named = vault
        .describe(directory, &tenant.current, Some(&latest.kek.version), Route::Public)
        .await
        .unwrap();
    assert_eq!(named, latest);
    world.order(Order::DeleteKey {
        host: VAULT.into(),
        name: KEY.into(),
    });
    let gone = vault
        .describe(directory, &tenant.current, None, Route::Public)
        .await
        .unwrap_err();
    assert_eq!(gone.cause(), VaultCause::KeyNotFound);
}
