//! How the view follows the store.
//!
//! A revision means something only in the history that it was drawn in. A database that loses acknowledged changes (a
//! failover to a server that lagged, a restore) gives their revisions again, and a feed read from the last one seen would
//! never tell of them. So the view also asks, whenever it reads, whether the newest change that it has seen is remembered; if
//! not, it forgets everything and begins anew.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use keyferry_crypto::id::TenantId;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{Changed, Registry, position::Position};
use crate::{
    error::RegistryError,
    patience::in_time,
    store::{Change, KeyChange, Mark, Since, TenantChange},
    tenant::{Revision, Tenant},
};

impl Registry {
    /// Follows the store and purges what is due, until cancelled.
    pub async fn run(&self, cancel: CancellationToken) {
        // In a fixed order, here and below, so that a simulation can be run again.
        tokio::select! {
            biased;
            () = cancel.cancelled() => {}
            () = self.store.listen(Arc::clone(&self.wake)) => {}
            () = self.follow_forever() => {}
            () = self.purge_forever() => {}
        }
    }

    async fn follow_forever(&self) {
        let mut poll = tokio::time::interval(self.limits.poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = poll.tick() => {}
                () = self.wake.notified() => {}
            }
            if let Err(error) = self.follow().await {
                tracing::warn!(%error, cause = cause(&error), "the tenant registry's changes cannot be read");
            }
        }
    }

    async fn purge_forever(&self) {
        let mut ticks = tokio::time::interval(PURGE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match in_time(self.store.purge()).await {
                Ok(0) => {}
                Ok(purged) => tracing::info!(purged, "tenants past their safety window were purged"),
                Err(error) => {
                    tracing::warn!(%error, cause = cause(&error), "tenants past their safety window cannot be purged");
                }
            }
        }
    }

    /// Brings the view up to the store's newest revision.
    pub async fn follow(&self) -> Result<(), RegistryError> {
        loop {
            let from = *self.position();
            let Some(keys) = from.keys else {
                let newest = in_time(self.store.newest()).await?;
                self.begin_after(newest, &from);
                continue;
            };
            // The newest of those that are not told of is read all the same: if it is lost, and its revision given to another, that
            // must be noticed.
            let since = Since {
                followed: from.followed,
                keys: Revision(keys.0 - 1),
            };
            let began = Instant::now();
            let changes = in_time(self.store.changes(since, PAGE)).await?;
            // Asked after the page was read: if the newest change is remembered now, it was when the page was read.
            let is_remembered = match &from.newest {
                Some(mark) => in_time(self.store.remembers(mark)).await?,
                None => true,
            };
            *self.last_contact.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            if !is_remembered {
                self.begin_anew(&from);
                continue;
            }
            let is_last_page = changes.len() < PAGE as usize;
            if self.apply(changes, &from, is_last_page.then_some(began)) && is_last_page {
                self.loaded.store(true, Ordering::Relaxed);
                return Ok(());
            }
        }
    }

    /// Follows for a change just made; if that fails the poll will do it.
    pub(super) async fn follow_soon(&self) {
        if self.follow().await.is_err() {
            self.wake.notify_one();
        }
    }

    /// Has nothing told of what happened to keys up to `newest`, unless another task has begun meanwhile.
    ///
    /// If the view has begun anew, everything is to be forgotten once more: what was got since the first time may have been taken
    /// away by what is not told.
    fn begin_after(&self, newest: Revision, from: &Position) {
        let mut position = self.position();
        if position.beginnings == from.beginnings && position.keys.is_none() {
            position.keys = Some(newest);
            if position.beginnings > 0 {
                let _ = self.changes.send(Changed::Everything);
            }
        }
    }

    /// Takes in a page that was read at `from`, and tells that all was heard if the page is the last, which `complete` began to be
    /// read. Answers whether it could: not if the view began anew meanwhile, since the page may be of a history that is no more.
    ///
    /// Several tasks may read at a time. What was there when a last page began to be read is in that page, or was taken in before;
    /// and whoever takes in a change tells of it before it lets go of the position. So what is told here comes after all of it,
    /// whichever task has told of it.
    fn apply(&self, changes: Vec<Change>, from: &Position, complete: Option<Instant>) -> bool {
        let mut position = self.position();
        if position.beginnings != from.beginnings {
            return false;
        }
        for change in changes {
            let revision = change.mark().revision;
            if revision <= position.followed {
                continue; // Another task applied it meanwhile.
            }
            position.followed = revision;
            match change {
                Change::Tenant(change) => self.take_in(&mut position, change),
                Change::Key(change) if position.keys.is_some_and(|keys| revision <= keys) => position.pass(change.mark),
                Change::Key(change) => self.pass_on(&mut position, change),
            }
        }
        if let Some(began) = complete
            && position.heard.is_none_or(|heard| heard < began)
        {
            position.heard = Some(began);
            let _ = self.changes.send(Changed::Heard(began, position.followed));
        }
        true
    }

    /// Takes in what this process has just written, so that it holds here even if the feed does not answer. The feed goes on
    /// from where it was: changes before this one may still be untold.
    pub(super) fn hold(&self, tenant: &Tenant) {
        let mut position = self.position();
        if tenant.revision > position.followed {
            let change = TenantChange {
                mark: Mark::from(tenant),
                slug: Some(tenant.slug.clone()),
                tenant: Some(tenant.clone()),
            };
            self.take_in(&mut position, change);
        }
    }

    /// Of what cannot be read it is told that the tenant changed: whoever keeps its keys gives them up, whatever it was.
    fn pass_on(&self, position: &mut Position, change: KeyChange) {
        position.pass(change.mark);
        let _ = self.changes.send(match change.event {
            Some(event) => Changed::Key(Arc::new(event)),
            None => Changed::Tenant(change.mark.tenant),
        });
    }

    fn take_in(&self, position: &mut Position, change: TenantChange) {
        let TenantChange { mark, slug, tenant } = change;
        position.pass(mark);
        if let Some(slug) = slug {
            self.unknown.invalidate(&slug);
            let held = self.tenants.get(&slug);
            // What this process wrote may be ahead of the feed.
            if held.as_ref().is_none_or(|held| held.revision <= mark.revision) {
                match tenant {
                    Some(tenant) => self.keep(Arc::new(tenant)),
                    // The slug may be another tenant's by now.
                    None if held.is_some_and(|held| held.keys.tenant == mark.tenant) => {
                        self.tenants.remove(&slug);
                    }
                    None => {}
                }
            }
        } else {
            self.forget(mark.tenant);
        }
        // Nobody may be listening.
        let _ = self.changes.send(Changed::Tenant(mark.tenant));
    }

    /// Forgets a tenant by its id, where its slug cannot be told any more: somebody's hand was on the database.
    fn forget(&self, tenant: TenantId) {
        self.tenants.retain(|_, held| held.keys.tenant != tenant);
    }

    /// Forgets everything: the store's history is not the one that the view has followed up to `from`.
    fn begin_anew(&self, from: &Position) {
        let mut position = self.position();
        if position.beginnings != from.beginnings {
            return; // Another task saw it too.
        }
        tracing::error!(
            revision = from.followed.0,
            "the tenant registry has lost changes that were seen here, after a failover or a restore: all tenants are read \
             again, and all cached keys are evicted"
        );
        position.begin_anew();
        self.tenants.clear();
        self.unknown.invalidate_all();
        let _ = self.changes.send(Changed::Everything);
    }
}

const PAGE: u32 = 1_000;
const PURGE_EVERY: Duration = Duration::from_mins(1);

/// The database's own words, which an error's `Display` leaves out.
fn cause(error: &RegistryError) -> Option<tracing::field::DisplayValue<&dyn std::error::Error>> {
    std::error::Error::source(error).map(tracing::field::display)
}
