//! What onboarding asks besides, each question with the answer that it tells apart.

use std::time::Duration;

use keyferry_azure::{
    AzureKeyVault,
    arm::ArmCause,
    probe::{Power, RotationPolicy},
};
use keyferry_crypto::{
    id::{Cloud, DirectoryId, KeyRef, VaultResource},
    tenant::Route,
    vault::VaultCause,
};
use keyferry_emulator::{Fault, Network, Operation, Order, Role};
use uuid::Uuid;

use crate::world::{self, CLIENT, DIRECTORY, VAULT, World, data_key, tenant};

const OURS: DirectoryId = DirectoryId(DIRECTORY);
const NOBODYS: DirectoryId = DirectoryId(Uuid::from_u128(0x99));

fn key() -> KeyRef {
    tenant(VAULT).current
}

#[tokio::test]
async fn a_directory_that_exists_is_told_from_one_that_does_not_and_from_an_entra_that_fails() {
    let world = World::new().await;
    let vault = world.vault();
    assert!(vault.directory_exists(Cloud::Public, OURS).await.unwrap());
    assert!(!vault.directory_exists(Cloud::Public, NOBODYS).await.unwrap());
    world.fault(Operation::Discovery, Fault::Status { status: 503 }, Some(4));
    let failed = vault.directory_exists(Cloud::Public, OURS).await.unwrap_err();
    assert_eq!(failed.cause(), VaultCause::EntraUnavailable);
    assert!(
        vault.directory_exists(Cloud::Public, OURS).await.unwrap(),
        "tried once more"
    );
}

#[tokio::test]
async fn our_principal_is_who_the_directory_made_it() {
    let world = World::new().await;
    let facts = world.vault().principal(Cloud::Public, OURS).await.unwrap();
    assert_eq!((facts.directory, facts.object_id), (OURS, world.principal));
}

#[tokio::test]
async fn a_consent_that_was_just_given_counts_at_once_for_everything() {
    let world = World::new().await;
    let vault = world.vault();
    world.order(withdrawal());
    let refused = vault.principal(Cloud::Public, OURS).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::ConsentMissing);
    assert_eq!(wrap_cause(&vault).await, Some(VaultCause::ConsentMissing));
    world.consent();
    vault.principal(Cloud::Public, OURS).await.unwrap();
    // There is another principal now, which has no role yet; but it has a token.
    assert_eq!(wrap_cause(&vault).await, Some(VaultCause::RoleMissing));
}

#[tokio::test]
async fn a_consent_that_was_withdrawn_shows_though_a_token_is_held() {
    let world = World::new().await;
    let vault = world.vault();
    assert_eq!(wrap_cause(&vault).await, None);
    world.order(withdrawal());
    let refused = vault.principal(Cloud::Public, OURS).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::ConsentMissing);
    let unknown = vault.principal(Cloud::Public, NOBODYS).await.unwrap_err();
    assert_eq!(unknown.cause(), VaultCause::DirectoryNotFound);
}

fn withdrawal() -> Order {
    Order::WithdrawConsent {
        directory: DIRECTORY,
        client_id: CLIENT,
    }
}

async fn wrap_cause(vault: &AzureKeyVault) -> Option<VaultCause> {
    let wrapped = vault.wrap(&tenant(VAULT), &data_key()).await;
    wrapped.err().map(|error| error.cause())
}

#[tokio::test]
async fn a_vault_says_whom_it_trusts_to_one_who_brings_nothing() {
    let world = World::new().await;
    let vault = world.vault();
    world.order(Order::ResetCalls);
    let challenge = vault.challenge(&key().vault, Route::Public).await.unwrap();
    assert_eq!(challenge.directory, OURS);
    assert_eq!(challenge.evidence.status, Some(401));
    assert!(challenge.evidence.request_id.is_some());
    assert_eq!(world.count(Operation::Token), 0, "a challenge is not followed");
    world.fault(Operation::Challenge, Fault::Throttle { retry_after: Some(9) }, Some(1));
    for _ in 0..2 {
        let refused = vault.challenge(&key().vault, Route::Public).await.unwrap_err();
        assert_eq!(refused.cause(), VaultCause::Throttled, "the vault is left alone");
    }
}

#[tokio::test]
async fn a_request_over_the_public_network_is_told_to_be_one() {
    let world = World::new().await;
    let network = world.vault().network(&key().vault, Route::Public).await.unwrap();
    assert!(!network.is_private_link);
    assert_eq!(network.address, Some([127, 0, 0, 1].into()));
}

#[tokio::test]
async fn a_reader_reads_the_rotation_policy_and_a_crypto_user_does_not() {
    let world = World::new().await;
    world.assign(Role::CryptoUser);
    let vault = world.vault();
    let refused = vault.rotation_policy(OURS, &key(), Route::Public).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::RoleMissing);
    assert_eq!(refused.evidence().code.as_deref(), Some("ForbiddenByRbac"));
    assert_eq!(world.count(Operation::GetRotationPolicy), 1, "a refusal is final");
    world.assign(Role::Reader);
    let policy = vault.rotation_policy(OURS, &key(), Route::Public).await.unwrap();
    assert_eq!(policy, RotationPolicy::default(), "none of its own");
    let unknown = KeyRef {
        name: "nothing".parse().unwrap(),
        ..key()
    };
    let missing = vault.rotation_policy(OURS, &unknown, Route::Public).await.unwrap_err();
    assert_eq!(missing.cause(), VaultCause::KeyNotFound);
}

#[tokio::test]
async fn what_each_role_gives_too_much_is_found_and_nothing_is_changed() {
    let world = World::new().await;
    let vault = world.vault();
    let before = vault.describe(OURS, &key(), None, Route::Public).await.unwrap();
    let mut expected = Vec::new();
    assert_eq!(excess(&vault).await, expected, "the least that suffices");
    world.order(Order::ResetCalls);
    assert_eq!(excess(&vault).await, expected);
    let tries: u64 = world.emulator.calls().iter().map(|call| call.count).sum();
    assert_eq!(tries, 7, "each refusal is heard once");
    for (role, more) in [
        (Role::CryptoUser, &[Power::Sign, Power::UpdateKey, Power::BackupKey][..]),
        (Role::Reader, &[Power::ListSecrets]),
        (
            Role::CryptoOfficer,
            &[Power::CreateKey, Power::DeleteKey, Power::PurgeKey],
        ),
    ] {
        world.assign(role);
        expected.extend(more);
        expected.sort_unstable();
        assert_eq!(excess(&vault).await, expected, "{role:?}");
    }
    assert_eq!(vault.describe(OURS, &key(), None, Route::Public).await.unwrap(), before);
    vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
}

async fn excess(vault: &AzureKeyVault) -> Vec<Power> {
    let mut found = vault.excess(OURS, &key(), Route::Public).await.unwrap();
    found.sort_unstable();
    found
}

#[tokio::test]
async fn what_access_policies_give_too_much_is_found_too() {
    let world = World::new().await;
    let policies = |rights: &[&str]| Order::SetAccessPolicies {
        host: VAULT.into(),
        access_policies: Some(
            [(
                world.principal,
                rights.iter().map(|right| (*right).to_owned()).collect(),
            )]
            .into(),
        ),
    };
    let vault = world.vault();
    world.order(policies(&["get", "wrapKey", "unwrapKey"]));
    assert_eq!(excess(&vault).await, []);
    world.order(policies(&["get", "wrapKey", "unwrapKey", "sign", "delete"]));
    assert_eq!(excess(&vault).await, [Power::Sign, Power::DeleteKey]);
}

#[tokio::test]
async fn a_vault_that_lets_nobody_in_tells_nothing_of_what_we_could_do() {
    let world = World::new().await;
    world.assign(Role::CryptoOfficer);
    world.order(Order::SetNetwork {
        host: VAULT.into(),
        network: Network::Closed,
    });
    let refused = world.vault().excess(OURS, &key(), Route::Public).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::PublicAccessDisabled);
    // Whom it trusts, and how one came, it tells all the same.
    assert!(world.vault().challenge(&key().vault, Route::Public).await.is_ok());
    assert!(world.vault().network(&key().vault, Route::Public).await.is_ok());
}

#[tokio::test]
async fn how_a_vault_is_set_up_is_told_to_who_may_read_it() {
    let world = World::new().await;
    let vault = world.vault();
    let asked = async || vault.vault_properties(Cloud::Public, OURS, &resource()).await;
    world.assign(Role::Reader);
    let refused = asked().await.unwrap_err();
    assert!(matches!(refused.cause, ArmCause::Forbidden), "{refused:?}");
    assert_eq!(refused.evidence.code.as_deref(), Some("AuthorizationFailed"));
    world.assign(Role::VaultContributor);
    let properties = asked().await.unwrap();
    assert_eq!(properties.directory, OURS);
    assert!(properties.uses_roles && properties.soft_delete && !properties.purge_protection);
    assert!(properties.public_network && properties.open_to_all);
    assert_eq!(
        (properties.retention_days, properties.location.as_str()),
        (Some(90), "westeurope")
    );
    world.order(Order::SetNetwork {
        host: VAULT.into(),
        network: Network::Closed,
    });
    let closed = asked().await.unwrap();
    assert!(!closed.public_network && !closed.open_to_all);
}

#[tokio::test]
async fn a_vault_in_another_directory_is_told_from_one_that_is_not_there_and_from_a_directory_without_us() {
    let world = World::new().await;
    world.assign(Role::VaultContributor);
    let vault = world.vault();
    let other = world.second_directory();
    let refused = vault
        .vault_properties(Cloud::Public, other, &resource())
        .await
        .unwrap_err();
    assert!(matches!(refused.cause, ArmCause::OtherDirectory), "{refused:?}");
    // Our role is on the vault: of one that is not there, the resource manager tells no more than of one that is not ours.
    let unknown = world::resource("nobodys");
    let hidden = vault.vault_properties(Cloud::Public, OURS, &unknown).await.unwrap_err();
    assert!(matches!(hidden.cause, ArmCause::Forbidden), "{hidden:?}");
    let elsewhere = resource().to_string().replace("5ab50000", "5ab50001").parse().unwrap();
    let missing = vault
        .vault_properties(Cloud::Public, OURS, &elsewhere)
        .await
        .unwrap_err();
    assert!(matches!(missing.cause, ArmCause::TargetNotFound), "{missing:?}");
    let nobody = vault
        .vault_properties(Cloud::Public, NOBODYS, &resource())
        .await
        .unwrap_err();
    let ArmCause::Token(error) = nobody.cause else {
        panic!("{nobody:?}")
    };
    assert_eq!(error.cause(), VaultCause::DirectoryNotFound);
}

#[tokio::test]
async fn a_resource_manager_that_fails_is_asked_again_and_one_that_throttles_is_left_alone() {
    let world = World::new().await;
    world.assign(Role::VaultContributor);
    let vault = world.vault();
    let asked = async || vault.vault_properties(Cloud::Public, OURS, &resource()).await;
    for fault in [Fault::Status { status: 503 }, Fault::Reset, Fault::Nonsense] {
        world.fault(Operation::GetVault, fault.clone(), Some(1));
        let done = asked().await;
        // What is no answer about the vault is not asked for again: it was an answer.
        assert_eq!(done.is_ok(), fault != Fault::Nonsense, "{fault:?} {done:?}");
    }
    world.fault(Operation::GetVault, Fault::Throttle { retry_after: Some(33) }, Some(1));
    let throttled = asked().await.unwrap_err();
    assert!(matches!(throttled.cause, ArmCause::Throttled), "{throttled:?}");
    assert_eq!(throttled.retry_after, Some(Duration::from_secs(33)));
    world.fault(Operation::GetVault, Fault::Status { status: 500 }, Some(3));
    assert!(matches!(asked().await.unwrap_err().cause, ArmCause::Unavailable));
}

/// Where the vault is, to the resource manager.
fn resource() -> VaultResource {
    world::resource("acme")
}
