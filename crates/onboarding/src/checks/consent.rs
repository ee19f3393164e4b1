//! Has our application a principal in the directory, and can a token be had for it?

use keyferry_crypto::vault::{VaultCause, VaultError};
use keyferry_registry::onboarding::{CheckName, CheckStatus, Observed};
use time::OffsetDateTime;

use super::{Looking, Seen, rfc3339, trouble};
use crate::finding::{Kind, With as _};

pub(super) async fn look(looking: &Looking<'_>, seen: &Seen) -> Observed {
    let Some(directory) = looking.subject.directory.filter(|_| seen.passed(CheckName::Directory)) else {
        return carrying(looking, Kind::ConsentNotLooked.observed());
    };
    match looking.parts.azure.principal(looking.subject.cloud, directory).await {
        Ok(facts) if facts.directory == directory => Kind::ConsentGiven.observed().with("object_id", facts.object_id),
        Ok(_) => Kind::OurTokenRefused.observed(),
        Err(error) => carrying(looking, refused(looking, &error)),
    }
}

/// What is kept when consent came back: by nothing but a browser's word, so it is waited for and not believed.
pub(crate) fn returned(now: OffsetDateTime) -> Observed {
    Kind::ConsentSpreading.observed().with(RETURNED_AT, rfc3339(now))
}

fn refused(looking: &Looking<'_>, error: &VaultError) -> Observed {
    let came_back = looking.carried_time(CheckName::Consent, RETURNED_AT);
    let is_spreading = came_back.is_some_and(|at| looking.now < at + looking.config.consent_patience);
    if error.cause() == VaultCause::ConsentMissing && is_spreading {
        return Kind::ConsentSpreading.observed().told_by(error.evidence());
    }
    trouble::found(looking, error)
}

/// When consent came back is kept until the principal was seen, whatever comes between.
fn carrying(looking: &Looking<'_>, observed: Observed) -> Observed {
    match looking.carried(CheckName::Consent, RETURNED_AT) {
        Some(at) if observed.status != CheckStatus::Passed => observed.with(RETURNED_AT, at),
        _ => observed,
    }
}

const RETURNED_AT: &str = "returned_at";
