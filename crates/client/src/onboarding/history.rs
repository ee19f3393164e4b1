//! What happened to an onboarding.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A page of events, newest first.
#[derive(Clone, Debug, Deserialize)]
pub struct History {
    /// The events.
    pub events: Vec<Event>,
    /// Below which number the next page is, if there is one.
    #[serde(default)]
    pub next_before: Option<i64>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number, counted from 1 in each onboarding.
    pub number: i64,
    /// When.
    pub at: String,
    /// Who: `operator`, `customer`, `keyferry`.
    pub actor: String,
    /// What: `opened`, `answered`, `check-changed` and others.
    pub kind: String,
    /// With what.
    #[serde(default)]
    pub details: BTreeMap<String, String>,
}
