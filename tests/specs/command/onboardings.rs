//! `keyferry onboarding`, and what of it is under `keyferry tenant`: from a link to an active tenant, and back.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use keyferry_tests::{Customer, Database, KEY, Keyferry, Setup, World, command, ended, process_signal, repository};
use serde_json::Value;

/// An operator's command line, beside a Keyferry that onboards customers.
struct Operator {
    world: World,
    access: PathBuf,
    _keyferry: Keyferry,
}

impl Operator {
    async fn new() -> Self {
        let mut world = World::new(Database::sqlite()).await;
        world.offer_onboarding(Setup::default());
        let keyferry = world.start().await;
        let access = world.operator_access(&keyferry);
        Self {
            world,
            access,
            _keyferry: keyferry,
        }
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let access = ["--access", self.access.to_str().unwrap()];
        let all: Vec<_> = arguments.iter().copied().chain(access).collect();
        tokio::task::block_in_place(|| super::run(&all))
    }

    /// What is printed by a command that does as asked.
    fn does(&self, arguments: &[&str]) -> String {
        let (code, output, error) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {error}");
        output
    }

    /// The same as JSON.
    fn json(&self, arguments: &[&str]) -> Value {
        let all: Vec<_> = arguments.iter().copied().chain(["--output", "json"]).collect();
        serde_json::from_str(&self.does(&all)).unwrap()
    }

    /// A command that goes on by itself.
    fn starts(&self, arguments: &[&str]) -> Command {
        let mut started = command();
        started.args(arguments).arg("--access").arg(&self.access);
        started.stdout(Stdio::piped()).stderr(Stdio::piped());
        started
    }

    /// Gives all answers of a customer in its place.
    fn answers(&self, customer: &Customer) -> String {
        let vault = format!("https://{}/", customer.vault);
        let directory = customer.directory.to_string();
        let given = ["--directory-id", &directory, "--vault", &vault, "--key", KEY];
        let all: Vec<_> = ["onboarding", "change", &customer.slug]
            .into_iter()
            .chain(given)
            .collect();
        self.does(&all)
    }
}

/// The status of a check.
fn status<'a>(onboarding: &'a Value, check: &str) -> &'a str {
    let checks = onboarding["checks"].as_array().unwrap();
    let found = checks.iter().find(|shown| shown["check"] == check);
    found.unwrap()["status"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_is_led_from_a_link_to_an_active_tenant() {
    let operator = Operator::new().await;
    let acme = operator.world.customer("acme");
    let opened = operator.json(&["tenant", "register", "acme", "--display-name", "Acme Corporation"]);
    assert_eq!(opened["stage"], "open");
    let link = opened["link_url"].as_str().unwrap();
    assert!(link.starts_with("https://keys.example.test/onboarding/"), "{link}");
    let shown = operator.json(&["onboarding", "show", "acme"]);
    assert!(shown.get("link_url").is_none(), "a link is shown once");

    let unfinished = operator.json(&["tenant", "show", "acme"]);
    assert_eq!(unfinished["status"], "onboarding");
    assert_eq!(unfinished["id"], shown["id"]);
    let told = operator.does(&["tenant", "show", "acme"]);
    assert!(
        told.contains("onboarding (open)") && told.contains("vault-and-key"),
        "{told}"
    );

    operator.answers(&acme);
    let until = ["onboarding", "watch", "acme", "--output", "json", "--timeout", "600"];
    let watched = operator.does(&until);
    let last: Value = serde_json::from_str(watched.lines().last().unwrap()).unwrap();
    assert_eq!(last["stage"], "active");
    for check in ["directory", "consent", "vault", "key", "wrap", "verification"] {
        assert_eq!(status(&last, check), "passed", "{last}");
    }
    let tenant = operator.json(&["tenant", "show", "acme"]);
    assert_eq!((&tenant["status"], &tenant["id"]), (&"active".into(), &shown["id"]));

    let told = operator.does(&["onboarding", "list"]);
    let line = told.lines().find(|line| line.contains("acme")).unwrap();
    assert!(line.contains("active") && line.contains("Acme Corporation"), "{line}");
    let events = operator.json(&["onboarding", "history", "acme"]);
    let kinds: Vec<_> = events.as_array().unwrap().iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds.last().unwrap(), &"opened", "{kinds:?}");
    assert!(kinds.contains(&&"activated".into()), "{kinds:?}");
    let newest = operator.json(&["onboarding", "history", "acme", "--limit", "1"]);
    assert_eq!(newest.as_array().unwrap().len(), 1);
    for (form, part) in [
        ("consent", "adminconsent"),
        ("az", "az "),
        ("bicep", "Microsoft.KeyVault"),
        ("terraform", "azurerm"),
    ] {
        let text = operator.does(&["onboarding", "instructions", "acme", form]);
        assert!(text.contains(part), "{form}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_told_what_was_found_and_what_to_do_next() {
    let operator = Operator::new().await;
    let mut acme = operator.world.customer("acme");
    acme.vault = "nobodys-vault.vault.azure.net".into();
    operator.does(&["onboarding", "open", "acme"]);
    operator.answers(&acme);
    let shown = operator.json(&["onboarding", "verify", "acme"]);
    assert_eq!(status(&shown, "vault"), "failed");
    let told = operator.does(&["onboarding", "show", "acme"]);
    let vault = shown["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["check"] == "vault");
    for part in ["text", "next"] {
        let part = vault.unwrap()[part].as_str().unwrap();
        assert!(told.contains(part), "{part} in {told}");
    }
    let (code, output, error) = operator.run(&["tenant", "watch", "acme", "--until", "failed"]);
    assert_eq!(code, 0, "{error}");
    assert!(
        output.lines().any(|line| line.contains("  vault  failed  ")),
        "{output}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_gives_way_to_the_next_and_to_nobody_after_it_is_revoked() {
    let operator = Operator::new().await;
    let (_, first, warning) = operator.run(&["onboarding", "open", "acme"]);
    assert!(
        first.contains("/onboarding/") && warning.contains("nobody else"),
        "{first} {warning}"
    );
    assert!(!warning.contains("http"), "a link is a result, not a remark: {warning}");
    let second = operator.json(&["tenant", "link", "acme"]);
    assert!(!first.contains(second["link_url"].as_str().unwrap()));
    assert_eq!(
        (&second["link"]["serial"], &second["link"]["is_revoked"]),
        (&2.into(), &false.into())
    );
    let revoked = operator.json(&["onboarding", "revoke", "acme"]);
    assert_eq!(revoked["link"]["is_revoked"], true);
    assert!(operator.does(&["onboarding", "show", "acme"]).contains("void since"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_says_by_its_exit_code_how_it_ended() {
    let operator = Operator::new().await;
    let (code, _, error) = operator.run(&["onboarding", "watch", "acme"]);
    assert_eq!(code, 3, "there is none: {error}");
    operator.does(&["onboarding", "open", "acme"]);
    let (code, _, error) = operator.run(&["onboarding", "watch", "acme", "--timeout", "0"]);
    assert_eq!(code, 4, "{error}");

    let mut watching = operator.starts(&["tenant", "watch", "acme"]).spawn().unwrap();
    let mut first = String::new();
    let mut output = BufReader::new(watching.stdout.take().unwrap());
    tokio::task::block_in_place(|| output.read_line(&mut first).unwrap());
    assert!(first.contains("stage  open"), "{first}");
    process_signal(&watching, "INT");
    let status = tokio::task::block_in_place(|| ended(&mut watching, "a watch, after Ctrl-C"));
    assert_eq!(status.code(), Some(130));

    operator.does(&["onboarding", "close", "acme"]);
    let is_gone = |code, error: &str| code == 3 && error.contains("onboarding-not-found");
    let (code, _, error) = operator.run(&["onboarding", "watch", "acme", "--timeout", "600"]);
    assert!(code == 1 || is_gone(code, &error), "{code}: {error}");
    let (code, _, error) = operator.run(&["onboarding", "watch", "acme", "--until", "closed", "--timeout", "600"]);
    assert!(code == 0 || is_gone(code, &error), "{code}: {error}");
    let (code, _, error) = operator.run(&["tenant", "show", "acme"]);
    assert!(code == 3 && error.contains("tenant-not-found"), "{code}: {error}");
    operator.does(&["onboarding", "open", "acme"]);
}

/// The registration file that the reference shows.
fn documented() -> String {
    let reference = std::fs::read_to_string(repository().join("docs/command.md")).unwrap();
    let (_, rest) = reference.split_once("```yaml\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// What became of each, in the file's order.
fn outcomes(printed: &str) -> Vec<String> {
    let outcomes: Value = serde_json::from_str(printed).unwrap();
    let of = |outcome: &Value| {
        format!(
            "{} {}",
            outcome["slug"].as_str().unwrap(),
            outcome["outcome"].as_str().unwrap()
        )
    };
    outcomes.as_array().unwrap().iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_registration_file_is_applied_once_however_often_it_is_applied() {
    let operator = Operator::new().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("onboardings.yaml");
    std::fs::write(&file, documented()).unwrap();
    let apply = |file: &Path, more: &[&str]| {
        let arguments = ["onboarding", "apply", "-f", file.to_str().unwrap(), "--output", "json"];
        operator.run(&[&arguments, more].concat())
    };
    let (code, printed, _) = apply(&file, &["--dry-run"]);
    assert_eq!(
        (code, outcomes(&printed)),
        (0, vec!["initech created".into(), "umbrella created".into()])
    );
    assert_eq!(operator.json(&["onboarding", "list"]), Value::Array(vec![]));

    let (code, printed, error) = apply(&file, &[]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(outcomes(&printed), ["initech created", "umbrella created"]);
    assert_eq!(
        printed.matches("/onboarding/").count(),
        2,
        "each has its link: {printed}"
    );
    let umbrella = operator.json(&["onboarding", "show", "umbrella"]);
    assert_eq!(umbrella["answers"]["vault"], "umbrella-keys.vault.azure.net");
    assert_eq!(umbrella["policy"]["cache_ttl_seconds"], 60);

    let (code, printed, _) = apply(&file, &[]);
    assert_eq!(
        (code, outcomes(&printed)),
        (0, vec!["initech unchanged".into(), "umbrella unchanged".into()])
    );

    let other = documented()
        .replace("display_name: Initech\n", "display_name: Initech Ltd\n")
        .replace("https://umbrella-keys.vault.azure.net/", "https://example.com/");
    std::fs::write(&file, other).unwrap();
    let (code, printed, error) = apply(&file, &[]);
    assert_eq!(
        (code, outcomes(&printed)),
        (3, vec!["initech changed".into(), "umbrella failed".into()])
    );
    assert!(error.contains("answers.vault"), "{error}");
    assert_eq!(
        operator.json(&["onboarding", "show", "initech"])["display_name"],
        "Initech Ltd"
    );

    std::fs::write(&file, documented().replace("vault:", "valut:")).unwrap();
    let (code, _, error) = apply(&file, &[]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("onboardings[1].answers.valut"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_file_comes_from_standard_input_too() {
    let operator = Operator::new().await;
    let mut apply = operator
        .starts(&["onboarding", "apply", "--file", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    apply.stdin.take().unwrap().write_all(documented().as_bytes()).unwrap();
    let status = tokio::task::block_in_place(|| ended(&mut apply, "keyferry onboarding apply"));
    assert!(status.success(), "{status}");
    assert_eq!(operator.json(&["onboarding", "list"]).as_array().unwrap().len(), 2);
}
