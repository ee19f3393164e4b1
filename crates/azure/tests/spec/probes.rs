//! What onboarding asks besides, each question with the answer that it tells apart.

use keyferry_azure::{AzureKeyVault, probe::RotationPolicy};
use keyferry_crypto::{
    id::{Cloud, DirectoryId, KeyRef},
    tenant::Route,
    vault::{KeyVault, VaultCause},
};
use keyferry_emulator::{Assignment, Fault, Operation, Order, Role, Scope};
use uuid::Uuid;

use crate::world::{DIRECTORY, VAULT, World, data_key, tenant};

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
        client_id: crate::world::CLIENT,
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

/// A principal with one role more.
async fn with_role(role: Role) -> World {
    let world = World::new().await;
    world.order(Order::Assign {
        host: VAULT.into(),
        assignment: Assignment {
            principal: world.principal,
            role,
            scope: Scope::Vault,
        },
    });
    world
}

#[tokio::test]
async fn a_reader_reads_the_rotation_policy_and_a_crypto_user_does_not() {
    let reader = with_role(Role::Reader).await;
    let policy = reader
        .vault()
        .rotation_policy(OURS, &key(), Route::Public)
        .await
        .unwrap();
    assert_eq!(policy, RotationPolicy::default(), "none of its own");
    let user = with_role(Role::CryptoUser).await;
    let refused = user
        .vault()
        .rotation_policy(OURS, &key(), Route::Public)
        .await
        .unwrap_err();
    assert_eq!(refused.cause(), VaultCause::RoleMissing);
    assert_eq!(refused.evidence().code.as_deref(), Some("ForbiddenByRbac"));
    assert_eq!(user.count(Operation::GetRotationPolicy), 2, "heard twice");
}
