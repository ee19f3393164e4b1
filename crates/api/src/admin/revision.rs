//! Entity tags: a tenant's revision in quotes (RFC 9110 §8.8.3, §13.1.1).

use axum::extract::FromRequestParts;
use http::{HeaderValue, header, request::Parts};
use keyferry_registry::tenant::Revision;

use crate::{
    app::App,
    problem::{Kind, Problem},
};

/// What a change's `if-match` names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum IfMatch {
    /// `*`: whatever is there.
    Any,
    /// One of these revisions. A tag that is none of ours matches nothing.
    OneOf(Vec<Revision>),
}

impl IfMatch {
    fn parse(text: &str) -> Self {
        if text.trim() == "*" {
            return Self::Any;
        }
        let strong = |tag: &str| {
            tag.trim()
                .strip_prefix('"')?
                .strip_suffix('"')?
                .parse()
                .ok()
                .map(Revision)
        };
        Self::OneOf(text.split(',').filter_map(strong).collect())
    }

    /// Fails unless that revision is among those named.
    pub(super) fn check(&self, current: Revision) -> Result<(), Problem> {
        match self {
            Self::Any => Ok(()),
            Self::OneOf(named) if named.contains(&current) => Ok(()),
            Self::OneOf(_) => Err(Problem::new(Kind::PreconditionFailed)),
        }
    }
}

impl FromRequestParts<App> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        let all: Vec<_> = parts
            .headers
            .get_all(header::IF_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        if all.is_empty() {
            return Err(Problem::new(Kind::PreconditionRequired));
        }
        Ok(Self::parse(&all.join(",")))
    }
}

/// The tag of a revision.
pub(super) fn etag(revision: Revision) -> HeaderValue {
    HeaderValue::try_from(format!("\"{}\"", revision.0)).unwrap_or(HeaderValue::from_static("\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strong_tags_of_ours_match() {
        for (text, expected) in [
            ("*", IfMatch::Any),
            ("\"7\"", IfMatch::OneOf(vec![Revision(7)])),
            ("\"7\", \"8\"", IfMatch::OneOf(vec![Revision(7), Revision(8)])),
            ("W/\"7\"", IfMatch::OneOf(vec![])),
            ("7", IfMatch::OneOf(vec![])),
            ("\"x\"", IfMatch::OneOf(vec![])),
            ("", IfMatch::OneOf(vec![])),
        ] {
            assert_eq!(IfMatch::parse(text), expected, "{text}");
        }
    }
}
