//! The pages that are told of changes: so many at once, of each link and in all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use keyferry_crypto::id::TenantId;
use tokio_util::sync::CancellationToken;

/// Those that are open.
#[derive(Default)]
pub(crate) struct Streams {
    open: Mutex<HashMap<TenantId, usize>>,
    ended: CancellationToken,
}

/// A place among them, given back when dropped.
pub(super) struct Place {
    streams: Arc<Streams>,
    tenant: TenantId,
}

impl Streams {
    /// A place, unless that link or all of them together have as many as they may.
    pub(super) fn enter(self: &Arc<Self>, tenant: TenantId) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().sum::<usize>() >= MOST {
            return None;
        }
        let of_link = open.entry(tenant).or_default();
        if *of_link >= MOST_OF_A_LINK {
            return None;
        }
        *of_link += 1;
        Some(Place {
            streams: Arc::clone(self),
            tenant,
        })
    }

    /// Ends all of them. Their browsers ask again, which another replica answers.
    pub(crate) fn end(&self) {
        self.ended.cancel();
    }

    /// Is cancelled when all are to end.
    pub(super) fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_link) = open.get_mut(&self.tenant) {
            *of_link -= 1;
            if *of_link == 0 {
                open.remove(&self.tenant);
            }
        }
    }
}

const MOST: usize = 2_000;
/// A few people with a few windows each.
const MOST_OF_A_LINK: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let streams = Arc::new(Streams::default());
        let tenant = TenantId::generate();
        let places: Vec<_> = (0..MOST_OF_A_LINK).map(|_| streams.enter(tenant).unwrap()).collect();
        assert!(streams.enter(tenant).is_none());
        assert!(streams.enter(TenantId::generate()).is_some());
        drop(places);
        assert!(streams.enter(tenant).is_some());
        assert!(streams.open.lock().unwrap().is_empty());
    }

    #[test]
    fn all_links_together_are_bounded() {
        let streams = Arc::new(Streams::default());
        let places: Vec<_> = (0..MOST)
            .map(|_| streams.enter(TenantId::generate()).unwrap())
            .collect();
        assert!(streams.enter(TenantId::generate()).is_none());
        drop(places);
    }
}
