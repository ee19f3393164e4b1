//! The command: what it prints, and how it ends.

mod access;
mod checking;
mod health;
mod migrating;
mod onboardings;
mod rewrapping;
mod tenants;

use keyferry_tests::{Database, World, command, output_of, repository};

pub(crate) use self::checking::check;

fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = output_of(command().args(arguments));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn its_reference_names_every_command_and_option() {
    let reference = std::fs::read_to_string(repository().join("docs/command.md")).unwrap();
    let commands = [
        "serve",
        "dev",
        "emulator",
        "migrate",
        "replicas",
        "rewrap",
        "token",
        "completions",
        "onboarding open",
        "onboarding apply",
        "onboarding list",
        "onboarding show",
        "onboarding change",
        "onboarding link",
        "onboarding revoke",
        "onboarding verify",
        "onboarding watch",
        "onboarding history",
        "onboarding instructions",
        "onboarding retry-endpoint",
        "onboarding close",
        "tenant register",
        "tenant health",
        "tenant look",
        "tenant drill",
        "tenant link",
        "tenant verify",
        "tenant watch",
        "tenant create",
        "tenant list",
        "tenant show",
        "tenant update",
        "tenant suspend",
        "tenant resume",
        "tenant delete",
    ];
    for command in commands {
        let arguments: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let (code, help, _) = run(&arguments);
        assert_eq!(code, 0, "{command}");
        assert!(reference.contains(&format!("keyferry {command}")), "{command}");
        let options = help
            .split_whitespace()
            .filter(|word| word.starts_with("--") && *word != "--help");
        for option in options {
            let option = option.trim_end_matches([',', '.', ')', '`', ';']);
            assert!(reference.contains(option), "{option} of {command}");
        }
    }
}

#[test]
fn wrong_usage_ends_with_two_and_says_what_is_wrong() {
    let (code, _, error) = run(&["tenant", "list"]);
    assert_eq!(code, 2);
    assert!(error.contains("--server") && error.contains("--access"), "{error}");
    let (code, _, error) = run(&["serve", "--check-config", "--config", "/nowhere/keyferry.toml"]);
    assert_eq!(code, 2);
    assert!(error.contains("/nowhere/keyferry.toml"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_start_ends_with_one_and_says_why() {
    let world = World::new(Database::sqlite()).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let output = command()
        .args(["serve", "--config", world.write_config().to_str().unwrap()])
        .env("KEYFERRY_HTTP__LISTEN", &addr)
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(&format!("cannot listen on {addr}: ")), "{error}");
}

#[test]
fn completions_come_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, _) = run(&["completions", shell]);
        assert_eq!(code, 0);
        assert!(script.contains("check-config"), "{shell}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_registers_and_administrates_tenants() {
    let world = World::new(Database::sqlite()).await;
    let keyferry = world.start().await;
    let acme = world.customer("acme");
    let access = world.operator_access(&keyferry);
    let tenant = |arguments: &[&str]| {
        let mut all = vec!["tenant"];
        all.extend_from_slice(arguments);
        all.extend_from_slice(&["--access", access.to_str().unwrap(), "--output", "json"]);
        // The command asks the emulator for its token, which answers from the other thread.
        tokio::task::block_in_place(|| run(&all))
    };
    let directory = acme.directory.to_string();
    let create = [
        "create",
        "acme",
        "--display-name",
        "Acme",
        "--directory-id",
        &directory,
        "--vault",
        &acme.vault,
        "--key-name",
        keyferry_tests::KEY,
    ];
    let (code, created, error) = tenant(&create);
    assert_eq!(code, 0, "{error}");
    let created: serde_json::Value = serde_json::from_str(&created).unwrap();
    assert_eq!(created["slug"], "acme");
    let (code, _, error) = tenant(&create);
    assert_eq!(code, 3, "the slug is taken: {error}");
    assert!(error.contains("slug-taken"), "{error}");
    let (_, updated, _) = tenant(&[
        "update",
        "acme",
        "--display-name",
        "Acme Corporation",
        "--cache-ttl",
        "60",
    ]);
    let updated: serde_json::Value = serde_json::from_str(&updated).unwrap();
    assert_eq!(updated["display_name"], "Acme Corporation");
    assert_eq!(updated["policy"]["cache_ttl_seconds"], 60);
    for (command, status) in [
        ("suspend", "suspended"),
        ("resume", "active"),
        ("delete", "deleting"),
        ("resume", "active"),
    ] {
        let (code, shown, error) = tenant(&[command, "acme"]);
        assert_eq!(code, 0, "{command}: {error}");
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(shown["status"], status, "{command}");
    }
    let (code, listed, _) = tenant(&["list"]);
    assert_eq!(code, 0);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&listed).unwrap()[0]["slug"],
        "acme"
    );
    let (code, _, error) = tenant(&["show", "nobody"]);
    assert_eq!(code, 3, "{error}");
    drop(keyferry);
    let (code, _, error) = tenant(&["show", "acme"]);
    assert_eq!(code, 4, "{error}");
}
