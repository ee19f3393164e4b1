//! What a database must do for keys' health, and for the replicas that look after it.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use keyferry_crypto::id::{KeyRef, TenantId};

use super::{Acknowledgement, Claimed, KeyEvent, KeyHealth, KeyNews, Looked, Replica, ReplicaId};
use crate::{error::RegistryError, tenant::Revision};

/// Keeps how keys are. Each method is one transaction. Times are the database's own (of SQLite, the clock's that was passed in),
/// so that replicas whose clocks differ agree on who looks after what; only those that a look brings are kept as they are.
///
/// There is a row for each tenant that is not purged, made with the tenant. What is said of a tenant that has none is passed over.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// Makes a replica known, or says that it still runs, how far it has followed and obeyed. Answers the replicas that were seen
    /// within `alive`, this one among them, and forgets those that were not for a day.
    async fn beat(&self, replica: &Replica, alive: Duration) -> Result<Vec<Replica>, RegistryError>;

    /// Gives up what a replica looks after, and forgets it: it ends.
    async fn leave(&self, replica: ReplicaId) -> Result<(), RegistryError>;

    /// Claims up to `limit` keys of active tenants that are due and that this replica, or nobody, looks after; each for `lease`
    /// from now. Its own come first. One that is claimed is nobody else's to claim before it is saved or its lease is over, and this
    /// replica's again from half of that on: so one that looks for long keeps the key, and one that died loses it. One whose owner
    /// does not claim it is anybody's once it is due for longer than `lease`. A key that a replica has given up (see
    /// [`Looked::keeps`]) is claimed by it again only once it is due for longer than `lease`. `held` is how long ago a replica may
    /// have said that it holds something.
    async fn claim_keys(
        &self,
        replica: ReplicaId,
        lease: Duration,
        held: Duration,
        limit: u32,
    ) -> Result<Vec<Claimed>, RegistryError>;

    /// Saves what was found out about keys that this replica looks after, each until its next look and `lease` longer; with the
    /// news of all, if there are any, drawn into the feed and told. Of a key that another looks after by now nothing is kept but a
    /// withdrawal, which is told in any case. What was asked for during a look is still to be had after it: the key is due at once
    /// then, or as soon as it was to be. Answers the news' revisions.
    async fn save_looks(
        &self,
        replica: ReplicaId,
        looks: &[Looked],
        lease: Duration,
    ) -> Result<Vec<Revision>, RegistryError>;

    /// Tells what a replica learnt otherwise than by looking after the key, and makes the key due. `None` if the same, whatever the
    /// evidence, was told less than `pause` ago: nothing is told again then. It is not the same if the key was otherwise in between:
    /// of a withdrawal if it was healthy, of a state if there was another or a withdrawal, of a version if there was another.
    async fn tell_key_news(
        &self,
        replica: ReplicaId,
        tenant: TenantId,
        news: &KeyNews,
        pause: Duration,
    ) -> Result<Option<Revision>, RegistryError>;

    /// Notes that a replica holds something of these tenants'. Those of whom nobody said so lately become due within `within`, each
    /// at some time of it.
    async fn note_held(&self, tenants: &[TenantId], within: Duration) -> Result<(), RegistryError>;

    /// The active tenants of whom something is held, as said within `held`, and whose key is not known to serve: nobody has looked
    /// at it for `longer` (no look was claimed since, and saved), or by a clock that is ahead of the database's; or its state is not
    /// healthy.
    async fn overdue(&self, held: Duration, longer: Duration) -> Result<Vec<TenantId>, RegistryError>;

    /// Makes the keys of tenants due that have this key as their current one, in whichever case its name is written, and has their
    /// newest versions looked up: somebody
    /// says that there is a new one. [`Newest::seen_at`](super::Newest) is 1970 until then. Answers how many there are.
    async fn hint(&self, key: &KeyRef) -> Result<u64, RegistryError>;

    /// Makes a tenant's key due now. Whether there is such a tenant.
    async fn look_soon(&self, tenant: TenantId) -> Result<bool, RegistryError>;

    /// How a tenant's key is.
    async fn key_health(&self, tenant: TenantId) -> Result<Option<KeyHealth>, RegistryError>;

    /// How many active tenants' keys are in each state, by its name.
    async fn key_states(&self) -> Result<BTreeMap<String, u64>, RegistryError>;

    /// What happened to a tenant's key, newest first: up to `limit`, before `before`.
    async fn key_events(
        &self,
        tenant: TenantId,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<KeyEvent>, RegistryError>;

    /// Notes that a replica has obeyed the withdrawals with these revisions; those that are none are passed over.
    async fn acknowledge(&self, replica: ReplicaId, revisions: &[Revision]) -> Result<(), RegistryError>;

    /// Who has obeyed the withdrawal with this revision, in the order of time.
    async fn acknowledgements(&self, revision: Revision) -> Result<Vec<Acknowledgement>, RegistryError>;

    /// The replicas that were seen within `alive`.
    async fn replicas(&self, alive: Duration) -> Result<Vec<Replica>, RegistryError>;
}
