//! Is the key protected against deletion, and the vault against the public network?

use keyferry_azure::{KeyDescription, probe::VaultProperties};
use keyferry_crypto::vault::VaultError;
use keyferry_registry::onboarding::{CheckName, Observed};

use super::{Looking, Seen};
use crate::finding::{Kind, With as _};

/// Asks the resource manager, if it lets us; else takes what the key says of itself.
pub(super) async fn look(
    looking: &Looking<'_>,
    seen: &Seen,
    described: Option<&Result<KeyDescription, VaultError>>,
) -> Observed {
    let resource = looking.onboarding.answers.resource.as_ref();
    let ours = resource.filter(|resource| {
        looking
            .subject
            .vault
            .as_ref()
            .is_some_and(|vault| resource.is_at(vault))
    });
    if let (Some(directory), Some(resource), true) = (looking.subject.directory, ours, seen.passed(CheckName::Consent))
        && let Ok(properties) = looking
            .parts
            .azure
            .vault_properties(looking.subject.cloud, directory, resource)
            .await
    {
        return by_vault(&properties);
    }
    let level = described.and_then(|described| described.as_ref().ok()?.recovery_level.as_deref());
    level.map_or_else(
        || Kind::ProtectionNotLooked.observed(),
        |level| by_key(level).observed(),
    )
}

fn by_vault(vault: &VaultProperties) -> Observed {
    let kind = match (vault.soft_delete, vault.purge_protection) {
        (false, _) => Kind::SoftDeleteOff,
        (true, false) => Kind::PurgePossible,
        (true, true) => Kind::Protected,
    };
    let network = match (vault.public_network, vault.open_to_all) {
        (false, _) => "closed",
        (true, false) => "chosen",
        (true, true) => "open",
    };
    kind.observed()
        .with("public_network", network)
        .with("access", if vault.uses_roles { "roles" } else { "policies" })
        .with("location", &vault.location)
}

/// `Purgeable`: no soft delete. `Recoverable+Purgeable`: it can be recovered, and purged.
fn by_key(level: &str) -> Kind {
    let has = |word: &str| level.split('+').any(|part| part == word);
    match (has("Purgeable"), has("Recoverable") || has("CustomizedRecoverable")) {
        (true, false) => Kind::SoftDeleteOff,
        (false, true) => Kind::Protected,
        (true, true) | (false, false) => Kind::PurgePossible,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keys_own_word_tells_how_it_is_protected() {
        for (level, kind) in [
            ("Purgeable", Kind::SoftDeleteOff),
            ("Recoverable+Purgeable", Kind::PurgePossible),
            ("CustomizedRecoverable+Purgeable", Kind::PurgePossible),
            ("Recoverable", Kind::Protected),
            ("Recoverable+ProtectedSubscription", Kind::Protected),
            ("CustomizedRecoverable+ProtectedSubscription", Kind::Protected),
            ("SomethingNew", Kind::PurgePossible),
        ] {
            assert_eq!(by_key(level), kind, "{level}");
        }
    }
}
