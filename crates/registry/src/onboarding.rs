//! The onboarding aggregate: a customer on its way to being a tenant, loaded and saved whole, guarded by its revision.
//!
//! What is kept here is what was asked, answered and found out. What is asked of whom, how it is found out and what a finding
//! means is `keyferry_onboarding`'s to know: a finding is kept by its name, with the values that its text needs.

mod answers;
mod check;
mod document;
mod endpoint;
mod route;
pub(crate) mod row;
mod store;

use std::collections::BTreeMap;

use keyferry_crypto::{
    id::{Cloud, DirectoryId, TenantId},
    tenant::SealingPolicy,
};
use time::OffsetDateTime;

pub use keyferry_crypto::canary::Canary;

pub use self::{
    answers::Answers,
    check::{Check, CheckName, CheckStatus, Finding, Observed},
    endpoint::{Endpoint, EndpointPolicy, EndpointState},
    store::{OnboardingStore, Opened},
};
pub(crate) use self::{
    document::{CanaryDocument, EvidenceDocument},
    row::without_nul,
};
use crate::tenant::{DisplayName, Revision, Slug};

/// A customer on its way to being a tenant; kept after it became one, for its checks go on being shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Onboarding {
    /// The id that the tenant will have, or has. Envelopes will be bound to it, links and endpoints are named by it.
    pub tenant: TenantId,
    /// Its name in URLs: unique among tenants and onboardings that are not closed, and never changed.
    pub slug: Slug,
    /// Its name for people.
    pub display_name: DisplayName,
    /// The cloud its vault is in.
    pub cloud: Cloud,
    /// How long the tenant's keys may be kept and used.
    pub policy: SealingPolicy,
    /// Whether there is a private endpoint.
    pub endpoint_policy: EndpointPolicy,
    /// Whether the vault may be reached over the public network although there is an endpoint, while that one cannot be used.
    pub allows_public_path: bool,
    /// What the customer told us, or the operator for it.
    pub answers: Answers,
    /// The directory that an operator vouches for as this customer's: the one that it answered itself, or confirmed. Whoever holds
    /// a link may type any.
    pub confirmed_directory: Option<DirectoryId>,
    /// What was wrapped under the customer's key to prove that it unwraps.
    pub canary: Option<Canary>,
    /// The private endpoint, once it was decided to make one: kept before it is asked for, so that a crash leaves none behind.
    pub endpoint: Option<Endpoint>,
    /// Whether a private endpoint was in use once. From then on the public network is a way only where that is allowed.
    pub was_private: bool,
    /// What was found out. A check that is not here was never made.
    pub checks: BTreeMap<CheckName, Check>,
    /// Which link to the customer's page is good.
    pub link: Link,
    /// The consent that the customer's administrator was sent to Entra for, until it comes back.
    pub consent: Option<PendingConsent>,
    /// How far it is.
    pub stage: Stage,
    /// When its checks are made next.
    pub schedule: Schedule,
    /// Which change of it this is; a save names the revision it was read at.
    pub revision: Revision,
    /// When it was opened.
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
}

/// How far an onboarding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Under way. There is no tenant yet.
    Open,
    /// Done: the tenant exists. Checks go on being made, and change nothing here.
    Active {
        /// When it became so.
        since: OffsetDateTime,
    },
    /// Given up, or its tenant is purged. What we made for it in Azure is still to be removed.
    Closing {
        /// When that was decided.
        since: OffsetDateTime,
    },
    /// Over, with nothing left behind. Its slug is free again.
    Closed {
        /// When it ended.
        at: OffsetDateTime,
    },
}

/// Which link to the customer's page is good: the one of this serial, until it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The newest link's number. Each new link has the next one, and ends those before it.
    pub serial: u32,
    /// Until when it is good; in the past once it was revoked.
    pub expires_at: OffsetDateTime,
}

/// A consent that is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingConsent {
    /// SHA-256 of the nonce in the state that Entra brings back. It is forgotten with its first use.
    pub nonce_digest: [u8; 32],
    /// Until when the state is taken.
    pub expires_at: OffsetDateTime,
}

/// When checks are made next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// When; never if absent.
    pub due_at: Option<OffsetDateTime>,
    /// How many rounds in a row have changed nothing: the pause grows with them.
    pub idle_rounds: u32,
}

/// Something that happened to an onboarding, for its history. Holds no secret and nothing that a customer typed in vain.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub at: OffsetDateTime,
    /// Who: `operator`, `customer` or `keyferry`.
    pub actor: Actor,
    /// What: `opened`, `answered`, `check-changed`, `link-made`, `activated` and others.
    pub kind: &'static str,
    /// With what: names and values.
    pub details: BTreeMap<String, String>,
}

/// Who made something happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// An operator, through the admin API.
    Operator,
    /// The customer's administrator, through the page.
    Customer,
    /// Keyferry itself.
    Keyferry,
}

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its number, counted from 1 in each onboarding.
    pub number: i64,
    /// When.
    pub at: OffsetDateTime,
    /// Who.
    pub actor: Actor,
    /// What.
    pub kind: String,
    /// With what.
    pub details: BTreeMap<String, String>,
}

impl Stage {
    /// Its name on the wire and in the store.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Active { .. } => "active",
            Self::Closing { .. } => "closing",
            Self::Closed { .. } => "closed",
        }
    }

    /// Since when it is so; nothing while it is open.
    #[must_use]
    pub fn since(self) -> Option<OffsetDateTime> {
        match self {
            Self::Open => None,
            Self::Active { since } | Self::Closing { since } | Self::Closed { at: since } => Some(since),
        }
    }
}

impl Actor {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Operator, Self::Customer, Self::Keyferry];

    /// Its name on the wire and in the store.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Customer => "customer",
            Self::Keyferry => "keyferry",
        }
    }
}
