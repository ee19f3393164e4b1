//! Others judge the instructions: shells, the Azure CLI's own parser, HashiCorp's parser with the providers' published
//! schemas, and Bicep's grammar with Azure's published models.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use keyferry_crypto::id::Cloud;
use keyferry_onboarding::instructions::{
    Access, Application, Choices, Endpoint, Facts, KeySize, PrivateEndpoint, Roles, Step, VaultChoice, az_script,
    az_steps, bicep, terraform,
};
use keyferry_tests::{needs, repository};
use uuid::uuid;

use crate::interop::pytest_of;

#[tokio::test]
async fn every_instruction_is_one_that_its_tool_understands() {
    let Some(python) = needs("KEYFERRY_INSTRUCTIONS_PYTHON", "Python with the Azure CLI's parser") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for (number, (facts, choices)) in every_case().into_iter().enumerate() {
        write(&folder.path().join(format!("{number:03}")), &facts, choices);
    }
    let folder = folder.path().display().to_string();
    pytest_of(
        python,
        "tests/interop/instructions",
        vec![("KEYFERRY_INSTRUCTIONS", folder)],
    )
    .await;
}

/// Every choice with every amount of knowledge, in the public cloud; then other clouds and names.
fn every_case() -> Vec<(Facts, Choices)> {
    let mut cases = Vec::new();
    for facts in [unknown(), planned(), known(), pinned()] {
        for vault in [VaultChoice::Existing, VaultChoice::New] {
            for access in [
                Access::Roles(Roles::UserAndReader),
                Access::Roles(Roles::EncryptionUser),
                Access::Policy,
            ] {
                let key_size = KeySize::Rsa4096;
                let choices = Choices {
                    vault,
                    access,
                    key_size,
                };
                cases.push((facts.clone(), choices));
            }
        }
    }
    let clouds = Cloud::ALL.map(|cloud| Facts { cloud, ..known() });
    let plain = clouds.into_iter().chain([planned(), pinned()]);
    cases.extend(plain.map(|facts| (facts, Choices::default())));
    for name in NAMES {
        let mut facts = known();
        name.clone_into(&mut facts.application.display_name);
        cases.push((facts, Choices::default()));
    }
    cases
}

/// Writes a case's instructions to a folder, and beside them what its commands tell the Azure CLI when they run.
fn write(folder: &Path, facts: &Facts, choices: Choices) {
    fs::create_dir(folder).unwrap();
    let bicep = bicep(facts, choices);
    fs::write(folder.join("name"), &facts.application.display_name).unwrap();
    fs::write(folder.join("customer.bicep"), &bicep).unwrap();
    fs::write(folder.join("customer.tf"), terraform(facts, choices)).unwrap();
    let script = az_script(facts, choices);
    fs::write(folder.join("guide.sh"), &script).unwrap();
    run(&folder.join("fresh"), &script, facts, &[]);
    // Steps differ little from choice to choice.
    let steps = if choices == Choices::default() {
        steps()
    } else {
        Vec::new()
    };
    for (number, step) in steps.into_iter().enumerate() {
        let script = az_steps(facts, choices, &[step]);
        fs::write(folder.join(format!("step-{number}.sh")), &script).unwrap();
        run(&folder.join(format!("step-{number}")), &script, facts, PREPARED);
    }
    let commands = bicep.lines().filter_map(|line| line.strip_prefix("//   "));
    let commands: Vec<_> = commands.filter(|line| line.starts_with("az ")).collect();
    run(&folder.join("bicep"), &commands.join("\n"), facts, PREPARED);
}

fn steps() -> Vec<Step> {
    vec![
        Step::ProtectVault,
        Step::SwitchToRoles,
        Step::CreateKey,
        Step::LimitKey,
        Step::AssignRoles(Roles::UserAndReader),
        Step::SetPolicy,
        Step::NarrowRoles(Roles::EncryptionUser),
        Step::NarrowPolicy,
        Step::ApproveEndpoint,
        Step::ClosePublicAccess,
        Step::Report,
    ]
}

/// Runs commands against a stand-in for the Azure CLI, which remembers them in `world/calls`. (What still has a
/// placeholder refuses to run; that is tried elsewhere.)
fn run(world: &Path, script: &str, facts: &Facts, prepared: &[(&str, &str)]) {
    if script.contains("='<") {
        return;
    }
    fs::create_dir(world).unwrap();
    let cloud = match facts.cloud {
        Cloud::Public => "AzureCloud",
        Cloud::China => "AzureChinaCloud",
        Cloud::UsGovernment => "AzureUSGovernment",
    };
    let connection = format!("/connection\tPending\t{}\n", endpoint());
    let there = [("cloud", cloud), ("directory", DIRECTORY), ("connections", &connection)];
    for (what, value) in there.iter().chain(prepared) {
        fs::write(world.join(what), value).unwrap();
    }
    // The guide's script begins with an existing vault where that was chosen.
    if !script.contains("az keyvault create") {
        fs::write(world.join("resource"), RESOURCE).unwrap();
        fs::write(world.join("roles"), "true").unwrap();
    }
    let stand_in: PathBuf = repository().join("crates/onboarding/tests/az");
    let path = format!("{}:{}", stand_in.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    let output = command
        .args(["-c", script])
        .env("PATH", path)
        .env("AZ_WORLD", world)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{script}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn known() -> Facts {
    Facts {
        resource: RESOURCE.parse().ok(),
        region: "westeurope".parse().ok(),
        endpoint: Some(Endpoint {
            required: true,
            ours: Some(endpoint()),
        }),
        ..planned()
    }
}

fn pinned() -> Facts {
    Facts {
        version: "c4a1b9c151b740d985b8a51f9efeb51b".parse().ok(),
        endpoint: None,
        ..known()
    }
}

/// The customer has told what it is asked, and the private endpoint is not requested yet.
fn planned() -> Facts {
    Facts {
        directory: DIRECTORY.parse().ok(),
        vault: "acme-kv.vault.azure.net".parse().ok(),
        key: "customer-key".parse().ok(),
        endpoint: Some(Endpoint {
            required: false,
            ours: None,
        }),
        ..unknown()
    }
}

fn unknown() -> Facts {
    Facts {
        cloud: Cloud::Public,
        application: Application {
            client_id: uuid!("0c2d7a51-92b4-4b0e-8a35-1f4e6d7c8b90"),
            display_name: "Example Platform".to_owned(),
        },
        directory: None,
        vault: None,
        resource: None,
        region: None,
        key: None,
        version: None,
        endpoint: None,
    }
}

fn endpoint() -> PrivateEndpoint {
    PrivateEndpoint {
        subscription: "99998888-7777-4666-8555-444433332222".parse().unwrap(),
        resource_group: "platform-byok".parse().unwrap(),
        name: "byok-acme".parse().unwrap(),
    }
}

const DIRECTORY: &str = "5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11";
const RESOURCE: &str = "/subscriptions/11112222-3333-4444-8555-666677778888/resourceGroups/clés_(prod)/providers/Microsoft.KeyVault/vaults/acme-kv";
const PREPARED: &[(&str, &str)] = &[
    ("principal", "77777777-1111-4222-8333-444455556666"),
    ("surplus", "/assignment\n"),
];
/// Names that mean something in one language or another.
const NAMES: [&str; 6] = [
    "O'Neil & \"Sons\" \\ Ltd",
    "${self.id} $${x} $$${y} %{ if true }z%{ endif } %%{",
    "'${resourceGroup().id}' '''",
    "$(az pwned) `az pwned`; az pwned #",
    "*/ // # -- \" }",
    "Zoë 株式会社 🔑",
];
