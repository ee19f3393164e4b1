//! Checks in the document.

use std::collections::BTreeMap;

use keyferry_crypto::vault::Evidence;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    error::RegistryError,
    onboarding::{Check, CheckName, CheckStatus, Finding, Observed},
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::onboarding) struct CheckDocument {
    status: String,
    finding: String,
    values: BTreeMap<String, String>,
    evidence: Option<EvidenceDocument>,
    #[serde(with = "time::serde::rfc3339")]
    checked_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
    attempts: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EvidenceDocument {
    status: Option<u16>,
    code: Option<String>,
    request_id: Option<String>,
}

impl From<&Check> for CheckDocument {
    fn from(check: &Check) -> Self {
        let observed = &check.observed;
        Self {
            status: observed.status.slug().to_owned(),
            finding: observed.finding.slug.clone(),
            values: observed.finding.values.clone(),
            evidence: observed.evidence.as_ref().map(EvidenceDocument::from),
            checked_at: check.checked_at,
            since: check.since,
            attempts: check.attempts,
        }
    }
}

impl From<&Evidence> for EvidenceDocument {
    fn from(evidence: &Evidence) -> Self {
        Self {
            status: evidence.status,
            code: evidence.code.clone(),
            request_id: evidence.request_id.clone(),
        }
    }
}

impl TryFrom<CheckDocument> for Check {
    type Error = RegistryError;

    fn try_from(document: CheckDocument) -> Result<Self, RegistryError> {
        let status = CheckStatus::ALL
            .into_iter()
            .find(|status| status.slug() == document.status);
        Ok(Self {
            observed: Observed {
                status: status.ok_or(RegistryError::Corrupt("checks"))?,
                finding: Finding {
                    slug: document.finding,
                    values: document.values,
                },
                evidence: document.evidence.map(Evidence::from),
            },
            checked_at: document.checked_at,
            since: document.since,
            attempts: document.attempts,
        })
    }
}

impl From<EvidenceDocument> for Evidence {
    fn from(document: EvidenceDocument) -> Self {
        Self {
            status: document.status,
            code: document.code,
            request_id: document.request_id,
        }
    }
}

/// The checks by their names.
pub(in crate::onboarding) fn read_checks(
    documents: BTreeMap<String, CheckDocument>,
) -> Result<BTreeMap<CheckName, Check>, RegistryError> {
    let read = documents.into_iter().map(|(slug, document)| {
        let name = CheckName::ALL.into_iter().find(|name| name.slug() == slug);
        Ok((name.ok_or(RegistryError::Corrupt("checks"))?, document.try_into()?))
    });
    read.collect()
}
