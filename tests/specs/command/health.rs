//! `keyferry tenant health`, `look` and `drill`, and `keyferry replicas`: how keys are, and how soon one that is taken away opens
//! nothing any more.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::Stdio,
    thread,
};

use keyferry_tests::{Customer, Database, Keyferry, World, command, ended, eventually};
use serde_json::Value;

/// Short, so that nobody waits long.
const SHORT: &str = "
[health]
period_seconds = 1.0
lease_seconds = 1.0
hearing_seconds = 4.0
";

/// An operator's command line, beside two replicas that look at keys often.
struct Operator {
    world: World,
    acme: Customer,
    keyferry: Keyferry,
    access: PathBuf,
    _other: Keyferry,
}

impl Operator {
    async fn new() -> Self {
        let mut world = World::new(Database::sqlite()).await;
        SHORT.clone_into(&mut world.extra);
        world.try_seconds = 2;
        let (keyferry, other) = (world.start().await, world.start().await);
        Self {
            acme: world.tenant(&keyferry, "acme", None).await,
            access: world.operator_access(&keyferry),
            world,
            keyferry,
            _other: other,
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

    /// The customer disables its key, or enables it again.
    fn enables(&self, enabled: bool) {
        self.world.order(self.acme.set_key(Some(enabled), None));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_is_shown_how_keys_are_and_who_looks_at_them() {
    let operator = Operator::new().await;
    let found = operator.json(&["tenant", "look", "acme"]);
    assert_eq!(found["state"], "healthy", "{found}");
    let newest = found["newest"]["key_id"].as_str().unwrap();
    assert!(
        newest.starts_with(&format!("https://{}/keys/", operator.acme.vault)),
        "{newest}"
    );
    let shown = operator.does(&["tenant", "health", "acme"]);
    assert!(shown.contains("healthy") && shown.contains(newest), "{shown}");
    let listed = operator.json(&["tenant", "health", "--all"]);
    assert_eq!(
        (&listed[0]["slug"], &listed[0]["state"]),
        (&"acme".into(), &"healthy".into())
    );
    let tenant = operator.does(&["tenant", "show", "acme"]);
    assert!(tenant.contains("healthy since"), "{tenant}");
    assert_eq!(
        operator.json(&["tenant", "show", "acme"])["key_health"]["state"],
        "healthy"
    );
    eventually("both replicas are known", async || {
        operator.json(&["replicas"]).as_array().unwrap().len() == 2
    })
    .await;
    let (code, _, error) = operator.run(&["tenant", "health"]);
    assert_eq!(code, 2, "{error}");
    let (code, _, error) = operator.run(&["tenant", "health", "nobody"]);
    assert_eq!(code, 3, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_followed_until_it_is_refused_and_serves_again() {
    let operator = Operator::new().await;
    operator.does(&["tenant", "health", "acme", "--until", "healthy", "--timeout", "600"]);
    let (code, _, error) = operator.run(&["tenant", "health", "acme", "--until", "refused", "--timeout", "0"]);
    assert_eq!(code, 4, "{error}");
    operator.enables(false);
    operator.does(&["tenant", "look", "acme"]);
    let told = operator.does(&["tenant", "health", "acme", "--until", "refused", "--timeout", "600"]);
    assert!(told.contains("refused  key-disabled (403"), "{told}");
    let (code, _, error) = operator.run(&["tenant", "drill", "acme", "--act", "true"]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("refused already"), "{error}");
    operator.enables(true);
    operator.does(&["tenant", "health", "acme", "--until", "healthy", "--timeout", "600"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_measures_from_the_act_to_the_last_replica_and_the_last_success() {
    let operator = Operator::new().await;
    eventually("both replicas are known", async || {
        operator.json(&["replicas"]).as_array().unwrap().len() == 2
    })
    .await;
    operator.does(&["tenant", "look", "acme"]);
    let service = operator.world.service_access(&operator.keyferry);
    let report = service.with_file_name("report.txt");
    let mut drill = command()
        .args([
            "tenant",
            "drill",
            "acme",
            "--output",
            "json",
            "--until-recovered",
            "--by",
            "Jo Doe",
        ])
        .arg("--access")
        .arg(&operator.access)
        .arg("--service-access")
        .arg(&service)
        .arg("--report")
        .arg(&report)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(drill.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut is_told = |what: &str| {
        let mut all = Vec::new();
        tokio::task::block_in_place(|| {
            for line in told.by_ref() {
                all.push(line);
                if all.last().unwrap().contains(what) {
                    return;
                }
            }
            panic!("{what} is not in {all:?}");
        });
    };
    is_told("press Enter");
    operator.enables(false);
    drill.stdin.take().unwrap().write_all(b"\n").unwrap();
    is_told("give its key back");
    operator.enables(true);
    let mut printed = drill.stdout.take().unwrap();
    let printed = thread::spawn(move || {
        let mut all = String::new();
        printed.read_to_string(&mut all).map(|_| all)
    });
    let status = tokio::task::block_in_place(|| ended(&mut drill, "a drill"));
    let json: Value = serde_json::from_str(&printed.join().unwrap().unwrap()).unwrap();
    assert!(status.success(), "{json:#}");
    assert_eq!(json["verdict"], "within");
    assert_eq!(json["withdrawal"]["cause"], "key-disabled");
    assert!(json["withdrawal"]["request_id"].is_string(), "{json:#}");
    let replicas = json["replicas"].as_array().unwrap();
    assert_eq!(replicas.len(), 2, "{json:#}");
    for replica in replicas {
        assert_eq!(replica["outcome"], "obeyed", "{json:#}");
    }
    for requests in ["sealing", "opening"] {
        assert_eq!(json[requests]["refused_as"], "key-disabled", "{json:#}");
        assert!(json[requests]["succeeded"].as_u64().unwrap() > 0, "{json:#}");
    }
    assert!(json["recovery"]["healthy_since"].is_string(), "{json:#}");
    let text = std::fs::read_to_string(report).unwrap();
    let request = json["withdrawal"]["request_id"].as_str().unwrap();
    for part in ["within the bound", "Jo Doe", "recovered", request] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
