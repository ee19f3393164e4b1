//! Times, for people and for programs.

use std::time::Duration;

use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description};

/// A point in time.
pub(in crate::onboarding) struct Moment {
    /// For programs: RFC 3339.
    pub(in crate::onboarding) exact: String,
    /// For people: `25 November 2026, 19:40 UTC`.
    pub(in crate::onboarding) words: String,
}

impl Moment {
    pub(super) fn of(at: OffsetDateTime) -> Self {
        let at = at.to_offset(UtcOffset::UTC);
        let words = format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] UTC");
        Self {
            exact: at.format(&Rfc3339).unwrap_or_default(),
            words: at.format(&words).unwrap_or_default(),
        }
    }
}

/// How long something takes: `5 minutes`.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (number, unit) = match seconds {
        0 => return "a few seconds".to_owned(),
        seconds if seconds % 3600 == 0 => (seconds / 3600, "hour"),
        seconds if seconds % 60 == 0 => (seconds / 60, "minute"),
        seconds => (seconds, "second"),
    };
    if number == 1 {
        format!("1 {unit}")
    } else {
        format!("{number} {unit}s")
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_moment_is_told_in_universal_time() {
        let moment = Moment::of(datetime!(2026-11-05 01:07:09.5 +02:00));
        assert_eq!(moment.words, "4 November 2026, 23:07 UTC");
        assert_eq!(moment.exact, "2026-11-04T23:07:09.5Z");
    }

    #[test]
    fn a_span_is_told_in_its_largest_whole_unit() {
        for (seconds, expected) in [
            (0, "a few seconds"),
            (1, "1 second"),
            (90, "90 seconds"),
            (60, "1 minute"),
            (300, "5 minutes"),
            (3600, "1 hour"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), expected);
        }
    }
}
