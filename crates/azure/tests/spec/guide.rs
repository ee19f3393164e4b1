//! `docs/azure.md` says what the code does.

use keyferry_azure::{AzureConfig, arm::ArmCause, probe::Power};
use keyferry_crypto::vault::{Fault, VaultCause};

const GUIDE: &str = include_str!("../../../../docs/azure.md");
const PROBLEMS: &str = include_str!("../../../../docs/problems.md");

/// All causes: one that is added does not compile until it is named here, and then wants its row.
macro_rules! causes {
    ($($cause:ident)*) => {
        const CAUSES: &[VaultCause] = &[$(VaultCause::$cause),*];
        const fn _none_is_left_out(cause: VaultCause) {
            match cause { $(VaultCause::$cause)|* => {} }
        }
    };
}
causes!(
    KeyDisabled KeyNotFound KeyNotUsable KeyOperationForbidden RoleMissing AccessPolicyMissing FirewallDenied
    PublicAccessDisabled AccessDenied ConsentMissing PrincipalDisabled ConditionalAccess DirectoryNotFound WrongDirectory
    KeyVaultPrincipalMissing PrivateEndpointClosed WrappedKeyInvalid Throttled VaultFailed Timeout ConnectionFailed VaultNotFound
    CertificateInvalid AnswerInvalid TokenNotVerifiable EntraThrottled EntraUnavailable QuotaSpent Busy AppSecretInvalid
    AppSecretExpired AppAssertionInvalid AppCredentialUnavailable TokenRejected RequestRejected
);

#[test]
fn every_cause_has_a_row_with_its_fault_and_its_problem() {
    let rows = GUIDE.split_once("| cause |").unwrap().1.lines().skip(2);
    let rows: Vec<Vec<_>> = rows
        .take_while(|row| row.starts_with('|'))
        .map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .collect();
    let (named, causes): (Vec<_>, Vec<_>) = (
        rows.iter().map(|row| row[1].to_owned()).collect(),
        CAUSES.iter().map(|cause| format!("{cause:?}")).collect(),
    );
    assert_eq!(named, causes);
    for (row, cause) in rows.iter().zip(CAUSES) {
        let fault = match cause.fault() {
            Fault::Caller => "caller",
            Fault::Customer => "customer",
            Fault::Unavailable => "vault",
            Fault::Service => "service",
        };
        assert_eq!(row[3], fault, "{cause:?}");
        let problem = PROBLEMS
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` |", row[4])))
            .unwrap_or_else(|| panic!("docs/problems.md has no `{}`", row[4]));
        assert_eq!(problem.split('|').nth(3).unwrap().trim(), fault, "{cause:?}");
    }
}

/// All causes of the resource manager's. One that is added does not compile until it is named here.
const fn _no_cause_is_left_out(cause: &ArmCause) {
    match cause {
        ArmCause::Token(_)
        | ArmCause::Forbidden
        | ArmCause::TargetNotFound
        | ArmCause::OtherDirectory
        | ArmCause::TooManyEndpoints
        | ArmCause::Misconfigured
        | ArmCause::Throttled
        | ArmCause::Unavailable
        | ArmCause::Rejected => {}
    }
}

#[test]
fn every_cause_of_the_resource_managers_every_power_and_every_route_has_a_row() {
    let causes = [
        "Token",
        "Forbidden",
        "TargetNotFound",
        "OtherDirectory",
        "TooManyEndpoints",
        "Misconfigured",
        "Throttled",
        "Unavailable",
        "Rejected",
    ];
    let rows_of = |section: &str| {
        let (_, section) = GUIDE.split_once(section).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section
            .lines()
            .filter_map(|row| row.strip_prefix("| `")?.split('`').next());
        rows.map(str::to_owned).collect::<Vec<_>>()
    };
    let endpoints = rows_of("\n## Private endpoints\n");
    assert_eq!(endpoints[endpoints.len() - causes.len()..], causes);
    let powers: Vec<_> = Power::ALL.iter().map(|power| format!("{power:?}")).collect();
    let asked = rows_of("\n## What onboarding asks\n");
    assert_eq!(asked[asked.len() - powers.len()..], powers);
    assert_eq!(rows_of("\n## The way to a vault\n"), ["Public", "Private", "Closed"]);
}

#[test]
fn every_field_is_named() {
    let credential = "client_id = \"00000000-0000-0000-0000-000000000000\"\ncredential = ";
    let managed = format!("{credential}{{ type = \"managed-identity\" }}");
    let mut named = 0;
    for text in [
        "unknown = 1".to_owned(),
        format!("{managed}\ntimeouts = {{ unknown = 1 }}"),
        format!("{managed}\nretries = {{ unknown = 1 }}"),
        format!("{managed}\nlimits = {{ unknown = 1 }}"),
        format!("{managed}\nother_clouds = [{{ unknown = 1 }}]"),
        format!("{managed}\nprivate_endpoints = {{ unknown = 1 }}"),
        format!("{credential}{{ type = \"unknown\" }}"),
        format!("{credential}{{ type = \"client-secret\", unknown = 1 }}"),
        format!("{credential}{{ type = \"certificate\", unknown = 1 }}"),
        format!("{credential}{{ type = \"workload-identity\", unknown = 1 }}"),
        format!("{credential}{{ type = \"managed-identity\", unknown = 1 }}"),
    ] {
        // The refusal lists what would have been taken.
        let error = toml::from_str::<AzureConfig>(&text).unwrap_err().message().to_owned();
        let (_, expected) = error.split_once("expected ").unwrap_or_else(|| panic!("{error}"));
        for name in expected.split('`').skip(1).step_by(2) {
            let told = [format!("`{name}`"), format!("\"{name}\""), format!("{name} =")];
            let is_told = told.iter().any(|form| GUIDE.contains(form));
            assert!(is_told, "docs/azure.md does not name `{name}`");
            named += 1;
        }
    }
    assert!(named >= 37, "only {named} names were looked for");
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    azure: AzureConfig,
}

#[test]
fn every_example_is_a_configuration_and_one_shows_the_defaults() {
    let examples: Vec<Example> = GUIDE
        .split("```toml\n")
        .skip(1)
        .map(|rest| toml::from_str(rest.split_once("```").unwrap().0).unwrap())
        .collect();
    assert!(examples.len() >= 8);
    let AzureConfig {
        timeouts,
        retries,
        token_max_age,
        limits,
        ..
    } = AzureConfig::new(examples[0].azure.client_id, examples[0].azure.credential.clone());
    let (_, defaults) = GUIDE.split_once("## Waiting and trying again\n\n```toml\n").unwrap();
    let shown: Example = toml::from_str(defaults.split_once("```").unwrap().0).unwrap();
    assert_eq!(shown.azure.timeouts, timeouts);
    assert_eq!(shown.azure.retries, retries);
    assert_eq!(shown.azure.token_max_age, token_max_age);
    assert_eq!(shown.azure.limits, limits);
}
