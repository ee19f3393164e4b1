//! How a tenant's key is, for people.

use keyferry_client::key::{KeyHealth, Trouble};

use crate::output::plain;

/// All that is known of it.
pub(super) fn fields(key: &KeyHealth) -> Vec<(&'static str, String)> {
    let moment = |at: &Option<String>| at.clone().unwrap_or_else(|| "never".to_owned());
    let bound = &key.bound;
    let mut fields = vec![("state", state(key)), ("since", key.since.clone())];
    if let Some(trouble) = &key.trouble {
        fields.push(("because", because(trouble)));
    }
    fields.extend([
        ("looked at", moment(&key.checked_at)),
        ("served", moment(&key.served_at)),
    ]);
    fields.extend(key.due_at.clone().map(|due_at| ("looked at next", due_at)));
    if let Some(newest) = &key.newest {
        fields.push(("newest", format!("{} (looked up {})", newest.key_id, newest.seen_at)));
    }
    fields.extend([
        ("watched", key.watched.join("\n")),
        ("watched by", owner(key)),
        ("held", moment(&key.held_at)),
    ]);
    if let Some(gauge) = &key.gauge {
        let circuit = if gauge.open { ", and the circuit is open" } else { "" };
        let limit = gauge
            .limit_per_second
            .map_or_else(String::new, |limit| format!(" of {limit:.1}"));
        fields.push((
            "vault",
            format!(
                "{:.1}{limit} calls/s by the replica that answered{circuit}",
                gauge.used_per_second
            ),
        ));
    }
    fields.push((
        "bound",
        format!(
            "{} s: watch {}, try {}, confirmation {}, hearing {}; and Azure's own delay",
            bound.total_seconds,
            bound.watch_seconds,
            bound.try_seconds,
            bound.confirmation_seconds,
            bound.hearing_seconds
        ),
    ));
    fields
}

/// Its state, and why where something is wrong: `refused: key-disabled`.
pub(super) fn state(key: &KeyHealth) -> String {
    match &key.trouble {
        Some(trouble) => format!("{}: {}", key.state, trouble.cause),
        None => key.state.clone(),
    }
}

/// Why, and what Azure said.
pub(super) fn because(trouble: &Trouble) -> String {
    let status = trouble.status.map(|status| status.to_string());
    let request = trouble.request_id.as_ref().map(|id| format!("request {id}"));
    let said: Vec<_> = [status, trouble.code.clone(), request].into_iter().flatten().collect();
    if said.is_empty() {
        trouble.cause.clone()
    } else {
        format!("{} ({})", trouble.cause, said.join(", "))
    }
}

/// What is news of it since it was last seen, a line each; all of it if it was not seen before. That it was looked at again is none.
pub(super) fn news(before: Option<&KeyHealth>, now: &KeyHealth) -> Vec<String> {
    let mut lines = Vec::new();
    // Whoever tries again is told another request's id each time.
    let cause = |key: &KeyHealth| key.trouble.as_ref().map(|trouble| trouble.cause.clone());
    if before.is_none_or(|before| (&before.state, &before.since, cause(before)) != (&now.state, &now.since, cause(now)))
    {
        let why = now
            .trouble
            .as_ref()
            .map_or_else(String::new, |trouble| format!("  {}", because(trouble)));
        lines.push(format!("{}  state  {}{why}", now.since, now.state));
    }
    let newest = |key: &KeyHealth| key.newest.as_ref().map(|newest| newest.key_id.clone());
    if before.is_none_or(|before| newest(before) != newest(now))
        && let Some(newest) = &now.newest
    {
        lines.push(format!("{}  newest  {}", newest.seen_at, newest.key_id));
    }
    let holder = |key: &KeyHealth| key.owner.as_ref().map(|owner| owner.replica.clone());
    if before.is_some_and(|before| holder(before) != holder(now)) {
        let at = now.checked_at.as_ref().unwrap_or(&now.since);
        lines.push(format!("{at}  watched by  {}", owner(now)));
    }
    lines.iter().map(|line| plain(&line.replace('\n', " "))).collect()
}

fn owner(key: &KeyHealth) -> String {
    match &key.owner {
        None => "nobody just now".to_owned(),
        Some(owner) => {
            let name = owner.name.as_ref().unwrap_or(&owner.replica);
            let until = owner
                .until
                .as_ref()
                .map_or_else(String::new, |until| format!(" until {until}"));
            format!("{name}{until}")
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use keyferry_client::key::{Bound, NewestVersion, Owner};

    use super::*;

    /// A key in some state.
    pub(crate) fn key(state: &str, cause: Option<&str>) -> KeyHealth {
        KeyHealth {
            state: state.into(),
            since: "2026-11-25T19:00:00Z".into(),
            checked_at: Some("2026-11-25T19:00:05Z".into()),
            served_at: None,
            due_at: None,
            trouble: cause.map(|cause| Trouble {
                cause: cause.into(),
                status: Some(403),
                code: Some("Forbidden".into()),
                request_id: Some("r-1".into()),
            }),
            newest: Some(NewestVersion {
                key_id: "https://v/keys/k/1".into(),
                seen_at: "2026-11-25T18:00:00Z".into(),
            }),
            watched: vec!["https://v/keys/k/1".into()],
            owner: Some(Owner {
                replica: "one".into(),
                name: None,
                until: None,
            }),
            held_at: None,
            gauge: None,
            bound: Bound {
                watch_seconds: 60.0,
                hearing_seconds: 10.0,
                confirmation_seconds: 3.0,
                try_seconds: 15.0,
                total_seconds: 88.0,
            },
        }
    }

    #[test]
    fn a_change_is_told_with_what_azure_said_and_another_look_is_not() {
        let healthy = key("healthy", None);
        let mut looked = healthy.clone();
        looked.checked_at = Some("2026-11-25T19:00:35Z".into());
        assert!(news(Some(&healthy), &looked).is_empty());
        let refused = key("refused", Some("key-disabled"));
        assert_eq!(
            news(Some(&looked), &refused),
            ["2026-11-25T19:00:00Z  state  refused  key-disabled (403, Forbidden, request r-1)"]
        );
        let mut again = refused.clone();
        again.trouble.as_mut().unwrap().request_id = Some("r-2".into());
        again.owner.as_mut().unwrap().replica = "two".into();
        assert_eq!(news(Some(&refused), &again), ["2026-11-25T19:00:05Z  watched by  two"]);
        assert_eq!(news(None, &healthy).len(), 2);
    }
}
