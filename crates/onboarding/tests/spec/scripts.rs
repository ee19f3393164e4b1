//! The commands do what they say, can be run again, and run nothing that a name contains.

use keyferry_crypto::id::Cloud;
use keyferry_onboarding::instructions::{
    Access, Application, Choices, Endpoint, Facts, Roles, Step, VaultChoice, az_script, az_steps,
};

use crate::customer::{Az, PRINCIPAL, RESOURCE, endpoint, known, unknown};

fn new() -> Choices {
    Choices {
        vault: VaultChoice::New,
        ..Choices::default()
    }
}

fn without_endpoint(facts: Facts) -> Facts {
    Facts {
        endpoint: None,
        ..facts
    }
}

/// A vault with roles, and our application in its directory.
fn prepared() -> Az {
    let az = Az::signed_in();
    az.has("principal", PRINCIPAL);
    az.has("resource", RESOURCE);
    az.has("roles", "true");
    az
}

#[test]
fn from_nothing_to_all_that_the_guide_asks_and_a_second_run_only_repeats_what_is_harmless() {
    let az = Az::signed_in();
    let script = az_script(&without_endpoint(known()), new());
    let told = az.does(&script);
    let first = az.changes();
    let done: Vec<_> = first.iter().map(|call| call.split(" --").next().unwrap()).collect();
    assert_eq!(
        done,
        [
            "ad sp create",
            "keyvault create",
            "keyvault key create",
            "role assignment create",
            "role assignment create"
        ]
    );
    assert!(
        first[1].contains("--enable-purge-protection true") && first[1].contains("--enable-rbac-authorization true")
    );
    assert!(first[2].contains("--kty RSA --size 3072 --ops wrapKey unwrapKey"));
    assert!(first[3].contains(PRINCIPAL) && first[3].contains("12338af0-0e69-4776-bea7-57ae8d297424"));
    assert!(
        told.contains("https://acme-kv.vault.azure.net/") && told.contains("customer-key"),
        "{told}"
    );
    az.does(&script);
    assert_eq!(az.changes()[5..], first[3..], "a second key or vault");
}

#[test]
fn an_existing_vault_is_protected_and_not_created() {
    let az = prepared();
    az.does(&az_script(&without_endpoint(known()), Choices::default()));
    let changes = az.changes();
    assert!(changes[0].starts_with("keyvault update --name acme-kv"), "{changes:?}");
    assert!(
        !changes
            .iter()
            .any(|call| call.starts_with("keyvault create") || call.starts_with("ad sp create"))
    );
}

#[test]
fn a_pinned_version_exists_so_no_key_is_created() {
    let az = prepared();
    let pinned = Facts {
        version: "c4a1b9c151b740d985b8a51f9efeb51b".parse().ok(),
        ..without_endpoint(known())
    };
    az.does(&az_script(&pinned, Choices::default()));
    assert!(!az.changes().iter().any(|call| call.contains("key create")));
}

#[test]
fn who_may_not_create_the_key_is_told_which_role_is_missing() {
    let az = prepared();
    az.has("no-key-create", "");
    let output = az.runs(&az_steps(&known(), Choices::default(), &[Step::CreateKey]));
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("Key Vault Crypto Officer"));
}

#[test]
fn roles_are_not_granted_where_they_would_be_ignored() {
    let az = prepared();
    az.has("roles", "false");
    let output = az.runs(&az_steps(
        &known(),
        Choices::default(),
        &[Step::AssignRoles(Roles::default())],
    ));
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("access policies"));
    assert_eq!(az.changes(), Vec::<String>::new());
    az.does(&az_steps(&known(), Choices::default(), &[Step::SetPolicy]));
    assert!(az.changes()[0].contains("--key-permissions get wrapKey unwrapKey"));
}

#[test]
fn nothing_runs_while_a_value_is_missing() {
    let az = prepared();
    for choices in [Choices::default(), new()] {
        let output = az.runs(&az_script(&unknown(), choices));
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("in place of <your Tenant ID>"));
    }
    assert_eq!(az.calls(), Vec::<Vec<String>>::new());
}

#[test]
fn nothing_changes_in_another_cloud_or_directory() {
    let china = Facts {
        cloud: Cloud::China,
        ..known()
    };
    let az = prepared();
    let output = az.runs(&az_script(&china, Choices::default()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("az cloud set --name AzureChinaCloud"));
    az.has("directory", "another");
    let output = az.runs(&az_script(&known(), Choices::default()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("az login --tenant 5f0b4d3e"));
    assert_eq!(az.changes(), Vec::<String>::new());
}

/// The private endpoint connections that a vault has: each its state and whose it is.
fn connections(of: &[(&str, &str)]) -> String {
    let line = |(at, (status, id)): (usize, &(&str, &str))| {
        format!("{RESOURCE}/privateEndpointConnections/c{at}\t{status}\t{id}\n")
    };
    of.iter().enumerate().map(line).collect()
}

#[test]
fn the_connection_of_our_endpoint_is_approved_and_no_strangers() {
    let ours = endpoint().to_string();
    let stranger = ours.replace("99998888", "66665555");
    let az = prepared();
    az.has(
        "connections",
        &connections(&[
            ("Pending", &stranger),
            ("Pending", &ours.to_uppercase()),
            ("Pending", &format!("{ours}-too")),
        ]),
    );
    az.does(&az_steps(&known(), Choices::default(), &[Step::ApproveEndpoint]));
    let approved = format!(
        "keyvault private-endpoint-connection approve --id {RESOURCE}/privateEndpointConnections/c1 --description Approved for Example Platform --output none"
    );
    assert_eq!(az.changes(), [approved]);
}

#[test]
fn an_approval_that_is_done_stays_and_one_that_cannot_be_says_why() {
    let ours = endpoint().to_string();
    let approve = az_steps(&known(), Choices::default(), &[Step::ApproveEndpoint]);
    let az = prepared();
    az.has("connections", &connections(&[("Approved", &ours)]));
    az.does(&approve);
    for (there, said) in [
        (String::new(), "No connection of ours is there yet"),
        (connections(&[("Rejected", &ours)]), "Our connection is Rejected"),
    ] {
        az.has("connections", &there);
        let output = az.runs(&approve);
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains(said));
    }
    assert_eq!(az.changes(), Vec::<String>::new());
}

#[test]
fn what_comes_next_depends_on_how_the_private_endpoint_is_meant() {
    let az = prepared();
    let told = |required| {
        let endpoint = Some(Endpoint { required, ours: None });
        az.does(&az_script(&Facts { endpoint, ..known() }, Choices::default()))
    };
    assert!(told(true).contains("you may then close the vault to public networks"));
    assert!(told(false).contains("leave the vault open to us"));
}

#[test]
fn narrowing_grants_what_is_needed_before_it_takes_the_rest() {
    let az = prepared();
    az.has("surplus", "/assignments/one\n/assignments/two (old)\n");
    az.does(&az_steps(
        &known(),
        Choices::default(),
        &[Step::NarrowRoles(Roles::EncryptionUser)],
    ));
    let changes = az.changes();
    assert!(
        changes[0].contains("role assignment create") && changes[0].contains("e147488a-f6f5-4113-8e2d-b22465e65bf6")
    );
    assert_eq!(
        changes[1..],
        [
            "role assignment delete --ids /assignments/one",
            "role assignment delete --ids /assignments/two (old)"
        ]
    );
    let az = prepared();
    az.does(&az_steps(
        &known(),
        Choices::default(),
        &[Step::NarrowPolicy, Step::LimitKey],
    ));
    let changes = az.changes();
    assert!(changes[0].contains("unwrapKey --secret-permissions --certificate-permissions --storage-permissions"));
    assert!(changes[1].contains("set-attributes --vault-name acme-kv --name customer-key --ops wrapKey unwrapKey"));
}

#[test]
fn names_reach_the_command_line_whole_and_run_nothing() {
    for name in HOSTILE {
        let az = prepared();
        az.has("connections", &connections(&[("Pending", &endpoint().to_string())]));
        let facts = Facts {
            application: Application {
                display_name: name.to_owned(),
                ..known().application
            },
            resource: RESOURCE.replace("keys-prod", "clés_(prod)").parse().ok(),
            ..known()
        };
        let told = az.does(&az_script(&facts, Choices::default()));
        let calls = az.calls();
        let approval = calls.iter().find(|call| call.contains(&"approve".to_owned())).unwrap();
        let description = approval
            .iter()
            .skip_while(|word| *word != "--description")
            .nth(1)
            .unwrap();
        let visible = name
            .replace(['\n', '\r', '\t', '\u{2028}', '\u{1b}'], " ")
            .replace('\u{202e}', "");
        assert_eq!(*description, format!("Approved for {visible}"));
        assert!(
            calls
                .iter()
                .any(|call| call.windows(2).any(|pair| pair == ["--resource-group", "clés_(prod)"]))
        );
        assert!(
            !told.contains("PWNED") && !calls.iter().any(|call| call.contains(&"pwned".to_owned())),
            "{told}"
        );
    }
}

#[test]
fn policies_and_roles_each_have_a_whole_script() {
    let az = prepared();
    let policy = Choices {
        access: Access::Policy,
        ..Choices::default()
    };
    az.does(&az_script(&without_endpoint(known()), policy));
    let changes = az.changes();
    assert!(changes.iter().any(|call| call.starts_with("keyvault set-policy")));
    assert!(!changes.iter().any(|call| call.starts_with("role assignment")));
}

/// Names for people that would rather be commands.
pub const HOSTILE: [&str; 12] = [
    "O'Neil & \"Sons\"",
    "'; echo PWNED; az pwned; '",
    "\"; echo PWNED; az pwned; \"",
    "$(az pwned)",
    "`az pwned`",
    "${IFS}az${IFS}pwned",
    "a\naz pwned\nb",
    "a\r\naz pwned",
    "a\u{2028}az pwned",
    "\u{202e}denwp za\u{1b}[2J",
    "\\'; az pwned; #",
    "%{ if true }az pwned%{ endif }*/",
];
