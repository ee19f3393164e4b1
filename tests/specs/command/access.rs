//! How the command proves who it is, and to whom.

use std::path::PathBuf;

use keyferry_tests::{Database, Keyferry, World, command, eventually};
use serde_json::Value;

/// Runs the command, which may ask the emulator of this process.
fn run(arguments: &[&str]) -> (i32, String, String) {
    tokio::task::block_in_place(|| super::run(arguments))
}

/// The operator's access file, with one of its fields changed.
fn changed(access: &PathBuf, field: &str, value: impl Into<Value>) {
    let mut fields: Value = serde_json::from_slice(&std::fs::read(access).unwrap()).unwrap();
    *fields.get_mut(field).unwrap() = value.into();
    std::fs::write(access, fields.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_printed_token_is_one_that_the_api_takes() {
    let world = World::new(Database::sqlite()).await;
    let keyferry = world.start().await;
    let access = world.operator_access(&keyferry);
    let get = || run(&["token", "--access", access.to_str().unwrap()]);
    let (code, token, error) = get();
    assert_eq!(code, 0, "{error}");
    let server = keyferry.url("/").to_string();
    let (code, _, error) = run(&["tenant", "list", "--server", &server, "--token", token.trim()]);
    assert_eq!(code, 0, "{error}");
    let (code, _, error) = run(&["tenant", "list", "--server", &server, "--token", "another"]);
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("token-invalid"), "{error}");

    changed(&access, "client_secret", "wrong");
    let (code, _, error) = get();
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("AADSTS7000215"), "{error}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    changed(&access, "connect", closed.to_string());
    let (code, _, error) = get();
    assert_eq!(code, 4, "{error}");
    assert!(error.contains("identity provider"), "{error}");
    let (code, _, error) = run(&["token", "--access", "/nowhere/access.json"]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("/nowhere/access.json"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_access_files_certificates_are_trusted_at_the_api_too() {
    let world = World::new(Database::sqlite()).await;
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(file("certificate"), made.cert.pem()).unwrap();
    std::fs::write(file("key"), made.signing_key.serialize_pem()).unwrap();
    let config = world.write_config();
    let tls = format!(
        "[http]\ntls = {{ certificate_file = {:?}, key_file = {:?} }}\n",
        file("certificate"),
        file("key")
    );
    let text = std::fs::read_to_string(&config).unwrap().replace("[http]\n", &tls);
    std::fs::write(&config, text).unwrap();
    let keyferry = Keyferry::start(&config);
    let access = world.operator_access(&keyferry);
    changed(
        &access,
        "server",
        format!("https://localhost:{}", keyferry.addr().port()),
    );
    let list = || run(&["tenant", "list", "--access", access.to_str().unwrap()]);

    let (code, _, error) = list();
    assert_eq!(code, 4, "nobody vouches for the API's certificate: {error}");
    let both = std::fs::read_to_string(world.ca_file()).unwrap() + &made.cert.pem();
    std::fs::write(file("both"), both).unwrap();
    changed(&access, "ca_file", file("both").to_str().unwrap());
    eventually("the service is ready", async || list().0 == 0).await;

    std::fs::write(file("both"), "no certificate").unwrap();
    let (code, _, error) = list();
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("holds no certificates"), "{error}");
}

#[test]
fn beside_dev_no_options_are_needed_and_elsewhere_they_are_named() {
    let empty = tempfile::tempdir().unwrap();
    let output = command()
        .args(["tenant", "list"])
        .current_dir(empty.path())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("--server") && error.contains("--access"), "{error}");
}
