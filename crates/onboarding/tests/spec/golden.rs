//! What is handed out, to the letter: `tests/golden` is what a customer would read. After a change that is meant,
//! `KEYFERRY_WRITE_GOLDEN=1 cargo test -p keyferry-onboarding` writes it anew.

use std::{fs, path::Path};

use keyferry_crypto::id::Cloud;
use keyferry_onboarding::instructions::{
    Access, Choices, ConsentLinks, Facts, KeySize, Roles, Step, VaultChoice, az_script, az_steps, bicep, consent_links,
    terraform,
};
use url::Url;

use crate::customer::{known, unknown};

fn golden(file: &str, written: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("KEYFERRY_WRITE_GOLDEN").is_some() {
        fs::write(&path, written).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    assert!(written == expected, "{file} differs:\n{written}");
}

fn all_forms(name: &str, facts: &Facts, choices: Choices) {
    golden(&format!("{name}.sh"), &az_script(facts, choices));
    golden(&format!("{name}.bicep"), &bicep(facts, choices));
    golden(&format!("{name}.tf"), &terraform(facts, choices));
}

#[test]
fn an_existing_vault_of_which_all_is_known() {
    all_forms("existing-vault", &known(), Choices::default());
}

#[test]
fn a_new_vault_of_which_nothing_is_known() {
    let new = Choices {
        vault: VaultChoice::New,
        ..Choices::default()
    };
    all_forms("new-vault", &unknown(), new);
}

#[test]
fn the_tighter_role_a_larger_key_and_a_sovereign_cloud() {
    let china = Facts {
        cloud: Cloud::China,
        vault: "acme-kv.vault.azure.cn".parse().ok(),
        region: "chinanorth3".parse().ok(),
        ..known()
    };
    let tight = Choices {
        vault: VaultChoice::New,
        access: Access::Roles(Roles::EncryptionUser),
        key_size: KeySize::Rsa4096,
    };
    all_forms("tight-sovereign", &china, tight);
}

#[test]
fn an_access_policy_and_a_pinned_version() {
    let pinned = Facts {
        version: "c4a1b9c151b740d985b8a51f9efeb51b".parse().ok(),
        endpoint: None,
        ..known()
    };
    let policy = Choices {
        access: Access::Policy,
        ..Choices::default()
    };
    all_forms("access-policy", &pinned, policy);
}

#[test]
fn the_steps_that_findings_ask_for() {
    for (name, step) in [
        ("approve", Step::ApproveEndpoint),
        ("narrow-roles", Step::NarrowRoles(Roles::EncryptionUser)),
        ("narrow-policy", Step::NarrowPolicy),
        ("limit-key", Step::LimitKey),
        ("switch-to-roles", Step::SwitchToRoles),
        ("close-public-access", Step::ClosePublicAccess),
    ] {
        golden(
            &format!("step-{name}.sh"),
            &az_steps(&known(), Choices::default(), &[step]),
        );
    }
}

#[test]
fn consent_in_each_cloud_and_form() {
    let redirect = Url::parse("https://byok.example/onboarding/consent?a=b&c").unwrap();
    let links = |cloud, facts: &Facts| {
        let ConsentLinks { v1, v2 } = consent_links(
            cloud,
            facts.application.client_id,
            facts.directory,
            &redirect,
            "state & signature+/=",
        );
        format!("{v1}\n{v2}\n")
    };
    let mut all: String = Cloud::ALL.into_iter().map(|cloud| links(cloud, &known())).collect();
    all.push_str(&links(Cloud::Public, &unknown()));
    golden("consent.txt", &all);
}
