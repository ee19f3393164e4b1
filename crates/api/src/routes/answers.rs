//! What data operations answer, as the API's description shows it. The answers themselves are written by
//! [`Answer`](crate::codec::Answer), byte for byte; a test holds the two to each other.

#![expect(dead_code, reason = "these types describe; nothing makes a value of them")]

use utoipa::ToSchema;

use crate::problem::Document;

/// A new key, in plaintext and wrapped.
#[derive(ToSchema)]
pub(super) struct DataKeyAnswer {
    /// The key, base64url without padding. Absent if it was not asked for.
    #[schema(required = false, example = "3q2-7wQhA1k0q0m9Jm0k0Zx0v1nq3o0yX0m1m0m2c8A")]
    plaintext: Option<String>,
    /// The wrapped key: an envelope, base64url without padding.
    wrapped_key: String,
    /// The key encryption key: `https://{vault}/keys/{name}/{version}`.
    #[schema(example = "https://acme.vault.azure.net/keys/kek/c4a1b9c151b740d985b8a51f9efeb51b")]
    key_id: String,
}

/// A wrapped key.
#[derive(ToSchema)]
pub(super) struct WrappedKeyAnswer {
    /// The wrapped key: an envelope, base64url without padding.
    wrapped_key: String,
    /// The key encryption key: `https://{vault}/keys/{name}/{version}`.
    #[schema(example = "https://acme.vault.azure.net/keys/kek/c4a1b9c151b740d985b8a51f9efeb51b")]
    key_id: String,
}

/// An unwrapped key.
#[derive(ToSchema)]
pub(super) struct KeyAnswer {
    /// The key, base64url without padding.
    key: String,
    /// The key encryption key that it was wrapped under.
    #[schema(example = "https://acme.vault.azure.net/keys/kek/c4a1b9c151b740d985b8a51f9efeb51b")]
    key_id: String,
}

/// Encrypted data.
#[derive(ToSchema)]
pub(super) struct CiphertextAnswer {
    /// The ciphertext: an envelope, base64url without padding.
    ciphertext: String,
    /// The key encryption key.
    #[schema(example = "https://acme.vault.azure.net/keys/kek/c4a1b9c151b740d985b8a51f9efeb51b")]
    key_id: String,
}

/// Decrypted data.
#[derive(ToSchema)]
pub(super) struct PlaintextAnswer {
    /// The data, base64url without padding.
    plaintext: String,
    /// The key encryption key that it was sealed under.
    #[schema(example = "https://acme.vault.azure.net/keys/kek/c4a1b9c151b740d985b8a51f9efeb51b")]
    key_id: String,
}

/// The same envelope under the newest key encryption key: in the field that it came in.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum RewrapAnswer {
    /// A wrapped key was given.
    WrappedKey(WrappedKeyAnswer),
    /// A ciphertext was given.
    Ciphertext(CiphertextAnswer),
}

/// Several of the same request.
#[derive(ToSchema)]
pub(super) struct Batch<T> {
    /// At most 1000.
    #[schema(max_items = 1000)]
    items: Vec<T>,
}

/// The items' outcomes, in the items' order.
#[derive(ToSchema)]
pub(super) struct BatchAnswer<T> {
    /// As many as there were items.
    results: Vec<ItemAnswer<T>>,
}

/// An item's outcome.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ItemAnswer<T> {
    /// It was done.
    Ok(T),
    /// It was not.
    Problem(Document<'static>),
}
