//! Tells a page that something changed (server-sent events), so that it asks for itself again.
//!
//! A stream is no request under way: it has no deadline, and ends after a while, when the link is not good any more, or when
//! the service stops. The browser asks again by itself.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, stream};
use http::{HeaderName, HeaderValue};
use keyferry_onboarding::{Onboardings, link::LinkToken};
use keyferry_registry::onboarding::Onboarding;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    holder::{Holder, pages},
    streams::Place,
    trouble::Trouble,
};
use crate::app::App;

/// Tells of changes until the stream ends.
pub(super) async fn events(State(app): State<App>, holder: Holder) -> Result<Response, Trouble> {
    let pages = pages(&app)?;
    let tenant = holder.onboarding.tenant;
    let place = pages.streams.enter(tenant).ok_or(Trouble::TooOften(LATER))?;
    // Subscribed before the onboarding is read again, so that no change falls between.
    let changes = pages.onboardings.changes();
    let follower = Follower {
        onboardings: Arc::clone(&pages.onboardings),
        token: holder.token,
        changes,
        told: None,
        until: Instant::now() + LONGEST,
        ended: pages.streams.ended().clone(),
        _place: place,
    };
    let keep_alive = KeepAlive::new().interval(SIGN_OF_LIFE);
    let mut response = Sse::new(follower.stream(holder.onboarding))
        .keep_alive(keep_alive)
        .into_response();
    // Some proxies hold an answer back until it is whole.
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

/// One page, and what it was told.
struct Follower {
    onboardings: Arc<Onboardings>,
    token: LinkToken,
    changes: Receiver<keyferry_crypto::id::TenantId>,
    told: Option<i64>,
    until: Instant,
    ended: CancellationToken,
    _place: Place,
}

impl Follower {
    /// The revision now, and each later one.
    fn stream(self, now: Onboarding) -> impl Stream<Item = Result<Event, Infallible>> {
        let tenant = now.tenant;
        stream::unfold((self, true), move |(mut follower, is_first)| async move {
            loop {
                if !is_first || follower.told.is_some() {
                    follower.change_of(tenant).await?;
                }
                let Ok(onboarding) = follower.onboardings.behind(&follower.token).await else {
                    // The page finds out by asking for itself.
                    let is_news = follower.told != Some(GONE);
                    follower.told = Some(GONE);
                    return is_news.then(|| (Ok(changed("gone")), (follower, false)));
                };
                let revision = onboarding.revision.0;
                if follower.told != Some(revision) {
                    follower.told = Some(revision);
                    return Some((Ok(changed(&revision.to_string())), (follower, false)));
                }
            }
        })
    }

    /// Waits for a change of that onboarding; `None` when it is time to end.
    async fn change_of(&mut self, tenant: keyferry_crypto::id::TenantId) -> Option<()> {
        if self.told == Some(GONE) {
            return None;
        }
        loop {
            let changed = tokio::select! {
                changed = self.changes.recv() => changed,
                () = self.ended.cancelled() => return None,
                () = tokio::time::sleep_until(self.until) => return None,
            };
            match changed {
                Ok(changed) if changed == tenant => return Some(()),
                Ok(_) => {}
                // Some were missed, perhaps ours.
                Err(RecvError::Lagged(_)) => return Some(()),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

fn changed(revision: &str) -> Event {
    Event::default().event("changed").data(revision).retry(RETRY)
}

/// What is told in place of a revision when the link is not good any more.
const GONE: i64 = -1;
const LONGEST: Duration = Duration::from_mins(10);
/// More often than whatever stands between closes quiet connections.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);
const RETRY: Duration = Duration::from_secs(2);
const LATER: Duration = Duration::from_secs(30);
