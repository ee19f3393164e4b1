//! What was found out about one thing.

use std::collections::BTreeMap;

use keyferry_crypto::vault::Evidence;
use time::OffsetDateTime;

/// What is checked, in the order in which it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CheckName {
    /// The directory exists in that cloud.
    Directory,
    /// Our application has a principal there: a token can be had.
    Consent,
    /// The vault is there, answers, and trusts that directory.
    Vault,
    /// The key is one that we can work with.
    Key,
    /// We can wrap and unwrap with it: Crypto User, or the narrower role, or a policy.
    Wrap,
    /// We can read how it is set up: Reader.
    Read,
    /// What we could do beyond what we need.
    LeastPrivilege,
    /// Whether the key is protected against deletion, and the vault against the public network.
    Protection,
    /// The private endpoint.
    PrivateEndpoint,
    /// All of it at once: a data key was wrapped and unwrapped on the path that will be used.
    Verification,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CheckStatus {
    /// Not made yet: something is to be told or done before.
    Pending,
    /// In order; perhaps with something to note.
    Passed,
    /// Not in order, and somebody must do something.
    Failed,
    /// Not in order yet, and likely to become so by itself: Azure needs time.
    Waiting,
    /// Not made, because policy or the customer's choice says so.
    NotApplicable,
}

/// What was found, by name, with the values that its text needs. Values are names, numbers and times; never secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its name: `key-too-short`. Stable.
    pub slug: String,
    /// Its values.
    pub values: BTreeMap<String, String>,
}

/// What one look brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// How it stands.
    pub status: CheckStatus,
    /// What was found.
    pub finding: Finding,
    /// What the other side said.
    pub evidence: Option<Evidence>,
}

/// A check with its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What the last look brought.
    pub observed: Observed,
    /// When that was.
    pub checked_at: OffsetDateTime,
    /// Since when it has had this status and finding.
    pub since: OffsetDateTime,
    /// How often it was looked at since then, the first time included.
    pub attempts: u32,
}

impl CheckName {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 10] = [
        Self::Directory,
        Self::Consent,
        Self::Vault,
        Self::Key,
        Self::Wrap,
        Self::Read,
        Self::LeastPrivilege,
        Self::Protection,
        Self::PrivateEndpoint,
        Self::Verification,
    ];

    /// Its name on the wire and in the store.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Consent => "consent",
            Self::Vault => "vault",
            Self::Key => "key",
            Self::Wrap => "wrap",
            Self::Read => "read",
            Self::LeastPrivilege => "least-privilege",
            Self::Protection => "protection",
            Self::PrivateEndpoint => "private-endpoint",
            Self::Verification => "verification",
        }
    }
}

impl CheckStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Passed,
        Self::Failed,
        Self::Waiting,
        Self::NotApplicable,
    ];

    /// Its name on the wire and in the store.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::NotApplicable => "not-applicable",
        }
    }
}

impl Check {
    /// The check after another look: it stands since before if nothing changed.
    #[must_use]
    pub fn after(before: Option<&Self>, observed: Observed, now: OffsetDateTime) -> Self {
        let same = before
            .filter(|before| before.observed.status == observed.status && before.observed.finding == observed.finding);
        Self {
            observed,
            checked_at: now,
            since: same.map_or(now, |before| before.since),
            attempts: same.map_or(1, |before| before.attempts.saturating_add(1)),
        }
    }
}
