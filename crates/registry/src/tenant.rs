//! The tenant aggregate: loaded and saved whole, guarded by its revision.

use std::{fmt, str::FromStr};

use keyferry_crypto::{id::Cloud, tenant::TenantKeys};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

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
