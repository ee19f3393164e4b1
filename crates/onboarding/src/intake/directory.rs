//! The directory's id.

use keyferry_crypto::id::DirectoryId;
use uuid::{Uuid, uuid};

use super::{Field, Refusal, address, text};

/// Reads a directory's id, what Entra calls the Tenant ID: a GUID in any usual spelling. `our_client_id` is the
/// application's, which is mistaken for it.
pub fn directory(our_client_id: Uuid, typed: &str) -> Result<DirectoryId, Refusal> {
    let value = text::value(typed)?;
    match Uuid::try_parse(without_parentheses(value)) {
        Ok(id) if id.is_nil() => Err(Refusal::NilId),
        Ok(id) if id == our_client_id => Err(Refusal::OurApplication),
        Ok(PERSONAL_ACCOUNTS) => Err(Refusal::PersonalAccounts),
        Ok(id) => Ok(DirectoryId(id)),
        Err(_) => Err(why_not(value)),
    }
}

fn without_parentheses(value: &str) -> &str {
    value
        .strip_prefix('(')
        .and_then(|value| value.strip_suffix(')'))
        .unwrap_or(value)
}

fn why_not(value: &str) -> Refusal {
    if let Err(refusal) = text::without_brackets(value) {
        return refusal;
    }
    let lower = value.to_ascii_lowercase();
    let other = |found| Refusal::OtherField {
        found,
        wanted: Field::Directory,
    };
    if lower.starts_with("/subscriptions") {
        return other(Field::Resource);
    }
    if ["common", "organizations", "consumers"].contains(&lower.as_str()) {
        return Refusal::AnyDirectory;
    }
    let place = lower.split_once("://").map_or(lower.as_str(), |(_, rest)| rest);
    if let Err(refusal) = address::known_page(place) {
        return refusal;
    }
    if place.contains("vault.") || place.contains("managedhsm.") {
        return other(Field::Vault);
    }
    if let Err(refusal) = text::ascii(value) {
        return refusal;
    }
    if lower.contains('@') {
        return Refusal::Email;
    }
    if lower.contains('.') {
        return Refusal::DomainName;
    }
    let digits = lower.bytes().filter(u8::is_ascii_hexdigit).count();
    if lower.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') && digits >= 8 && digits != 32 {
        return Refusal::IdLength { digits };
    }
    Refusal::NotAnId
}

/// The directory of all personal Microsoft accounts.
const PERSONAL_ACCOUNTS: Uuid = uuid!("9188040d-6c67-4c5b-b112-36a304b66dad");
