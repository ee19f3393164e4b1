//! What was granted works after a while, and at once when the waiting is ended.

use keyferry_emulator::{Assignment, EmulatorConfig, Order, Role, Scope};
use uuid::Uuid;

use crate::world::{A_DAY, APPLICATION, DIRECTORY, HOST, World, allowed, forbidden};

fn assign(principal: Uuid, works_after_seconds: u32) -> Order {
    Order::Assign {
        host: HOST.into(),
        assignment: Assignment {
            principal,
            role: Role::CryptoUser,
            scope: Scope::Vault,
        },
        works_after_seconds,
    }
}

#[tokio::test]
async fn a_principal_is_missing_until_its_consent_is_known() {
    let world = World::start().await;
    let oid = world.consent(A_DAY);
    assert_eq!(world.token().await, Err(7_000_229));
    world.order(Order::EndPropagation);
    assert!(world.token().await.is_ok());
    assert_eq!(world.consent(A_DAY), oid);
    assert!(world.token().await.is_ok(), "what is known is not forgotten");
}

#[tokio::test]
async fn a_consent_that_is_repeated_without_waiting_is_known_at_once() {
    let world = World::start().await;
    world.consent(A_DAY);
    world.consent(A_DAY);
    assert_eq!(world.token().await, Err(7_000_229));
    world.consent(0);
    assert!(world.token().await.is_ok());
}

#[tokio::test]
async fn a_role_is_missing_until_its_assignment_is_known() {
    let (world, oid) = World::with_vault().await;
    world.order(assign(oid, A_DAY));
    assert_eq!(world.reads_key().await, forbidden("ForbiddenByRbac"));
    world.order(Order::EndPropagation);
    assert_eq!(world.reads_key().await, allowed());
}

#[tokio::test]
async fn a_role_that_is_taken_away_by_order_is_gone_at_once() {
    let (world, oid) = World::with_vault().await;
    world.order(assign(oid, 0));
    assert_eq!(world.reads_key().await, allowed());
    let Order::Assign { host, assignment, .. } = assign(oid, 0) else {
        panic!("it is an assignment")
    };
    world.order(Order::Unassign { host, assignment });
    assert_eq!(world.reads_key().await, forbidden("ForbiddenByRbac"));
}

#[tokio::test]
async fn what_people_do_takes_as_long_as_the_world_says() {
    let (world, oid) = World::with_vault().await;
    let withdrawn = Order::WithdrawConsent {
        directory: DIRECTORY,
        client_id: APPLICATION,
    };
    world.order(withdrawn);
    world.order(Order::SetPropagation {
        consent_seconds: A_DAY,
        role_seconds: A_DAY,
    });
    let (directory, vault) = (format!("/directories/{DIRECTORY}"), format!("/vaults/{HOST}"));
    let said = world
        .browser
        .does(&directory, &format!("consent-{APPLICATION}"), &[])
        .await;
    assert!(said.contains("86400 seconds"), "{said}");
    assert!(world.browser.load(&directory).await.has("It cannot sign in"));
    assert_eq!(world.token().await, Err(7_000_229));
    world.order(Order::EndPropagation);
    assert!(world.token().await.is_ok());

    let new = world.consent(0);
    assert_ne!(new, oid);
    let fields = [
        ("principal", new.to_string()),
        ("role", "crypto-user".to_owned()),
        ("scope", "vault".to_owned()),
    ];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    world.browser.does(&vault, "assign-role", &fields).await;
    assert!(world.browser.load(&vault).await.has("It does not work yet."));
    assert_eq!(world.reads_key().await, forbidden("ForbiddenByRbac"));
    world.order(Order::EndPropagation);
    assert_eq!(world.reads_key().await, allowed());

    let button = format!("unassign-crypto-user-{new}-vault");
    world.browser.does(&vault, &button, &[]).await;
    assert!(
        world
            .browser
            .load(&vault)
            .await
            .has("It was taken away, and still works for a while.")
    );
    assert_eq!(world.reads_key().await, allowed());
    world.order(Order::EndPropagation);
    assert_eq!(world.reads_key().await, forbidden("ForbiddenByRbac"));
}

#[tokio::test]
async fn waiting_goes_on_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let config = EmulatorConfig {
        state_dir: Some(home.path().to_owned()),
        ..EmulatorConfig::default()
    };
    let world = World::with(config.clone()).await;
    world.consent(A_DAY);
    world.emulator.stop().await;
    let world = World::with(config).await;
    assert_eq!(world.token().await, Err(7_000_229));
    world.order(Order::EndPropagation);
    assert!(world.token().await.is_ok());
}
