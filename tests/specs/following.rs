//! A customer's key gets a new version while it is used: it is sealed under at once, nothing fails, and what there is is rewrapped
//! exactly.

use std::{
    collections::BTreeSet,
    fs,
    process::{Child, Stdio},
};

use keyferry_client::{Context, OpenedKey, Policy, SealedKey, Secret};
use keyferry_emulator::{Fault, Operation, Order};
use keyferry_tests::{
    Caller, Database, Deed, Fleet, Load, Pace, Ways, World, command, ended, eventually, output_of, wrapped_data_key_of,
};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Nothing that is held ends for its age.
const LONG: Policy = Policy {
    cache_ttl_seconds: 3_600,
    lease_max_age_seconds: 3_600,
    lease_max_messages: 1_000_000,
    outage_grace_seconds: 0,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_every_seal_is_under_the_new_version_within_one_poll_and_none_fails() {
    let world = World::new(Database::postgres().await.unwrap_or_else(Database::sqlite)).await;
    let fleet = Fleet::start(&world, Pace::FAST, 3, Ways::Straight).await;
    let customer = world.tenant(fleet.replica(0).process(), "acme", Some(LONG)).await;
    for replica in fleet.replicas() {
        eventually("the tenant is known", async || {
            Caller::of(replica.client(), "acme").await.is_ok()
        })
        .await;
    }
    let caller = Caller::of(fleet.replica(0).client(), "acme").await.unwrap();
    let load = Load::start(&fleet.clients(), &[caller], 120.0);
    eventually("it is hot", async || {
        load.so_far(|records| records.successes().0.len() > 100)
    })
    .await;
    let bound = fleet.pace.rotation();
    let mut rotations = Vec::new();
    for _ in 0..3 {
        let before = Instant::now();
        let newest = world.import_version(&customer, World::customers_key().pkcs8());
        rotations.push((before, newest));
        eventually("every replica has sealed since", async || {
            load.so_far(|records| {
                let since = records.sent_since(before + bound);
                (0..3).all(|replica| {
                    since
                        .of_replica(replica)
                        .which(|record| record.deed == Deed::Seal)
                        .0
                        .len()
                        > 20
                })
            })
        })
        .await;
    }
    let records = load.stop().await;
    assert!(records.failures().is_empty(), "{:?}", records.failures());
    let sealed = records.which(|record| record.deed == Deed::Seal);
    let ends = rotations.iter().skip(1).map(|(at, _)| Some(*at)).chain([None]);
    for ((at, newest), end) in rotations.iter().zip(ends) {
        let meanwhile = sealed.which(|record| record.sent_at >= *at && end.is_none_or(|end| record.finished_at < end));
        let old = meanwhile.which(|record| record.key_id.as_deref() != Some(newest));
        let last = old.0.iter().map(|record| record.sent_at - *at).max();
        assert!(
            last.is_none_or(|last| last <= bound),
            "the last that was sealed under the old version was sent after {last:?}, and the bound is {bound:?}"
        );
        println!("the last under the old version was sent after {last:?}; the bound is {bound:?}");
    }
}

/// Envelopes, and how many of them share a data key.
const ENVELOPES: usize = 3_000;
const EACH: u64 = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_envelopes_are_rewrapped_exactly_however_often_it_is_killed() {
    let world = World::new(Database::sqlite()).await;
    let fleet = Fleet::start(&world, Pace::FAST, 1, Ways::Straight).await;
    let keyferry = fleet.replica(0).process();
    let policy = Policy {
        lease_max_messages: EACH,
        ..LONG
    };
    let customer = world.tenant(keyferry, "acme", Some(policy)).await;
    let data = world.data(keyferry, "acme");
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let mut wrapped = Vec::new();
    while wrapped.len() < ENVELOPES {
        let keys: Vec<_> = (0..500)
            .map(|number| Secret::from(vec![u8::try_from(number % 251).unwrap(); 32]))
            .collect();
        let items: Vec<_> = keys.iter().map(|key| json!({"key": key})).collect();
        for item in data.batch::<SealedKey>("wrap", &items).await.unwrap() {
            wrapped.push(item.into_result().unwrap().wrapped_key);
        }
    }
    let data_keys: BTreeSet<_> = wrapped.iter().map(|key| wrapped_data_key_of(key)).collect();
    let lines = wrapped
        .iter()
        .enumerate()
        .map(|(number, key)| format!("{{\"id\":{number},\"wrapped_key\":\"{key}\"}}\n"));
    fs::write(file("input"), lines.collect::<String>()).unwrap();

    let newest = world.import_version(&customer, World::customers_key().pkcs8());
    let admin = world.admin(keyferry);
    eventually("the new version is followed", async || {
        let seen = admin.key("acme").await.unwrap().newest;
        let sealed = data.generate_data_key(&Context::new()).await.unwrap();
        seen.is_some_and(|seen| seen.key_id == newest) && sealed.key_id == newest
    })
    .await;
    world.order(Order::ResetCalls);
    let access = world.service_access(keyferry);
    let arguments = || {
        let access = access.to_str().unwrap().to_owned();
        let mut arguments = vec![
            "rewrap".to_owned(),
            "--tenant".into(),
            "acme".into(),
            "--access".into(),
            access,
        ];
        for (option, name) in [("--input", "input"), ("--output", "output"), ("--rejects", "rejects")] {
            arguments.extend([option.to_owned(), file(name)]);
        }
        arguments.extend(["--batch", "100", "--concurrency", "2", "--resume"].map(str::to_owned));
        arguments
    };
    // So slow that it is killed in the midst.
    world.fault(&customer, Operation::WrapKey, Fault::Latency { millis: 300 });
    for share in [1, 2] {
        let mut killed = start(&arguments());
        eventually("some of it is done", async || {
            done(&file("output.checkpoint")) >= ENVELOPES as u64 * share / 4
        })
        .await;
        killed.kill().unwrap();
        tokio::task::block_in_place(|| ended(&mut killed, "a rewrap that was killed"));
        assert!(
            done(&file("output.checkpoint")) < ENVELOPES as u64,
            "it came to its end before it was killed"
        );
    }
    world.order(Order::ClearFaults);
    let last = arguments();
    let ran = tokio::task::block_in_place(|| output_of(command().args(&last)));
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));

    let output = fs::read_to_string(file("output")).unwrap();
    let rewrapped: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<_> = rewrapped.iter().map(|line| line["id"].as_u64().unwrap()).collect();
    assert!(
        numbers.iter().copied().eq(0..ENVELOPES as u64),
        "every line once, and in order"
    );
    let wraps = world.count(&customer, Operation::WrapKey);
    assert_eq!(wraps, data_keys.len() as u64, "one wrap for each data key");
    for (chunk, lines) in rewrapped.chunks(500).enumerate() {
        let items: Vec<_> = lines
            .iter()
            .map(|line| json!({"wrapped_key": line["wrapped_key"]}))
            .collect();
        let opened = data.batch::<OpenedKey>("unwrap", &items).await.unwrap();
        for (number, item) in opened.into_iter().enumerate() {
            let opened = item.into_result().unwrap();
            let number = chunk * 500 + number;
            assert_eq!(opened.key_id, newest, "{number}");
            assert_eq!(
                opened.key.expose()[0],
                u8::try_from(number % 500 % 251).unwrap(),
                "{number}"
            );
        }
    }
}

fn start(arguments: &[String]) -> Child {
    let mut command = command();
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

/// How many lines a checkpoint says are done.
fn done(checkpoint: &str) -> u64 {
    let checkpoint = fs::read(checkpoint).unwrap_or_default();
    let checkpoint: Value = serde_json::from_slice(&checkpoint).unwrap_or_default();
    checkpoint["done"].as_u64().unwrap_or_default()
}
