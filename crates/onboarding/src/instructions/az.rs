//! Commands for the Azure CLI, as a script for a POSIX shell.

use askama::Template;
use keyferry_crypto::id::Cloud;

use super::{
    KEY_VAULT_API, RETENTION_DAYS,
    escape::{Comment, Shell},
    facts::{Access, Choices, Endpoint, Facts, Region, VaultChoice},
    role::Roles,
};

/// One thing that a script does. Each can be repeated: what is done already stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Registers our application in the directory: the guide's option B. Skipped where consent was given.
    Authorize,
    /// Creates the vault, with purge protection.
    CreateVault,
    /// Turns on purge protection. That cannot be taken back.
    ProtectVault,
    /// Turns the vault from access policies to roles. Whoever uses it by a policy loses access.
    SwitchToRoles,
    /// Creates the key.
    CreateKey,
    /// Lets the newest version of the key (or the pinned one) do what is needed, and no more.
    LimitKey,
    /// Grants these roles, in a vault that has switched to them.
    AssignRoles(Roles),
    /// Grants access by a policy, in a vault that has not switched to roles.
    SetPolicy,
    /// Grants these roles and takes all others on the vault away.
    NarrowRoles(Roles),
    /// Leaves the policy with what is needed.
    NarrowPolicy,
    /// Approves our private endpoint's pending connection, and nobody else's.
    ApproveEndpoint,
    /// Closes the vault to public networks. Whoever uses it without a private endpoint loses access.
    ClosePublicAccess,
    /// Prints what we ask to be told.
    Report,
}

/// The whole of the guide.
#[must_use]
pub fn az_script(facts: &Facts, choices: Choices) -> String {
    let vault = match choices.vault {
        VaultChoice::Existing => Step::ProtectVault,
        VaultChoice::New => Step::CreateVault,
    };
    let key = facts.version.is_none().then_some(Step::CreateKey);
    let access = match choices.access {
        Access::Roles(roles) => Step::AssignRoles(roles),
        Access::Policy => Step::SetPolicy,
    };
    let requested = facts.endpoint.as_ref().is_some_and(|endpoint| endpoint.ours.is_some());
    let endpoint = requested.then_some(Step::ApproveEndpoint);
    let steps = [
        Some(Step::Authorize),
        Some(vault),
        key,
        Some(access),
        endpoint,
        Some(Step::Report),
    ];
    az_steps(facts, choices, &steps.into_iter().flatten().collect::<Vec<_>>())
}

/// Some steps, such as the one that a finding asks for.
#[must_use]
pub fn az_steps(facts: &Facts, choices: Choices, steps: &[Step]) -> String {
    Script::new(facts, choices, steps).to_string()
}

#[derive(Template)]
#[template(path = "az.sh", escape = "none")]
struct Script<'a> {
    steps: &'a [Step],
    platform: Comment,
    cloud: &'static str,
    application: Shell,
    directory: Shell,
    subscription: Shell,
    group: Shell,
    location: Shell,
    vault: Shell,
    key: Shell,
    version: Option<Shell>,
    endpoint: Shell,
    description: Shell,
    /// Whether the vault is found by its name alone.
    by_name: bool,
    rbac: bool,
    bits: u16,
    /// What comes after the commands.
    next: Option<Shell>,
}

impl<'a> Script<'a> {
    fn new(facts: &Facts, choices: Choices, steps: &'a [Step]) -> Self {
        let platform = &facts.application.display_name;
        let endpoint = facts.endpoint.as_ref().and_then(|endpoint| endpoint.ours.as_ref());
        Self {
            steps,
            platform: Comment::new(platform),
            cloud: cloud_name(facts.cloud),
            application: Shell::new(&facts.application.client_id.to_string()),
            directory: known(facts.directory, "<your Tenant ID>"),
            subscription: known(facts.subscription(), "<your subscription ID>"),
            group: known(facts.resource_group(), "<your resource group>"),
            location: known(
                facts.region.as_ref().map(Region::as_str),
                "<the region, such as westeurope>",
            ),
            vault: known(facts.vault_name(), "<your vault name>"),
            key: known(facts.key.as_ref(), "<your key name>"),
            version: facts.version.as_ref().map(|version| Shell::new(version.as_str())),
            endpoint: known(endpoint, "<resource ID of our private endpoint>"),
            description: Shell::new(&description(platform)),
            by_name: facts.resource.is_none() && choices.vault == VaultChoice::Existing,
            rbac: choices.access != Access::Policy,
            bits: choices.key_size.bits(),
            next: facts.endpoint.as_ref().map(next),
        }
    }

    fn has(&self, step: Step) -> bool {
        self.steps.contains(&step)
    }

    /// The options that name the vault.
    fn the_vault(&self) -> &'static str {
        if self.by_name {
            r#"--name "$vault""#
        } else {
            r#"--name "$vault" --resource-group "$group" --subscription "$subscription""#
        }
    }

    fn needs_principal(&self) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Authorize | Step::AssignRoles(_) | Step::SetPolicy | Step::NarrowRoles(_) | Step::NarrowPolicy => {
                true
            }
            Step::CreateVault
            | Step::ProtectVault
            | Step::SwitchToRoles
            | Step::CreateKey
            | Step::LimitKey
            | Step::ApproveEndpoint
            | Step::ClosePublicAccess
            | Step::Report => false,
        })
    }

    fn needs_vault(&self) -> bool {
        self.steps.iter().any(|step| *step != Step::Authorize)
    }

    /// Whether this step is the first that needs the vault's resource id.
    fn finds_id_before(&self, place: usize) -> bool {
        let needs = |step: &Step| {
            matches!(
                step,
                Step::AssignRoles(_) | Step::NarrowRoles(_) | Step::ApproveEndpoint | Step::Report
            )
        };
        self.steps.iter().position(needs) == Some(place)
    }

    fn needs_key(&self) -> bool {
        [Step::CreateKey, Step::LimitKey, Step::Report]
            .into_iter()
            .any(|step| self.has(step))
    }
}

/// What the customer reads beside an approved connection; the resource manager takes 140 characters.
pub(super) fn description(platform: &str) -> String {
    let name: String = platform.chars().take(100).collect();
    format!("Approved for {name}")
}

fn next(endpoint: &Endpoint) -> Shell {
    let first = if endpoint.ours.is_some() {
        "The private endpoint is approved with this."
    } else {
        "Next we request a private endpoint to this vault, which you approve."
    };
    let then = if endpoint.required {
        "We use the vault over it only, so you may then close the vault to public networks."
    } else {
        "Until it works we use the public way, so leave the vault open to us till then."
    };
    Shell::new(&format!("{first} {then}"))
}

fn known(value: Option<impl ToString>, placeholder: &str) -> Shell {
    value.map_or_else(|| Shell::new(placeholder), |value| Shell::new(&value.to_string()))
}

/// What the command line calls a cloud.
fn cloud_name(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Public => "AzureCloud",
        Cloud::China => "AzureChinaCloud",
        Cloud::UsGovernment => "AzureUSGovernment",
    }
}
