//! A part of the watch that breaks off, which takes a defect, is begun anew: a replica without it would go on as if it had one.
//!
//! That is sound because no part is believed without having done its work. What the feed told the part that broke off may not have
//! been obeyed, so all is evicted ([`KeyWatch::obey`]). Whose keys nobody looks at may not have been asked, so nothing counts as
//! heard for longer than that would ([`KeyWatch::knows_who_is_watched`]). A key whose look broke off is looked at once its lease is
//! over, here or elsewhere.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;

use crate::{stats::Counters, watch::KeyWatch};

impl KeyWatch {
    /// Runs a part of the watch until it ends, and again whenever it breaks off. `part` is what people know it by.
    pub(crate) async fn keep_up<F>(self: Arc<Self>, part: &'static str, begin: impl Fn(Arc<Self>) -> F)
    where
        F: Future<Output = ()>,
    {
        // What is shared is behind locks that are taken though they are poisoned, and whole between any two statements.
        while let Err(panic) = AssertUnwindSafe(begin(Arc::clone(&self))).catch_unwind().await {
            Counters::count(&self.counters.breaks);
            let reason = reason(panic.as_ref());
            tracing::error!(
                part,
                reason,
                "a part of the watch over keys broke off, and is begun anew"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn reason(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason is known")
}

/// So that a part which breaks off again and again costs little, and no more than a fraction of what is heard is missed meanwhile.
const PAUSE: Duration = Duration::from_secs(1);
