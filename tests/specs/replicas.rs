//! Several processes on one registry.

use keyferry_client::{Context, TenantChange};
use keyferry_emulator::Operation;
use keyferry_tests::{Database, World, eventually};

#[tokio::test]
async fn what_one_replica_changes_holds_on_the_other() {
    for database in Database::each().await {
        let world = World::new(database).await;
        let (first, second) = (world.start().await, world.start().await);
        let acme = world.tenant(&first, "acme", None).await;
        let (data, context) = (world.data(&second, "acme"), Context::new());
        // Registered at the first, served by the second.
        let key = data.generate_data_key(&context).await.unwrap();
        // Suspended at the second, refused by the first, although it holds the key.
        world
            .data(&first, "acme")
            .unwrap(&key.wrapped_key, &context)
            .await
            .unwrap();
        let suspended = world
            .admin(&second)
            .suspend(&world.admin(&second).get("acme").await.unwrap())
            .await
            .unwrap();
        let at_first = world.data(&first, "acme");
        eventually("the first refuses", async || {
            let refused = at_first.unwrap(&key.wrapped_key, &context).await.map(drop);
            refused.is_err_and(|error| error.problem().unwrap().slug() == "tenant-suspended")
        })
        .await;
        // Resumed at the first; the second serves again, and asks Key Vault again.
        let unwraps = world.count(&acme, Operation::UnwrapKey);
        world.admin(&first).resume(&suspended).await.unwrap();
        eventually("the second serves", async || {
            data.unwrap(&key.wrapped_key, &context).await.is_ok()
        })
        .await;
        assert!(world.count(&acme, Operation::UnwrapKey) > unwraps);
    }
}

#[tokio::test]
async fn of_two_changes_at_once_one_wins_and_the_other_is_told() {
    for database in Database::each().await {
        let world = World::new(database).await;
        let (first, second) = (world.start().await, world.start().await);
        world.tenant(&first, "acme", None).await;
        let read = world.admin(&first).get("acme").await.unwrap();
        let change = |name: &str| TenantChange {
            display_name: Some(name.into()),
            ..TenantChange::default()
        };
        let (first, second) = (world.admin(&first), world.admin(&second));
        let (left, right) = (change("left"), change("right"));
        let outcomes = tokio::join!(first.update(&read, &left), second.update(&read, &right));
        let (won, lost) = match outcomes {
            (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
            other => panic!("{other:?}"),
        };
        assert_eq!(lost.problem().unwrap().slug(), "precondition-failed");
        assert_eq!(first.get("acme").await.unwrap(), won);
    }
}
