//! A failure is logged once, as loud as whose move it is.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
};

use keyferry_crypto::vault::VaultCause;
use serde_json::{Value, json};
use tracing::{
    Dispatch,
    subscriber::{DefaultGuard, NoSubscriber},
};

use crate::{
    reply::Reply,
    world::{Setup, World},
};

/// What is logged on this thread, as JSON. A test's service runs on the test's own thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

/// Alive as long as the tests are. While a log's subscriber is the only one, the library decides once and for all whether an
/// event is wanted by asking the thread that meets it first, which may be another test's.
static ANOTHER_SUBSCRIBER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));

impl Log {
    fn kept() -> (Self, DefaultGuard) {
        Self::kept_at(tracing::Level::DEBUG)
    }

    /// What is logged down to that level, with the spans that it is in.
    pub(crate) fn kept_at(level: tracing::Level) -> (Self, DefaultGuard) {
        LazyLock::force(&ANOTHER_SUBSCRIBER);
        let log = Self::default();
        let lines = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(level)
            .with_writer(move || lines.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The lines of ours that name this request.
    fn of(&self, request_id: &str) -> Vec<Value> {
        let is_of = |line: &Value| line["request_id"] == request_id;
        self.lines().into_iter().filter(is_of).collect()
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        let log = self.0.lock().unwrap();
        let lines = str::from_utf8(&log).unwrap().lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn does(world: &World, path: &str, request_id: &str, body: &Value) -> Reply {
    let request = world.data(path).header("x-request-id", request_id);
    Reply::to(request.json(body)).await
}

#[tokio::test]
async fn a_callers_mistake_is_logged_for_who_looks_closely() {
    let (log, _guard) = Log::kept();
    let world = World::new().await;
    does(&world, "acme/wrap", "mistaken", &json!({}))
        .await
        .problem(400, "malformed-request");
    does(&world, "acme/wrap", "right", &json!({"key": "a2V5"}))
        .await
        .with(200);
    let [line] = &log.of("mistaken")[..] else {
        panic!("one line")
    };
    assert_eq!(
        (&line["level"], &line["problem"]),
        (&json!("DEBUG"), &json!("malformed-request"))
    );
    assert_eq!(line["operation"], "wrap");
    assert!(log.of("right").is_empty());
}

#[tokio::test]
async fn a_missing_database_is_logged_once_with_its_own_words() {
    let (log, _guard) = Log::kept();
    let setup = Setup {
        has_database: false,
        ..Setup::usual().await
    };
    let world = World::of(setup).await;
    does(&world, "acme/wrap", "lost", &json!({}))
        .await
        .problem(503, "registry-unavailable");
    let [line] = &log.of("lost")[..] else {
        panic!("one line")
    };
    assert_eq!(
        (&line["level"], &line["problem"]),
        (&json!("ERROR"), &json!("registry-unavailable"))
    );
    let cause = line["cause"].as_str().unwrap();
    assert!(
        cause.starts_with("the tenant registry's database does not answer: "),
        "{cause}"
    );
    let of_problems = |line: &&Value| {
        line["target"]
            .as_str()
            .is_some_and(|target| target.ends_with("::problem"))
    };
    assert_eq!(log.lines().iter().filter(of_problems).count(), 0, "and nowhere else");
}

#[tokio::test]
async fn what_a_vault_does_is_logged_once_however_many_requests_meet_it() {
    for (cause, level) in [
        (VaultCause::KeyDisabled, "INFO"),
        (VaultCause::Timeout, "WARN"),
        (VaultCause::AppSecretExpired, "ERROR"),
    ] {
        let (log, _guard) = Log::kept();
        let world = World::new().await;
        world.vault.fails(cause);
        for request_id in ["one", "two", "three"] {
            let refused = does(&world, "acme/wrap", request_id, &json!({"key": "a2V5"})).await;
            assert!(refused.status >= 400);
            let [line] = &log.of(request_id)[..] else {
                panic!("one line")
            };
            assert_eq!(line["level"], "DEBUG", "{cause:?}");
        }
        let lines = log.lines();
        let loud: Vec<_> = lines
            .iter()
            .filter(|line| {
                line["target"]
                    .as_str()
                    .is_some_and(|target| target.starts_with("keyferry_"))
            })
            .filter(|line| line["level"] != "DEBUG")
            .map(|line| {
                (
                    line["level"].as_str().unwrap(),
                    line["cause"].as_str().unwrap_or_default(),
                )
            })
            .collect();
        assert_eq!(loud, [(level, &*format!("{cause:?}"))]);
    }
}

#[tokio::test]
async fn a_batchs_failures_are_logged_together_by_their_kind() {
    let (log, _guard) = Log::kept();
    let world = World::new().await;
    let (good, foreign) = (world.wrapped_key("acme").await, world.wrapped_key("initech").await);
    let items = [&*good, &foreign, "AA", &foreign, "AA", &foreign].map(|key| json!({ "wrapped_key": key }));
    does(&world, "acme/unwrap/batch", "batch", &json!({ "items": items }))
        .await
        .with(200);
    let lines = log.of("batch");
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line["problem"].as_str().unwrap(), line["items"].as_u64().unwrap()))
        .collect();
    assert_eq!(told, [("foreign-key", 3), ("envelope-malformed", 2)]);
    for line in &lines {
        assert_eq!(
            (&line["level"], &line["operation"]),
            (&json!("DEBUG"), &json!("unwrap-batch"))
        );
        assert!(line["tenant"].is_string(), "{line}");
    }
}
