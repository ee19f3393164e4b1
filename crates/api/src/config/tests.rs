mod secrecy;
mod starting;

use std::{collections::BTreeMap, fs};

use keyferry_azure::CredentialConfig;
use keyferry_registry::DatabaseUrl;

use super::*;

const MINIMAL: &str = r#"
[registry]
url = "sqlite:/var/lib/keyferry/registry.db"
[azure]
client_id = "11111111-1111-4111-8111-111111111111"
credential = { type = "client-secret", secret = "planted-secret" }
[auth]
directories = ["22222222-2222-4222-8222-222222222222"]
audiences = ["44444444-4444-4444-8444-444444444444"]
"#;

/// A line of it.
const CREDENTIAL: &str = r#"credential = { type = "client-secret", secret = "planted-secret" }"#;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyferry.toml");
    fs::write(&path, text).unwrap();
    let environment: BTreeMap<_, _> = environment
        .iter()
        .map(|&(name, value)| (name.into(), value.into()))
        .collect();
    Config::load(Some(&path), environment.into_iter())
}

fn refusal(text: &str, environment: &[(&str, &str)]) -> String {
    load(text, environment).unwrap_err().to_string()
}

#[test]
fn little_needs_to_be_said() {
    let config = load(MINIMAL, &[]).unwrap();
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.auth.authority.as_str(), "https://login.microsoftonline.com/");
    assert_eq!(config.telemetry.log.to_string(), "info");
    assert_eq!(config.admin.deletion_window, Duration::from_hours(168));
}

#[test]
fn no_time_of_azures_is_nothing_or_more_than_a_day() {
    let refused = |name: &str, value: &str| refusal(MINIMAL, &[(name, value)]);
    assert_eq!(
        refused("KEYFERRY_AZURE__TIMEOUTS", "{ total_seconds = 86401 }"),
        "azure: timeouts.total_seconds must be at most a day"
    );
    assert_eq!(
        refused("KEYFERRY_AZURE__TOKEN_MAX_AGE_SECONDS", "0"),
        "azure: token_max_age_seconds must be more than zero"
    );
}

#[test]
fn the_environment_has_the_last_word() {
    let environment = [
        ("KEYFERRY_HTTP__LISTEN", "0.0.0.0:80"),
        ("KEYFERRY_HTTP__BATCH_CONCURRENCY", "7"),
        ("KEYFERRY_HTTP__DRAIN_DELAY_SECONDS", "0.25"),
        ("KEYFERRY_HTTP__TLS", r#"{certificate_file = "cert", key_file = "key"}"#),
        (
            "KEYFERRY_AUTH__AUDIENCES",
            r#"["55555555-5555-4555-8555-555555555555"]"#,
        ),
        (
            "KEYFERRY_AUTH__CALLERS",
            r#"[{application = "33333333-3333-4333-8333-333333333333", tenants = ["acme"]}]"#,
        ),
        ("KEYFERRY_TELEMETRY__LOG", "debug,keyferry_azure=trace"),
        ("KEYFERRY_TELEMETRY__LOG_FORMAT", "json"),
        ("KEYFERRY_TOKEN", "the command's, not the configuration's"),
        ("PATH", "/bin"),
    ];
    let config = load(&format!("{MINIMAL}\n[http]\nlisten = \"127.0.0.1:1\""), &environment).unwrap();
    assert_eq!(config.http.listen.to_string(), "0.0.0.0:80");
    assert_eq!(config.http.batch_concurrency, 7);
    assert_eq!(config.http.drain_delay, Duration::from_millis(250));
    assert_eq!(config.http.tls.unwrap().key_file, Path::new("key"));
    assert_eq!(
        config.auth.audiences,
        [Audience(uuid::uuid!("55555555-5555-4555-8555-555555555555"))]
    );
    assert_eq!(config.auth.callers[0].tenants[0].as_str(), "acme");
    assert_eq!(config.telemetry.log.to_string(), "keyferry_azure=trace,debug");
    assert_eq!(config.telemetry.log_format, LogFormat::Json);
}

#[test]
fn a_variable_is_text_where_its_field_is_text() {
    // Each would be something else as TOML: a number, a boolean, a quoted string, a date, a table, a list.
    for text in ["0530", "true", "\"quoted\"", "2030-01-01", "{ a = 1 }", "[1]"] {
        let environment = [
            ("KEYFERRY_AZURE__CREDENTIAL__TYPE", "client-secret"),
            ("KEYFERRY_AZURE__CREDENTIAL__SECRET_FILE", text),
            ("KEYFERRY_HTTP__TLS__KEY_FILE", text),
            ("KEYFERRY_HTTP__TLS__CERTIFICATE_FILE", text),
        ];
        let config = load(&MINIMAL.replace(CREDENTIAL, ""), &environment).unwrap();
        assert_eq!(config.http.tls.unwrap().key_file, Path::new(text));
        let read = config.azure.credential;
        assert!(
            matches!(&read, CredentialConfig::SecretFile(file) if file == Path::new(text)),
            "{read:?}"
        );
    }
}

#[test]
fn seconds_may_be_fractions_everywhere() {
    let text =
        format!("{MINIMAL}leeway_seconds = 0.5\ntoken_ttl_seconds = 1.25\n[admin]\ndeletion_window_seconds = 0.75");
    let config = load(&text, &[]).unwrap();
    assert_eq!(config.auth.leeway, Duration::from_millis(500));
    assert_eq!(config.auth.token_ttl, Duration::from_millis(1250));
    assert_eq!(config.admin.deletion_window, Duration::from_millis(750));
}

#[test]
fn a_wrong_field_is_named_by_its_path() {
    for (text, environment, expected) in [
        ("[http]\nlisten = \"nowhere\"", ("", ""), "http.listen: "),
        ("[http]\nport = 1", ("", ""), "http.port: unknown field `port`"),
        ("[http]\nmax_json_bytes = -1", ("", ""), "http.max_json_bytes: "),
        (
            "[http]\nmax_concurrent_requests = 0",
            ("", ""),
            "http.max_concurrent_requests: must not be 0",
        ),
        (
            // Twice the longest octet stream, but not its envelope.
            "[http]\nbody_budget_bytes = 134250496",
            ("", ""),
            "http.body_budget_bytes: must be at least",
        ),
        (
            "[http]\nmax_connections = 0",
            ("", ""),
            "http.max_connections: must not be 0",
        ),
        (
            "[http]\nidle_timeout_seconds = 60",
            ("", ""),
            "http.idle_timeout_seconds: must be longer than http.request_timeout_seconds",
        ),
        (
            "",
            ("KEYFERRY_HTTP__DRAIN_DELAY_SECONDS", "soon"),
            "http.drain_delay_seconds: ",
        ),
        (
            "",
            ("KEYFERRY_AUTH__AUTHORITY", "http://login.test"),
            "auth.authority: must be an https address",
        ),
        ("", ("KEYFERRY_AUTH__DIRECTORIES", "[]"), "auth.directories: must name"),
        (
            "",
            (
                "KEYFERRY_AUTH__CALLERS",
                "[{application = \"33333333-3333-4333-8333-333333333333\", tenants = [\"A\"]}]",
            ),
            "auth.callers[0].tenants[0]: not acceptable, expected a slug",
        ),
        ("", ("KEYFERRY_REGISTRY__URL_FILE", "/nowhere"), "registry: exactly one"),
        (
            "",
            ("KEYFERRY_REGISTRY__URL__HOST", "x"),
            "environment variable KEYFERRY_REGISTRY__URL__HOST: url is not a table",
        ),
        (
            "[onboarding_page]\naccent = \"#777777\"",
            ("", ""),
            "onboarding_page.on_accent: cannot be read on onboarding_page.accent",
        ),
        (
            "[onboarding_page]\naccent = \"red\"",
            ("", ""),
            "onboarding_page.accent: not acceptable, expected a colour: #rrggbb",
        ),
        (
            "",
            ("KEYFERRY_ONBOARDING__PUBLIC_URL", "https://keys.example.com"),
            "onboarding: missing field `signing_key_file`",
        ),
        (
            "[telemetry]\ntrace_ratio = 2.0",
            ("", ""),
            "telemetry.trace_ratio: must be between",
        ),
    ] {
        let refusal = refusal(&format!("{MINIMAL}\n{text}"), &[environment]);
        assert!(
            refusal.starts_with(expected),
            "{refusal:?} should start with {expected:?}"
        );
    }
}

#[test]
fn a_sealers_bounds_are_what_is_configured() {
    let text = "[cache]\nrewrapped = 1\n[vaults]\ncalls = 2\ncalls_per_tenant = 3\nconfirmation_seconds = 0.25\n[health]\nhearing_seconds = 4";
    let config = load(&format!("{MINIMAL}\n{text}"), &[]).unwrap();
    let limits = config.sealer_limits();
    assert_eq!((limits.rewrapped, limits.calls, limits.calls_per_tenant), (1, 2, 3));
    assert_eq!(limits.confirmation, Duration::from_millis(250));
    assert_eq!(limits.assurance.unwrap().hearing, Duration::from_secs(4));
    assert_eq!(config.registry.poll, Duration::from_secs(2));
}

#[test]
fn deliveries_secrets_are_read_one_a_line_and_short_ones_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secrets");
    let text = format!("{MINIMAL}\n[events]\nsecret_file = {file:?}");
    let config = load(&text, &[]).unwrap().events.unwrap();
    let long = "planted-secret".repeat(3);
    fs::write(&file, format!("{long}\n\n {long}x \n")).unwrap();
    assert!(matches!(config.proof().unwrap(), EventsProof::Secret(digests) if digests.len() == 2));
    for short in ["", "\n", "planted-secret\n", &format!("{long}\nplanted-secret\n")] {
        fs::write(&file, short).unwrap();
        let refusal = config.proof().err().unwrap().to_string();
        assert!(refusal.starts_with("events.secret_file: "), "{refusal}");
        assert!(!refusal.contains("planted-secret"), "{refusal}");
    }
}

#[test]
fn how_vaults_and_keys_are_treated_is_refused_by_its_path_too() {
    for (text, environment, expected) in [
        (
            "[health]\nperiod_seconds = 0.0",
            ("", ""),
            "health.period_seconds: must be at least 0.05",
        ),
        (
            "[vaults]\ncalls_per_tenant = 0",
            ("", ""),
            "vaults.calls_per_tenant: must not be 0",
        ),
        (
            "",
            ("KEYFERRY_REGISTRY__POLL_SECONDS", "0"),
            "registry.poll_seconds: must not be 0",
        ),
        (
            "[health]\nhearing_seconds = 3",
            ("KEYFERRY_REGISTRY__POLL_SECONDS", "1.6"),
            "registry.poll_seconds: must not be more than half of health.hearing_seconds, in which the registry must be heard",
        ),
        (
            "[events]",
            ("", ""),
            "events: exactly one of secret_file and entra is needed",
        ),
        (
            "[events]\nsecret_file = \"s\"\nheader = \"no header\"",
            ("", ""),
            "events.header: not acceptable, expected a header's name",
        ),
    ] {
        let refusal = refusal(&format!("{MINIMAL}\n{text}"), &[environment]);
        assert!(
            refusal.starts_with(expected),
            "{refusal:?} should start with {expected:?}"
        );
    }
}

#[test]
fn what_is_missing_is_named() {
    let refusal = Config::load(None, std::iter::empty()).unwrap_err().to_string();
    assert!(refusal.contains("missing field `registry`"), "{refusal}");
}

#[test]
fn the_stores_address_may_be_kept_in_a_file_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("url");
    fs::write(&file, "postgres://keyferry:planted-secret@db/keyferry\n").unwrap();
    let text = MINIMAL.replace(
        "url = \"sqlite:/var/lib/keyferry/registry.db\"",
        &format!("url_file = {file:?}"),
    );
    let config = load(&text, &[]).unwrap();
    assert!(matches!(config.registry.url().unwrap(), DatabaseUrl::Postgres(_)));
    fs::write(&file, "keyferry:planted-secret@db/keyferry").unwrap();
    let refusal = refusal(&text, &[]);
    assert!(
        refusal.starts_with("registry.url_file: ") && refusal.contains("expected postgres://"),
        "{refusal}"
    );
    assert!(!refusal.contains("planted-secret"), "{refusal}");
}
