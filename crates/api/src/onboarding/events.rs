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
use keyferry_crypto::id::TenantId;
use keyferry_onboarding::{Onboardings, link::LinkToken};
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
        tenant,
        changes,
        told: None,
        until: Instant::now() + LONGEST,
        ended: pages.streams.ended().clone(),
        _place: place,
    };
    let keep_alive = KeepAlive::new().interval(SIGN_OF_LIFE);
    let mut response = Sse::new(follower.stream()).keep_alive(keep_alive).into_response();
    // Some proxies hold an answer back until it is whole.
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

/// What a page is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum News {
    /// The onboarding is at this revision.
    Revision(i64),
    /// The link is not good any more, or there is nobody to ask about it.
    Gone,
}

/// One page, and what it was told.
struct Follower {
    onboardings: Arc<Onboardings>,
    token: LinkToken,
    tenant: TenantId,
    changes: Receiver<TenantId>,
    told: Option<News>,
    until: Instant,
    ended: CancellationToken,
    _place: Place,
}

impl Follower {
    /// The revision now, and each later one.
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, async |mut follower| {
            let news = follower.next().await?;
            let event = Event::default().event("changed").data(news.to_string()).retry(RETRY);
            Some((Ok(event), follower))
        })
    }

    /// What the page was not told yet; `None` when it is time to end.
    async fn next(&mut self) -> Option<News> {
        if self.told == Some(News::Gone) {
            return None;
        }
        loop {
            if self.told.is_some() {
                self.change().await?;
            }
            // Why it is gone the page finds out by asking for itself.
            let news = match self.onboardings.behind(&self.token).await {
                Ok(onboarding) => News::Revision(onboarding.revision.0),
                Err(_) => News::Gone,
            };
            if self.told.replace(news) != Some(news) {
                return Some(news);
            }
        }
    }

    /// Waits for a change of the onboarding; `None` when it is time to end.
    async fn change(&mut self) -> Option<()> {
        loop {
            let changed = tokio::select! {
                changed = self.changes.recv() => changed,
                () = self.ended.cancelled() => return None,
                () = tokio::time::sleep_until(self.until) => return None,
            };
            match changed {
                Ok(changed) if changed == self.tenant => return Some(()),
                Ok(_) => {}
                // Some were missed, perhaps ours.
                Err(RecvError::Lagged(_)) => return Some(()),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

impl std::fmt::Display for News {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Revision(revision) => revision.fmt(f),
            Self::Gone => f.write_str("gone"),
        }
    }
}

const LONGEST: Duration = Duration::from_mins(10);
/// More often than whatever stands between closes quiet connections.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);
const RETRY: Duration = Duration::from_secs(2);
const LATER: Duration = Duration::from_secs(30);
