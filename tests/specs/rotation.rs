//! A customer's key gets new versions.

use keyferry_client::{Context, Policy, Secret};
use keyferry_emulator::Operation;
use keyferry_tests::{Database, World};

/// No lease outlives its message, so that the next one shows which version wraps.
const EAGER: Policy = Policy {
    cache_ttl_seconds: 300,
    lease_max_age_seconds: 300,
    lease_max_messages: 1,
    outage_grace_seconds: 0,
};

#[tokio::test]
async fn what_an_old_version_sealed_opens_and_is_rewrapped_without_its_data() {
    let world = World::new(Database::sqlite()).await;
    let keyferry = world.start().await;
    let acme = world.tenant(&keyferry, "acme", Some(EAGER)).await;
    let (data, context) = (
        world.data(&keyferry, "acme"),
        Context::from([("table".to_owned(), "payroll".to_owned())]),
    );
    let old = data
        .encrypt(&Secret::from(b"payroll".to_vec()), &context)
        .await
        .unwrap();
    world.new_version(&acme);
    let new = data
        .encrypt(&Secret::from(b"payroll".to_vec()), &context)
        .await
        .unwrap();
    assert_ne!(old.key_id, new.key_id);
    assert_eq!(
        data.decrypt(&old.ciphertext, &context)
            .await
            .unwrap()
            .plaintext
            .expose(),
        b"payroll"
    );
    // No context is sent: rewrapping never looks inside.
    let moved = data.rewrap(&old.ciphertext).await.unwrap();
    assert_eq!(moved.key_id, new.key_id);
    assert_eq!(
        data.decrypt(&moved.ciphertext, &context)
            .await
            .unwrap()
            .plaintext
            .expose(),
        b"payroll"
    );
    assert!(world.count(&acme, Operation::WrapKey) >= 3);
}

#[tokio::test]
async fn large_data_goes_through_as_bytes() {
    let world = World::new(Database::sqlite()).await;
    let keyferry = world.start().await;
    world.tenant(&keyferry, "acme", None).await;
    let (data, context) = (world.data(&keyferry, "acme"), Context::new());
    let plaintext: Vec<u8> = (0..40_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let envelope = data.encrypt_bytes(plaintext.clone(), &context).await.unwrap();
    assert!(data.decrypt_bytes(envelope, &context).await.unwrap().expose() == plaintext);
}
