//! What a customer's administrator can copy and run: the guide's steps with the customer's own values filled in.
//!
//! Four forms of one content: the links for admin consent, commands for the Azure CLI, a Bicep template and a Terraform
//! configuration. What is not known yet becomes a placeholder: in commands `'<…>'`, which they refuse to run with; in
//! Bicep and Terraform a parameter without a default, which has to be given.
//!
//! Names in them are chosen by others, so every value passes through its language's escaping (`escape`) on its way into
//! a template; templates are given nothing else.

mod az;
mod bicep;
mod consent;
mod escape;
mod facts;
mod role;
mod terraform;

pub use self::{
    az::{Step, az_script, az_steps},
    bicep::bicep,
    consent::{ConsentLinks, consent_links},
    facts::{
        Access, Application, Choices, Endpoint, EndpointName, Facts, KeySize, NameError, PrivateEndpoint, Region,
        VaultChoice,
    },
    role::{Role, Roles},
    terraform::terraform,
};

/// The version of the resource manager's Key Vault interface that is spoken. Older ones retire on 2027-02-27.
const KEY_VAULT_API: &str = "2026-02-01";
/// How long a deleted key can be recovered in a vault that is created here: the longest there is.
const RETENTION_DAYS: u16 = 90;
