//! Sealing and opening in two steps: the vault is asked in the first, and the second needs nothing but a processor.

use keyferry_crypto::sealer::{Content, SealerError};

use crate::fake::{context, kid, open, seal, start, tenant, tenant_with};

#[tokio::test]
async fn the_second_step_runs_on_any_thread_and_needs_no_vault() {
    let (vault, sealer) = start();
    let (to_seal, about) = (sealer.key_to_seal(&tenant()).await.unwrap(), context(&[("app", "hr")]));
    vault.hangs();
    let sealed = std::thread::spawn({
        let about = about.clone();
        move || to_seal.seal(Content::Data, &about, b"payroll")
    });
    let sealed = sealed.join().unwrap().unwrap();
    let to_open = sealer.key_to_open(&tenant(), Content::Data, &sealed.envelope).await;
    let to_open = to_open.unwrap();
    let opened = std::thread::spawn(move || to_open.open(Content::Data, &about, &sealed.envelope));
    let opened = opened.join().unwrap().unwrap();
    assert_eq!((opened.plaintext.expose(), opened.kek), (&b"payroll"[..], sealed.kek));
}

#[tokio::test]
async fn two_steps_make_what_one_call_opens_and_the_reverse() {
    let (_, sealer) = start();
    let none = context(&[]);
    let key = sealer.key_to_seal(&tenant()).await.unwrap();
    let sealed = key.seal(Content::Data, &none, b"payroll").unwrap();
    open(&sealer, &tenant(), &sealed).await.unwrap();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let key = sealer.key_to_open(&tenant(), Content::Data, &sealed.envelope).await;
    key.unwrap().open(Content::Data, &none, &sealed.envelope).unwrap();
}

#[tokio::test]
async fn a_key_taken_to_seal_is_a_message_of_its_lease() {
    let (_, sealer) = start();
    let tenant = tenant_with(|policy| policy.lease_max_messages = 2);
    let keys = [
        sealer.key_to_seal(&tenant).await.unwrap(),
        sealer.key_to_seal(&tenant).await.unwrap(),
        sealer.key_to_seal(&tenant).await.unwrap(),
    ];
    let [first, second, third] = keys.map(|key| kid(&key.seal(Content::Data, &context(&[]), b"x").unwrap()));
    assert_eq!(first, second);
    assert_ne!(second, third);
}

#[tokio::test]
async fn a_key_opens_nothing_but_its_envelope() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    sealer.evict(tenant().tenant);
    vault.rotates();
    let other = seal(&sealer, &tenant()).await.unwrap();
    let rewrapped = sealer.rewrap(&tenant(), &sealed.envelope).await.unwrap();
    let key = async || {
        let key = sealer.key_to_open(&tenant(), Content::Data, &sealed.envelope).await;
        key.unwrap()
    };
    let none = context(&[]);
    for envelope in [&other.envelope, &rewrapped.envelope] {
        let opened = key().await.open(Content::Data, &none, envelope);
        assert!(matches!(opened, Err(SealerError::NotAuthentic)), "{opened:?}");
    }
    let opened = key().await.open(Content::Key, &none, &sealed.envelope);
    assert!(matches!(opened, Err(SealerError::WrongContent { .. })), "{opened:?}");
    let opened = key()
        .await
        .open(Content::Data, &context(&[("a", "b")]), &sealed.envelope);
    assert!(matches!(opened, Err(SealerError::NotAuthentic)), "{opened:?}");
    key().await.open(Content::Data, &none, &sealed.envelope).unwrap();
}
