//! A Terraform configuration.

use askama::Template;
use keyferry_crypto::id::Cloud;

use super::{
    KEY_VAULT_API, RETENTION_DAYS,
    az::description,
    escape::{Comment, Hcl},
    facts::{Choices, Facts, Region, VaultChoice},
    role::Role,
};

/// A Terraform configuration: our application's principal, the vault if there is none yet, the key, access, and the
/// approval of our private endpoint's connection.
#[must_use]
pub fn terraform(facts: &Facts, choices: Choices) -> String {
    let platform = &facts.application.display_name;
    let requester = facts.endpoint.as_ref().and_then(|endpoint| endpoint.ours.as_ref());
    let new = choices.vault == VaultChoice::New;
    Customer {
        platform: Comment::new(platform),
        azurerm_environment: environment(facts.cloud),
        azuread_environment: directory_environment(facts.cloud),
        application: literal(&facts.application.client_id),
        directory: facts.directory.as_ref().map(literal),
        subscription: facts.subscription().as_ref().map(literal),
        group: facts.resource_group().map(literal),
        vault: facts.vault_name().map(literal),
        key: facts.key.as_ref().map(literal),
        location: facts.region.as_ref().map(Region::as_str).map(literal),
        endpoint: facts.endpoint.is_some(),
        requester: requester.map_or_else(|| Hcl::new(""), literal),
        description: literal(&description(platform)),
        the_vault: if new {
            "azurerm_key_vault.vault"
        } else {
            "data.azurerm_key_vault.vault"
        },
        new,
        creates_key: facts.version.is_none(),
        roles: choices.access.roles(),
        bits: choices.key_size.bits(),
    }
    .to_string()
}

#[derive(Template)]
#[template(path = "customer.tf", escape = "none")]
struct Customer {
    platform: Comment,
    azurerm_environment: Hcl,
    azuread_environment: Hcl,
    application: Hcl,
    directory: Option<Hcl>,
    subscription: Option<Hcl>,
    group: Option<Hcl>,
    vault: Option<Hcl>,
    key: Option<Hcl>,
    location: Option<Hcl>,
    endpoint: bool,
    requester: Hcl,
    description: Hcl,
    /// How the rest refers to the vault.
    the_vault: &'static str,
    new: bool,
    creates_key: bool,
    /// None in a vault that grants access by policies.
    roles: &'static [Role],
    bits: u16,
}

impl Customer {
    /// Whether access is granted by roles.
    fn rbac(&self) -> bool {
        !self.roles.is_empty()
    }
}

fn literal(value: &(impl ToString + ?Sized)) -> Hcl {
    Hcl::new(&value.to_string())
}

/// What the providers azurerm and azapi call a cloud.
fn environment(cloud: Cloud) -> Hcl {
    Hcl::new(match cloud {
        Cloud::Public => "public",
        Cloud::China => "china",
        Cloud::UsGovernment => "usgovernment",
    })
}

/// What the provider azuread calls a cloud.
fn directory_environment(cloud: Cloud) -> Hcl {
    Hcl::new(match cloud {
        Cloud::Public => "global",
        Cloud::China => "china",
        Cloud::UsGovernment => "usgovernment",
    })
}
