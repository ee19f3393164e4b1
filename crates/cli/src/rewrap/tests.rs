//! Runs against a service that answers as Keyferry does, over HTTP, and is cut off at every step of what it writes.

use std::{
    fs,
    io::{self, Error as IoError},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use clap::Parser;
use keyferry_client::Client;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Bounds, Input, Rewrap,
    checkpoint::Checkpoint,
    files::{Disk, Files, Part},
    pace::Pace,
    progress::Progress,
    sending::Sending,
    sink::Sink,
    work,
};
use crate::failure::Failure;

/// What answers in Keyferry's place: `old-7` is rewrapped as `new-7`, and more of `x` behind it the fewer requests there were
/// before, as no two answers are the same.
struct Service {
    client: Client,
    asked: Arc<AtomicUsize>,
}

impl Service {
    /// One of whose requests the first, the second and so on are hindered so; all others are answered.
    async fn start(hindrances: fn(usize, &Value) -> Option<Response>) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let answer = move |Json(body): Json<Value>| async move {
            let number = count.fetch_add(1, Ordering::SeqCst);
            hindrances(number, &body).unwrap_or_else(|| answer(&body, &"x".repeat(9 - number.min(9))))
        };
        let router = Router::new().route("/v1/tenants/acme/rewrap/batch", post(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            client: Client::new(url.parse().unwrap(), "a token".to_owned().into()).unwrap(),
            asked,
        }
    }

    fn sending(&self) -> Sending {
        Sending {
            tenant: self.client.tenant("acme"),
            pace: Arc::new(Pace::new(Duration::ZERO)),
            patience: Duration::from_mins(10),
        }
    }

    /// Rewraps a text to the end, with all in one file, and answers what is written.
    async fn rewraps(&self, text: &str, batch: usize) -> Result<(String, String), Failure> {
        let run = Run::of(text);
        run.go(self, batch, usize::MAX).await?;
        Ok((run.told("output"), run.told("rejects")))
    }
}

fn answer(body: &Value, more: &str) -> Response {
    let results = items(body).iter().map(|item| {
        let (kind, envelope) = item.as_object().unwrap().iter().next().unwrap();
        let Some(("old", number)) = envelope.as_str().unwrap().split_once('-') else {
            let mut refused = problem("foreign-key", 400, "caller", None);
            refused["detail"] = more.into();
            return json!({"problem": refused});
        };
        json!({"ok": {kind: format!("new-{number}{more}"), "key_id": "https://v/keys/k/2"}})
    });
    Json(json!({"results": results.collect::<Vec<_>>()})).into_response()
}

fn items(body: &Value) -> &[Value] {
    body["items"].as_array().unwrap()
}

fn problem(slug: &str, status: u16, fault: &str, retry_after: Option<u64>) -> Value {
    json!({
        "type": format!("https://keyferry.dev/problems/{slug}"),
        "title": slug,
        "status": status,
        "fault": fault,
        "retry_after_seconds": retry_after,
    })
}

fn whole(status: u16, problem: Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(problem)).into_response()
}

/// The files of a run.
struct Run {
    dir: tempfile::TempDir,
}

impl Run {
    fn of(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("input"), text).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The same without what differs from answer to answer.
    fn told(&self, name: &str) -> String {
        self.read(name).replace('x', "")
    }

    /// Begins, or goes on after what was cut off; and is cut off itself after so many steps.
    async fn go(&self, service: &Service, batch: usize, life: usize) -> Result<usize, Failure> {
        let (output, rejects) = (self.path("output"), self.path("rejects"));
        let mut input = Input::new(fs::File::open(self.path("input")).unwrap());
        let known = Checkpoint::read(&Checkpoint::beside(&output))?;
        let (files, at) = match known {
            Some(at) => {
                assert!(input.skip_to(&at.input).unwrap());
                (Files::resume(&output, Some(&rejects), &at)?, at)
            }
            None => (
                Files::begin(Some(&output), Some(&rejects), true)?,
                Checkpoint::new("acme", input.position(), true),
            ),
        };
        let mut mortal = Mortal { files, left: life };
        let sending = service.sending();
        let progress = Progress::new(&at, None, Arc::clone(&sending.pace));
        let bounds = Bounds {
            batch,
            concurrency: 3,
            rejects: u64::MAX,
        };
        let mut sink = Sink::new(&mut mortal, at, Duration::ZERO);
        work(input, sending, bounds, &mut sink, &progress).await?;
        Ok(life - mortal.left)
    }
}

/// A disk that is written to for so many steps, of which half of an append is one. Then it is as if the process were killed.
struct Mortal {
    files: Files,
    left: usize,
}

impl Mortal {
    fn lives(&mut self) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or(IoError::other("killed"))?;
        Ok(())
    }
}

impl Disk for &mut Mortal {
    fn append(&mut self, part: Part, bytes: &[u8]) -> io::Result<()> {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        for half in [first, second] {
            self.lives()?;
            self.files.append(part, half)?;
        }
        Ok(())
    }

    fn sync(&mut self, part: Part) -> io::Result<()> {
        self.lives()?;
        self.files.sync(part)
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
        self.lives()?;
        self.files.checkpoint(checkpoint)
    }
}

fn lines(count: usize) -> String {
    let line = |number: usize| match number % 5 {
        3 => format!("{{\"id\": {number}, \"ciphertext\": \"other-{number}\"}}\n"),
        4 => "garbage\n".to_owned(),
        _ => format!("{{\"id\": {number}, \"wrapped_key\": \"old-{number}\"}}\n"),
    };
    (0..count).map(line).collect()
}

#[tokio::test]
async fn a_run_that_is_killed_anywhere_and_taken_up_again_writes_what_an_unbroken_one_writes() {
    let text = lines(11);
    let unbroken = Run::of(&text);
    let service = Service::start(|_, _| None).await;
    let steps = unbroken.go(&service, 2, usize::MAX).await.unwrap();
    assert!(unbroken.told("output").contains("new-10"));
    assert!(unbroken.told("rejects").contains("foreign-key"));
    for life in 0..steps {
        let (run, service) = (Run::of(&text), Service::start(|_, _| None).await);
        assert!(run.go(&service, 2, life).await.is_err(), "{life}");
        // Killed a second time where that is.
        let _ = run.go(&service, 2, life / 2).await;
        run.go(&service, 2, usize::MAX).await.unwrap();
        for name in ["output", "rejects"] {
            assert_eq!(run.told(name), unbroken.told(name), "{name} after {life}");
        }
        let end = |run: &Run| Checkpoint::read(&run.path("output.checkpoint")).unwrap().unwrap();
        let (end, expected) = (end(&run), end(&unbroken));
        assert_eq!(
            (end.input, end.done, end.rejected),
            (expected.input, expected.done, expected.rejected)
        );
        assert_eq!(end.output_bytes, run.read("output").len() as u64);
    }
}

#[tokio::test]
async fn what_may_pass_is_sent_again_and_nothing_else() {
    // First the service is busy, then the vault for every second item, then the connection's answer is another's.
    let service = Service::start(|number, body| match number {
        0 => Some(whole(503, problem("overloaded", 503, "service", Some(0)))),
        1 => Some({
            let results = items(body).iter().enumerate().map(|(place, item)| match place % 2 {
                0 => json!({"problem": problem("vault-quota-spent", 503, "vault", Some(0))}),
                _ => json!({"ok": {"wrapped_key": item["wrapped_key"].as_str().unwrap().replace("old", "new"), "key_id": "k"}}),
            });
            Json(json!({"results": results.collect::<Vec<_>>()})).into_response()
        }),
        2 if items(body).len() == 2 => Some((StatusCode::BAD_GATEWAY, "<html>").into_response()),
        // What is done is not sent again.
        2 => Some(whole(400, problem("malformed-request", 400, "caller", None))),
        _ => None,
    })
    .await;
    let text = lines(3) + &lines(1);
    let (output, rejects) = service.rewraps(&text, 4).await.unwrap();
    assert_eq!((output, rejects.as_str()), (text.replace("old", "new"), ""));
    assert_eq!(service.asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_failure_of_the_services_own_rejects_no_line_but_ends_the_run() {
    let service = Service::start(|_, _| {
        let failed = json!({"problem": problem("app-secret-expired", 500, "service", None)});
        Some(Json(json!({"results": [failed]})).into_response())
    })
    .await;
    let run = Run::of("{\"wrapped_key\":\"old-1\"}\n");
    let failure = run.go(&service, 1, usize::MAX).await.unwrap_err();
    assert!(failure.to_string().contains("app-secret-expired"), "{failure}");
    assert_eq!(
        (run.read("output"), run.read("rejects")),
        (String::new(), String::new())
    );
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_sent_in_parts_and_a_line_that_is_alone_rejected() {
    let service = Service::start(|_, body| {
        let is_too_large = items(body).len() > 2 || items(body).iter().any(|item| item["wrapped_key"] == "old-huge");
        is_too_large.then(|| whole(413, problem("body-too-large", 413, "caller", None)))
    })
    .await;
    let text = "{\"wrapped_key\":\"old-1\"}\n{\"wrapped_key\":\"old-huge\"}\n{\"wrapped_key\":\"old-2\"}\n{\"wrapped_key\":\"old-3\"}\n";
    let (output, rejects) = service.rewraps(text, 100).await.unwrap();
    assert_eq!(
        output,
        "{\"wrapped_key\":\"new-1\"}\n{\"wrapped_key\":\"new-2\"}\n{\"wrapped_key\":\"new-3\"}\n"
    );
    let reject: Value = serde_json::from_str(&rejects).unwrap();
    assert_eq!(
        (&reject["line"], &reject["reason"]),
        (&2.into(), &"body-too-large".into())
    );
    assert!(!rejects.contains("old-huge"), "an envelope is not shown");
}

#[test]
fn an_output_that_is_there_is_left_alone_and_one_that_is_too_short_refused() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("output");
    fs::write(&output, "precious").unwrap();
    let refused = Files::begin(Some(&output), None, true).err().unwrap();
    assert!(refused.to_string().contains("--resume"), "{refused}");
    let mut at = Checkpoint::new("acme", Input::new(io::empty()).position(), false);
    at.output_bytes = 9;
    at.replace(&Checkpoint::beside(&output)).unwrap();
    let refused = Files::resume(&output, None, &at).err().unwrap();
    assert!(refused.to_string().contains('9'), "{refused}");
    assert!(Files::resume(&output, Some(Path::new("rejects")), &at).is_err());
    assert_eq!(fs::read_to_string(&output).unwrap(), "precious");

    at.output_bytes = 3;
    let refused = Files::resume(&output, None, &at).err().unwrap();
    assert!(refused.to_string().contains("another run"), "{refused}");
    assert_eq!(fs::read_to_string(&output).unwrap(), "precious");
    at.replace(&Checkpoint::beside(&output)).unwrap();
    let first = Files::resume(&output, None, &at).unwrap();
    assert!(Files::resume(&output, None, &at).is_err(), "one at a time");
    drop(first);
    assert_eq!(fs::read_to_string(&output).unwrap(), "pre");
}

#[test]
fn what_goes_to_a_pipe_or_a_device_has_no_checkpoint_and_is_not_taken_up_again() {
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        rewrap: Rewrap,
    }
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("input"), dir.path().join("output"));
    fs::write(&input, "").unwrap();
    let rewrap = |output: &Path, more: &[&str]| {
        let (input, output) = (input.to_str().unwrap(), output.to_str().unwrap());
        let files = ["rewrap", "--tenant", "acme", "--input", input, "--output", output];
        Line::try_parse_from(files.iter().chain(more)).unwrap().rewrap
    };
    assert!(rewrap(&output, &[]).has_checkpoint());
    let device = Path::new("/dev/null");
    assert!(!rewrap(device, &[]).has_checkpoint());
    rewrap(device, &[]).begin().unwrap();
    let refused = rewrap(device, &["--resume"]).begin().err().unwrap();
    assert!(refused.to_string().contains("--resume needs"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_run_gives_up_after_its_patience_however_long_it_is_asked_to_wait() {
    let service = Service::start(|_, _| Some(whole(503, problem("overloaded", 503, "service", Some(u64::MAX))))).await;
    let began = Instant::now();
    let failure = service.rewraps("{\"wrapped_key\":\"old-1\"}\n", 1).await.unwrap_err();
    assert!(failure.is_passing(), "{failure}");
    assert!(began.elapsed() < Duration::from_mins(30), "{:?}", began.elapsed());
}
