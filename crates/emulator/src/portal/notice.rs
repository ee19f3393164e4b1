//! What was done, to be said on the page that comes next. The address names it by a number that cannot be guessed: it could
//! not carry the text itself, or whoever makes a link could have the portal say anything.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use serde::Deserialize;
use uuid::Uuid;

/// What came of an act.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) is_refusal: bool,
}

impl Notice {
    pub(super) fn done(text: String) -> Self {
        Self {
            text,
            is_refusal: false,
        }
    }

    pub(super) fn refused(text: String) -> Self {
        Self { text, is_refusal: true }
    }
}

/// The last of them.
#[derive(Debug, Default)]
pub(super) struct Notices(Mutex<VecDeque<(Uuid, Notice)>>);

impl Notices {
    pub(super) fn keep(&self, notice: Notice) -> Uuid {
        let mut notices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notices.len() == KEPT {
            notices.pop_front();
        }
        let id = Uuid::new_v4();
        notices.push_back((id, notice));
        id
    }

    /// What a page has to say, if anything.
    pub(super) fn find(&self, said: &Said) -> Option<Notice> {
        let notices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = notices.iter().find(|(id, _)| Some(*id) == said.said);
        found.map(|(_, notice)| notice.clone())
    }
}

/// The part of an address that names a notice.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    said: Option<Uuid>,
}

/// As many as are read before they are forgotten.
const KEPT: usize = 64;
