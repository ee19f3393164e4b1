//! The golden vectors of what must not open, each with its reason, cached or not.

use std::collections::BTreeMap;

use keyferry_crypto::{
    context::EncryptionContext,
    id::{KekId, KeyRef, TenantId},
    sealer::{Content, Sealer, SealerError},
    tenant::TenantKeys,
};
use serde::Deserialize;

use crate::fake::{FakeVault, replica, tenant};

#[derive(Deserialize)]
struct Vectors {
    seal: Vec<Sealed>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Sealed {
    name: String,
    tenant: TenantId,
    content: String,
    context: BTreeMap<String, String>,
    plaintext: String,
    kek: String,
    data_key: String,
    wrapped: String,
    envelope: String,
}

#[derive(Deserialize)]
struct Refused {
    name: String,
    of: String,
    error: String,
    envelope: String,
    content: Option<String>,
    tenant: Option<TenantId>,
    context: Option<BTreeMap<String, String>>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../../tests/vectors/envelope.json")).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn content(name: &str) -> Content {
    match name {
        "key" => Content::Key,
        "data" => Content::Data,
        other => panic!("no such content: {other}"),
    }
}

impl Sealed {
    fn kek(&self) -> KekId {
        let (vault_and_name, version) = self.kek.rsplit_once('/').unwrap();
        let (vault, name) = vault_and_name
            .strip_prefix("https://")
            .unwrap()
            .split_once("/keys/")
            .unwrap();
        KekId {
            key: KeyRef {
                vault: vault.parse().unwrap(),
                name: name.parse().unwrap(),
            },
            version: version.parse().unwrap(),
        }
    }

    /// The tenant, with its key.
    fn tenant(&self) -> TenantKeys {
        TenantKeys {
            tenant: self.tenant,
            current: self.kek().key,
            ..tenant()
        }
    }

    /// A vault that unwraps this vector's data key, under its own KEK and under another version of it.
    fn vault(&self) -> std::sync::Arc<FakeVault> {
        let vault = FakeVault::new();
        let data_key = hex(&self.data_key).try_into().unwrap();
        vault.knows(&hex(&self.wrapped), self.kek(), data_key);
        vault
    }

    async fn opens(&self, sealer: &Sealer) {
        let context = EncryptionContext::new(self.context.clone()).unwrap();
        let opened = sealer
            .open(&self.tenant(), content(&self.content), &context, &hex(&self.envelope))
            .await;
        let opened = opened.unwrap();
        assert_eq!(opened.plaintext.expose(), hex(&self.plaintext), "{}", self.name);
        assert_eq!(opened.kek, self.kek(), "{}", self.name);
    }
}

#[tokio::test]
async fn golden_envelopes_open_through_the_vault_and_through_the_cache() {
    for vector in vectors().seal {
        let vault = vector.vault();
        let sealer = replica(&vault);
        vector.opens(&sealer).await;
        vector.opens(&sealer).await;
        assert_eq!(vault.unwraps(), 1);
    }
}

#[tokio::test]
async fn what_must_not_open_does_not_and_for_its_own_reason() {
    let vectors = vectors();
    assert!(vectors.refused.len() >= 36);
    for refused in vectors.refused {
        let vector = vectors.seal.iter().find(|vector| vector.name == refused.of).unwrap();
        let vault = vector.vault();
        if let Some(elsewhere) = other_version(&hex(&refused.envelope)) {
            vault.knows(
                &hex(&vector.wrapped),
                elsewhere,
                hex(&vector.data_key).try_into().unwrap(),
            );
        } else {
            vector.opens(&replica(&vault)).await;
        }
        let sealer = replica(&vault);
        assert_refused(&sealer, vector, &refused).await;
        if other_version(&hex(&refused.envelope)).is_none() {
            vector.opens(&sealer).await;
        }
        assert_refused(&sealer, vector, &refused).await;
    }
}

async fn assert_refused(sealer: &Sealer, vector: &Sealed, refused: &Refused) {
    let mut tenant = vector.tenant();
    tenant.tenant = refused.tenant.unwrap_or(tenant.tenant);
    let context = EncryptionContext::new(refused.context.clone().unwrap_or(vector.context.clone())).unwrap();
    let content = content(refused.content.as_ref().unwrap_or(&vector.content));
    let error = sealer
        .open(&tenant, content, &context, &hex(&refused.envelope))
        .await
        .unwrap_err();
    let reason = match error {
        SealerError::Malformed => "malformed",
        SealerError::WrongContent { .. } => "wrong-content",
        SealerError::ForeignKek => "foreign-kek",
        SealerError::NotAuthentic => "not-authentic",
        SealerError::TooLarge | SealerError::Vault(_) | SealerError::NoRandomness => "another",
    };
    assert_eq!(reason, refused.error, "{}", refused.name);
}

/// One vector names another version of the tenant's own key, which a vault would unwrap with, if it were so.
fn other_version(envelope: &[u8]) -> Option<KekId> {
    let text = format!("https://acme.vault.azure.net/keys/payroll-kek/{}", "0".repeat(32));
    envelope
        .windows(text.len())
        .any(|window| window == text.as_bytes())
        .then(|| KekId {
            key: KeyRef {
                vault: "acme.vault.azure.net".parse().unwrap(),
                name: "payroll-kek".parse().unwrap(),
            },
            version: "0".repeat(32).parse().unwrap(),
        })
}
