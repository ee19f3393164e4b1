//! Requests at every replica, all the time, and what became of them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use keyferry_crypto::{
    context::EncryptionContext,
    sealer::{Content, SealerError},
};
use keyferry_registry::{Tenant, key::ReplicaId};
use tokio::{task::JoinSet, time::Instant};

use crate::world::{Seals, World};

/// What was asked of a replica.
#[derive(Clone, Copy)]
enum Asked {
    Seal,
    Open,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) by: ReplicaId,
    pub(crate) sent_at: Instant,
    pub(crate) outcome: Result<(), SealerError>,
}

/// Requests for one tenant, at every replica that lives, a few a second.
pub(crate) struct Load<'a> {
    world: &'a World,
    tenant: Arc<Tenant>,
    replicas: &'a [Seals],
    envelope: Vec<u8>,
    under_way: JoinSet<()>,
    answered: Arc<Mutex<Vec<Answered>>>,
}

impl<'a> Load<'a> {
    /// Has the first replica seal what all are to open.
    pub(crate) async fn on(world: &'a World, replicas: &'a [Seals]) -> Self {
        let tenant = world.tenant();
        let (context, plaintext) = (EncryptionContext::default(), b"a salary");
        let sealed = replicas[0]
            .sealer
            .seal(&tenant.keys, Content::Data, &context, plaintext)
            .await;
        Self {
            world,
            envelope: sealed.expect("sealed").envelope,
            tenant,
            replicas,
            under_way: JoinSet::new(),
            answered: Arc::default(),
        }
    }

    pub(crate) fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Lets time pass under load.
    pub(crate) async fn passes(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            for replica in self.replicas.iter().filter(|replica| replica.lives()) {
                self.send(replica, Asked::Seal);
                self.send(replica, Asked::Open);
            }
            self.world.passes(BETWEEN).await;
        }
    }

    /// Waits for the requests that are under way.
    pub(crate) async fn ends(&mut self) {
        while self.under_way.join_next().await.is_some() {}
    }

    /// When the last request was sent that succeeded, by this replica or by any.
    pub(crate) fn last_success(&self, by: Option<ReplicaId>) -> Option<Instant> {
        let answered = self.answered.lock().expect("unpoisoned");
        let successes = answered.iter().filter(|answered| answered.outcome.is_ok());
        successes
            .filter(|answered| by.is_none_or(|by| answered.by == by))
            .map(|answered| answered.sent_at)
            .max()
    }

    /// What was sent from then on.
    pub(crate) fn sent_since(&self, since: Instant) -> Vec<Answered> {
        let answered = self.answered.lock().expect("unpoisoned");
        answered
            .iter()
            .filter(|answered| answered.sent_at >= since)
            .cloned()
            .collect()
    }

    fn send(&mut self, to: &Seals, asked: Asked) {
        let (sealer, tenant, envelope) = (Arc::clone(&to.sealer), Arc::clone(&self.tenant), self.envelope.clone());
        let (answered, by, sent_at) = (Arc::clone(&self.answered), to.id, Instant::now());
        self.under_way.spawn(async move {
            // The step that needs the customer's key; the cipher's work after it is left out.
            let outcome = match asked {
                Asked::Seal => sealer.key_to_seal(&tenant.keys).await.map(drop),
                Asked::Open => sealer
                    .key_to_open(&tenant.keys, Content::Data, &envelope)
                    .await
                    .map(drop),
            };
            answered
                .lock()
                .expect("unpoisoned")
                .push(Answered { by, sent_at, outcome });
        });
        while self.under_way.try_join_next().is_some() {}
    }
}

const BETWEEN: Duration = Duration::from_millis(500);
