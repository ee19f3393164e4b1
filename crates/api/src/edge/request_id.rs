//! Ids of requests: the caller's own if it is presentable, else one of ours.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use http::{HeaderMap, HeaderValue};

/// Makes ids: random once per process, counted from there. Asking for randomness each time would cost more than a
/// small message's whole encryption.
pub(super) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        Self {
            process: RandomState::new().hash_one(0),
            next: AtomicU64::new(0),
        }
    }

    /// The id of a request.
    pub(super) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        match headers.get("x-request-id") {
            Some(given) if is_presentable(given.as_bytes()) => given.clone(),
            Some(_) | None => self.draw(),
        }
    }

    fn draw(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Relaxed);
        let text = format!("{:016x}-{number:016x}", self.process);
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("none"))
    }
}

/// Short, and nothing that could break a log line.
fn is_presentable(id: &[u8]) -> bool {
    (1..=64).contains(&id.len())
        && id
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(given: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        if let Some(given) = given {
            headers.insert("x-request-id", HeaderValue::from_str(given).unwrap());
        }
        RequestIds::new().of(&headers).to_str().unwrap().to_owned()
    }

    #[test]
    fn a_presentable_id_is_kept() {
        assert_eq!(id(Some("0af7651916cd43dd-8448.eb_x")), "0af7651916cd43dd-8448.eb_x");
    }

    #[test]
    fn any_other_is_replaced() {
        for given in [None, Some(""), Some("a b"), Some("a\"b"), Some(&*"a".repeat(65))] {
            let id = id(given);
            assert_eq!(id.len(), 33, "{id}");
            assert!(is_presentable(id.as_bytes()));
        }
    }

    #[test]
    fn ids_differ() {
        let ids = RequestIds::new();
        assert_ne!(ids.draw(), ids.draw());
        assert_ne!(RequestIds::new().draw(), RequestIds::new().draw());
    }
}
