//! Neither a configuration nor its refusal shows a secret.

use std::os::unix::ffi::OsStringExt;

use super::*;

const SECRET: &str = "planted-secret";

#[test]
fn a_configuration_does_not_show_its_secrets() {
    let text = MINIMAL.replace(
        "sqlite:/var/lib/keyferry/registry.db",
        "postgres://keyferry:planted-secret@db/keyferry",
    );
    let config = load(&text, &[]).unwrap();
    assert!(!format!("{config:?}").contains(SECRET));
    let refusal = refusal(&text.replace("[registry]", "[registry]\nurl_file = \"/nowhere\""), &[]);
    assert!(!refusal.contains(SECRET), "{refusal}");
}

#[test]
fn what_is_no_toml_is_placed_and_not_quoted() {
    for (text, line) in [
        ("[registry]\nurl = \"planted-secret", 2),
        ("[registry]\n\nurl = planted-secret", 3),
        ("planted-secret", 1),
        ("[azure]\nsecret = \"planted-secret\"\nsecret = \"planted-secret\"", 3),
    ] {
        let refusal = refusal(text, &[]);
        assert!(refusal.contains(&format!("is not TOML: line {line}: ")), "{refusal}");
        assert!(!refusal.contains(SECRET), "{refusal}");
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_named_by_its_place() {
    let url = "postgres://keyferry:planted-secret@db/keyferry";
    for (variable, field) in [
        ("KEYFERRY_AZURE__CREDENTIAL", "azure.credential"),
        ("KEYFERRY_AZURE__CREDENTIAL__TYPE", "azure.credential.type"),
        ("KEYFERRY_AZURE__CLIENT_ID", "azure.client_id"),
        ("KEYFERRY_AZURE__CLOUD", "azure.cloud"),
        ("KEYFERRY_AZURE__OVERRIDES", "azure.overrides"),
        ("KEYFERRY_AZURE__TIMEOUTS", "azure.timeouts"),
        ("KEYFERRY_AZURE__TOKEN_MAX_AGE_SECONDS", "azure.token_max_age_seconds"),
        ("KEYFERRY_REGISTRY__URL", "registry.url"),
        ("KEYFERRY_REGISTRY__TENANTS_IN_MEMORY", "registry.tenants_in_memory"),
        ("KEYFERRY_HTTP__LISTEN", "http.listen"),
        ("KEYFERRY_HTTP__MAX_JSON_BYTES", "http.max_json_bytes"),
        ("KEYFERRY_AUTH__AUTHORITY", "auth.authority"),
        ("KEYFERRY_AUTH__DIRECTORIES", "auth.directories"),
        ("KEYFERRY_AUTH__CALLERS", "auth.callers"),
        ("KEYFERRY_TELEMETRY__LOG", "telemetry.log"),
        ("KEYFERRY_TELEMETRY__LOG_FORMAT", "telemetry.log_format"),
        ("KEYFERRY_TELEMETRY__OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    ] {
        let refusal = refusal(&credential_by_variable(), &[(variable, SECRET)]);
        assert!(refusal.starts_with(&format!("{field}: not acceptable")), "{refusal}");
        assert!(!refusal.contains(SECRET), "{refusal}");
    }
    for (text, field) in [
        (format!("registry = {url:?}"), "registry"),
        (format!("azure = {url:?}"), "azure"),
        (format!("[registry]\nurl = [{url:?}]"), "registry.url"),
        ("[registry]\nurl = 53053053".to_owned(), "registry.url"),
        ("[azure]\nclient_id = 53053053".to_owned(), "azure.client_id"),
        ("[http]\nlisten = 53053053".to_owned(), "http.listen"),
        (
            format!("[azure]\ncredential = {{ type = \"client-secret\", secret = [{url:?}] }}"),
            "azure.credential.secret",
        ),
        (
            "[azure]\ncredential = { type = \"client-secret\", secret = 53053053 }".to_owned(),
            "azure.credential.secret",
        ),
    ] {
        let refusal = refusal(&text, &[]);
        assert!(
            refusal.starts_with(&format!("{field}: not acceptable, expected ")),
            "{refusal}"
        );
        assert!(!refusal.contains(SECRET) && !refusal.contains("53053053"), "{refusal}");
    }
}

#[test]
fn a_variable_that_is_no_text_is_named_and_not_quoted() {
    let secret = OsString::from_vec(b"planted-secret\xff".to_vec());
    let environment = [(OsString::from("KEYFERRY_REGISTRY__URL"), secret)];
    let refusal = Config::load(None, environment.into_iter()).unwrap_err().to_string();
    assert_eq!(refusal, "environment variable KEYFERRY_REGISTRY__URL: not UTF-8");
}

/// A configuration whose credential a variable may replace in part.
fn credential_by_variable() -> String {
    MINIMAL.replace(
        CREDENTIAL,
        "[azure.credential]\ntype = \"client-secret\"\nsecret = \"another\"",
    )
}
