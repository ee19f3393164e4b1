//! `keyferry rewrap`: from the old version of a customer's key to the new one, whatever comes in between.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use keyferry_client::{Context, Policy, Secret, TenantClient};
use keyferry_emulator::{Fault, Operation, Order};
use keyferry_tests::{Customer, Database, Keyferry, World, command, ended, eventually, process_signal};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Each envelope has a data key of its own, so that each is a call to the vault.
const EAGER: Policy = Policy {
    cache_ttl_seconds: 300,
    lease_max_age_seconds: 300,
    lease_max_messages: 1,
    outage_grace_seconds: 0,
};

/// A platform service's command line, and files of its own.
struct Service {
    world: World,
    keyferry: Keyferry,
    acme: Customer,
    access: PathBuf,
    dir: TempDir,
}

impl Service {
    async fn new() -> Self {
        let world = World::new(Database::sqlite()).await;
        let keyferry = world.start().await;
        Self {
            acme: world.tenant(&keyferry, "acme", Some(EAGER)).await,
            access: world.service_access(&keyferry),
            world,
            keyferry,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn data(&self) -> TenantClient {
        self.world.data(&self.keyferry, "acme")
    }

    fn file(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let access = self.access.to_str().unwrap();
        let first = ["rewrap", "--tenant", "acme", "--access", access];
        first
            .iter()
            .chain(more)
            .map(|argument| (*argument).to_owned())
            .collect()
    }

    /// With files named so in a directory of its own.
    fn files(&self, more: &[&str]) -> Vec<String> {
        let (input, output, rejects) = (self.file("input"), self.file("output"), self.file("rejects"));
        let files = ["--input", &input, "--output", &output, "--rejects", &rejects];
        self.arguments(&[&files, more].concat())
    }

    fn run(arguments: &[String]) -> (i32, String, String) {
        let all: Vec<_> = arguments.iter().map(String::as_str).collect();
        tokio::task::block_in_place(|| super::run(&all))
    }

    fn starts(arguments: &[String]) -> Child {
        let mut started: Command = command();
        started
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        started.spawn().unwrap()
    }

    /// Writes lines with envelopes of both kinds, and fields beside them.
    async fn seals(&self, count: usize) {
        let (data, context) = (self.data(), Context::new());
        let mut lines = Vec::new();
        for number in 0..count {
            let secret = Secret::from(format!("payroll {number}").into_bytes());
            let (name, envelope) = if number % 2 == 0 {
                ("ciphertext", data.encrypt(&secret, &context).await.unwrap().ciphertext)
            } else {
                ("wrapped_key", data.wrap(&secret, &context).await.unwrap().wrapped_key)
            };
            lines.push(format!(
                "{{\"id\":{number}, {name:?} : {envelope:?},\"tag\":\"\\u00fc\"}}\n"
            ));
        }
        fs::write(self.file("input"), lines.concat()).unwrap();
    }

    /// The customer makes a new version, and the service has noticed.
    async fn rotates(&self) {
        let (data, context) = (self.data(), Context::new());
        let seal = async || data.encrypt(&Secret::from(Vec::new()), &context).await.unwrap().key_id;
        let before = seal().await;
        self.world.new_version(&self.acme);
        eventually("it is sealed under the new version", async || seal().await != before).await;
    }

    /// Each line of the input is one of the output, under another version, and is otherwise the same.
    async fn is_all_rewrapped(&self) {
        let (input, output) = (self.read("input"), self.read("output"));
        assert_eq!(input.lines().count(), output.lines().count());
        for (number, (before, after)) in input.lines().zip(output.lines()).enumerate() {
            let (was, is): (Value, Value) = (
                serde_json::from_str(before).unwrap(),
                serde_json::from_str(after).unwrap(),
            );
            let name = if number % 2 == 0 { "ciphertext" } else { "wrapped_key" };
            let (old, new) = (was[name].as_str().unwrap(), is[name].as_str().unwrap());
            assert_eq!(before.replace(old, new), after);
            let (old, new) = (self.opens(name, old).await, self.opens(name, new).await);
            assert_eq!(old.0, format!("payroll {number}"));
            assert_eq!(old.0, new.0);
            assert_ne!(old.1, new.1, "it is under the version that it was under");
        }
    }

    /// What an envelope holds, and which key it is under.
    async fn opens(&self, name: &str, envelope: &str) -> (String, String) {
        let (data, context) = (self.data(), Context::new());
        let (secret, key_id) = if name == "ciphertext" {
            let opened = data.decrypt(envelope, &context).await.unwrap();
            (opened.plaintext, opened.key_id)
        } else {
            let opened = data.unwrap(envelope, &context).await.unwrap();
            (opened.key, opened.key_id)
        };
        (String::from_utf8(secret.expose().to_vec()).unwrap(), key_id)
    }

    /// How many lines the checkpoint says are done.
    fn done(&self) -> u64 {
        let checkpoint = fs::read(self.file("output.checkpoint")).unwrap_or_default();
        let checkpoint: Value = serde_json::from_slice(&checkpoint).unwrap_or_default();
        checkpoint["done"].as_u64().unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_killed_and_one_that_is_interrupted_are_taken_up_where_they_were() {
    let service = Service::new().await;
    service.seals(60).await;
    service.rotates().await;
    // Slow enough that no run comes to its end before it is ended.
    let fault = Fault::Latency { millis: 2_000 };
    service.world.fault(&service.acme, Operation::WrapKey, fault);
    let slowly = ["--batch", "2", "--concurrency", "2", "--resume"];

    let mut first = Service::starts(&service.files(&slowly));
    eventually("something is done", async || service.done() > 0).await;
    first.kill().unwrap();
    first.wait().unwrap();
    let done = service.done();

    let mut second = Service::starts(&service.files(&slowly));
    eventually("more is done", async || service.done() > done).await;
    process_signal(&second, "INT");
    let status = tokio::task::block_in_place(|| ended(&mut second, "a rewrap, after Ctrl-C"));
    assert_eq!(status.code(), Some(130));
    assert!(service.done() < 60);

    service.world.order(Order::ClearFaults);
    let (code, _, error) = Service::run(&service.files(&[]));
    assert_eq!(code, 2, "an output that is there is left alone: {error}");
    assert!(error.contains("--resume"), "{error}");
    let (code, _, error) = Service::run(&service.files(&["--resume"]));
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("60 rewrapped, 0 rejected"), "{error}");
    service.is_all_rewrapped().await;
    assert_eq!(service.read("rejects"), "");
    let output = service.read("output");
    let (code, _, error) = Service::run(&service.files(&["--resume"]));
    assert_eq!((code, service.read("output")), (0, output), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_are_refused_are_told_of_and_the_others_go_on() {
    let service = Service::new().await;
    service.seals(2).await;
    let globex = service.world.tenant(&service.keyferry, "globex", None).await;
    let foreign = service.world.data(&service.keyferry, &globex.slug);
    let foreign = foreign.generate_data_key(&Context::new()).await.unwrap().wrapped_key;
    let sealed = service.read("input");
    let (first, second) = sealed.split_once('\n').unwrap();
    let foreign_line = json!({"wrapped_key": foreign});
    fs::write(
        service.file("input"),
        format!("{first}\ngarbage\n{foreign_line}\n\n{{\"id\":4}}\n{second}"),
    )
    .unwrap();
    service.rotates().await;

    let (code, _, error) = Service::run(&service.files(&[]));
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("2 rewrapped, 3 rejected"), "{error}");
    let rejects = service.read("rejects");
    let told: Vec<_> = rejects
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|reject| {
            (
                reject["line"].as_u64().unwrap(),
                reject["reason"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let expected = [(2, "not-an-object"), (3, "foreign-key"), (5, "no-envelope")];
    assert_eq!(told, expected.map(|(line, reason)| (line, reason.to_owned())));
    assert!(
        !rejects.contains(&foreign) && !error.contains(&foreign),
        "an envelope is not shown"
    );
    fs::write(service.file("input"), sealed).unwrap();
    service.is_all_rewrapped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_who_takes_its_key_away_meanwhile_has_not_all_that_is_left_rejected() {
    let service = Service::new().await;
    service.seals(6).await;
    service.rotates().await;
    service.world.order(service.acme.set_key(Some(false), None));
    let one = ["--batch", "1", "--concurrency", "1", "--max-rejects", "1"];
    let (code, _, error) = Service::run(&service.files(&one));
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("0 rewrapped, 2 rejected"), "{error}");
    assert!(error.contains("--max-rejects") && error.contains("--resume"), "{error}");
    assert!(service.read("rejects").contains("key-disabled"));

    service.world.order(service.acme.set_key(Some(true), None));
    let (data, context) = (service.data(), Context::new());
    eventually("it is sealed again", async || {
        data.encrypt(&Secret::from(Vec::new()), &context).await.is_ok()
    })
    .await;
    let (code, _, error) = Service::run(&service.files(&["--resume"]));
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("4 rewrapped, 2 rejected"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_by_a_pipe_goes_by_one() {
    let service = Service::new().await;
    service.seals(3).await;
    service.rotates().await;
    let mut piped = command();
    piped.args(service.arguments(&["--concurrency", "1"]));
    piped.stdin(fs::File::open(service.file("input")).unwrap());
    piped.stdout(fs::File::create(service.file("output")).unwrap());
    let mut piped = piped.spawn().unwrap();
    let status = tokio::task::block_in_place(|| ended(&mut piped, "a rewrap in a pipe"));
    assert!(status.success(), "{status}");
    service.is_all_rewrapped().await;
    assert!(!Path::new(&service.file("output.checkpoint")).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_files_are_refused_before_anything_is_read() {
    let service = Service::new().await;
    service.seals(1).await;
    let input = service.file("input");
    let text = service.read("input");
    let link = service.file("link");
    std::os::unix::fs::symlink(&input, &link).unwrap();
    for (arguments, reason) in [
        (vec!["--input", &input, "--output", &input], "the same file"),
        (vec!["--input", &input, "--output", &link], "the same file"),
        (vec!["--input", &input, "--rejects", &input], "the same file"),
        (vec!["--input", &input, "--resume"], "--resume needs"),
        (vec!["--input", "/nowhere/input"], "/nowhere/input"),
        (vec!["--input", &input, "--batch", "1001"], "1001"),
    ] {
        let (code, output, error) = Service::run(&service.arguments(&arguments));
        assert_eq!((code, output.as_str()), (2, ""), "{arguments:?}: {error}");
        assert!(error.contains(reason), "{arguments:?}: {error}");
        assert_eq!(service.read("input"), text);
    }
}
