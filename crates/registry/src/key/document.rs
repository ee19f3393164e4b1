//! What is kept of keys in JSON. A field that is not known makes a document unreadable: of a key's health it would be lost with
//! the next look, of an event it may be what matters.

use keyferry_crypto::{
    canary::Canary,
    id::{KekId, KeyRef, KeyVersion},
    news::Refusal,
    vault::{Evidence, VaultCause},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{KeyHealth, KeyNews, KeyState, Trouble};
use crate::{
    error::RegistryError,
    onboarding::{CanaryDocument, EvidenceDocument, without_nul},
};

/// A version of a key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KekDocument {
    key: KeyRef,
    version: KeyVersion,
}

/// The canaries of a key. It is saved whole, so a new `format` is read in one release and written in a later one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CanariesDocument {
    format: u64,
    canaries: Vec<CanaryDocument>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusalDocument {
    call: String,
    key: KeyRef,
    version: Option<KeyVersion>,
    cause: String,
    evidence: EvidenceDocument,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateDocument {
    state: String,
    cause: Option<String>,
    evidence: Option<EvidenceDocument>,
}

impl From<&KekId> for KekDocument {
    fn from(kek: &KekId) -> Self {
        Self {
            key: kek.key.clone(),
            version: kek.version.clone(),
        }
    }
}

impl From<KekDocument> for KekId {
    fn from(document: KekDocument) -> Self {
        Self {
            key: document.key,
            version: document.version,
        }
    }
}

/// The newest of a key's canaries, as many as are watched.
pub(super) fn write_canaries(canaries: &[Canary]) -> Result<Value, RegistryError> {
    let newest = canaries.iter().take(KeyHealth::MAX_CANARIES);
    write(&CanariesDocument {
        format: FORMAT,
        canaries: newest.map(CanaryDocument::from).collect(),
    })
}

pub(super) fn read_canaries(value: Value) -> Result<Vec<Canary>, RegistryError> {
    if value.get("format").and_then(Value::as_u64) != Some(FORMAT) {
        return Err(RegistryError::Corrupt("format"));
    }
    let document: CanariesDocument = read(value, "canaries")?;
    document.canaries.into_iter().map(Canary::try_from).collect()
}

pub(super) fn write_evidence(evidence: &Evidence) -> Result<Value, RegistryError> {
    write(&EvidenceDocument::from(evidence))
}

/// A state of its columns.
pub(super) fn read_state(
    state: &str,
    cause: Option<String>,
    evidence: Option<Value>,
) -> Result<KeyState, RegistryError> {
    let evidence = evidence.map(|value| read(value, "evidence")).transpose()?;
    StateDocument {
        state: state.to_owned(),
        cause,
        evidence,
    }
    .try_into()
}

/// What an event's kind is called, and its details.
pub(super) fn write_news(news: &KeyNews) -> Result<(&'static str, Value), RegistryError> {
    Ok(match news {
        KeyNews::Withdrawn(refusal) => (WITHDRAWN, write(&RefusalDocument::from(refusal))?),
        KeyNews::State(state) => (STATE, write(&StateDocument::from(state))?),
        KeyNews::Version(kek) => (VERSION, write(&KekDocument::from(kek))?),
    })
}

pub(super) fn read_news(kind: &str, details: Value) -> Result<KeyNews, RegistryError> {
    Ok(match kind {
        WITHDRAWN => KeyNews::Withdrawn(read::<RefusalDocument>(details, "details")?.try_into()?),
        STATE => KeyNews::State(read::<StateDocument>(details, "details")?.try_into()?),
        VERSION => KeyNews::Version(read::<KekDocument>(details, "details")?.into()),
        _ => return Err(RegistryError::Corrupt("kind")),
    })
}

impl From<&Refusal> for RefusalDocument {
    fn from(refusal: &Refusal) -> Self {
        Self {
            call: refusal.call.slug().to_owned(),
            key: refusal.key.clone(),
            version: refusal.version.clone(),
            cause: refusal.cause.slug().to_owned(),
            evidence: EvidenceDocument::from(&refusal.evidence),
        }
    }
}

impl TryFrom<RefusalDocument> for Refusal {
    type Error = RegistryError;

    fn try_from(document: RefusalDocument) -> Result<Self, RegistryError> {
        Ok(Self {
            call: document.call.parse().map_err(|_| RegistryError::Corrupt("call"))?,
            key: document.key,
            version: document.version,
            cause: read_cause(&document.cause)?,
            evidence: document.evidence.into(),
        })
    }
}

impl From<&KeyState> for StateDocument {
    fn from(state: &KeyState) -> Self {
        let trouble = state.trouble();
        Self {
            state: state.slug().to_owned(),
            cause: trouble.map(|trouble| trouble.cause.slug().to_owned()),
            evidence: trouble.map(|trouble| EvidenceDocument::from(&trouble.evidence)),
        }
    }
}

impl TryFrom<StateDocument> for KeyState {
    type Error = RegistryError;

    fn try_from(document: StateDocument) -> Result<Self, RegistryError> {
        let trouble = match (document.cause, document.evidence) {
            (None, None) => None,
            (Some(cause), Some(evidence)) => Some(Trouble {
                cause: read_cause(&cause)?,
                evidence: evidence.into(),
            }),
            _ => return Err(RegistryError::Corrupt("cause")),
        };
        match (document.state.as_str(), trouble) {
            ("unknown", None) => Ok(Self::Unknown),
            ("healthy", None) => Ok(Self::Healthy),
            ("degraded", Some(trouble)) => Ok(Self::Degraded(trouble)),
            ("refused", Some(trouble)) => Ok(Self::Refused(trouble)),
            _ => Err(RegistryError::Corrupt("state")),
        }
    }
}

fn read_cause(slug: &str) -> Result<VaultCause, RegistryError> {
    slug.parse().map_err(|_| RegistryError::Corrupt("cause"))
}

pub(super) fn write(document: &impl Serialize) -> Result<Value, RegistryError> {
    let value = serde_json::to_value(document).map_err(|_| RegistryError::Corrupt("document"))?;
    Ok(without_nul(value))
}

pub(super) fn read<T: DeserializeOwned>(value: Value, part: &'static str) -> Result<T, RegistryError> {
    serde_json::from_value(value).map_err(|_| RegistryError::Corrupt(part))
}

/// The kind of a withdrawal: only these are acknowledged.
pub(crate) const WITHDRAWN: &str = "withdrawn";
const STATE: &str = "state";
const VERSION: &str = "version";
const FORMAT: u64 = 1;
