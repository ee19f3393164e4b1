//! `keyferry serve --check-config` finds what would keep the service from starting, and connects to nothing.

use std::path::Path;

use keyferry_tests::repository;

use super::run;

/// Checks a configuration in which the files of `deploy/`'s examples are there, in a directory that ends up in their place.
pub(crate) fn check(text: &str) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let url = file("url", "postgres://keyferry:planted-secret@postgres/keyferry\n");
    let token = file("token", "a.b.c");
    let link_key = file("link-key", &"k".repeat(32));
    let config = file(
        "keyferry.toml",
        &text
            .replace("/run/secrets/keyferry/registry-url", url.to_str().unwrap())
            .replace(
                "/var/run/secrets/azure/tokens/azure-identity-token",
                token.to_str().unwrap(),
            )
            .replace("/run/secrets/keyferry/link-key", link_key.to_str().unwrap()),
    );
    run(&["serve", "--check-config", "--config", config.to_str().unwrap()])
}

fn example() -> String {
    std::fs::read_to_string(repository().join("deploy/keyferry.example.toml")).unwrap()
}

#[test]
fn the_example_is_good() {
    let (code, output, error) = check(&example());
    assert_eq!(code, 0, "{error}");
    assert!(output.contains("good"));
}

/// The example with another line in place of one that begins so.
fn with(line: &str, other: &str) -> String {
    let example = example();
    let mut lines: Vec<_> = example.lines().collect();
    let place = lines.iter().position(|text| text.starts_with(line)).unwrap();
    *lines.get_mut(place).unwrap() = other;
    lines.join("\n")
}

#[test]
fn what_could_not_start_is_refused_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let garbage = dir.path().join("garbage");
    std::fs::write(&garbage, "garbage").unwrap();
    let garbage = garbage.to_str().unwrap();
    for (line, other, reason) in [
        (
            "listen",
            "listen_on = \"x\"".to_owned(),
            "http.listen_on: unknown field",
        ),
        ("url_file", "url = \"mysql://db/keyferry\"".to_owned(), "registry.url: "),
        ("url_file", "url_file = \"/nowhere/url\"".to_owned(), "/nowhere/url"),
        ("url_file", format!("url_file = {garbage:?}"), "registry.url_file: "),
        ("client_id", "client_id = \"keyferry\"".to_owned(), "azure.client_id: "),
        (
            "audiences",
            "audiences = [\"api://keyferry\"]".to_owned(),
            "auth.audiences[0]: ",
        ),
        ("log ", "log = \"loud\"".to_owned(), "telemetry.log: "),
        (
            "otlp",
            "otlp_endpoint = \"grpc://otel:4317\"".to_owned(),
            "telemetry.otlp_endpoint: ",
        ),
    ] {
        let (code, _, error) = check(&with(line, &other));
        assert_eq!(code, 2, "{other}: {error}");
        assert!(error.contains(reason), "{other}: {error}");
        assert!(!error.contains("planted-secret"), "{error}");
    }
}

#[test]
fn the_files_that_it_names_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let garbage = file("garbage", "");
    let made = |name: &str| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (
            file(&format!("{name}.pem"), &made.cert.pem()),
            file(&format!("{name}.key"), &made.signing_key.serialize_pem()),
        )
    };
    let ((certificate, key), (_, other_key)) = (made("one"), made("other"));
    let credential = |text: &str| with("credential", &format!("credential = {{ {text} }}"));
    let tls = |certificate: &str, key: &str| {
        let tls = format!("tls = {{ certificate_file = {certificate:?}, key_file = {key:?} }}");
        with("drain_delay", &tls)
    };
    let good = check(&tls(&certificate, &key));
    assert_eq!(good.0, 0, "{}", good.2);
    let secret = |path: &str| credential(&format!("type = \"client-secret\", secret_file = {path:?}"));
    let token = |path: &str| credential(&format!("type = \"workload-identity\", token_file = {path:?}"));
    let proof = |certificate: &str, key: &str| {
        credential(&format!(
            "type = \"certificate\", certificate_file = {certificate:?}, key_file = {key:?}"
        ))
    };
    for (text, culprit) in [
        (secret("/nowhere/secret"), "/nowhere/secret"),
        (secret(&garbage), &garbage),
        (token("/nowhere/token"), "/nowhere/token"),
        (token(&garbage), &garbage),
        (proof("/nowhere/certificate", &key), "/nowhere/certificate"),
        (proof(&certificate, "/nowhere/key"), "/nowhere/key"),
        (proof(&certificate, &garbage), &garbage),
        (
            with("client_id", &format!("{CLIENT}extra_roots_file = \"/nowhere/roots\"")),
            "/nowhere/roots",
        ),
        (
            with("client_id", &format!("{CLIENT}extra_roots_file = {garbage:?}")),
            &garbage,
        ),
        (tls("/nowhere/certificate", &key), "/nowhere/certificate"),
        (tls(&certificate, "/nowhere/key"), "/nowhere/key"),
        (tls(&certificate, &garbage), &garbage),
        (tls(&certificate, &other_key), "http.tls"),
    ] {
        let (code, _, error) = check(&text);
        assert_eq!(code, 2, "{culprit}: {error}");
        assert!(error.contains(culprit), "{culprit}: {error}");
        let is_absent = Path::new(culprit).starts_with("/nowhere");
        assert_eq!(error.contains("No such file"), is_absent, "{culprit}: {error}");
    }
}

const CLIENT: &str = "client_id = \"00000000-0000-0000-0000-000000000000\"\n";
