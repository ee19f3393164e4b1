//! An event, in both of Event Grid's schemas.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::EventSchema;
use crate::{
    encoding::{now, rfc3339},
    world::{KeyVersion, Vault},
};

/// What happens to keys and is told. There is no event for what takes a key away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EventKind {
    /// A key, or a version of one, was made.
    NewVersion,
    /// A version expires soon.
    NearExpiry,
    /// A version has expired.
    Expired,
}

/// One event, the same however often it is delivered.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    id: Uuid,
    topic: String,
    subject: String,
    kind: EventKind,
    time: String,
    data: Value,
}

impl EventKind {
    fn name(self) -> &'static str {
        match self {
            Self::NewVersion => "Microsoft.KeyVault.KeyNewVersionCreated",
            Self::NearExpiry => "Microsoft.KeyVault.KeyNearExpiry",
            Self::Expired => "Microsoft.KeyVault.KeyExpired",
        }
    }
}

impl Event {
    /// That this happened just now to a version of a key.
    pub(crate) fn of(kind: EventKind, vault: &Vault, key: &str, version: &KeyVersion) -> Self {
        Self {
            id: Uuid::new_v4(),
            topic: vault.resource_id(),
            subject: key.to_owned(),
            kind,
            time: rfc3339(now()),
            data: json!({
                "Id": version.kid(vault, key),
                "VaultName": vault.name(),
                "ObjectType": "Key",
                "ObjectName": key,
                "Version": version.version,
                "NBF": version.nbf,
                "EXP": version.exp,
            }),
        }
    }

    /// As it is sent.
    pub(crate) fn written(&self, schema: EventSchema) -> Value {
        match schema {
            EventSchema::EventGrid => json!({
                "id": self.id, "topic": self.topic, "subject": self.subject, "eventType": self.kind.name(),
                "eventTime": self.time, "data": self.data, "dataVersion": "1", "metadataVersion": "1",
            }),
            EventSchema::CloudEvents => json!({
                "id": self.id, "source": self.topic, "subject": self.subject, "type": self.kind.name(),
                "time": self.time, "data": self.data, "specversion": "1.0",
            }),
        }
    }
}
