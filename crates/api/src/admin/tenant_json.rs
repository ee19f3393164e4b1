//! A tenant in JSON: how it is shown, and how what operators send becomes one.

use std::{fmt::Display, str::FromStr, time::Duration};

use keyferry_crypto::{
    id::{Cloud, DirectoryId, KeyName, KeyRef, VaultHost},
    tenant::{SealingPolicy, VersionPolicy},
};
use keyferry_registry::tenant::{ChangeError, Tenant, TenantStatus};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::ToSchema;

use crate::problem::{FieldError, Problem};

/// A tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(super) struct TenantDocument {
    /// Its id (`UUIDv7`): what ciphertexts are bound to.
    id: String,
    /// Its name in URLs.
    #[schema(example = "acme")]
    slug: String,
    /// Its name for people.
    #[schema(example = "Acme Corporation")]
    display_name: String,
    /// The customer's Entra directory.
    directory_id: String,
    /// The cloud its vaults are in: `public`, `china` or `us-government`.
    #[schema(example = "public")]
    cloud: &'static str,
    /// The vault's host name.
    #[schema(example = "acme.vault.azure.net")]
    vault: String,
    /// The key's name in the vault.
    #[schema(example = "kek")]
    key_name: String,
    /// Which version wraps: `latest`, or one version.
    #[schema(example = "latest")]
    key_version: String,
    /// Keys that were current before; they still open what they wrapped.
    former_keys: Vec<KeyDocument>,
    /// How long keys may be kept and used.
    policy: PolicyDocument,
    /// `active`, `suspended` or `deleting`.
    status: &'static str,
    /// When a deleted tenant is removed for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    purge_at: Option<String>,
    /// Which change of the tenant this is; its `etag`.
    revision: i64,
    /// When it was registered.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

/// A key in a vault.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Key)]
pub(super) struct KeyDocument {
    /// The vault's host name.
    #[schema(example = "acme.vault.azure.net")]
    vault: String,
    /// The key's name in the vault.
    #[schema(example = "old-kek")]
    key_name: String,
}

/// How long a tenant's data keys may be kept and used.
#[derive(Serialize, ToSchema)]
#[schema(as = Policy)]
pub(super) struct PolicyDocument {
    /// How long an unwrapped data key may be kept for opening, from when it was unwrapped.
    cache_ttl_seconds: u64,
    /// The longest a replica seals with one data key.
    lease_max_age_seconds: u64,
    /// The most messages a replica seals with one data key.
    lease_max_messages: u64,
    /// How much longer than its TTL a cached key may open while the vault is unavailable (never when it refuses).
    outage_grace_seconds: u64,
}

/// Changes of a policy. What is absent stays as it is, or is the default's.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PolicyChange {
    /// 0 to 3600; 0 keeps nothing.
    #[schema(maximum = 3600, example = 300)]
    cache_ttl_seconds: Option<u64>,
    /// 1 to 3600.
    #[schema(minimum = 1, maximum = 3600, example = 300)]
    lease_max_age_seconds: Option<u64>,
    /// At least 1; 1 gives every message its own data key.
    #[schema(minimum = 1, example = 1_000_000)]
    lease_max_messages: Option<u64>,
    /// 0 to 86400; 0 grants none.
    #[schema(maximum = 86400, example = 0)]
    outage_grace_seconds: Option<u64>,
}

/// What is wrong with a request's fields, collected so that all of it can be told at once.
#[derive(Default)]
pub(super) struct Refusals(Vec<FieldError>);

impl Refusals {
    /// The value, or a note of what is wrong with the field.
    pub(super) fn take<T, E: Display>(&mut self, field: &str, value: Result<T, E>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                self.0.push(FieldError {
                    field: field.to_owned(),
                    detail: error.to_string(),
                });
                None
            }
        }
    }

    /// Parses a field that must be there.
    pub(super) fn parse<T: FromStr<Err: Display>>(&mut self, field: &str, text: &str) -> Option<T> {
        self.take(field, text.parse())
    }

    /// Parses a directory's id. (What the library says of a bad UUID is about its parser.)
    pub(super) fn directory(&mut self, text: &str) -> Option<DirectoryId> {
        self.take(
            "directory_id",
            text.parse().map_err(|_| "not a directory's id: expected a UUID"),
        )
    }

    /// Parses a vault: its host name, or its `https` address as Azure's portal shows it.
    pub(super) fn vault(&mut self, field: &str, cloud: Cloud, text: &str) -> Option<VaultHost> {
        let host = text
            .strip_prefix("https://")
            .map_or(text, |rest| rest.strip_suffix('/').unwrap_or(rest));
        self.take(field, VaultHost::parse(cloud, host))
    }

    /// Parses which version wraps.
    pub(super) fn version(&mut self, text: &str) -> Option<VersionPolicy> {
        match text {
            LATEST => Some(VersionPolicy::FollowLatest),
            version => {
                let parsed = version.parse().map(VersionPolicy::Pinned);
                self.take(
                    "key_version",
                    parsed.map_err(|_| "expected `latest`, or 32 lower-case hexadecimal digits"),
                )
            }
        }
    }

    /// Parses a list of keys.
    pub(super) fn keys(&mut self, field: &str, cloud: Cloud, keys: &[KeyDocument]) -> Option<Vec<KeyRef>> {
        let parsed = keys.iter().enumerate().map(|(place, key)| {
            let vault = self.vault(&format!("{field}[{place}].vault"), cloud, &key.vault);
            let name: Option<KeyName> = self.parse(&format!("{field}[{place}].key_name"), &key.key_name);
            Some(KeyRef {
                vault: vault?,
                name: name?,
            })
        });
        parsed.collect::<Vec<_>>().into_iter().collect()
    }

    /// Notes what is wrong with a field.
    pub(super) fn refuse(&mut self, field: &str, detail: impl Display) {
        let _none: Option<()> = self.take(field, Err(detail));
    }

    /// Notes that the registry refused a change.
    pub(super) fn note(&mut self, error: ChangeError) {
        self.refuse(field_of(error), error);
    }

    /// The problem that lists all, for when a value is missing because it was refused.
    pub(super) fn into_problem(self) -> Problem {
        Problem::fields(self.0)
    }

    /// Fails if anything was refused.
    pub(super) fn check(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.into_problem())
        }
    }
}

impl PolicyChange {
    /// The policy `before`, with these changes. Limits are the registry's to check.
    pub(super) fn apply(&self, before: SealingPolicy) -> SealingPolicy {
        let seconds = |given: Option<u64>, before| given.map_or(before, Duration::from_secs);
        SealingPolicy {
            cache_ttl: seconds(self.cache_ttl_seconds, before.cache_ttl),
            lease_max_age: seconds(self.lease_max_age_seconds, before.lease_max_age),
            lease_max_messages: self.lease_max_messages.unwrap_or(before.lease_max_messages),
            outage_grace: seconds(self.outage_grace_seconds, before.outage_grace),
        }
    }
}

impl From<&Tenant> for TenantDocument {
    fn from(tenant: &Tenant) -> Self {
        let (status, purge_at) = match tenant.status {
            TenantStatus::Active => ("active", None),
            TenantStatus::Suspended => ("suspended", None),
            TenantStatus::Deleting { purge_at } => ("deleting", Some(rfc3339(purge_at))),
        };
        let keys = &tenant.keys;
        Self {
            id: keys.tenant.to_string(),
            slug: tenant.slug.to_string(),
            display_name: tenant.display_name.to_string(),
            directory_id: keys.directory.to_string(),
            cloud: cloud_name(tenant.cloud),
            vault: keys.current.vault.to_string(),
            key_name: keys.current.name.to_string(),
            key_version: match &keys.version {
                VersionPolicy::FollowLatest => LATEST.to_owned(),
                VersionPolicy::Pinned(version) => version.to_string(),
            },
            former_keys: keys.former.iter().map(KeyDocument::from).collect(),
            policy: PolicyDocument::from(&keys.policy),
            status,
            purge_at,
            revision: tenant.revision.0,
            created_at: rfc3339(tenant.created_at),
            updated_at: rfc3339(tenant.updated_at),
        }
    }
}

impl From<&KeyRef> for KeyDocument {
    fn from(key: &KeyRef) -> Self {
        Self {
            vault: key.vault.to_string(),
            key_name: key.name.to_string(),
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

/// Which field a refused change is about.
fn field_of(error: ChangeError) -> &'static str {
    match error {
        ChangeError::OtherCloud | ChangeError::OtherVault => "vault",
        ChangeError::Incomplete => "onboarding",
        ChangeError::TooManyFormerKeys => "former_keys",
        ChangeError::Deleting => "status",
        ChangeError::CacheTtl => "policy.cache_ttl_seconds",
        ChangeError::LeaseAge => "policy.lease_max_age_seconds",
        ChangeError::LeaseMessages => "policy.lease_max_messages",
        ChangeError::OutageGrace => "policy.outage_grace_seconds",
    }
}

/// The name of a cloud.
pub(super) fn cloud_name(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Public => "public",
        Cloud::China => "china",
        Cloud::UsGovernment => "us-government",
    }
}

/// The cloud of that name.
pub(super) fn cloud(name: &str) -> Result<Cloud, &'static str> {
    let known = Cloud::ALL.into_iter().find(|&cloud| cloud_name(cloud) == name);
    known.ok_or("not a cloud: expected public, china or us-government")
}

/// A time, as all of the API writes them.
pub(super) fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

/// The version of a key that stands for its latest.
pub(super) const LATEST: &str = "latest";
