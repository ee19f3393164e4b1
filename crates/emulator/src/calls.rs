//! What the emulator was asked, counted by host, operation and outcome, so that a test can say "exactly one".

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
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
pub(crate) struct Calls(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    answered: BTreeMap<(String, Operation, u16), u64>,
    under_way: BTreeMap<(String, Operation), UnderWay>,
}

/// Requests that are not answered yet.
#[derive(Clone, Copy, Debug, Default)]
struct UnderWay {
    now: u64,
    /// The most that there were at once.
    most: u64,
}

/// One of them: it is under way until this is dropped, with its answer or because whoever asked has given up.
pub(crate) struct Begun<'a> {
    calls: &'a Calls,
    of: (String, Operation),
}

impl Calls {
    pub(crate) fn begin(&self, host: &str, operation: Operation) -> Begun<'_> {
        let of = (host.to_owned(), operation);
        let mut counts = self.counts();
        let under_way = counts.under_way.entry(of.clone()).or_default();
        under_way.now += 1;
        under_way.most = under_way.most.max(under_way.now);
        Begun { calls: self, of }
    }

    pub(crate) fn count(&self, host: &str, operation: Operation, status: u16) {
        let of = (host.to_owned(), operation, status);
        *self.counts().answered.entry(of).or_default() += 1;
    }

    pub(crate) fn most_at_once(&self, host: &str, operation: Operation) -> u64 {
        let under_way = &self.counts().under_way;
        let of = (host.to_ascii_lowercase(), operation);
        under_way.get(&of).map_or(0, |under_way| under_way.most)
    }

    pub(crate) fn list(&self) -> Vec<CallCount> {
        let counts = self.counts();
        let answered = &counts.answered;
        answered
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
        let mut counts = self.counts();
        counts.answered.clear();
        counts.under_way.retain(|_, under_way| under_way.now > 0);
        for under_way in counts.under_way.values_mut() {
            under_way.most = under_way.now;
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if let Some(under_way) = self.calls.counts().under_way.get_mut(&self.of) {
            under_way.now = under_way.now.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_at_once_counts_what_is_under_way_together_and_is_forgotten_with_the_counts() {
        let (calls, host) = (Calls::default(), "acme.vault.azure.net");
        let begin = |operation| calls.begin(host, operation);
        let (first, second) = (begin(Operation::WrapKey), begin(Operation::WrapKey));
        drop(first);
        let third = begin(Operation::WrapKey);
        let other = begin(Operation::Get);
        assert_eq!(calls.most_at_once(host, Operation::WrapKey), 2);
        drop((second, third, other));
        calls.reset();
        assert_eq!(calls.most_at_once(host, Operation::WrapKey), 0);
    }
}
