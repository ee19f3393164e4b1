//! What could we do in the vault beyond what we need?

use keyferry_azure::probe::Power;
use keyferry_crypto::tenant::Route;
use keyferry_registry::onboarding::{CheckName, Observed};

use super::{Looking, Seen, trouble};
use crate::finding::{Kind, With as _};

pub(super) async fn look(looking: &Looking<'_>, seen: &Seen, route: Route) -> Observed {
    let (Some(directory), Some(key), true) = (
        looking.subject.directory,
        &looking.subject.key,
        seen.passed(CheckName::Wrap),
    ) else {
        return Kind::PrivilegeNotLooked.observed();
    };
    match looking.parts.azure.excess(directory, key, route).await {
        Ok(powers) => found(&powers),
        Err(error) => trouble::found(looking, &error),
    }
}

fn found(powers: &[Power]) -> Observed {
    if powers.is_empty() {
        return Kind::PrivilegeLeast.observed();
    }
    let named: Vec<_> = powers.iter().map(|power| name(*power)).collect();
    Kind::PrivilegeMore.observed().with("powers", named.join(", "))
}

fn name(power: Power) -> &'static str {
    match power {
        Power::Sign => "sign with the key",
        Power::UpdateKey => "change keys",
        Power::CreateKey => "make keys",
        Power::DeleteKey => "delete keys",
        Power::PurgeKey => "purge deleted keys",
        Power::BackupKey => "take backups of keys",
        Power::ListSecrets => "list secrets",
    }
}
