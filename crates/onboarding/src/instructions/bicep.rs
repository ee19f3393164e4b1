//! A Bicep template.

use askama::Template;

use super::{
    KEY_VAULT_API, RETENTION_DAYS,
    az::description,
    escape::{Bicep, Comment, Shell},
    facts::{Choices, Facts, Region, VaultChoice},
    role::Role,
};

/// A Bicep template for the vault's resource group. It cannot register our application, nor turn on purge protection in a
/// vault that exists (a template would have to repeat all of the vault's settings); it says how that is done.
#[must_use]
pub fn bicep(facts: &Facts, choices: Choices) -> String {
    let platform = &facts.application.display_name;
    let requester = facts.endpoint.as_ref().and_then(|endpoint| endpoint.ours.as_ref());
    let place = facts.region.as_ref().map(Region::as_str);
    Customer {
        platform: Comment::new(platform),
        application: Shell::new(&facts.application.client_id.to_string()),
        group: Shell::new(facts.resource_group().unwrap_or("<your resource group>")),
        vault_argument: Shell::new(facts.vault_name().unwrap_or("<your vault name>")),
        vault: default(facts.vault_name()),
        key: default(facts.key.as_ref().map(keyferry_crypto::id::KeyName::as_str)),
        location: place.map_or_else(
            || " = resourceGroup().location".to_owned(),
            |place| default(Some(place)),
        ),
        endpoint: facts.endpoint.is_some(),
        connection: Bicep::new(&connection(requester)),
        description: Bicep::new(&description(platform)),
        new: choices.vault == VaultChoice::New,
        creates_key: facts.version.is_none(),
        roles: choices.access.roles(),
        bits: choices.key_size.bits(),
    }
    .to_string()
}

#[derive(Template)]
#[template(path = "customer.bicep", escape = "none")]
struct Customer {
    platform: Comment,
    application: Shell,
    group: Shell,
    vault_argument: Shell,
    /// ` = '…'`, or nothing: then it has to be given.
    vault: String,
    key: String,
    location: String,
    endpoint: bool,
    /// How the parameter for the connection's name is described.
    connection: Bicep,
    description: Bicep,
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

fn default(value: Option<&str>) -> String {
    value.map_or_else(String::new, |value| format!(" = {}", Bicep::new(value)))
}

fn connection(requester: Option<&super::PrivateEndpoint>) -> String {
    let beside = requester.map_or_else(
        || "our private endpoint".to_owned(),
        |requester| format!("the private endpoint {requester}"),
    );
    format!(
        "The name of our pending connection, as Networking > Private endpoint connections shows it beside {beside}. Leave it empty until the connection is there."
    )
}
