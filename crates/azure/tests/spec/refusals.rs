//! Every refusal of Key Vault and Entra, told apart, and not asked for twice.

use std::collections::BTreeMap;

use keyferry_crypto::vault::VaultCause;
use keyferry_emulator::{Fault, Network, Operation, Order};
use uuid::Uuid;

use crate::world::{CLIENT, DIRECTORY, KEY, VAULT, World, data_key, tenant, unwrap_cause, unwrap_error, wrapped};

/// Has something happen at the customer's after a key was wrapped, and tells what an unwrap then says. It is asked for once:
/// where a refusal might be over in a moment, it is the caller that asks again.
async fn unwrap_after(change: impl FnOnce(&World)) -> VaultCause {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    change(&world);
    world.order(Order::ResetCalls);
    let cause = unwrap_cause(&world.vault(), &wrapped).await;
    assert!(world.count(Operation::UnwrapKey) <= 1, "a refusal is final");
    assert!(world.count(Operation::Token) <= 1, "whoever refuses");
    cause
}

fn key() -> (String, String) {
    (VAULT.into(), KEY.into())
}

#[tokio::test]
async fn a_disabled_key() {
    let cause = unwrap_after(|world| world.set_key(Some(false), None, None)).await;
    assert_eq!(cause, VaultCause::KeyDisabled);
}

#[tokio::test]
async fn a_deleted_key() {
    let (host, name) = key();
    let cause = unwrap_after(|world| world.order(Order::DeleteKey { host, name })).await;
    assert_eq!(cause, VaultCause::KeyNotFound);
}

#[tokio::test]
async fn an_operation_that_key_ops_leave_out() {
    let cause = unwrap_after(|world| world.set_key(None, Some(&["wrapKey"]), None)).await;
    assert_eq!(cause, VaultCause::KeyOperationForbidden);
}

#[tokio::test]
async fn an_expired_key_unwraps_and_wraps_no_more() {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    world.set_key(None, None, Some(1_000_000_000));
    let vault = world.vault();
    vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
    let refused = vault.wrap(&tenant(VAULT), &data_key()).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::KeyNotUsable);
}

#[tokio::test]
async fn a_key_that_is_not_yet_valid_unwraps_and_wraps_not_yet() {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    let (host, name) = key();
    world.order(Order::SetKey {
        host,
        name,
        version: String::new(),
        enabled: None,
        nbf: Some(4_000_000_000),
        exp: None,
        key_ops: None,
    });
    let vault = world.vault();
    vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
    let refused = vault.wrap(&tenant(VAULT), &data_key()).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::KeyNotUsable);
}

#[tokio::test]
async fn a_version_that_never_was() {
    let world = World::new().await;
    let mut wrapped = wrapped(&world).await;
    wrapped.kek.version = "0123456789abcdef0123456789abcdef".parse().unwrap();
    let error = unwrap_error(&world.vault(), &wrapped).await;
    assert_eq!(error.cause(), VaultCause::KeyNotFound);
    assert_eq!(error.evidence().code.as_deref(), Some("KeyNotFound"));
}

#[tokio::test]
async fn an_entra_that_is_too_busy_refuses_nothing() {
    let world = World::new().await;
    world.fault(Operation::Token, Fault::Status { status: 400 }, None);
    let failed = world.vault().wrap(&tenant(VAULT), &data_key()).await.unwrap_err();
    assert_eq!(failed.cause(), VaultCause::EntraUnavailable);
    assert_eq!(failed.evidence().code.as_deref(), Some("AADSTS90055"));
}

#[tokio::test]
async fn a_role_that_was_removed() {
    let cause = unwrap_after(|world| world.order(world.assignment(VAULT, false))).await;
    assert_eq!(cause, VaultCause::RoleMissing);
}

#[tokio::test]
async fn a_vault_with_access_policies_and_none_for_us() {
    let cause = unwrap_after(|world| {
        world.order(Order::SetAccessPolicies {
            host: VAULT.into(),
            access_policies: Some(BTreeMap::new()),
        });
    });
    assert_eq!(cause.await, VaultCause::AccessPolicyMissing);
}

#[tokio::test]
async fn a_firewall() {
    let network = Network::Firewall(vec![[192, 0, 2, 1].into()]);
    let host = VAULT.to_owned();
    let cause = unwrap_after(|world| world.order(Order::SetNetwork { host, network })).await;
    assert_eq!(cause, VaultCause::FirewallDenied);
}

#[tokio::test]
async fn a_vault_without_a_public_network() {
    let (host, network) = (VAULT.to_owned(), Network::Closed);
    let cause = unwrap_after(|world| world.order(Order::SetNetwork { host, network })).await;
    assert_eq!(cause, VaultCause::PublicAccessDisabled);
}

#[tokio::test]
async fn a_vault_that_trusts_another_directory() {
    let (host, directory) = (VAULT.to_owned(), Uuid::from_u128(0x99));
    let cause = unwrap_after(|world| world.order(Order::MoveVault { host, directory })).await;
    assert_eq!(cause, VaultCause::WrongDirectory);
}

#[tokio::test]
async fn consent_that_was_withdrawn() {
    let (directory, client_id) = (DIRECTORY, CLIENT);
    let cause = unwrap_after(|world| world.order(Order::WithdrawConsent { directory, client_id })).await;
    assert_eq!(cause, VaultCause::ConsentMissing);
}

fn set_principal(enabled: bool, blocked: bool) -> Order {
    Order::SetPrincipal {
        directory: DIRECTORY,
        client_id: CLIENT,
        enabled,
        blocked,
    }
}

#[tokio::test]
async fn a_disabled_principal() {
    let cause = unwrap_after(|world| world.order(set_principal(false, false))).await;
    assert_eq!(cause, VaultCause::PrincipalDisabled);
}

#[tokio::test]
async fn conditional_access() {
    let cause = unwrap_after(|world| world.order(set_principal(true, true))).await;
    assert_eq!(cause, VaultCause::ConditionalAccess);
}

#[tokio::test]
async fn a_directory_without_key_vault() {
    let (directory, lacks) = (DIRECTORY, true);
    let cause = unwrap_after(|world| world.order(Order::SetLacksKeyVault { directory, lacks })).await;
    assert_eq!(cause, VaultCause::KeyVaultPrincipalMissing);
}

#[tokio::test]
async fn a_directory_that_is_not_there() {
    let world = World::new().await;
    let mut tenant = tenant(VAULT);
    tenant.directory.0 = Uuid::from_u128(0x99);
    let refused = world.vault().wrap(&tenant, &data_key()).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::DirectoryNotFound);
}

#[tokio::test]
async fn our_own_secret_past_its_end() {
    let (client_id, expired) = (CLIENT, true);
    let cause = unwrap_after(|world| world.order(Order::SetSecretsExpired { client_id, expired })).await;
    assert_eq!(cause, VaultCause::AppSecretExpired);
}

#[tokio::test]
async fn a_refusal_carries_what_a_support_case_needs_and_no_free_text() {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    world.order(world.assignment(VAULT, false));
    let error = unwrap_error(&world.vault(), &wrapped).await;
    assert_eq!(error.evidence().status, Some(403));
    assert_eq!(error.evidence().code.as_deref(), Some("ForbiddenByRbac"));
    let id = error.evidence().request_id.as_deref().unwrap();
    assert!(id.parse::<Uuid>().is_ok(), "{id}");
    assert_eq!(error.to_string(), "key vault: RoleMissing");
}
