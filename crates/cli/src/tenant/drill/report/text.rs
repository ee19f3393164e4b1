//! A report, for people.

use keyferry_client::key::{Bound, KeyEvent, Trouble};

use super::{super::act::Known, Customer, NOT_OBEYED, Report, Requests, Verdict};
use crate::{
    output::{lines, plain, table},
    tenant::key::because,
};

impl Report {
    /// For people.
    pub(in crate::tenant::drill) fn text(&self) -> String {
        let replicas = self.replicas.iter().map(|line| {
            vec![
                line.name.clone(),
                line.replica.clone(),
                line.release.clone().unwrap_or_default(),
                line.outcome.to_owned(),
                line.after_seconds.map(after).unwrap_or_default(),
                line.clock.unwrap_or_default().to_owned(),
            ]
        });
        let head = [
            "NAME",
            "REPLICA",
            "RELEASE",
            "OUTCOME",
            "AFTER THE ACT",
            "BY THE CLOCK OF",
        ];
        let not_measured = self.not_measured.iter().map(|what| format!("- {}", plain(what)));
        format!(
            "Withdrawal drill: {}\n\n{}\n\n{}\n\nNot told by this:\n{}",
            self.told(),
            lines(&self.fields()),
            table(&head, replicas),
            not_measured.collect::<Vec<_>>().join("\n"),
        )
    }

    /// The verdict in a sentence.
    pub(in crate::tenant::drill) fn told(&self) -> String {
        let longest = self.longest_seconds.map_or_else(|| "nothing".to_owned(), after);
        let allowed = self.allowed_seconds;
        match self.verdict {
            Verdict::Within => format!("within the bound. All was over {longest}; {allowed:.1} s are allowed"),
            Verdict::Beyond => format!(
                "beyond the bound. It was not over before {}; {allowed:.1} s are allowed",
                after(self.longest_seconds.unwrap_or_default().max(self.unsettled_seconds()))
            ),
            Verdict::Unfinished => format!(
                "unfinished after {:.1} s. Whether the bound of {allowed:.1} s holds is not known",
                self.followed_seconds
            ),
        }
    }

    /// How long it was followed in vain, if it was.
    fn unsettled_seconds(&self) -> f64 {
        let is_settled = self.withdrawal.is_some() && self.replicas.iter().all(|line| line.outcome != NOT_OBEYED);
        if is_settled { 0.0 } else { self.followed_seconds }
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let Customer {
            name,
            slug,
            id,
            directory_id,
        } = &self.customer;
        let Bound {
            watch_seconds,
            try_seconds,
            confirmation_seconds,
            hearing_seconds,
            ..
        } = self.bound;
        let by = self
            .conducted_by
            .as_ref()
            .map_or_else(String::new, |by| format!(" by {by}"));
        let mut fields = vec![
            ("customer", format!("{name} ({slug}, {id}), directory {directory_id}")),
            ("key", self.key_id.clone()),
            (
                "service",
                format!("{}, measured with {}{by}", self.service, self.measured_with),
            ),
            ("act", format!("{} ({})", self.act_at, self.act_known.told())),
        ];
        match &self.withdrawal {
            None => fields.push(("found out", "not yet".to_owned())),
            Some(found) => fields.extend([
                (
                    "found out",
                    format!(
                        "{} ({}) by {}, at {}",
                        after(found.after_seconds),
                        found.clock,
                        found.replica,
                        found.event.at
                    ),
                ),
                ("refused with", refused_with(&found.event)),
                (
                    "event",
                    format!("revision {} of the key's events", found.event.revision),
                ),
            ]),
        }
        for (name, requests) in [("sealing", &self.sealing), ("opening", &self.opening)] {
            fields.extend(requests.as_ref().map(|requests| (name, requests.told())));
        }
        fields.push((
            "bound",
            format!(
                "{:.1} s: watch {watch_seconds}, try {try_seconds}, confirmation {confirmation_seconds}, hearing {hearing_seconds}; and {} for Azure's own delay",
                self.allowed_seconds, self.azure_seconds
            ),
        ));
        if let Some(recovery) = &self.recovery {
            let again = |what: &str, seconds: Option<f64>| {
                seconds.map_or_else(String::new, |seconds| format!("; {what} again {}", after(seconds)))
            };
            fields.push((
                "recovered",
                format!(
                    "healthy since {}{}{}",
                    recovery.healthy_since,
                    again("sealing", recovery.sealing_after_seconds),
                    again("opening", recovery.opening_after_seconds)
                ),
            ));
        }
        fields
    }
}

impl Requests {
    fn told(&self) -> String {
        let last = self.last_success_after_seconds.map_or_else(|| "none".to_owned(), after);
        let refused = self.refused_as.as_deref().unwrap_or("nothing");
        format!(
            "last success {last}; {} succeeded, {} failed, at last as {refused}",
            self.succeeded, self.failed
        )
    }
}

impl Known {
    fn told(self) -> &'static str {
        match self {
            Self::Enter => "when Enter was pressed",
            Self::Command => "when the command returned",
            Self::Given => "as given beforehand",
            Self::GivenAfterwards => "as given afterwards",
        }
    }
}

/// Why, and what Azure said: its id of the request is in the vault's own log.
fn refused_with(event: &KeyEvent) -> String {
    let call = event.call.as_deref().unwrap_or("call");
    let trouble = Trouble {
        cause: event.cause.clone().unwrap_or_default(),
        status: event.status,
        code: event.code.clone(),
        request_id: event.request_id.clone(),
    };
    format!("{call}: {}", because(&trouble))
}

fn after(seconds: f64) -> String {
    if seconds < 0.0 {
        format!("{:.1} s before the act", -seconds)
    } else {
        format!("{seconds:.1} s after the act")
    }
}
