//! What passes by itself: tried again within limits, then named. None of it is a refusal.

use std::time::Duration;

use keyferry_azure::AzureKeyVault;
use keyferry_crypto::vault::VaultCause;
use keyferry_emulator::{Fault, Operation, Order};

use crate::world::{self, Client, VAULT, World, data_key, tenant, unwrap_cause, unwrap_error, wrapped};

/// The cause of an unwrap whose one request with a token meets a fault.
async fn unwrap_under(fault: Fault) -> VaultCause {
    let mut causes = Vec::new();
    for client in Client::BOTH {
        let world = World::new().await;
        let (wrapped, vault) = (wrapped(&world).await, world.once(&fault));
        client.prepare(&world, &vault, &wrapped).await;
        world.fault(Operation::UnwrapKey, fault.clone(), Some(1));
        causes.push(unwrap_cause(&vault, &wrapped).await);
        let challenges = u64::from(client == Client::Cold);
        assert_eq!(world.count(Operation::Challenge), challenges);
        assert_eq!(world.count(Operation::UnwrapKey), 1);
    }
    assert_eq!(causes[0], causes[1]);
    assert!(!causes[0].is_refusal(), "unavailable is not revoked");
    causes[0]
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

/// What passes at the next try.
fn passing() -> [Fault; 4] {
    [
        Fault::Status { status: 503 },
        Fault::Reset,
        Fault::Truncate,
        Fault::Throttle { retry_after: Some(0) },
    ]
}

#[tokio::test]
async fn a_moments_trouble_before_the_token_is_asked_for_is_survived() {
    for fault in passing() {
        // The first request of all is the one that the SDK sends without a body.
        for operation in [Operation::Challenge, Operation::Token] {
            let world = World::new().await;
            world.fault(operation, fault.clone(), Some(1));
            let wrapped = world.vault().wrap(&tenant(VAULT), &data_key()).await;
            assert!(wrapped.is_ok(), "{operation:?} {fault:?}: {wrapped:?}");
            assert_eq!(world.count(operation), 2, "{operation:?} {fault:?}");
            assert_eq!(world.count(Operation::WrapKey), 1, "{operation:?} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_moments_trouble_of_a_request_with_a_token_is_survived_and_the_body_is_sent_again() {
    for fault in passing() {
        for client in Client::BOTH {
            let world = World::new().await;
            let (before, vault) = (wrapped(&world).await, world.vault());
            client.prepare(&world, &vault, &before).await;
            world.fault(Operation::WrapKey, fault.clone(), Some(1));
            world.fault(Operation::UnwrapKey, fault.clone(), Some(1));
            let wrapped = vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
            let unwrapped = vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
            assert_eq!(unwrapped.expose(), data_key().expose());
            for operation in [Operation::WrapKey, Operation::UnwrapKey] {
                assert_eq!(world.count(operation), 2, "{client:?} {operation:?} {fault:?}");
            }
            assert!(
                world.count(Operation::Token) <= 1,
                "{client:?} {fault:?}: it is not the token's fault"
            );
        }
    }
}

#[tokio::test]
async fn a_key_that_was_cut_off_is_not_used_and_asked_for_again() {
    for client in Client::BOTH {
        let world = World::new().await;
        let (wrapped, vault) = (wrapped(&world).await, world.vault());
        client.prepare(&world, &vault, &wrapped).await;
        world.fault(Operation::UnwrapKey, Fault::Truncate, Some(2));
        let unwrapped = vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
        assert_eq!(unwrapped.expose(), data_key().expose());
        let answers = world.emulator.calls();
        let whole = answers
            .iter()
            .find(|call| call.operation == Operation::UnwrapKey)
            .unwrap();
        assert_eq!(
            (whole.status, whole.count),
            (200, 3),
            "each answer was a success, and carried the key"
        );
    }
}

#[tokio::test]
async fn tries_are_bounded() {
    for client in Client::BOTH {
        let world = World::new().await;
        let (before, vault) = (wrapped(&world).await, world.vault());
        client.prepare(&world, &vault, &before).await;
        world.fault(Operation::WrapKey, Fault::Status { status: 503 }, Some(3));
        let failed = vault.wrap(&tenant(VAULT), &data_key()).await.unwrap_err();
        assert_eq!(failed.cause(), VaultCause::VaultFailed);
        assert_eq!(world.count(Operation::WrapKey), 3);
    }
}

#[tokio::test]
async fn a_long_retry_after_is_passed_on_instead_of_waited_for() {
    for client in Client::BOTH {
        let world = World::new().await;
        let (wrapped, vault) = (wrapped(&world).await, world.vault());
        client.prepare(&world, &vault, &wrapped).await;
        world.fault(Operation::UnwrapKey, Fault::Throttle { retry_after: Some(7) }, Some(1));
        let error = unwrap_error(&vault, &wrapped).await;
        assert_eq!(error.cause(), VaultCause::Throttled);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(world.count(Operation::UnwrapKey), 1);
    }
}
