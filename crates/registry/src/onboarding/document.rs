//! What is kept of an onboarding in one JSON document: all that no column asks for or guards.
//!
//! An aggregate is saved whole, so a replica that overlooked a field would lose it: a field that is not known makes a document
//! unreadable, as does another `format`. A format is therefore read in one release and written in a later one.

mod answers;
mod check;
mod endpoint;

use std::{collections::BTreeMap, time::Duration};

use keyferry_crypto::{
    id::{Cloud, DirectoryId, KekId, KeyRef, KeyVersion},
    tenant::SealingPolicy,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

pub(crate) use self::check::EvidenceDocument;
use self::{answers::AnswersDocument, check::CheckDocument, endpoint::EndpointDocument};
pub(super) use self::{check::read_checks, endpoint::read_endpoint_policy};
use super::{Canary, Link, Onboarding, PendingConsent};
use crate::{error::RegistryError, tenant::check_policy};

/// The document.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    format: u64,
    pub(super) display_name: String,
    pub(super) cloud: Cloud,
    pub(super) policy: PolicyDocument,
    pub(super) endpoint_policy: String,
    pub(super) allows_public_path: bool,
    pub(super) answers: AnswersDocument,
    pub(super) confirmed_directory: Option<DirectoryId>,
    pub(super) canary: Option<CanaryDocument>,
    pub(super) endpoint: Option<EndpointDocument>,
    pub(super) was_private: bool,
    pub(super) checks: BTreeMap<String, CheckDocument>,
    pub(super) link: LinkDocument,
    pub(super) consent: Option<ConsentDocument>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(super) stage_since: Option<OffsetDateTime>,
    pub(super) idle_rounds: u32,
}

/// As the columns of `tenants` have it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyDocument {
    cache_ttl_seconds: u64,
    lease_max_age_seconds: u64,
    lease_max_messages: u64,
    outage_grace_seconds: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CanaryDocument {
    key: KeyRef,
    version: KeyVersion,
    /// In base64.
    wrapped: String,
    /// In base64.
    digest: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkDocument {
    serial: u32,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsentDocument {
    /// In base64.
    nonce_digest: String,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

impl Document {
    /// Reads a document, of the one format that there is.
    pub(super) fn read(value: Value) -> Result<Self, RegistryError> {
        if value.get("format").and_then(Value::as_u64) != Some(FORMAT) {
            return Err(RegistryError::Corrupt("format"));
        }
        serde_json::from_value(value).map_err(|_| RegistryError::Corrupt("document"))
    }
}

impl From<&Onboarding> for Document {
    fn from(onboarding: &Onboarding) -> Self {
        let checks = onboarding.checks.iter();
        Self {
            format: FORMAT,
            display_name: onboarding.display_name.to_string(),
            cloud: onboarding.cloud,
            policy: PolicyDocument::from(&onboarding.policy),
            endpoint_policy: onboarding.endpoint_policy.slug().to_owned(),
            allows_public_path: onboarding.allows_public_path,
            answers: AnswersDocument::from(&onboarding.answers),
            confirmed_directory: onboarding.confirmed_directory,
            canary: onboarding.canary.as_ref().map(CanaryDocument::from),
            endpoint: onboarding.endpoint.as_ref().map(EndpointDocument::from),
            was_private: onboarding.was_private,
            checks: checks
                .map(|(name, check)| (name.slug().to_owned(), CheckDocument::from(check)))
                .collect(),
            link: LinkDocument {
                serial: onboarding.link.serial,
                expires_at: onboarding.link.expires_at,
            },
            consent: onboarding.consent.as_ref().map(ConsentDocument::from),
            stage_since: onboarding.stage.since(),
            idle_rounds: onboarding.schedule.idle_rounds,
        }
    }
}

impl From<&SealingPolicy> for PolicyDocument {
    fn from(policy: &SealingPolicy) -> Self {
        Self {
            cache_ttl_seconds: policy.cache_ttl.as_secs(),
            lease_max_age_seconds: policy.lease_max_age.as_secs(),
            lease_max_messages: policy.lease_max_messages,
            outage_grace_seconds: policy.outage_grace.as_secs(),
        }
    }
}

impl TryFrom<PolicyDocument> for SealingPolicy {
    type Error = RegistryError;

    fn try_from(document: PolicyDocument) -> Result<Self, RegistryError> {
        let policy = Self {
            cache_ttl: Duration::from_secs(document.cache_ttl_seconds),
            lease_max_age: Duration::from_secs(document.lease_max_age_seconds),
            lease_max_messages: document.lease_max_messages,
            outage_grace: Duration::from_secs(document.outage_grace_seconds),
        };
        check_policy(&policy).map_err(|_| RegistryError::Corrupt("policy"))?;
        Ok(policy)
    }
}

impl From<&Canary> for CanaryDocument {
    fn from(canary: &Canary) -> Self {
        Self {
            key: canary.kek.key.clone(),
            version: canary.kek.version.clone(),
            wrapped: base64(&canary.wrapped),
            digest: base64(&canary.digest),
        }
    }
}

impl TryFrom<CanaryDocument> for Canary {
    type Error = RegistryError;

    fn try_from(document: CanaryDocument) -> Result<Self, RegistryError> {
        let wrapped = bytes(&document.wrapped).ok_or(RegistryError::Corrupt("canary"))?;
        Ok(Self {
            kek: KekId {
                key: document.key,
                version: document.version,
            },
            wrapped: wrapped.into(),
            digest: digest(&document.digest).ok_or(RegistryError::Corrupt("canary"))?,
        })
    }
}

impl From<LinkDocument> for Link {
    fn from(document: LinkDocument) -> Self {
        Self {
            serial: document.serial,
            expires_at: document.expires_at,
        }
    }
}

impl From<&PendingConsent> for ConsentDocument {
    fn from(consent: &PendingConsent) -> Self {
        Self {
            nonce_digest: base64(&consent.nonce_digest),
            expires_at: consent.expires_at,
        }
    }
}

impl TryFrom<ConsentDocument> for PendingConsent {
    type Error = RegistryError;

    fn try_from(document: ConsentDocument) -> Result<Self, RegistryError> {
        Ok(Self {
            nonce_digest: digest(&document.nonce_digest).ok_or(RegistryError::Corrupt("consent"))?,
            expires_at: document.expires_at,
        })
    }
}

fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    base64_simd::STANDARD.decode_to_vec(text).ok()
}

fn digest(text: &str) -> Option<[u8; 32]> {
    bytes(text)?.try_into().ok()
}

const FORMAT: u64 = 1;
