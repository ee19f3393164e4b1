//! The tenant aggregate: loaded and saved whole, guarded by its revision.

use std::{fmt, str::FromStr, time::Duration};

use keyferry_crypto::{
    id::{Cloud, KeyRef, TenantId},
    tenant::{Route, SealingPolicy, TenantKeys, VersionPolicy},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::onboarding::Onboarding;

/// A customer of the platform.
#[derive(Clone, Debug, PartialEq)]
pub struct Tenant {
    /// Its name in URLs: unique among tenants that are not deleted, and never changed.
    pub slug: Slug,
    /// Its name for people.
    pub display_name: DisplayName,
    /// The cloud its vaults are in.
    pub cloud: Cloud,
    /// Its id, directory, keys and policy, as sealing and opening take them.
    pub keys: TenantKeys,
    /// Whether it may be used.
    pub status: TenantStatus,
    /// Which change of it this is; a save names the revision it was read at.
    pub revision: Revision,
    /// When it was registered.
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
}

/// A tenant's name in URLs: 1 to 63 of `a-z 0-9 -`, first a letter, last not a hyphen.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Slug(std::sync::Arc<str>);

/// A tenant's name for people: 1 to 200 characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct DisplayName(String);

/// Whether a tenant may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantStatus {
    /// In use.
    Active,
    /// Stopped by an operator; its data opens again after `resume`.
    Suspended,
    /// To be removed for good at `purge_at`; until then an operator can take it back with `resume`.
    Deleting {
        /// When the safety window ends.
        purge_at: OffsetDateTime,
    },
}

/// A change's number: drawn from one sequence for all tenants, so that it also orders the change feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub i64);

/// The most keys that a tenant may have had before.
pub const MAX_FORMER_KEYS: usize = 16;

/// Why a change of a tenant was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The key's vault is not in the tenant's cloud.
    #[error("the vault is not in the tenant's cloud")]
    OtherCloud,
    /// Another vault asked of a tenant whose vault is not reached over the public network.
    #[error(
        "the tenant's vault is reached by a private endpoint only: another vault, and the endpoint to it, are a matter of its onboarding"
    )]
    OtherVault,
    /// An onboarding's tenant asked for before the onboarding has a directory, a vault and a key.
    #[error("the onboarding has not all of directory, vault and key yet")]
    Incomplete,
    /// There are already [`MAX_FORMER_KEYS`] former keys.
    #[error(
        "the tenant has had {MAX_FORMER_KEYS} other keys already: rewrap what they still protect, then ask for their removal"
    )]
    TooManyFormerKeys,
    /// A suspension asked of a tenant that is being deleted.
    #[error("the tenant is being deleted: resume it first")]
    Deleting,
    /// The cache TTL is longer than [`SealingPolicy::MAX_CACHE_TTL`].
    #[error("the cache TTL is at most 3600 seconds")]
    CacheTtl,
    /// The lease's age is not between a second and [`SealingPolicy::MAX_LEASE_AGE`].
    #[error("a lease's age is 1 to 3600 seconds")]
    LeaseAge,
    /// A lease without messages.
    #[error("a lease has at least one message, and at most 9223372036854775807")]
    LeaseMessages,
    /// The outage grace is longer than [`SealingPolicy::MAX_OUTAGE_GRACE`].
    #[error("the outage grace is at most 86400 seconds")]
    OutageGrace,
}

impl Tenant {
    /// A tenant to be registered, active. Its revision is given by the store.
    pub fn new(new: NewTenant, now: OffsetDateTime) -> Result<Self, ChangeError> {
        check_policy(&new.policy)?;
        if new.key.vault.cloud() != new.cloud {
            return Err(ChangeError::OtherCloud);
        }
        let keys = TenantKeys {
            tenant: TenantId::generate(),
            directory: new.directory,
            current: new.key,
            version: new.version,
            former: Vec::new(),
            policy: new.policy,
            route: Route::Public,
        };
        let NewTenant {
            slug,
            display_name,
            cloud,
            ..
        } = new;
        let revision = Revision(0);
        Ok(Self {
            slug,
            display_name,
            cloud,
            keys,
            status: TenantStatus::Active,
            revision,
            created_at: now,
            updated_at: now,
        })
    }

    /// The tenant that an onboarding ends in, to be registered, active: of the onboarding's id, and reached as it says.
    pub fn onboarded(onboarding: &Onboarding, now: OffsetDateTime) -> Result<Self, ChangeError> {
        let answers = &onboarding.answers;
        let new = NewTenant {
            slug: onboarding.slug.clone(),
            display_name: onboarding.display_name.clone(),
            directory: answers.directory.ok_or(ChangeError::Incomplete)?,
            cloud: onboarding.cloud,
            key: answers.key_ref().ok_or(ChangeError::Incomplete)?,
            version: answers.version.clone(),
            policy: onboarding.policy,
        };
        let mut tenant = Self::new(new, now)?;
        tenant.keys.tenant = onboarding.tenant;
        tenant.keys.route = onboarding.route(Route::Public);
        Ok(tenant)
    }

    /// Makes another key the current one; the one before still opens what it wrapped. Of the same vault only, while that is not
    /// reached over the public network: to the other vault there is no such way.
    pub fn change_key(&mut self, key: KeyRef, version: VersionPolicy) -> Result<(), ChangeError> {
        if key.vault.cloud() != self.cloud {
            return Err(ChangeError::OtherCloud);
        }
        if key.vault != self.keys.current.vault && self.keys.route != Route::Public {
            return Err(ChangeError::OtherVault);
        }
        if key != self.keys.current {
            self.keys.former.retain(|former| *former != key);
            if self.keys.former.len() == MAX_FORMER_KEYS {
                return Err(ChangeError::TooManyFormerKeys);
            }
            let before = std::mem::replace(&mut self.keys.current, key);
            self.keys.former.push(before);
        }
        self.keys.version = version;
        Ok(())
    }

    /// Changes the way to the current key's vault.
    pub fn change_route(&mut self, route: Route) {
        self.keys.route = route;
    }

    /// Changes how long keys may be kept and used.
    pub fn change_policy(&mut self, policy: SealingPolicy) -> Result<(), ChangeError> {
        check_policy(&policy)?;
        self.keys.policy = policy;
        Ok(())
    }

    /// Stops its use.
    pub fn suspend(&mut self) -> Result<(), ChangeError> {
        if let TenantStatus::Deleting { .. } = self.status {
            return Err(ChangeError::Deleting);
        }
        self.status = TenantStatus::Suspended;
        Ok(())
    }

    /// Takes it into use again, also out of deletion.
    pub fn resume(&mut self) {
        self.status = TenantStatus::Active;
    }

    /// Stops its use, and removes it for good after `window`. Deleting again does not move the end.
    pub fn delete(&mut self, now: OffsetDateTime, window: Duration) {
        if !matches!(self.status, TenantStatus::Deleting { .. }) {
            self.status = TenantStatus::Deleting { purge_at: now + window };
        }
    }
}

/// What registers a tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTenant {
    /// Its name in URLs.
    pub slug: Slug,
    /// Its name for people.
    pub display_name: DisplayName,
    /// The customer's Entra directory.
    pub directory: keyferry_crypto::id::DirectoryId,
    /// The cloud its vaults are in.
    pub cloud: Cloud,
    /// The customer's key.
    pub key: KeyRef,
    /// Which version of it wraps.
    pub version: VersionPolicy,
    /// How long keys may be kept and used.
    pub policy: SealingPolicy,
}

/// Holds that a policy is within the limits that a tenant's has.
pub fn check_policy(policy: &SealingPolicy) -> Result<(), ChangeError> {
    let age = Duration::from_secs(1)..=SealingPolicy::MAX_LEASE_AGE;
    if policy.cache_ttl > SealingPolicy::MAX_CACHE_TTL {
        Err(ChangeError::CacheTtl)
    } else if !age.contains(&policy.lease_max_age) {
        Err(ChangeError::LeaseAge)
    } else if policy.lease_max_messages == 0 || i64::try_from(policy.lease_max_messages).is_err() {
        Err(ChangeError::LeaseMessages)
    } else if policy.outage_grace > SealingPolicy::MAX_OUTAGE_GRACE {
        Err(ChangeError::OutageGrace)
    } else {
        Ok(())
    }
}

/// Why a tenant's name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a slug.
    #[error("not a slug: expected 1 to 63 lower-case letters, digits and hyphens, first a letter, last not a hyphen")]
    Slug,
    /// Not a display name.
    #[error("not a display name: expected 1 to 200 characters without control characters")]
    DisplayName,
}

impl Slug {
    /// The slug.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Slug {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let fits = (1..=63).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('-');
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Slug)
        }
    }
}

impl DisplayName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DisplayName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let fits =
            (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control) && !text.trim().is_empty();
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(NameError::DisplayName)
        }
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
