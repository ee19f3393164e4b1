//! Tokens: few, renewed, replaced when rejected; and what Entra's troubles do and do not touch.

use keyferry_crypto::vault::VaultCause;
use keyferry_emulator::{Fault, Operation, Order, TokenTimes};

use crate::world::{Client, DIRECTORY, VAULT, World, data_key, tenant, unwrap_cause, wrapped};

#[tokio::test]
async fn a_hundred_wraps_at_once_need_one_token() {
    let world = World::new().await;
    let (vault, tenant, key) = (world.vault(), tenant(VAULT), data_key());
    let wraps = (0..100).map(|_| vault.wrap(&tenant, &key));
    let outcomes = futures::future::join_all(wraps).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(world.count(Operation::Token), 1);
}

#[tokio::test]
async fn while_a_token_is_valid_entra_may_be_down() {
    for fault in [
        Fault::Hang,
        Fault::Latency { millis: 600_000 },
        Fault::Throttle { retry_after: Some(60) },
        Fault::Status { status: 503 },
        Fault::Nonsense,
        Fault::Reset,
    ] {
        let world = World::new().await;
        let vault = world.vault();
        let wrapped = vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
        world.fault(Operation::Token, fault.clone(), None);
        for _ in 0..5 {
            vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
            vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
        }
        assert_eq!(world.count(Operation::Token), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_token_that_the_vault_rejects_is_replaced() {
    let world = World::new().await;
    let vault = world.vault();
    vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
    world.order(Order::RotateSigningKey { forget_old: true });
    vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
    assert_eq!(world.count(Operation::Token), 2);
}

#[tokio::test]
async fn a_token_that_ran_out_before_its_time_is_replaced() {
    let (world, expired) = (World::new().await, |expires| Order::SetTokenTimes {
        directory: DIRECTORY,
        times: TokenTimes {
            expires,
            ..TokenTimes::default()
        },
    });
    let vault = world.vault();
    // We are told that they live for an hour, and the vault finds them expired.
    world.order(expired(-1));
    let refused = vault.wrap(&tenant(VAULT), &data_key()).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::TokenRejected);
    assert_eq!(refused.evidence().code.as_deref(), Some("AKV10012"));
    assert_eq!(world.count(Operation::Token), 2);
    world.order(expired(3600));
    // A vault that refuses every token costs one other in a few seconds, not one for each call.
    let served = async {
        while vault.wrap(&tenant(VAULT), &data_key()).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), served)
        .await
        .unwrap();
    assert_eq!(world.count(Operation::Token), 3);
}

/// A vault's 401 to a token comes with a challenge, as that to no token does. A warm SDK answers it by itself, with the token
/// that we give it, and sends the body again; a cold one has had its challenge.
#[tokio::test]
async fn a_rejected_token_costs_one_other_and_the_body_is_sent_again() {
    for (client, rejections, tokens) in [(Client::Cold, 1, 2), (Client::Warm, 1, 0), (Client::Warm, 2, 1)] {
        let world = World::new().await;
        let (wrapped, vault) = (wrapped(&world).await, world.vault());
        client.prepare(&world, &vault, &wrapped).await;
        world.fault(Operation::UnwrapKey, Fault::Status { status: 401 }, Some(rejections));
        let unwrapped = vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
        assert_eq!(unwrapped.expose(), data_key().expose());
        assert_eq!(world.count(Operation::Token), tokens, "{client:?} {rejections}");
        assert_eq!(
            world.count(Operation::UnwrapKey),
            rejections + 1,
            "{client:?} {rejections}"
        );
    }
}

#[tokio::test]
async fn a_fresh_token_that_is_rejected_too_ends_it() {
    for (client, rejections, tokens) in [(Client::Cold, 2, 2), (Client::Warm, 3, 1)] {
        let world = World::new().await;
        let (wrapped, vault) = (wrapped(&world).await, world.vault());
        client.prepare(&world, &vault, &wrapped).await;
        world.fault(Operation::UnwrapKey, Fault::Status { status: 401 }, Some(rejections));
        let refused = unwrap_cause(&vault, &wrapped).await;
        assert_eq!(refused, VaultCause::TokenRejected);
        assert!(!refused.is_refusal());
        assert_eq!(world.count(Operation::Token), tokens, "{client:?}");
        vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
    }
}

#[tokio::test]
async fn each_trouble_of_entra_is_named() {
    for (fault, cause) in [
        (Fault::Throttle { retry_after: Some(9) }, VaultCause::EntraThrottled),
        (Fault::Status { status: 503 }, VaultCause::EntraUnavailable),
        (Fault::Hang, VaultCause::EntraUnavailable),
        (Fault::Reset, VaultCause::EntraUnavailable),
        (Fault::Truncate, VaultCause::EntraUnavailable),
        (Fault::Nonsense, VaultCause::EntraUnavailable),
    ] {
        let world = World::new().await;
        world.fault(Operation::Token, fault.clone(), Some(1));
        let failed = world.once(&fault).wrap(&tenant(VAULT), &data_key()).await;
        let failed = failed.unwrap_err();
        assert_eq!(failed.cause(), cause, "{fault:?}");
    }
}
