//! A customer's answers, typed in its place: as options, and as a registration file's fields.

use clap::{Args, ValueEnum};
use keyferry_client::onboarding::Typed;
use serde::Deserialize;

/// Answers in the customer's place. The service reads them as it reads the customer's own.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AnswerOptions {
    /// The customer's Entra tenant ID; here as below, an empty value takes the answer back
    #[arg(long)]
    directory_id: Option<String>,
    /// The customer's vault: its URI, its host, its name, or the identifier of a key in it
    #[arg(long)]
    vault: Option<String>,
    /// The key: its name, or its identifier, with a version to stay at or without
    #[arg(long)]
    key: Option<String>,
    /// The vault's resource ID, which a private endpoint needs: /subscriptions/…
    #[arg(long)]
    vault_resource_id: Option<String>,
}

/// Whether there is a private endpoint to the customer's vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EndpointPolicy {
    /// None: the vault is reached over the public network
    Off,
    /// One is made once the vault's resource ID is known; until it is approved the public network is used
    Optional,
    /// One must be approved before the tenant can be active
    Required,
}

impl AnswerOptions {
    pub(super) fn typed(self) -> Typed {
        Typed {
            directory_id: self.directory_id,
            vault: self.vault,
            key: self.key,
            vault_resource_id: self.vault_resource_id,
        }
    }
}

impl EndpointPolicy {
    /// Its name on the wire.
    pub(super) fn slug(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}
