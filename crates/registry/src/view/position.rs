//! How far a view has come.

use tokio::time::Instant;

use crate::{store::Mark, tenant::Revision};

/// How far a view has followed its store, and what it has seen on the way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// The revision up to which the feed was read: all changes before are in the view.
    pub(super) followed: Revision,
    /// The newest revision when the feed was begun to be read: of what happened to keys up to it nothing is told, as nothing was
    /// held here. Not known before the feed is first read.
    pub(super) keys: Option<Revision>,
    /// When the newest complete read began that was told of.
    pub(super) heard: Option<Instant>,
    /// The newest change in the view, by the feed or by this process' own hand. If the store does not remember it, it may have
    /// lost others; if it does, it has lost none before it.
    pub(super) newest: Option<Mark>,
    /// How often the view has begun anew: what was read before is of another history.
    pub(super) beginnings: u64,
    /// How often the view has changed: what was read from the store before may be older than what is in the view.
    pub(super) moves: u64,
}

impl Position {
    /// Moves past a change.
    pub(super) fn pass(&mut self, mark: Mark) {
        self.moves += 1;
        if self.newest.is_none_or(|newest| newest.revision < mark.revision) {
            self.newest = Some(mark);
        }
    }

    /// Goes back to before all changes.
    pub(super) fn begin_anew(&mut self) {
        self.followed = Revision(0);
        self.keys = None;
        self.newest = None;
        self.beginnings += 1;
        self.moves += 1;
    }
}

impl Default for Position {
    /// Before all changes.
    fn default() -> Self {
        Self {
            followed: Revision(0),
            keys: None,
            heard: None,
            newest: None,
            beginnings: 0,
            moves: 0,
        }
    }
}
