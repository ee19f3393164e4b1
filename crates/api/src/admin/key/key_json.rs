//! How a tenant's key is, in JSON.

use keyferry_azure::Gauge;
use keyferry_registry::key::{KeyHealth, Replica, Trouble};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{admin::tenant_json::rfc3339, bound::Bound};

/// How a tenant's key is.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyHealth)]
pub(super) struct KeyHealthDocument {
    /// `unknown`, `healthy`, `degraded` (the vault is asked in vain; it is not revoked) or `refused` (the customer refuses).
    #[schema(example = "healthy")]
    state: &'static str,
    /// Since when it is so.
    since: String,
    /// When the vault was last asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<String>,
    /// When the vault last unwrapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    served_at: Option<String>,
    /// When it is to be asked next; that is over while it is asked, or if nobody asks.
    due_at: String,
    /// What is wrong, where it is degraded or refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<TroubleDocument>,
    /// The newest version that was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<NewestDocument>,
    /// The versions that are watched, newest first: those that seal or sealed.
    watched: Vec<String>,
    /// The replica that looks after the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerDocument>,
    /// When a replica last said that it holds something of the tenant's.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_at: Option<String>,
    /// How much of the vault's limit the replica that answers this has used of late; absent if it asked nothing of the vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    gauge: Option<GaugeDocument>,
    /// How soon a withdrawal is obeyed by every replica, from when the vault itself refuses.
    bound: BoundDocument,
}

/// What is wrong with a key.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyTrouble)]
struct TroubleDocument {
    /// Why: a name of docs/azure.md's table, in kebab-case.
    #[schema(example = "key-disabled")]
    cause: &'static str,
    /// The status that the vault answered with.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// The vault's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// The vault's id of the request, by which it is found in the vault's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// The newest version of a key.
#[derive(Serialize, ToSchema)]
#[schema(as = NewestKeyVersion)]
struct NewestDocument {
    /// The version: `https://{vault}/keys/{name}/{version}`.
    key_id: String,
    /// When it was last looked up.
    seen_at: String,
}

/// The replica that looks after a key.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyOwner)]
struct OwnerDocument {
    /// Which replica.
    replica: String,
    /// Where it runs: its host name; absent of one that is not there any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Until when, if it does not say so again.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

/// How much of a vault's limit is used.
#[derive(Serialize, ToSchema)]
#[schema(as = VaultGauge)]
struct GaugeDocument {
    /// Calls a second that the replica made, on average over ten seconds, counted as unwraps with the vault's key.
    used_per_second: f64,
    /// Unwraps a second that it may make: its share of the vault's limit, less a margin. Absent for a Managed HSM, for which Azure
    /// documents none.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_per_second: Option<f64>,
    /// Whether calls are kept from the vault, as it does not answer.
    open: bool,
}

/// The terms of the bound, in seconds. Azure's own delay comes before them.
#[derive(Serialize, ToSchema)]
#[schema(as = RevocationBound)]
#[expect(clippy::struct_field_names, reason = "a span's unit is part of its name in JSON")]
struct BoundDocument {
    /// The longest that a held key goes unlooked at, its replica's death included.
    watch_seconds: f64,
    /// How long it counts that a replica has heard the registry.
    hearing_seconds: f64,
    /// How long a refusal that may pass is asked about again.
    confirmation_seconds: f64,
    /// One try of a call to the vault.
    try_seconds: f64,
    /// All of them.
    total_seconds: f64,
}

impl KeyHealthDocument {
    /// How a key is. `replicas` are those that live.
    pub(super) fn new(health: &KeyHealth, replicas: &[Replica], gauge: Option<Gauge>, bound: &Bound) -> Self {
        Self {
            state: health.state.slug(),
            since: rfc3339(health.since),
            checked_at: health.checked_at.map(rfc3339),
            served_at: health.served_at.map(rfc3339),
            due_at: rfc3339(health.due_at),
            trouble: health.state.trouble().map(TroubleDocument::from),
            newest: health.newest.as_ref().map(|newest| NewestDocument {
                key_id: newest.kek.to_string(),
                seen_at: rfc3339(newest.seen_at),
            }),
            watched: health.canaries.iter().map(|canary| canary.kek.to_string()).collect(),
            owner: OwnerDocument::of(health, replicas),
            held_at: health.held_at.map(rfc3339),
            gauge: gauge.map(GaugeDocument::from),
            bound: bound.into(),
        }
    }
}

impl OwnerDocument {
    fn of(health: &KeyHealth, replicas: &[Replica]) -> Option<Self> {
        let owner = health.owner?;
        let known = replicas.iter().find(|replica| replica.id == owner);
        Some(Self {
            replica: owner.to_string(),
            name: known.map(|replica| replica.name.clone()),
            until: health.owned_until.map(rfc3339),
        })
    }
}

impl From<&Trouble> for TroubleDocument {
    fn from(trouble: &Trouble) -> Self {
        Self {
            cause: trouble.cause.slug(),
            status: trouble.evidence.status,
            code: trouble.evidence.code.clone(),
            request_id: trouble.evidence.request_id.clone(),
        }
    }
}

impl From<Gauge> for GaugeDocument {
    fn from(gauge: Gauge) -> Self {
        Self {
            used_per_second: gauge.used_per_second,
            // JSON has no infinity.
            limit_per_second: Some(gauge.limit_per_second).filter(|limit| limit.is_finite()),
            open: gauge.is_open,
        }
    }
}

impl From<&Bound> for BoundDocument {
    fn from(bound: &Bound) -> Self {
        Self {
            watch_seconds: bound.watch.as_secs_f64(),
            hearing_seconds: bound.hearing.as_secs_f64(),
            confirmation_seconds: bound.confirmation.as_secs_f64(),
            try_seconds: bound.per_try.as_secs_f64(),
            total_seconds: bound.total().as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_limit_that_is_none_is_left_out_as_json_has_no_infinity() {
        let shown = |limit_per_second| {
            let gauge = Gauge {
                used_per_second: 2.5,
                limit_per_second,
                is_open: false,
            };
            serde_json::to_value(GaugeDocument::from(gauge)).unwrap()
        };
        let limited = json!({"used_per_second": 2.5, "limit_per_second": 320.0, "open": false});
        assert_eq!(shown(320.0), limited);
        assert_eq!(shown(f64::INFINITY), json!({"used_per_second": 2.5, "open": false}));
    }
}
