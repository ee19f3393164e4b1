//! What is new in an onboarding since it was last looked at.

use keyferry_client::onboarding::Onboarding;

use super::super::view;
use crate::output::plain;

/// What changed, a line each; all that is known and not just pending, if nothing was seen before. That something was looked
/// at again and is as it was is no news.
pub(super) fn news(before: Option<&Onboarding>, now: &Onboarding) -> Vec<String> {
    let mut lines = Vec::new();
    let at = &now.updated_at;
    if before.is_none_or(|before| before.stage != now.stage) {
        lines.push(format!("{at}  stage  {}", now.stage));
    }
    if before.is_none_or(|before| before.answers != now.answers) {
        let answers = &now.answers;
        let told = [
            ("directory", &answers.directory_id),
            ("vault", &answers.vault),
            ("key", &answers.key_name),
            ("resource", &answers.vault_resource_id),
        ];
        let told = told.map(|(name, answer)| answer.as_ref().map(|answer| format!("{name} {answer}")));
        let told: Vec<_> = told.into_iter().flatten().collect();
        if before.is_some() || !told.is_empty() {
            lines.push(format!("{at}  answers  {}", told.join(", ")));
        }
    }
    if before.map(|before| &before.private_endpoint) != Some(&now.private_endpoint)
        && let Some(endpoint) = &now.private_endpoint
    {
        lines.push(format!("{at}  endpoint  {}", view::endpoint(endpoint)));
    }
    for check in &now.checks {
        let known = before.and_then(|before| before.checks.iter().find(|known| known.check == check.check));
        let is_news = match known {
            Some(known) => (&known.status, &known.text, &known.next) != (&check.status, &check.text, &check.next),
            None => check.status != "pending",
        };
        if is_news {
            let at = check.checked_at.as_ref().unwrap_or(at);
            let next = check.next.as_ref().map(|next| format!(" Next: {next}"));
            lines.push(format!(
                "{at}  {}  {}  {}{}",
                check.check,
                check.status,
                check.text,
                next.unwrap_or_default()
            ));
        }
    }
    lines.iter().map(|line| plain(&line.replace('\n', " "))).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::super::sample::onboarding, *};

    #[test]
    fn only_what_changed_is_told_again() {
        let first = onboarding("open", &["failed", "pending"]);
        assert_eq!(
            news(None, &first),
            [
                "2026-11-25T19:00:00Z  stage  open",
                "2026-11-25T19:01:00Z  directory  failed  directory is failed. Next: see to directory",
            ]
        );
        let mut again = first.clone();
        again.revision += 1;
        again.updated_at = "2026-11-25T19:10:00Z".into();
        for check in &mut again.checks {
            check.attempts += 1;
            check.checked_at = Some("2026-11-25T19:10:00Z".into());
        }
        assert!(news(Some(&first), &again).is_empty());
        let active = onboarding("active", &["passed", "pending"]);
        assert_eq!(
            news(Some(&again), &active),
            [
                "2026-11-25T19:00:00Z  stage  active",
                "2026-11-25T19:01:00Z  directory  passed  directory is passed.",
            ]
        );
    }

    #[test]
    fn a_finding_is_one_line_whatever_is_in_it() {
        let mut seen = onboarding("open", &["failed"]);
        for check in &mut seen.checks {
            check.text = "said: \u{1b}[2J\nno".into();
        }
        let told = news(None, &seen);
        assert!(told.iter().all(|line| !line.contains(['\n', '\u{1b}'])), "{told:?}");
    }
}
