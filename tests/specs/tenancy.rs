//! Tenants are apart, whatever they share.

use keyferry_client::{Context, Secret};
use keyferry_tests::{Database, World};

#[tokio::test]
async fn two_tenants_of_one_vault_and_one_key_cannot_open_each_others_envelopes() {
    let world = World::new(Database::sqlite()).await;
    let keyferry = world.start().await;
    let left = world.tenant(&keyferry, "left", None).await;
    let mut registration = left.registration(None);
    registration.slug = "right".into();
    world.admin(&keyferry).create(&registration, None).await.unwrap();
    let context = Context::new();
    let sealed = {
        let left = world.data(&keyferry, "left");
        let plaintext = Secret::from(b"payroll".to_vec());
        let (data, key) = (
            left.encrypt(&plaintext, &context).await.unwrap(),
            left.generate_data_key(&context).await.unwrap(),
        );
        left.decrypt(&data.ciphertext, &context).await.unwrap();
        left.unwrap(&key.wrapped_key, &context).await.unwrap();
        (data.ciphertext, key.wrapped_key)
    };
    // Cached by the process that sealed, then by one that holds nothing.
    for keyferry in [keyferry, world.start().await] {
        let right = world.data(&keyferry, "right");
        let refused = [
            right.decrypt(&sealed.0, &context).await.map(drop).unwrap_err(),
            right.unwrap(&sealed.1, &context).await.map(drop).unwrap_err(),
            right.rewrap(&sealed.0).await.map(drop).unwrap_err(),
            right.rewrap_key(&sealed.1).await.map(drop).unwrap_err(),
        ];
        for error in refused {
            assert_eq!(error.problem().unwrap().slug(), "not-authentic");
        }
        assert!(world.data(&keyferry, "left").decrypt(&sealed.0, &context).await.is_ok());
    }
}
