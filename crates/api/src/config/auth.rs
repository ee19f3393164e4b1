//! Whose tokens are accepted.

use std::{fmt, time::Duration};

use keyferry_azure::config::seconds;
use keyferry_crypto::id::DirectoryId;
use keyferry_registry::tenant::Slug;
use serde::{Deserialize, Deserializer};
use url::Url;
use uuid::Uuid;

use super::text;

/// Whose tokens are accepted: Entra's, of version 2.0, of these directories, for one of these audiences.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// Entra's address; a directory's issuer is `{authority}/{directory}/v2.0`.
    #[serde(default = "default_authority")]
    pub authority: Url,
    /// The directories whose tokens are accepted: the platform's own. Not the customers'.
    pub directories: Vec<DirectoryId>,
    /// What a token's `aud` may be.
    pub audiences: Vec<Audience>,
    /// By how much clocks may differ.
    #[serde(default = "default_leeway", rename = "leeway_seconds", with = "seconds")]
    pub leeway: Duration,
    /// How long a verified token is believed without being verified again; never beyond its expiry.
    #[serde(default = "default_token_ttl", rename = "token_ttl_seconds", with = "seconds")]
    pub token_ttl: Duration,
    /// How many verified tokens are kept.
    #[serde(default = "default_tokens")]
    pub tokens: u64,
    /// How often signing keys are fetched again.
    #[serde(default = "default_keys_refresh", rename = "keys_refresh_seconds", with = "seconds")]
    pub keys_refresh: Duration,
    /// Callers that are confined to some tenants. A caller that is not listed may serve every tenant.
    #[serde(default)]
    pub callers: Vec<CallerConfig>,
}

/// The client id of the API's registration in Entra. It is what `aud` says in every token of version 2.0, whatever the scope
/// called the API: its `api://…` is `aud` in tokens of version 1.0 only, which another issuer vouches for.
/// <https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audience(pub Uuid);

/// A caller that is confined to some tenants.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerConfig {
    /// The caller's application id: `azp` or `appid` of its tokens.
    pub application: Uuid,
    /// The slugs of its tenants; every other is unknown to it.
    #[serde(deserialize_with = "slugs")]
    pub tenants: Vec<Slug>,
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "the API's client id (a UUID), which is what `aud` says in Entra's tokens of version 2.0";
        text::parsed(deserializer, expected, |text| text.parse().ok().map(Self))
    }
}

fn slugs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Slug>, D::Error> {
    /// A slug as it is written.
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Written(#[serde(deserialize_with = "slug")] Slug);

    let slugs = Vec::<Written>::deserialize(deserializer)?;
    Ok(slugs.into_iter().map(|Written(slug)| slug).collect())
}

fn slug<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Slug, D::Error> {
    let expected = "a slug: 1 to 63 lower-case letters, digits and hyphens";
    text::parsed(deserializer, expected, |text| text.parse().ok())
}

#[expect(clippy::expect_used, reason = "a literal, parsed in every test of the defaults")]
fn default_authority() -> Url {
    "https://login.microsoftonline.com/".parse().expect("a literal address")
}

fn default_leeway() -> Duration {
    Duration::from_mins(1)
}

fn default_token_ttl() -> Duration {
    Duration::from_mins(5)
}

fn default_tokens() -> u64 {
    10_000
}

fn default_keys_refresh() -> Duration {
    Duration::from_hours(1)
}
