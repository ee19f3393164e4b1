//! What a drill measured, as an auditor reads it.

mod text;

use keyferry_client::{
    Tenant,
    key::{Bound, KeyEvent, KeyHealth},
};
use serde::Serialize;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use super::{
    act::{Known, Moment},
    following::{Following, Measured},
    traffic::{Seen, Tries},
};
/// A drill, as it ended.
#[derive(Serialize)]
pub(super) struct Report {
    /// How it ended.
    pub(super) verdict: Verdict,
    /// Whose key.
    customer: Customer,
    /// The newest version of the key before the act, or the key if none was seen.
    key_id: String,
    /// The service, and what measured it.
    service: String,
    measured_with: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    conducted_by: Option<String>,
    /// The act.
    act_at: String,
    act_known: Known,
    /// How long the drill went on after the act.
    followed_seconds: f64,
    /// The bound.
    bound: Bound,
    azure_seconds: f64,
    allowed_seconds: f64,
    /// What was found out, and by whom.
    withdrawal: Option<Withdrawal>,
    /// The replicas that lived at the act or have obeyed.
    replicas: Vec<ReplicaLine>,
    /// What requests through the front door came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    sealing: Option<Requests>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opening: Option<Requests>,
    /// The longest of all times that were measured.
    longest_seconds: Option<f64>,
    /// When the key served again, if that was waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recovery: Option<Recovery>,
    /// What this does not tell.
    not_measured: Vec<String>,
}

/// How a drill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// All that was measured is within the bound.
    Within,
    /// Something is beyond it.
    Beyond,
    /// It ended before that could be told.
    Unfinished,
}

/// What a report is made of.
pub(super) struct Facts<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) before: &'a KeyHealth,
    pub(super) following: &'a Following,
    /// What was seen of requests, or why there were none.
    pub(super) traffic: Result<Seen, &'a str>,
    pub(super) service: String,
    pub(super) conducted_by: Option<String>,
    pub(super) azure_seconds: f64,
    /// When it was over.
    pub(super) ended: Instant,
}

#[derive(Serialize)]
struct Customer {
    name: String,
    slug: String,
    id: String,
    directory_id: String,
}

#[derive(Serialize)]
struct Withdrawal {
    /// Who found it out.
    replica: String,
    after_seconds: f64,
    clock: &'static str,
    #[serde(flatten)]
    event: KeyEvent,
}

#[derive(Serialize)]
struct ReplicaLine {
    replica: String,
    name: String,
    release: Option<String>,
    /// `obeyed`, `not obeyed`, `gone`, or `evicted all`: it has obeyed without knowing what.
    outcome: &'static str,
    /// When it had obeyed, by the registry's clock.
    obeyed_at: Option<String>,
    after_seconds: Option<f64>,
    clock: Option<&'static str>,
}

#[derive(Serialize)]
struct Requests {
    succeeded: u64,
    failed: u64,
    /// After the act; before it if negative.
    last_success_after_seconds: Option<f64>,
    refused_as: Option<String>,
}

/// When the key served again.
#[derive(Serialize)]
pub(super) struct Recovery {
    /// Since when it is healthy, by the registry's clock.
    pub(super) healthy_since: String,
    /// When something sealed and opened again, after the act.
    pub(super) sealing_after_seconds: Option<f64>,
    pub(super) opening_after_seconds: Option<f64>,
}

impl Report {
    pub(super) fn new(facts: &Facts<'_>) -> Self {
        let Facts {
            tenant,
            before,
            following,
            ..
        } = facts;
        let act = &following.act;
        let (sealing, opening) = match &facts.traffic {
            Ok(seen) => (
                Some(Requests::new(&seen.seal, act)),
                seen.open.as_ref().map(|open| Requests::new(open, act)),
            ),
            Err(_) => (None, None),
        };
        let replicas = replicas(following);
        let obeyed = replicas.iter().filter_map(|line| line.after_seconds);
        let answered = [&sealing, &opening].into_iter().flatten();
        let answered = answered.filter_map(|requests| requests.last_success_after_seconds);
        let longest = obeyed.chain(answered).reduce(f64::max);
        let allowed = before.bound.total_seconds + facts.azure_seconds;
        let followed = act.until(facts.ended);
        let is_dark = facts.traffic.as_ref().map_or(true, Seen::is_dark);
        let newest = before.newest.as_ref().map(|newest| newest.key_id.clone());
        Self {
            verdict: match Verdict::of(following.is_over(), is_dark, longest, followed, allowed) {
                // The act was earlier than the moment that is counted from, by so much or by nobody knows how much.
                Verdict::Within
                    if following.is_premature()
                        || following.obeyed.values().any(|obeyed| obeyed.after.is_none())
                        || longest.is_some_and(|longest| longest + act.took > allowed) =>
                {
                    Verdict::Unfinished
                }
                verdict => verdict,
            },
            customer: Customer {
                name: tenant.display_name.clone(),
                slug: tenant.slug.clone(),
                id: tenant.id.clone(),
                directory_id: tenant.directory_id.clone(),
            },
            key_id: newest.unwrap_or_else(|| format!("https://{}/keys/{}", tenant.vault, tenant.key_name)),
            service: facts.service.clone(),
            measured_with: concat!("keyferry ", env!("CARGO_PKG_VERSION")),
            conducted_by: facts.conducted_by.clone(),
            act_at: act.at.format(&Rfc3339).unwrap_or_default(),
            act_known: act.known,
            followed_seconds: followed,
            bound: before.bound,
            azure_seconds: facts.azure_seconds,
            allowed_seconds: allowed,
            withdrawal: withdrawal(following),
            not_measured: not_measured(facts, opening.as_ref()),
            replicas,
            sealing,
            opening,
            longest_seconds: longest,
            recovery: None,
        }
    }
}

impl Verdict {
    fn of(is_obeyed: bool, is_dark: bool, longest: Option<f64>, followed: f64, allowed: f64) -> Self {
        let is_beyond = longest.is_some_and(|longest| longest > allowed);
        match (is_beyond, is_obeyed, is_dark) {
            (true, ..) => Self::Beyond,
            (false, true, true) => Self::Within,
            (false, false, _) if followed > allowed => Self::Beyond,
            // Requests that have no answer yet: none that was answered was beyond it.
            (false, ..) => Self::Unfinished,
        }
    }
}

impl Requests {
    fn new(tries: &Tries, act: &Moment) -> Self {
        Self {
            succeeded: tries.succeeded,
            failed: tries.failed,
            last_success_after_seconds: tries.last_success.map(|last| act.until(last)),
            refused_as: tries.refused_as.clone(),
        }
    }
}

impl Measured {
    /// By whose clock.
    fn clock(self) -> &'static str {
        if self.is_own { "this machine" } else { "the registry" }
    }
}

fn withdrawal(following: &Following) -> Option<Withdrawal> {
    let found = following.found.as_ref()?;
    let known = following.lived.iter().find(|replica| replica.id == found.event.by);
    Some(Withdrawal {
        replica: known.map_or_else(|| found.event.by.clone(), |replica| replica.name.clone()),
        after_seconds: found.after.seconds,
        clock: found.after.clock(),
        event: found.event.clone(),
    })
}

fn replicas(following: &Following) -> Vec<ReplicaLine> {
    let release = |id: &str| {
        let known = following.lived.iter().find(|replica| replica.id == id);
        known.map(|replica| replica.release.clone())
    };
    let obeyed = following.obeyed.iter().map(|(id, obeyed)| ReplicaLine {
        replica: id.clone(),
        name: obeyed.name.clone(),
        release: release(id),
        outcome: if obeyed.at.is_some() { OBEYED } else { EVICTED_ALL },
        obeyed_at: obeyed.at.clone(),
        after_seconds: obeyed.after.map(|after| after.seconds),
        clock: obeyed.after.map(Measured::clock),
    });
    let other = |replica: &str, name: &str, outcome| ReplicaLine {
        replica: replica.to_owned(),
        name: name.to_owned(),
        release: release(replica),
        outcome,
        obeyed_at: None,
        after_seconds: None,
        clock: None,
    };
    // As long as nothing is found out, nobody can have obeyed.
    let (unasked, missing) = match &following.missing {
        None => (following.lived.as_slice(), [].as_slice()),
        Some(missing) => ([].as_slice(), missing.as_slice()),
    };
    let unasked = unasked
        .iter()
        .map(|replica| other(&replica.id, &replica.name, NOT_OBEYED));
    // One that began while the act was waited for is among them, and not among those that lived when the drill began.
    let missing = missing
        .iter()
        .map(|missing| other(&missing.replica, &missing.name, NOT_OBEYED));
    let gone = following.gone().map(|replica| other(&replica.id, &replica.name, GONE));
    obeyed.chain(unasked).chain(missing).chain(gone).collect()
}

fn not_measured(facts: &Facts<'_>, opening: Option<&Requests>) -> Vec<String> {
    let mut told = vec![
        "How much of each time is Azure's own: the log of the vault tells when it first refused, and has the request by the id above."
            .to_owned(),
        "What was opened before and is kept elsewhere: whoever has a plaintext has it.".to_owned(),
    ];
    if let Err(reason) = &facts.traffic {
        told.push(format!("When requests were last answered: none were sent. {reason}"));
    } else {
        told.push("Which replica answered a request: they went through the front door.".to_owned());
        if opening.is_none() {
            told.push("When something was last opened: these credentials may not.".to_owned());
        }
    }
    match facts.following.act.known {
        Known::Enter => told.push("How exactly Enter was pressed at the moment of the act.".to_owned()),
        Known::Command => told.push(format!(
            "When exactly the command took the key away: it returned after {:.1} s, and all times may be as much longer.",
            facts.following.act.took
        )),
        Known::Given => {}
        Known::GivenAfterwards => told.push(
            "How the clocks of the registry and of whoever gave the moment differ: times by the registry's are as good as that."
                .to_owned(),
        ),
    }
    if facts.following.is_premature() {
        told.push(
            "How long anything took: the refusal was found out well before the moment that is said to be the act's. It was earlier."
                .to_owned(),
        );
    }
    told.push(
        "When replicas obeyed that the registry did not know to live: one that is cut off from it asks the vault itself, and says so when it is back; one of a release that knows no drills says nothing."
            .to_owned(),
    );
    let evicted: Vec<_> = facts
        .following
        .obeyed
        .values()
        .filter(|obeyed| obeyed.at.is_none())
        .collect();
    if !evicted.is_empty() {
        let names: Vec<_> = evicted.iter().map(|obeyed| obeyed.name.as_str()).collect();
        told.push(format!(
            "When exactly these replicas obeyed, which missed what was told and evicted everything that they held: {}.",
            names.join(", ")
        ));
    }
    let gone: Vec<_> = facts.following.gone().map(|replica| replica.name.as_str()).collect();
    if !gone.is_empty() {
        told.push(format!(
            "When these replicas obeyed, which ended or were seen no more meanwhile: {}.",
            gone.join(", ")
        ));
    }
    told
}

const OBEYED: &str = "obeyed";
const EVICTED_ALL: &str = "evicted all";
const GONE: &str = "gone";
const NOT_OBEYED: &str = "not obeyed";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::{
            super::key::tests::key,
            following::tests::{following, heard, withdrawn},
            tests::tenant,
        },
        *,
    };

    /// A report of a drill whose bound is 88 s, in which the withdrawal was told after so many seconds, and replicas had obeyed so.
    fn report(told_after: Option<u64>, acknowledged: &[&str], missing: &[&str], ended: u64) -> Report {
        let mut following = following(Known::Enter);
        let begun = Instant::now();
        if let Some(seconds) = told_after {
            let seen = begun + Duration::from_secs(seconds);
            following.hear(&[withdrawn(8, Some("1"))], seen);
            following.note(&heard(acknowledged, missing), seen);
        }
        Report::new(&Facts {
            tenant: &serde_json::from_value(tenant()).unwrap(),
            before: &key("healthy", None),
            following: &following,
            traffic: Err("no role"),
            service: "https://keyferry.test/".into(),
            conducted_by: None,
            azure_seconds: 0.0,
            ended: begun + Duration::from_secs(ended),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn the_verdict_is_that_of_the_slowest_and_none_where_it_cannot_be_told_yet() {
        for (told_after, acknowledged, missing, ended, verdict) in [
            (Some(80), &["a", "b", "c"][..], &[][..], 81, Verdict::Within),
            (Some(89), &["a", "b", "c"], &[], 90, Verdict::Beyond),
            (Some(80), &["a"], &["b", "c"], 81, Verdict::Unfinished),
            (Some(80), &["a"], &["b", "c"], 89, Verdict::Beyond),
            (None, &[], &[], 87, Verdict::Unfinished),
            (None, &[], &[], 89, Verdict::Beyond),
        ] {
            let report = report(told_after, acknowledged, missing, ended);
            assert_eq!(report.verdict, verdict, "{}", report.text());
        }
        let told = report(None, &[], &[], 89).told();
        assert!(told.contains("89.0 s"), "{told}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_replica_that_ended_meanwhile_is_told_of_and_not_waited_for() {
        let report = report(Some(12), &["a", "b"], &[], 13);
        assert_eq!(report.verdict, Verdict::Within);
        let text = report.text();
        let line = text.lines().find(|line| line.contains("host-c")).unwrap();
        assert!(line.contains(GONE), "{text}");
        assert!(text.contains("ended or were seen no more meanwhile: host-c"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_replica_that_began_while_the_act_was_waited_for_and_has_not_obeyed_is_told_of() {
        let report = report(Some(12), &["a", "b", "c"], &["d"], 13);
        assert_eq!(report.verdict, Verdict::Unfinished);
        let text = report.text();
        let line = text.lines().find(|line| line.contains("host-d")).unwrap();
        assert!(line.contains(NOT_OBEYED), "{text}");
    }

    #[test]
    fn requests_without_an_answer_are_no_success_beyond_the_bound() {
        let verdict = |is_dark, longest| Verdict::of(true, is_dark, Some(longest), 100.0, 88.0);
        assert_eq!(verdict(true, 20.0), Verdict::Within);
        assert_eq!(verdict(false, 20.0), Verdict::Unfinished);
        assert_eq!(verdict(false, 99.0), Verdict::Beyond);
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_act_was_earlier_than_its_moment_it_is_not_said_to_be_within() {
        let verdict = |took: f64, at: &str| {
            let mut following = following(Known::Command);
            following.act.took = took;
            let seen = Instant::now() + Duration::from_secs(80);
            let found = KeyEvent {
                at: at.into(),
                ..withdrawn(8, Some("1"))
            };
            following.hear(&[found], seen);
            following.note(&heard(&["a", "b", "c"], &[]), seen);
            Report::new(&Facts {
                tenant: &serde_json::from_value(tenant()).unwrap(),
                before: &key("healthy", None),
                following: &following,
                traffic: Err("no role"),
                service: "https://keyferry.test/".into(),
                conducted_by: None,
                azure_seconds: 0.0,
                ended: seen,
            })
            .verdict
        };
        // 88 s are allowed.
        assert_eq!(verdict(7.0, "2026-11-25T12:00:09Z"), Verdict::Within);
        assert_eq!(verdict(9.0, "2026-11-25T12:00:09Z"), Verdict::Unfinished);
        assert_eq!(verdict(7.0, "2026-11-25T11:59:50Z"), Verdict::Within);
        assert_eq!(verdict(7.0, "2026-11-25T11:59:47Z"), Verdict::Unfinished);
    }
}
