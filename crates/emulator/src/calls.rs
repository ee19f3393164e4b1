//! What the emulator was asked, counted by host, operation and outcome, so that a test can say "exactly one".

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::service::Service;

/// What a request asks for. One that brings a vault or the resource manager no token is a `Challenge`, whatever it asks for;
/// `HealthStatus` alone wants none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is named as the protocol names it")]
pub enum Operation {
    Challenge,
    Get,
    Create,
    Import,
    List,
    Versions,
    Update,
    Delete,
    GetDeleted,
    ListDeleted,
    Purge,
    Recover,
    Rotate,
    GetRotationPolicy,
    SetRotationPolicy,
    Encrypt,
    Decrypt,
    WrapKey,
    UnwrapKey,
    Sign,
    Verify,
    Backup,
    ListSecrets,
    HealthStatus,
    PutPrivateEndpoint,
    GetPrivateEndpoint,
    DeletePrivateEndpoint,
    ListPrivateEndpoints,
    PollOperation,
    GetVault,
    ListConnections,
    GetConnection,
    PutConnection,
    DeleteConnection,
    Token,
    Discovery,
    Keys,
    Other,
}

impl Operation {
    /// Whether it is something to ask this service for.
    pub(crate) fn is_asked_of(self, service: Service) -> bool {
        match self {
            Self::Token | Self::Discovery | Self::Keys => service == Service::Entra,
            Self::PutPrivateEndpoint
            | Self::GetPrivateEndpoint
            | Self::DeletePrivateEndpoint
            | Self::ListPrivateEndpoints
            | Self::PollOperation
            | Self::GetVault
            | Self::ListConnections
            | Self::GetConnection
            | Self::PutConnection
            | Self::DeleteConnection => service == Service::ResourceManager,
            Self::Challenge => service != Service::Entra,
            Self::Other => true,
            _ => service == Service::KeyVault,
        }
    }
}

/// One line of the count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCount {
    /// The host that was asked.
    pub host: String,
    /// What it was asked.
    pub operation: Operation,
    /// The status of the answer; 0 where a fault left it without one.
    pub status: u16,
    /// How often.
    pub count: u64,
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<BTreeMap<(String, Operation, u16), u64>>);

impl Calls {
    pub(crate) fn count(&self, host: &str, operation: Operation, status: u16) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((host.to_owned(), operation, status)).or_default() += 1;
    }

    pub(crate) fn list(&self) -> Vec<CallCount> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .map(|((host, operation, status), count)| CallCount {
                host: host.clone(),
                operation: *operation,
                status: *status,
                count: *count,
            })
            .collect()
    }

    pub(crate) fn reset(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
