//! That this replica lives is said in the registry, and who else does is heard.

use std::sync::atomic::Ordering::Relaxed;

use keyferry_registry::{Revision, key::Replica};

use crate::{
    patience::{Asked, in_time},
    watch::KeyWatch,
};

impl KeyWatch {
    /// Makes this replica known, again and again. Who lives is believed until the registry says otherwise.
    pub(crate) async fn beat(&self) {
        let pause = self.config.beat_pause();
        let mut beating = Asked::but("this replica cannot be made known");
        loop {
            let me = Replica {
                seen_at: (self.parts.clock)(),
                followed: Revision(self.followed.load(Relaxed)),
                ..self.me.clone()
            };
            let alive = in_time(self.parts.store.beat(&me, self.config.alive())).await;
            if let Some(alive) = beating.note(alive) {
                let alive = u32::try_from(alive.len()).unwrap_or(u32::MAX).max(1);
                if self.replicas.swap(alive, Relaxed) != alive {
                    tracing::info!(replicas = alive, "the number of replicas has changed");
                }
                (self.parts.share_among)(alive);
            }
            tokio::time::sleep(beating.pause(pause)).await;
        }
    }
}
