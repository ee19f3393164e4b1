//! The data plane: generate, wrap, unwrap, rewrap, encrypt, decrypt, singly and in batches.

use std::collections::BTreeMap;

use base64_simd::URL_SAFE_NO_PAD;
use reqwest::{Method, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    error::{Error, Problem},
    secret::Secret,
    transport::{Client, send},
};

/// An encryption context: what was sealed with it opens only with it.
pub type Context = BTreeMap<String, String>;

/// The data plane for one tenant.
#[derive(Clone, Debug)]
pub struct TenantClient {
    client: Client,
    slug: String,
}

/// A generated data key.
#[derive(Debug, Deserialize)]
pub struct DataKey {
    /// The key itself, unless it was not asked for.
    #[serde(default)]
    pub plaintext: Option<Secret>,
    /// The envelope that holds it.
    pub wrapped_key: String,
    /// The key encryption key.
    pub key_id: String,
}

/// A wrapped key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SealedKey {
    /// The envelope.
    pub wrapped_key: String,
    /// The key encryption key.
    pub key_id: String,
}

/// An unwrapped key.
#[derive(Debug, Deserialize)]
pub struct OpenedKey {
    /// The key.
    pub key: Secret,
    /// The key encryption key.
    pub key_id: String,
}

/// Encrypted data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sealed {
    /// The envelope.
    pub ciphertext: String,
    /// The key encryption key.
    pub key_id: String,
}

/// Decrypted data.
#[derive(Debug, Deserialize)]
pub struct Opened {
    /// The data.
    pub plaintext: Secret,
    /// The key encryption key.
    pub key_id: String,
}

/// An envelope of either kind, as it is to be rewrapped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    /// A wrapped key.
    WrappedKey(String),
    /// Encrypted data.
    Ciphertext(String),
}

/// A rewrapped envelope.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rewrapped {
    /// The envelope, of the same kind as before.
    #[serde(flatten)]
    pub envelope: Envelope,
    /// The key encryption key.
    pub key_id: String,
}

/// One item's outcome in a batch.
#[derive(Debug, Deserialize)]
pub enum BatchItem<T> {
    /// It was done.
    #[serde(rename = "ok")]
    Done(T),
    /// It failed; the others may not have.
    #[serde(rename = "problem")]
    Problem(Box<Problem>),
}

impl<T> BatchItem<T> {
    /// The outcome as a result.
    pub fn into_result(self) -> Result<T, Box<Problem>> {
        match self {
            Self::Done(done) => Ok(done),
            Self::Problem(problem) => Err(problem),
        }
    }
}

#[derive(Deserialize)]
struct Results<T> {
    results: Vec<BatchItem<T>>,
}

#[derive(Serialize)]
struct Envelopes<'a> {
    items: &'a [&'a Envelope],
}

impl TenantClient {
    pub(crate) fn new(client: Client, slug: &str) -> Self {
        Self {
            client,
            slug: slug.to_owned(),
        }
    }

    /// Makes a data key and wraps it.
    pub async fn generate_data_key(&self, context: &Context) -> Result<DataKey, Error> {
        self.call("generate-data-key", &json!({"encryption_context": context}))
            .await
    }

    /// Wraps a key of the caller's.
    pub async fn wrap(&self, key: &Secret, context: &Context) -> Result<SealedKey, Error> {
        self.call(
            "wrap",
            &Request {
                key: Some(key),
                ..Request::new(context)
            },
        )
        .await
    }

    /// Unwraps a key.
    pub async fn unwrap(&self, wrapped_key: &str, context: &Context) -> Result<OpenedKey, Error> {
        self.call(
            "unwrap",
            &Request {
                wrapped_key: Some(wrapped_key),
                ..Request::new(context)
            },
        )
        .await
    }

    /// Wraps a wrapped key under the newest key encryption key.
    pub async fn rewrap_key(&self, wrapped_key: &str) -> Result<SealedKey, Error> {
        self.call("rewrap", &json!({"wrapped_key": wrapped_key})).await
    }

    /// Wraps encrypted data's key under the newest key encryption key.
    pub async fn rewrap(&self, ciphertext: &str) -> Result<Sealed, Error> {
        self.call("rewrap", &json!({"ciphertext": ciphertext})).await
    }

    /// Encrypts data.
    pub async fn encrypt(&self, plaintext: &Secret, context: &Context) -> Result<Sealed, Error> {
        self.call(
            "encrypt",
            &Request {
                plaintext: Some(plaintext),
                ..Request::new(context)
            },
        )
        .await
    }

    /// Decrypts data.
    pub async fn decrypt(&self, ciphertext: &str, context: &Context) -> Result<Opened, Error> {
        self.call(
            "decrypt",
            &Request {
                ciphertext: Some(ciphertext),
                ..Request::new(context)
            },
        )
        .await
    }

    /// Encrypts a large body, as bytes. Answers the envelope's bytes.
    pub async fn encrypt_bytes(&self, plaintext: Vec<u8>, context: &Context) -> Result<Vec<u8>, Error> {
        self.bytes("encrypt", plaintext, context).await
    }

    /// Decrypts a large envelope, as bytes.
    pub async fn decrypt_bytes(&self, envelope: Vec<u8>, context: &Context) -> Result<Secret, Error> {
        self.bytes("decrypt", envelope, context).await.map(Secret::from)
    }

    /// Wraps the keys of many envelopes, 1000 at most, under the newest key encryption key; the outcomes are in order.
    pub async fn rewrap_batch(&self, envelopes: &[&Envelope]) -> Result<Vec<BatchItem<Rewrapped>>, Error> {
        let path = ["v1", "tenants", &self.slug, "rewrap", "batch"];
        let answer: Results<Rewrapped> = self.client.post(&path, &Envelopes { items: envelopes }).await?;
        if answer.results.len() == envelopes.len() {
            Ok(answer.results)
        } else {
            Err(Error::Unexpected("not as many outcomes as items"))
        }
    }

    /// Any operation (`unwrap`) on many items, each as its single request would be; the outcomes are in order.
    pub async fn batch<T: DeserializeOwned>(
        &self,
        operation: &str,
        items: &[Value],
    ) -> Result<Vec<BatchItem<T>>, Error> {
        let path = ["v1", "tenants", &self.slug, operation, "batch"];
        let answer: Results<T> = self.client.post(&path, &json!({"items": items})).await?;
        Ok(answer.results)
    }

    async fn call<T: DeserializeOwned>(&self, operation: &str, body: &impl Serialize) -> Result<T, Error> {
        self.client.post(&["v1", "tenants", &self.slug, operation], body).await
    }

    async fn bytes(&self, operation: &str, body: Vec<u8>, context: &Context) -> Result<Vec<u8>, Error> {
        let request = self
            .client
            .request(Method::POST, &["v1", "tenants", &self.slug, operation])
            .await?;
        let context = URL_SAFE_NO_PAD.encode_to_string(json!(context).to_string());
        let request = request
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header("keyferry-encryption-context", context)
            .body(body);
        Ok(send(request).await?.bytes().await?.to_vec())
    }
}

/// A request with whichever of its fields the operation takes.
#[derive(Serialize)]
struct Request<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrapped_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<&'a Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext: Option<&'a str>,
    encryption_context: &'a Context,
}

impl<'a> Request<'a> {
    fn new(encryption_context: &'a Context) -> Self {
        Self {
            key: None,
            wrapped_key: None,
            plaintext: None,
            ciphertext: None,
            encryption_context,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_sent_and_comes_back_under_the_name_of_its_kind() {
        let sent = serde_json::to_string(&Envelope::Ciphertext("2BA".into())).unwrap();
        assert_eq!(sent, r#"{"ciphertext":"2BA"}"#);
        let back: Rewrapped =
            serde_json::from_str(r#"{"wrapped_key": "2BB", "key_id": "https://v/keys/k/1"}"#).unwrap();
        assert_eq!(back.envelope, Envelope::WrappedKey("2BB".into()));
    }
}
