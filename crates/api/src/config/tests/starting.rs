//! What could not start, or could never work, is refused before it is tried.

use super::*;

#[test]
fn what_could_not_start_is_refused() {
    for (text, environment, expected) in [
        (
            "",
            ("KEYFERRY_AUTH__AUDIENCES", "[\"api://keyferry\"]"),
            "auth.audiences[0]: not acceptable, expected the API's client id",
        ),
        ("", ("KEYFERRY_AUTH__AUDIENCES", "[]"), "auth.audiences: must name"),
        (
            "",
            ("KEYFERRY_REGISTRY__URL", "mysql://db/keyferry"),
            "registry.url: not acceptable, expected postgres://",
        ),
        (
            "",
            ("KEYFERRY_AZURE__TIMEOUTS__TOTAL_SECONDS", "0"),
            "azure: timeouts.total_seconds must be more than zero",
        ),
        (
            "",
            ("KEYFERRY_AZURE__OVERRIDES", "{\"a..b\" = \"127.0.0.1:1\"}"),
            "azure: `a..b` in overrides is not a host name",
        ),
        (
            "",
            (
                "KEYFERRY_AZURE__OTHER_CLOUDS",
                "[{cloud = \"public\", client_id = \"33333333-3333-4333-8333-333333333333\", credential = {type = \"managed-identity\"}}]",
            ),
            "azure: two applications for one cloud",
        ),
        (
            "[http]\nheader_timeout_seconds = -1",
            ("", ""),
            "http.header_timeout_seconds: not acceptable, expected a number of seconds",
        ),
        (
            "[http]\nheader_timeout_seconds = 1e300",
            ("", ""),
            "http.header_timeout_seconds: not acceptable, expected a number of seconds",
        ),
        (
            "[telemetry]\nlog = \"loud\"",
            ("", ""),
            "telemetry.log: not acceptable, expected a level",
        ),
        (
            "[telemetry]\nlog = \"info,keyferry_azure=loud\"",
            ("", ""),
            "telemetry.log: not acceptable, expected a level",
        ),
        (
            "[telemetry]\notlp_endpoint = \"grpc://collector:4317\"",
            ("", ""),
            "telemetry.otlp_endpoint: not acceptable, expected the address",
        ),
        (
            "[telemetry]\notlp_endpoint = \"collector:4317\"",
            ("", ""),
            "telemetry.otlp_endpoint: not acceptable, expected the address",
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
fn the_audience_must_be_said() {
    let text = MINIMAL.replace("audiences = ", "# ");
    assert_eq!(refusal(&text, &[]), "auth: missing field `audiences`");
}
