//! The vault's resource id.

use keyferry_crypto::id::{ResourceGroup, SubscriptionId, VaultHost, VaultKind, VaultName, VaultResource};
use uuid::Uuid;

use super::{Field, Refusal, address, text};

/// Reads a vault's resource id, of a Key Vault; of `vault`, if that is known. A slash may be missing at its beginning or
/// be too many at its end.
pub fn vault_resource(vault: Option<&VaultHost>, typed: &str) -> Result<VaultResource, Refusal> {
    let value = text::without_brackets(text::value(typed)?)?;
    refuse_other_fields(value)?;
    if value.contains('\\') {
        return Err(Refusal::Backslash);
    }
    if value.contains('%') {
        return Err(Refusal::Encoded);
    }
    if value.contains(['?', '#']) {
        return Err(Refusal::Query);
    }
    let resource = read(value)?;
    if resource.kind == VaultKind::ManagedHsm {
        return Err(Refusal::ManagedHsm);
    }
    if vault.is_some_and(|vault| !resource.is_at(vault)) {
        return Err(Refusal::OtherVault);
    }
    Ok(resource)
}

fn refuse_other_fields(value: &str) -> Result<(), Refusal> {
    let other = |found| Refusal::OtherField {
        found,
        wanted: Field::Resource,
    };
    let lower = value.to_ascii_lowercase();
    let place = lower.split_once("://").map_or(lower.as_str(), |(_, rest)| rest);
    address::known_page(place)?;
    if lower.contains("://") || (place.contains(".vault.") && !place.starts_with('/')) {
        return Err(other(Field::Vault));
    }
    if Uuid::try_parse(value).is_ok() {
        return Err(other(Field::Directory));
    }
    if value.contains('@') && !value.contains('/') {
        return Err(Refusal::Email);
    }
    Ok(())
}

/// Reads the id segment by segment, to say at which one it goes wrong; whether it is right is for the type to say.
fn read(value: &str) -> Result<VaultResource, Refusal> {
    let path = value.strip_prefix('/').unwrap_or(value);
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<_> = path.splitn(10, '/').collect();
    if !segments[0].eq_ignore_ascii_case("subscriptions") {
        return Err(Refusal::NotAResourceId);
    }
    if segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
        return Err(Refusal::OddPath);
    }
    if let Some(subscription) = segments.get(1) {
        subscription
            .parse::<SubscriptionId>()
            .map_err(|_| Refusal::Subscription)?;
    }
    if let Some(group) = segments.get(3) {
        group.parse::<ResourceGroup>().map_err(|_| Refusal::ResourceGroup)?;
    }
    let is = |place: usize, word: &str| {
        segments
            .get(place)
            .is_some_and(|segment| segment.eq_ignore_ascii_case(word))
    };
    if segments.len() < 6 {
        return Err(Refusal::ResourceTooShort);
    }
    if !is(5, "Microsoft.KeyVault") || !(segments.len() < 7 || is(6, "vaults") || is(6, "managedHSMs")) {
        return Err(Refusal::OtherResource);
    }
    if segments.len() < 8 {
        return Err(Refusal::ResourceTooShort);
    }
    segments[7].parse::<VaultName>().map_err(|_| Refusal::VaultName)?;
    if segments.len() > 8 {
        return Err(Refusal::ResourceTooLong);
    }
    format!("/{path}").parse().map_err(|_| Refusal::NotAResourceId)
}
