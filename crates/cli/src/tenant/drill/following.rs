//! What is heard of a withdrawal, from the first replica that finds it out to the last that obeys it.

use std::collections::BTreeMap;

use keyferry_client::{
    Tenant,
    key::{Acknowledgements, KeyEvent, KeyHealth, Replica, Silent},
};
use tokio::time::Instant;

use super::act::{Known, Moment};

/// What was heard so far.
#[derive(Debug)]
pub(super) struct Following {
    /// The act.
    pub(super) act: Moment,
    /// The last of the key's events before it.
    before: i64,
    /// The key, and the newest version of it before the act, if one was seen.
    key: String,
    newest: Option<String>,
    /// The replicas that lived then.
    pub(super) lived: Vec<Replica>,
    /// The withdrawal that is followed: the first that takes the newest version of the key.
    pub(super) found: Option<Found>,
    /// Who has obeyed it, by its id.
    pub(super) obeyed: BTreeMap<String, Obeyed>,
    /// Who lived then and has not said so, once that was asked.
    pub(super) missing: Option<Vec<Silent>>,
}

/// That the withdrawal was found out.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) event: KeyEvent,
    /// How many seconds after the act.
    pub(super) after: Measured,
}

/// That a replica has obeyed.
#[derive(Clone, Debug)]
pub(super) struct Obeyed {
    pub(super) name: String,
    /// When, by the registry's clock. Not known of one that has evicted everything, having missed what was told.
    pub(super) at: Option<String>,
    /// How many seconds after the act; not known of such a one if it was over before the drill began.
    pub(super) after: Option<Measured>,
}

/// Seconds after the act, and by whose clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measured {
    pub(super) seconds: f64,
    /// Whether it is this machine's: then it was seen here as soon as it was told, and was so no later than that. Else it is the
    /// registry's, which may differ.
    pub(super) is_own: bool,
}

impl Following {
    pub(super) fn new(act: Moment, before: i64, tenant: &Tenant, health: &KeyHealth, lived: Vec<Replica>) -> Self {
        let newest = health.newest.as_ref();
        let newest = newest.and_then(|newest| newest.key_id.rsplit_once('/'));
        let key = format!("https://{}/keys/{}", tenant.vault, tenant.key_name);
        Self {
            act,
            before,
            newest: newest
                .filter(|(of, _)| *of == key)
                .map(|(_, version)| version.to_owned()),
            key,
            lived,
            found: None,
            obeyed: BTreeMap::new(),
            missing: None,
        }
    }

    /// Hears of what happened to the key, newest first. Whether the withdrawal is among it.
    pub(super) fn hear(&mut self, events: &[KeyEvent], seen: Instant) -> Option<i64> {
        if self.found.is_none() {
            let mut oldest_first = events.iter().rev().filter(|event| self.is_after(event));
            let found = oldest_first.find(|event| self.is_withdrawn_by(event));
            self.found = found.map(|event| Found {
                event: event.clone(),
                after: self.measured(&event.at, seen),
            });
        }
        self.found.as_ref().map(|found| found.event.revision)
    }

    /// Hears who has obeyed it.
    pub(super) fn note(&mut self, heard: &Acknowledgements, seen: Instant) {
        for acknowledgement in &heard.acknowledged {
            let after = self.measured(&acknowledgement.at, seen);
            let obeyed = self
                .obeyed
                .entry(acknowledgement.replica.clone())
                .or_insert_with(|| Obeyed {
                    name: acknowledgement.name.clone(),
                    at: None,
                    after: None,
                });
            // It may have been known before that it has obeyed, but not when.
            obeyed.at.get_or_insert_with(|| acknowledgement.at.clone());
            obeyed.after.get_or_insert(after);
        }
        for followed in &heard.followed {
            let is_seen_here = self.act.known != Known::GivenAfterwards;
            let after = is_seen_here.then(|| Measured {
                seconds: self.act.until(seen),
                is_own: true,
            });
            self.obeyed.entry(followed.replica.clone()).or_insert_with(|| Obeyed {
                name: followed.name.clone(),
                at: None,
                after,
            });
        }
        self.missing = Some(heard.missing.clone());
    }

    /// Whether all that live have obeyed.
    pub(super) fn is_over(&self) -> bool {
        !self.obeyed.is_empty() && self.missing.as_ref().is_some_and(Vec::is_empty)
    }

    /// The replicas that lived at the act, have not obeyed, and are not expected to any more: they ended, or are not seen. One that
    /// began after the withdrawal is none of them: it holds nothing from before.
    pub(super) fn gone(&self) -> impl Iterator<Item = &Replica> {
        let missing: Vec<_> = self.missing.iter().flatten().map(|missing| &missing.replica).collect();
        self.lived
            .iter()
            .filter(|_| self.missing.is_some())
            .filter(move |replica| !missing.contains(&&replica.id) && !self.obeyed.contains_key(&replica.id))
            .filter(|replica| !self.is_newcomer(replica))
    }

    fn is_newcomer(&self, replica: &Replica) -> bool {
        let started = self.act.until_told(&replica.started_at);
        let told = self
            .found
            .as_ref()
            .and_then(|found| self.act.until_told(&found.event.at));
        started.zip(told).is_some_and(|(started, told)| started > told)
    }

    /// Whether it takes the newest version of the key. A former key, or an old version that is refused by itself, takes nothing
    /// that is sealed today.
    fn is_withdrawn_by(&self, event: &KeyEvent) -> bool {
        let is_of_version = |cause: &String| OF_VERSIONS.contains(&cause.as_str());
        let takes_newest = event.version.is_none()
            || self.newest.is_none()
            || event.version == self.newest
            || !event.cause.as_ref().is_some_and(is_of_version);
        event.kind == "withdrawn" && event.key.as_ref() == Some(&self.key) && takes_newest
    }

    /// Whether it was found out so long before the moment of the act that this cannot have been the moment.
    pub(super) fn is_premature(&self) -> bool {
        let found = self.found.as_ref();
        let told = found.and_then(|found| self.act.until_told(&found.event.at));
        told.is_some_and(|after| after + self.act.took + CLOCKS_DIFFER < 0.0)
    }

    /// Whether it happened after the act.
    pub(super) fn is_after(&self, event: &KeyEvent) -> bool {
        match self.act.known {
            Known::Enter | Known::Command | Known::Given => event.revision > self.before,
            Known::GivenAfterwards => self.act.until_told(&event.at).is_some_and(|after| after >= 0.0),
        }
    }

    fn measured(&self, at: &str, seen: Instant) -> Measured {
        let told = match self.act.known {
            Known::Enter | Known::Command | Known::Given => None,
            Known::GivenAfterwards => self.act.until_told(at),
        };
        Measured {
            seconds: told.unwrap_or_else(|| self.act.until(seen)),
            is_own: told.is_none(),
        }
    }
}

/// What is refused for these causes is one version.
const OF_VERSIONS: [&str; 4] = [
    "key-disabled",
    "key-not-found",
    "key-not-usable",
    "key-operation-forbidden",
];
/// By how many seconds this machine's clock may differ from the registry's.
const CLOCKS_DIFFER: f64 = 5.0;

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use keyferry_client::key::Acknowledgement;

    use super::{
        super::{super::key::tests::key, act::tests::noon, tests::tenant},
        *,
    };

    pub(crate) fn replica(id: &str) -> Replica {
        Replica {
            id: id.into(),
            name: format!("host-{id}"),
            release: "0.1.0".into(),
            started_at: "2026-11-25T08:00:00Z".into(),
            seen_at: "2026-11-25T12:00:00Z".into(),
            followed: 7,
        }
    }

    pub(crate) fn withdrawn(revision: i64, version: Option<&str>) -> KeyEvent {
        serde_json::from_value(serde_json::json!({
            "revision": revision,
            "at": "2026-11-25T12:00:09Z",
            "by": "a",
            "kind": "withdrawn",
            "call": "unwrap",
            "key": "https://v/keys/k",
            "version": version,
            "cause": "key-disabled",
            "status": 403,
            "code": "Forbidden",
            "request_id": "r-1",
        }))
        .unwrap()
    }

    pub(crate) fn heard(acknowledged: &[&str], missing: &[&str]) -> Acknowledgements {
        let name = |id: &str| format!("host-{id}");
        let silent = |id: &&str| Silent {
            replica: (*id).into(),
            name: name(id),
        };
        Acknowledgements {
            acknowledged: acknowledged
                .iter()
                .map(|id| Acknowledgement {
                    replica: (*id).into(),
                    name: name(id),
                    at: "2026-11-25T12:00:10Z".into(),
                })
                .collect(),
            followed: Vec::new(),
            missing: missing.iter().map(silent).collect(),
        }
    }

    pub(crate) fn following(known: Known) -> Following {
        let act = Moment::now(known, noon);
        let lived = ["a", "b", "c"].map(replica).to_vec();
        let tenant = serde_json::from_value(tenant()).unwrap();
        Following::new(act, 7, &tenant, &key("healthy", None), lived)
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_over_once_all_that_live_have_obeyed_and_each_counts_from_when_it_was_first_seen() {
        let mut following = following(Known::Enter);
        let begun = Instant::now();
        let seconds = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(
            following.hear(&[withdrawn(7, None)], seconds(1)),
            None,
            "that was before"
        );
        // The newest version is 1. An older one's withdrawal is another matter.
        let events = [
            withdrawn(10, Some("1")),
            withdrawn(9, Some("1")),
            withdrawn(8, Some("0")),
        ];
        assert_eq!(following.hear(&events, seconds(9)), Some(9));
        assert!(!following.is_over());
        following.note(&heard(&["a"], &["b", "c"]), seconds(9));
        assert!(!following.is_over());
        following.note(&heard(&["a", "b"], &[]), seconds(12));
        assert!(following.is_over());
        let after = |id: &str| following.obeyed[id].after;
        let own = |seconds| Some(Measured { seconds, is_own: true });
        assert_eq!((after("a"), after("b")), (own(9.0), own(12.0)));
        assert_eq!(following.gone().map(|gone| gone.id.as_str()).collect::<Vec<_>>(), ["c"]);
        // It held nothing from before.
        following.lived.push(Replica {
            started_at: "2026-11-25T12:00:10Z".into(),
            ..replica("d")
        });
        assert_eq!(following.gone().count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_over_before_it_was_looked_for_is_told_by_the_registrys_clock() {
        let mut following = following(Known::GivenAfterwards);
        let late = Instant::now() + Duration::from_hours(1);
        assert_eq!(following.hear(&[withdrawn(3, Some("1"))], late), Some(3));
        following.note(&heard(&["a"], &[]), late);
        let registrys = |seconds| Measured { seconds, is_own: false };
        assert_eq!(following.found.as_ref().unwrap().after, registrys(9.0));
        assert_eq!(following.obeyed["a"].after, Some(registrys(10.0)));
    }

    /// It has missed what was told, evicted everything, and followed on.
    #[tokio::test(start_paused = true)]
    async fn a_replica_that_has_followed_beyond_the_withdrawal_has_obeyed_it() {
        let followed = || Acknowledgements {
            followed: heard(&[], &["b", "c"]).missing,
            ..heard(&["a"], &[])
        };
        for (known, after) in [(Known::Enter, Some(9.0)), (Known::GivenAfterwards, None)] {
            let mut following = following(known);
            let seen = Instant::now() + Duration::from_secs(9);
            assert_eq!(following.hear(&[withdrawn(9, Some("1"))], seen), Some(9));
            following.note(&followed(), seen);
            assert!(following.is_over());
            let b = &following.obeyed["b"];
            assert_eq!((b.after.map(|after| after.seconds), b.at.as_ref()), (after, None));
            // It says so after all.
            following.note(&heard(&["a", "b"], &[]), seen);
            assert!(following.obeyed["b"].at.is_some() && following.obeyed["b"].after.is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_an_old_version_or_a_former_key_is_not_the_withdrawal() {
        let mut following = following(Known::Enter);
        let seen = Instant::now();
        let of_old = withdrawn(8, Some("0"));
        let of_former = KeyEvent {
            key: Some("https://v/keys/former".into()),
            ..withdrawn(9, None)
        };
        assert_eq!(following.hear(&[of_former.clone(), of_old.clone()], seen), None);
        let of_all = KeyEvent {
            cause: Some("role-missing".into()),
            ..withdrawn(10, Some("0"))
        };
        assert_eq!(following.hear(&[of_all, of_former, of_old], seen), Some(10));
    }
}
