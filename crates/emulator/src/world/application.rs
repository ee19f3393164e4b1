//! Applications, their credentials, and their principals in directories.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// An application registration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// What it is called where consent is asked for. Its client id if left out.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Where the consent page may send people back to, letter for letter.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// `api://keyferry`: what a scope names, if the application is an API.
    #[serde(default)]
    pub identifier_uri: Option<String>,
    /// Client secrets.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// Certificates whose keys may sign client assertions.
    #[serde(default)]
    pub certificates: Vec<Certificate>,
    /// Issuers whose tokens are taken as client assertions.
    #[serde(default)]
    pub federated: Vec<FederatedIssuer>,
}

/// A client secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// The secret. Only ever a pretend one.
    pub value: String,
    /// Whether it is past its end (AADSTS7000222).
    #[serde(default)]
    pub expired: bool,
}

/// A certificate that was uploaded for an application.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The certificate.
    pub pem: String,
}

/// A federated identity credential.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FederatedIssuer {
    /// The `iss` to match.
    pub issuer: String,
    /// The `sub` to match.
    pub subject: String,
    /// The `aud` to match: `api://AzureADTokenExchange`.
    pub audience: String,
    /// The issuer's JWKS. The emulator's own keys if left out, as for a managed identity.
    #[serde(default)]
    pub jwks: Option<Value>,
}

/// A service principal: an application in a directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Principal {
    /// Its object id, which role assignments name.
    pub oid: Uuid,
    /// Whether it may sign in (else AADSTS7000112).
    pub enabled: bool,
    /// Whether Conditional Access blocks it (AADSTS53003).
    pub blocked: bool,
    /// When it may first be used, if that was not at once: seconds since 1970. Until then Entra does not know it.
    #[serde(default)]
    pub usable_from: Option<i64>,
    /// The app roles it was granted, by resource.
    pub app_roles: BTreeMap<String, BTreeSet<String>>,
}

impl Principal {
    pub(crate) fn new() -> Self {
        Self {
            oid: Uuid::new_v4(),
            enabled: true,
            blocked: false,
            usable_from: None,
            app_roles: BTreeMap::new(),
        }
    }
}
