//! A tenant as it lies in a table, and back. A row that does not parse is corrupt, and is told so rather than guessed at.

use std::time::Duration;

use keyferry_crypto::{
    id::{Cloud, DirectoryId, KeyRef, TenantId, VaultHost},
    tenant::{Route, SealingPolicy, TenantKeys, VersionPolicy},
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    error::RegistryError,
    store::{Mark, Subject, TenantChange},
    tenant::{Revision, Tenant, TenantStatus},
};

/// The columns of `tenants`.
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) slug: String,
    pub(crate) display_name: String,
    pub(crate) directory_id: Uuid,
    pub(crate) cloud: String,
    pub(crate) vault: String,
    pub(crate) key_name: String,
    pub(crate) key_version: Option<String>,
    pub(crate) former_keys: serde_json::Value,
    pub(crate) cache_ttl_seconds: i32,
    pub(crate) lease_max_age_seconds: i32,
    pub(crate) lease_max_messages: i64,
    pub(crate) outage_grace_seconds: i32,
    pub(crate) route: String,
    pub(crate) route_address: Option<String>,
    pub(crate) status: String,
    pub(crate) purge_at: Option<OffsetDateTime>,
    pub(crate) revision: i64,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
}

impl From<&Tenant> for Row {
    fn from(tenant: &Tenant) -> Self {
        let TenantKeys {
            tenant: id,
            directory,
            current,
            version,
            former,
            policy,
            route,
        } = &tenant.keys;
        let (status, purge_at) = match tenant.status {
            TenantStatus::Active => ("active", None),
            TenantStatus::Suspended => ("suspended", None),
            TenantStatus::Deleting { purge_at } => ("deleting", Some(purge_at)),
        };
        let (route, route_address) = match route {
            Route::Public => ("public", None),
            Route::Private(address) => ("private", Some(address.to_string())),
            Route::Closed => ("closed", None),
        };
        Self {
            id: id.0,
            slug: tenant.slug.to_string(),
            display_name: tenant.display_name.to_string(),
            directory_id: directory.0,
            cloud: cloud_name(tenant.cloud).to_owned(),
            vault: current.vault.to_string(),
            key_name: current.name.to_string(),
            key_version: match version {
                VersionPolicy::FollowLatest => None,
                VersionPolicy::Pinned(version) => Some(version.to_string()),
            },
            former_keys: serde_json::json!(former),
            cache_ttl_seconds: seconds(policy.cache_ttl),
            lease_max_age_seconds: seconds(policy.lease_max_age),
            lease_max_messages: i64::try_from(policy.lease_max_messages).unwrap_or(i64::MAX),
            outage_grace_seconds: seconds(policy.outage_grace),
            route: route.to_owned(),
            route_address,
            status: status.to_owned(),
            purge_at,
            revision: tenant.revision.0,
            created_at: tenant.created_at,
            updated_at: tenant.updated_at,
        }
    }
}

impl TryFrom<Row> for Tenant {
    type Error = RegistryError;

    fn try_from(row: Row) -> Result<Self, RegistryError> {
        let cloud = cloud_named(&row.cloud).ok_or(RegistryError::Corrupt("cloud"))?;
        let vault = VaultHost::parse(cloud, &row.vault).map_err(|_| RegistryError::Corrupt("vault"))?;
        let name = row.key_name.parse().map_err(|_| RegistryError::Corrupt("key_name"))?;
        let version = match row.key_version {
            None => VersionPolicy::FollowLatest,
            Some(version) => VersionPolicy::Pinned(version.parse().map_err(|_| RegistryError::Corrupt("key_version"))?),
        };
        let status = match (row.status.as_str(), row.purge_at) {
            ("active", None) => TenantStatus::Active,
            ("suspended", None) => TenantStatus::Suspended,
            ("deleting", Some(purge_at)) => TenantStatus::Deleting { purge_at },
            _ => return Err(RegistryError::Corrupt("status")),
        };
        let route = match (row.route.as_str(), row.route_address) {
            ("public", None) => Route::Public,
            ("private", Some(address)) => {
                Route::Private(address.parse().map_err(|_| RegistryError::Corrupt("route_address"))?)
            }
            ("closed", None) => Route::Closed,
            _ => return Err(RegistryError::Corrupt("route")),
        };
        let policy = SealingPolicy {
            cache_ttl: duration(row.cache_ttl_seconds.into(), "cache_ttl_seconds")?,
            lease_max_age: duration(row.lease_max_age_seconds.into(), "lease_max_age_seconds")?,
            lease_max_messages: u64::try_from(row.lease_max_messages)
                .map_err(|_| RegistryError::Corrupt("lease_max_messages"))?,
            outage_grace: duration(row.outage_grace_seconds.into(), "outage_grace_seconds")?,
        };
        Ok(Self {
            slug: row.slug.parse().map_err(|_| RegistryError::Corrupt("slug"))?,
            display_name: row
                .display_name
                .parse()
                .map_err(|_| RegistryError::Corrupt("display_name"))?,
            cloud,
            keys: TenantKeys {
                tenant: TenantId(row.id),
                directory: DirectoryId(row.directory_id),
                current: KeyRef { vault, name },
                version,
                former: serde_json::from_value(row.former_keys).map_err(|_| RegistryError::Corrupt("former_keys"))?,
                policy,
                route,
            },
            status,
            revision: Revision(row.revision),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl Row {
    /// What the change feed tells of this row. One corrupt row must not keep the feed from all others: its tenant leaves
    /// memory, whoever asks for it meets the error, and the log says so.
    pub(crate) fn into_change(self) -> TenantChange {
        let mark = Mark {
            subject: Subject::Tenant,
            tenant: TenantId(self.id),
            revision: Revision(self.revision),
            at: self.updated_at,
        };
        let slug = self.slug.parse().ok();
        let tenant = if self.status == PURGED {
            None
        } else {
            Tenant::try_from(self)
                .inspect_err(|error| tracing::error!(tenant.id = %mark.tenant, ?error, "the registry's row is corrupt"))
                .ok()
        };
        TenantChange { mark, slug, tenant }
    }
}

fn cloud_name(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Public => "public",
        Cloud::China => "china",
        Cloud::UsGovernment => "us-government",
    }
}

fn cloud_named(name: &str) -> Option<Cloud> {
    Cloud::ALL.into_iter().find(|cloud| cloud_name(*cloud) == name)
}

/// Whole seconds; policies are bounded far below `i32::MAX`.
fn seconds(span: Duration) -> i32 {
    i32::try_from(span.as_secs()).unwrap_or(i32::MAX)
}

fn duration(seconds: i64, column: &'static str) -> Result<Duration, RegistryError> {
    u64::try_from(seconds)
        .map(Duration::from_secs)
        .map_err(|_| RegistryError::Corrupt(column))
}

/// The status of a tenant that is gone for good.
pub(crate) const PURGED: &str = "purged";
