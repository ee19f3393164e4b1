//! What passes by itself: tried again within limits, then named. None of it is a refusal.

use std::time::Duration;

use keyferry_azure::AzureKeyVault;
use keyferry_crypto::vault::{KeyVault, VaultCause};
use keyferry_emulator::{Fault, Operation, Order};

use crate::world::{self, VAULT, World, data_key, tenant, unwrap_cause, unwrap_error, wrapped};

/// The cause of an unwrap that meets a fault at each of its tries.
async fn unwrap_under(fault: Fault) -> VaultCause {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    world.fault(Operation::UnwrapKey, fault, None);
    let cause = unwrap_cause(&world.impatient(), &wrapped).await;
    assert!(!cause.is_refusal(), "unavailable is not revoked");
    cause
}

#[tokio::test]
async fn a_vault_that_fails() {
    assert_eq!(
        unwrap_under(Fault::Status { status: 503 }).await,
        VaultCause::VaultFailed
    );
}

#[tokio::test]
async fn a_vault_that_hangs() {
    assert_eq!(unwrap_under(Fault::Hang).await, VaultCause::Timeout);
}

#[tokio::test]
async fn a_vault_that_breaks_the_connection() {
    assert_eq!(unwrap_under(Fault::Reset).await, VaultCause::ConnectionFailed);
}

#[tokio::test]
async fn an_answer_that_is_cut_off() {
    assert_eq!(unwrap_under(Fault::Truncate).await, VaultCause::AnswerInvalid);
}

#[tokio::test]
async fn an_answer_to_another_question() {
    assert_eq!(unwrap_under(Fault::Nonsense).await, VaultCause::AnswerInvalid);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    assert_eq!(
        unwrap_under(Fault::Status { status: 307 }).await,
        VaultCause::AnswerInvalid
    );
}

#[tokio::test]
async fn an_expired_certificate() {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    let (host, expired) = (VAULT.to_owned(), true);
    world.order(Order::SetCertificateExpired { host, expired });
    assert_eq!(
        unwrap_cause(&world.vault(), &wrapped).await,
        VaultCause::CertificateInvalid
    );
}

#[tokio::test]
async fn a_certificate_authority_that_we_do_not_know() {
    let world = World::new().await;
    let mut config = world.config(world::secret());
    config.extra_roots_pem = None;
    let refused = AzureKeyVault::new(&config)
        .unwrap()
        .wrap(&tenant(VAULT), &data_key())
        .await;
    // Entra is asked first, and whatever keeps us from it is its unavailability.
    assert_eq!(refused.unwrap_err().cause(), VaultCause::EntraUnavailable);
    assert_eq!(world.emulator.calls(), []);
}

#[tokio::test]
async fn a_moments_trouble_is_survived_and_the_body_is_sent_again() {
    for fault in [
        Fault::Status { status: 503 },
        Fault::Reset,
        Fault::Truncate,
        Fault::Throttle { retry_after: Some(0) },
    ] {
        // The first request of all is the one that the SDK sends without a body.
        for operation in [Operation::Challenge, Operation::WrapKey, Operation::Token] {
            let world = World::new().await;
            world.fault(operation, fault.clone(), Some(1));
            let wrapped = world.vault().wrap(&tenant(VAULT), &data_key()).await;
            assert!(wrapped.is_ok(), "{operation:?} {fault:?}: {wrapped:?}");
        }
    }
}

#[tokio::test]
async fn tries_are_bounded() {
    let world = World::new().await;
    world.fault(Operation::WrapKey, Fault::Status { status: 503 }, None);
    let failed = world.vault().wrap(&tenant(VAULT), &data_key()).await.unwrap_err();
    assert_eq!(failed.cause(), VaultCause::VaultFailed);
    assert_eq!(world.count(Operation::WrapKey), 3);
}

#[tokio::test]
async fn a_long_retry_after_is_passed_on_instead_of_waited_for() {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    world.order(Order::ResetCalls);
    let retry_after = Some(7);
    world.fault(Operation::UnwrapKey, Fault::Throttle { retry_after }, None);
    let error = unwrap_error(&world.vault(), &wrapped).await;
    assert_eq!(error.cause(), VaultCause::Throttled);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(world.count(Operation::UnwrapKey), 1);
}
