//! Measures a withdrawal: from the moment that the customer takes its key away until the last replica obeys.

mod act;
mod following;
mod report;
mod traffic;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use keyferry_api::clock;
use keyferry_client::{Admin, Client, Tenant, key::KeyHealth};
use tokio::time::{Instant, timeout};

use self::{
    act::ActOptions,
    following::Following,
    report::{Facts, Recovery, Report, Verdict},
    traffic::{Seen, Traffic},
};
use super::key;
use crate::{access::AccessOptions, failure::Failure, onboarding::Named, output::Output, serve::Signals};

/// Measures how soon nothing opens any more once the customer takes its key away. Takes nothing away itself.
#[derive(Args, Debug)]
pub(super) struct Drill {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    act: ActOptions,
    /// An access file whose caller may seal and open for the tenant: its requests tell the last success. The same access if left out
    #[arg(long, value_name = "FILE")]
    service_access: Option<PathBuf>,
    /// How many seconds Azure itself may take until it refuses, on top of the bound (docs/revocation.md)
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    azure_seconds: u32,
    /// Give up after so long
    #[arg(long, value_name = "SECONDS", default_value_t = 1_800)]
    timeout: u64,
    /// Go on until the customer has given its key back and it serves again
    #[arg(long)]
    until_recovered: bool,
    /// Who conducts the drill, for the report
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Where the report is written too: as JSON if its name ends in .json, else as text
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// A drill that is under way.
struct Drilling {
    admin: Admin,
    service: String,
    tenant: Tenant,
    before: KeyHealth,
    /// Requests, or why there are none.
    traffic: Result<Traffic, String>,
    following: Following,
}

impl Drill {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let mut signals = Signals::listen()?;
        let mut drilling = tokio::select! {
            begun = self.begin(client) => begun?,
            () = signals.stop() => return Err(Failure::interrupted("ended before the act was over: nothing was measured")),
        };
        let ended = tokio::select! {
            // That it takes longer than that is for the report to tell.
            ended = timeout(self.patience(), drilling.follow()) => ended.unwrap_or(Ok(())),
            () = signals.stop() => Err(Failure::interrupted("ended before all was measured")),
        };
        let mut report = self.report(&drilling);
        let ended = match ended {
            Ok(()) if self.until_recovered && report.verdict != Verdict::Unfinished => {
                eprintln!("{}. Have the customer give its key back.", report.told());
                self.recover(&drilling, &mut report, &mut signals).await
            }
            ended => ended,
        };
        self.publish(&report, output)?;
        match (report.verdict, ended) {
            (Verdict::Beyond, _) => Err(Failure::start(report.told())),
            (_, Err(failure)) => Err(failure),
            (Verdict::Within, Ok(())) => Ok(()),
            (Verdict::Unfinished, Ok(())) => Err(Failure::unavailable(report.told())),
        }
    }

    async fn recover(&self, drilling: &Drilling, report: &mut Report, signals: &mut Signals) -> Result<(), Failure> {
        let recovery = tokio::select! {
            ended = timeout(self.patience(), drilling.recover()) => ended.map_err(|_| {
                Failure::unavailable(format!("the key did not serve again in {} s", self.timeout))
            })??,
            () = signals.stop() => return Err(Failure::interrupted("ended before the key served again")),
        };
        report.recovery = Some(recovery);
        Ok(())
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// Looks how all is, and waits for the act.
    async fn begin(&self, client: &Client) -> Result<Drilling, Failure> {
        let (admin, slug) = (client.admin(), &self.named.slug);
        let tenant = admin.get(slug).await?;
        let traffic = match &self.service_access {
            None => client.clone(),
            Some(file) => AccessOptions::of_file(file.clone()).client()?,
        };
        let traffic = Traffic::begin(traffic.tenant(slug)).await;
        if let Err(reason) = &traffic {
            eprintln!("No requests are sent, so the last success will not be measured: {reason}");
        }
        let before = admin.key(slug).await?;
        if before.state == "refused" && !self.act.may_be_over() {
            return Err(Failure::start(format!(
                "the key of {slug} is refused already: there is nothing to take away"
            )));
        }
        let last = admin.key_events(slug, None, 1).await?;
        let last = last.events.first().map_or(0, |event| event.revision);
        let lived = admin.replicas().await?;
        eprintln!(
            "The key of {slug} is {}. {} replicas must obey within {} s of Azure's refusal.",
            key::state(&before),
            lived.len(),
            before.bound.total_seconds
        );
        let act = self.act.wait(clock::system()).await?;
        // Some may have begun or ended while it was waited for. What is measured has begun: this is not tried twice.
        let lived = admin.replicas().await.unwrap_or(lived);
        Ok(Drilling {
            following: Following::new(act, last, &tenant, &before, lived),
            service: client.base().to_string(),
            admin,
            tenant,
            before,
            traffic,
        })
    }

    fn report(&self, drilling: &Drilling) -> Report {
        Report::new(&Facts {
            tenant: &drilling.tenant,
            before: &drilling.before,
            following: &drilling.following,
            traffic: drilling.traffic.as_ref().map(Traffic::seen).map_err(String::as_str),
            service: drilling.service.clone(),
            conducted_by: self.by.clone(),
            azure_seconds: self.azure_seconds.into(),
            ended: Instant::now(),
        })
    }

    fn publish(&self, report: &Report, output: Output) -> Result<(), Failure> {
        output.text(report, || report.text());
        let Some(file) = &self.report else { return Ok(()) };
        let text = if file.extension().is_some_and(|extension| extension == "json") {
            serde_json::to_string_pretty(report).map_err(Failure::start)?
        } else {
            report.text()
        };
        std::fs::write(file, text + "\n")
            .map_err(|error| Failure::start(format!("cannot write {}: {error}", file.display())))
    }
}

impl Drilling {
    /// Follows until all that live have obeyed, and nothing is answered any more.
    async fn follow(&mut self) -> Result<(), Failure> {
        loop {
            passing(self.look().await)?;
            let is_dark = self.seen().is_none_or(|seen| seen.is_dark());
            if self.following.is_over() && is_dark {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn look(&mut self) -> Result<(), Failure> {
        let slug = &self.tenant.slug;
        let (mut events, mut cursor) = (Vec::new(), None);
        while self.following.found.is_none() {
            let page = self.admin.key_events(slug, cursor.as_deref(), EVENTS).await?;
            let is_after = page.events.last().is_some_and(|oldest| self.following.is_after(oldest));
            events.extend(page.events);
            cursor = page.next_cursor.filter(|_| is_after);
            if cursor.is_none() {
                break;
            }
        }
        if let Some(revision) = self.following.hear(&events, Instant::now()) {
            let heard = self.admin.acknowledgements(slug, revision).await?;
            self.following.note(&heard, Instant::now());
        }
        Ok(())
    }

    /// Follows until the key serves again, and was looked at since all had obeyed: a refusal that a request met is told before the
    /// look that finds the key refused.
    async fn recover(&self) -> Result<Recovery, Failure> {
        if let Ok(traffic) = &self.traffic {
            traffic.expect_return();
        }
        let mut before: Option<KeyHealth> = None;
        loop {
            let key = passing(self.admin.key(&self.tenant.slug).await.map_err(Failure::from))?;
            let seen = self.seen();
            if before.is_none() {
                before.clone_from(&key);
            }
            let serves_again = |key: &KeyHealth| {
                let is_later = |before: &KeyHealth| before.served_at != key.served_at;
                key.state == "healthy" && before.as_ref().is_some_and(is_later)
            };
            if let Some(key) = key.filter(serves_again)
                && seen.as_ref().is_none_or(Seen::is_back)
            {
                let returned = |moment: Option<Instant>| moment.map(|at| self.following.act.until(at));
                return Ok(Recovery {
                    healthy_since: key.since,
                    sealing_after_seconds: returned(seen.as_ref().and_then(|seen| seen.seal.returned)),
                    opening_after_seconds: returned(seen.and_then(|seen| seen.open?.returned)),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn seen(&self) -> Option<Seen> {
        self.traffic.as_ref().ok().map(Traffic::seen)
    }
}

/// What came of a call, and nothing if another one may do better.
fn passing<T>(outcome: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match outcome {
        Ok(done) => Ok(Some(done)),
        Err(failure) if failure.is_passing() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// How often is looked: how much too long a time may be.
const POLL: Duration = Duration::from_millis(250);
/// How many events are asked for at once.
const EVENTS: u32 = 100;

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use axum::{Json, Router, extract::Request, http::StatusCode, response::IntoResponse};
    use clap::Parser;
    use serde_json::{Value, json};
    use time::format_description::well_known::Rfc3339;

    use super::{
        super::key::tests::key,
        following::tests::{heard, replica, withdrawn},
        *,
    };

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        drill: Drill,
    }

    /// What answers in Keyferry's place. The key is withdrawn once a file is there.
    async fn service(withdrawn_by: PathBuf) -> Client {
        let asked = Arc::new(AtomicUsize::new(0));
        let router = Router::new().fallback(async move |request: Request| {
            let (is_withdrawn, replicas) = (withdrawn_by.exists(), ["a", "b"].map(replica));
            let document = match request.uri().path() {
                "/v1/admin/tenants/acme" => tenant(),
                "/v1/admin/tenants/acme/key" if is_withdrawn => json!(after_the_act(asked.fetch_add(1, Relaxed))),
                "/v1/admin/tenants/acme/key" => json!(key("healthy", None)),
                "/v1/admin/tenants/acme/key/events" if is_withdrawn => {
                    let mut event = withdrawn(8, Some("1"));
                    event.at = clock::system()().format(&Rfc3339).unwrap();
                    json!({"events": [event]})
                }
                "/v1/admin/tenants/acme/key/events" => json!({"events": []}),
                "/v1/admin/tenants/acme/key/events/8/acknowledgements" => json!(heard(&["a", "b"], &[])),
                "/v1/admin/replicas" => json!({"replicas": replicas}),
                _ => {
                    let problem =
                        json!({"type": "caller-role-missing", "title": "No", "status": 403, "fault": "caller"});
                    return (StatusCode::FORBIDDEN, Json(problem)).into_response();
                }
            };
            Json(document).into_response()
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Client::new(url.parse().unwrap(), "a token".to_owned().into()).unwrap()
    }

    /// How the key is once it was refused to a request: as the last look found it, until the next one does.
    fn after_the_act(asked: usize) -> KeyHealth {
        match asked {
            0 => key("healthy", None),
            1 => key("refused", Some("key-disabled")),
            _ => KeyHealth {
                since: RETURNED.into(),
                served_at: Some(RETURNED.into()),
                ..key("healthy", None)
            },
        }
    }

    const RETURNED: &str = "2026-11-25T20:00:00Z";

    pub(super) fn tenant() -> Value {
        json!({
            "slug": "acme", "id": "0190", "display_name": "Acme Corporation", "directory_id": "5f0b", "cloud": "public",
            "vault": "v", "key_name": "k", "key_version": "latest", "former_keys": [], "status": "active",
            "policy": {
                "cache_ttl_seconds": 1, "lease_max_age_seconds": 1, "lease_max_messages": 1, "outage_grace_seconds": 0
            },
            "revision": 1, "created_at": "", "updated_at": "",
        })
    }

    /// Drills with an act that withdraws the key, and answers the report.
    async fn report(name: &str, more: &[&str]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let (withdrawn_by, report) = (dir.path().join("withdrawn"), dir.path().join(name));
        let act = format!("touch '{}'", withdrawn_by.display());
        let line = [
            "drill",
            "acme",
            "--act",
            &act,
            "--by",
            "Jo",
            "--report",
            report.to_str().unwrap(),
        ];
        let Line { drill } = Line::try_parse_from(line.iter().chain(more)).unwrap();
        let client = service(withdrawn_by).await;
        drill.run(&client, Output::Json).await.unwrap();
        std::fs::read_to_string(report).unwrap()
    }

    #[tokio::test]
    async fn a_drill_is_reported_as_text_for_auditors_and_as_json_for_scripts() {
        let text = report("report.txt", &[]).await;
        for part in [
            "within the bound",
            "Acme Corporation",
            "https://v/keys/k/1",
            "Jo",
            "unwrap: key-disabled (403, Forbidden, request r-1)",
            "host-b",
            "caller-role-missing",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let json: Value = serde_json::from_str(&report("report.json", &[]).await).unwrap();
        assert_eq!(
            (&json["verdict"], &json["act_known"]),
            (&"within".into(), &"command".into())
        );
        assert_eq!(json["withdrawal"]["request_id"], "r-1");
    }

    #[tokio::test]
    async fn a_key_that_no_look_has_found_refused_yet_is_not_taken_for_one_that_returned() {
        let json: Value = serde_json::from_str(&report("report.json", &["--until-recovered"]).await).unwrap();
        assert_eq!(json["recovery"]["healthy_since"], RETURNED);
    }

    #[tokio::test]
    async fn an_act_that_fails_leaves_nothing_to_measure() {
        let Line { drill } = Line::try_parse_from(["drill", "acme", "--act", "false"]).unwrap();
        let client = service("/nowhere".into()).await;
        let failure = drill.run(&client, Output::Json).await.unwrap_err();
        assert!(failure.to_string().contains("--act"), "{failure}");
    }
}
