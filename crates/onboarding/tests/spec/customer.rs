//! A customer to write instructions for, and an Azure CLI that remembers what it was told.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use keyferry_crypto::id::Cloud;
use keyferry_onboarding::instructions::{Application, Endpoint, Facts, PrivateEndpoint};
use tempfile::TempDir;
use uuid::uuid;

pub const DIRECTORY: &str = "5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11";
pub const RESOURCE: &str = "/subscriptions/11112222-3333-4444-8555-666677778888/resourceGroups/keys-prod/providers/Microsoft.KeyVault/vaults/acme-kv";
pub const PRINCIPAL: &str = "77777777-1111-4222-8333-444455556666";

/// All is known.
pub fn known() -> Facts {
    Facts {
        directory: DIRECTORY.parse().ok(),
        vault: "acme-kv.vault.azure.net".parse().ok(),
        resource: RESOURCE.parse().ok(),
        region: "West Europe".parse().ok(),
        key: "customer-key".parse().ok(),
        endpoint: Some(Endpoint {
            required: true,
            ours: Some(endpoint()),
        }),
        ..unknown()
    }
}

/// Only we are known.
pub fn unknown() -> Facts {
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

pub fn endpoint() -> PrivateEndpoint {
    PrivateEndpoint {
        subscription: "99998888-7777-4666-8555-444433332222".parse().unwrap(),
        resource_group: "platform-byok".parse().unwrap(),
        name: "byok-acme".parse().unwrap(),
    }
}

/// What an Azure CLI finds, and what it was told: `tests/az` stands in its place.
pub struct Az {
    world: TempDir,
}

impl Az {
    /// Signed in to the customer's directory; nothing else is there.
    pub fn signed_in() -> Self {
        let az = Self {
            world: tempfile::tempdir().unwrap(),
        };
        az.has("cloud", "AzureCloud");
        az.has("directory", DIRECTORY);
        az
    }

    /// Something is there.
    pub fn has(&self, what: &str, value: &str) {
        fs::write(self.world.path().join(what), value).unwrap();
    }

    /// Runs a script as a customer does.
    pub fn runs(&self, script: &str) -> Output {
        let file = self.world.path().join("script.sh");
        fs::write(&file, script).unwrap();
        let path = format!("{}:{}", stand_in().display(), std::env::var("PATH").unwrap());
        let command = Command::new("sh")
            .arg(file)
            .env("PATH", path)
            .env("AZ_WORLD", self.world.path())
            .output();
        command.unwrap()
    }

    /// Runs a script that shall succeed.
    pub fn does(&self, script: &str) -> String {
        let output = self.runs(script);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}\n{script}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it was told: each call's arguments.
    pub fn calls(&self) -> Vec<Vec<String>> {
        let log = fs::read_to_string(self.world.path().join("calls")).unwrap_or_default();
        let calls = log.split_terminator('\u{1e}');
        calls
            .map(|call| call.split_terminator('\u{1f}').map(str::to_owned).collect())
            .collect()
    }

    /// The calls that change something.
    pub fn changes(&self) -> Vec<String> {
        let verbs = ["create", "update", "set-policy", "set-attributes", "approve", "delete"];
        let calls = self
            .calls()
            .into_iter()
            .filter(|call| call.iter().any(|word| verbs.contains(&word.as_str())));
        calls.map(|call| call.join(" ")).collect()
    }
}

fn stand_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/az")
}
