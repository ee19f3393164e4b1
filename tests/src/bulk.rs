//! Very many envelopes are rewrapped by `keyferry rewrap`, which is killed in the midst, twice.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    process::{Child, Stdio},
    time::Duration,
};

use keyferry_client::{Context, OpenedKey, Policy, SealedKey, Secret, TenantClient};
use keyferry_emulator::{Fault, Operation, Order};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{Customer, Fleet, World, command, ended, eventually, output_of, wrapped_data_key_of};

/// How it went: to its end, with every line there once and in order, opening as before, and under the new version.
#[derive(Clone, Copy, Debug)]
pub struct Bulk {
    /// How many data keys the envelopes had.
    pub data_keys: u64,
    /// How often the vault was asked to wrap.
    pub wraps: u64,
    /// From the first start to the last end, with what was done anew.
    pub took: Duration,
}

/// Envelopes of a tenant, in a file.
struct Envelopes {
    dir: TempDir,
    count: usize,
    data_keys: u64,
}

/// Seals so many keys for a new tenant of the fleet's first replica, so many with one data key, has its key get a new version, and
/// has them rewrapped.
pub async fn rewrap_though_killed(world: &World, fleet: &Fleet, count: usize, each: u64) -> Bulk {
    let keyferry = fleet.replica(0).process();
    let policy = Policy {
        cache_ttl_seconds: 3_600,
        lease_max_age_seconds: 3_600,
        lease_max_messages: each,
        outage_grace_seconds: 0,
    };
    let customer = world.tenant(keyferry, "bulk", Some(policy)).await;
    let data = world.data(keyferry, "bulk");
    let envelopes = Envelopes::seal(&data, count).await;
    let newest = world.import_version(&customer, World::customers_key().pkcs8());
    let admin = world.admin(keyferry);
    eventually("the new version is followed", async || {
        let seen = admin.key("bulk").await.unwrap().newest;
        let sealed = data.generate_data_key(&Context::new()).await.unwrap();
        seen.is_some_and(|seen| seen.key_id == newest) && sealed.key_id == newest
    })
    .await;
    world.order(Order::ResetCalls);
    let access = world.service_access(keyferry);
    let arguments = envelopes.arguments(access.to_str().unwrap());
    let began = Instant::now();
    envelopes.kill_twice(world, &customer, &arguments).await;
    let ran = tokio::task::block_in_place(|| output_of(command().args(&arguments)));
    let took = began.elapsed();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let wraps = world.count(&customer, Operation::WrapKey);
    envelopes.are_all_under(&newest, &data).await;
    Bulk {
        data_keys: envelopes.data_keys,
        wraps,
        took,
    }
}

impl Envelopes {
    async fn seal(data: &TenantClient, count: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (mut lines, mut data_keys) = (String::new(), BTreeSet::new());
        for first in (0..count).step_by(BATCH) {
            let numbers = first..count.min(first + BATCH);
            let keys: Vec<_> = numbers.clone().map(|number| Secret::from(key(number))).collect();
            let items: Vec<_> = keys.iter().map(|key| json!({"key": key})).collect();
            let wrapped = data.batch::<SealedKey>("wrap", &items).await.unwrap();
            for (number, item) in numbers.zip(wrapped) {
                let wrapped = item.into_result().unwrap().wrapped_key;
                data_keys.insert(wrapped_data_key_of(&wrapped));
                writeln!(lines, "{{\"id\":{number},\"wrapped_key\":\"{wrapped}\"}}").unwrap();
            }
        }
        fs::write(dir.path().join("input"), lines).unwrap();
        Self {
            dir,
            count,
            data_keys: data_keys.len() as u64,
        }
    }

    fn file(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn arguments(&self, access: &str) -> Vec<String> {
        let (input, output, rejects) = (self.file("input"), self.file("output"), self.file("rejects"));
        let tenant = ["rewrap", "--tenant", "bulk", "--access", access];
        let files = ["--input", &input, "--output", &output, "--rejects", &rejects];
        let pace = ["--batch", "100", "--concurrency", "2", "--resume"];
        let all = tenant.iter().chain(&files).chain(&pace);
        all.map(|argument| (*argument).to_owned()).collect()
    }

    /// When a quarter of it is done, and half: the vault is so slow meanwhile that it does not come to its end before.
    async fn kill_twice(&self, world: &World, customer: &Customer, arguments: &[String]) {
        world.fault(customer, Operation::WrapKey, Fault::Latency { millis: 300 });
        for quarters in [1, 2] {
            let mut killed = start(arguments);
            eventually("some of it is done", async || self.done() >= self.count / 4 * quarters).await;
            killed.kill().unwrap();
            tokio::task::block_in_place(|| ended(&mut killed, "a rewrap that was killed"));
            assert!(self.done() < self.count, "it came to its end before it was killed");
        }
        world.order(Order::ClearFaults);
    }

    /// How many lines the checkpoint says are done.
    fn done(&self) -> usize {
        let checkpoint = fs::read(self.file("output.checkpoint")).unwrap_or_default();
        let checkpoint: Value = serde_json::from_slice(&checkpoint).unwrap_or_default();
        let done = checkpoint["done"].as_u64().unwrap_or_default();
        usize::try_from(done).unwrap()
    }

    async fn are_all_under(&self, newest: &str, data: &TenantClient) {
        let output = fs::read_to_string(self.file("output")).unwrap();
        let lines: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let numbers = lines.iter().map(|line| line["id"].as_u64().unwrap());
        assert!(numbers.eq(0..self.count as u64), "not every line once, in order");
        for (batch, lines) in lines.chunks(BATCH).enumerate() {
            let items = lines.iter().map(|line| json!({"wrapped_key": line["wrapped_key"]}));
            let opened = data
                .batch::<OpenedKey>("unwrap", &items.collect::<Vec<_>>())
                .await
                .unwrap();
            for (place, item) in opened.into_iter().enumerate() {
                let (opened, number) = (item.into_result().unwrap(), batch * BATCH + place);
                assert_eq!(opened.key_id, newest, "{number}");
                assert_eq!(opened.key.expose(), key(number), "{number}");
            }
        }
    }
}

fn start(arguments: &[String]) -> Child {
    let mut command = command();
    let quiet = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    quiet.stderr(Stdio::null()).spawn().unwrap()
}

/// What the envelope of that number holds.
fn key(number: usize) -> Vec<u8> {
    (number as u64).to_be_bytes().repeat(4)
}

const BATCH: usize = 500;
