//! The watch: what runs beside the requests, on every replica.

use std::sync::Arc;

use keyferry_crypto::sealer::Sealer;
use keyferry_registry::{Registry, Store, key::Replica};
use tokio_util::sync::CancellationToken;

use crate::config::HealthConfig;

/// What the watch works with.
pub struct Parts {
    /// Where keys' health is kept.
    pub store: Arc<dyn Store>,
    /// The tenants, and the feed of what others found out.
    pub registry: Arc<Registry>,
    /// Asks vaults, and obeys.
    pub sealer: Arc<Sealer>,
    /// Hears among how many replicas vaults' limits are divided.
    pub share_among: Box<dyn Fn(u32) + Send + Sync>,
    /// Hears that a tenant's vault, which is reached by a private endpoint, is asked in vain: perhaps the endpoint was rejected.
    pub doubt_endpoint: Box<dyn Fn(keyferry_crypto::id::TenantId) + Send + Sync>,
    /// Tells the time.
    pub clock: keyferry_registry::Clock,
}

/// Watches over customers' keys, and has this replica obey what is found out about them, here or elsewhere.
pub struct KeyWatch {
    parts: Parts,
    config: HealthConfig,
    me: Replica,
}

impl KeyWatch {
    /// A watch of these parts. `name` is this replica's for people, `release` that of the program.
    #[must_use]
    pub fn new(parts: Parts, config: HealthConfig, name: &str, release: &str) -> Arc<Self> {
        let _ = (
            &parts.store,
            &parts.registry,
            &parts.sealer,
            &parts.share_among,
            &parts.doubt_endpoint,
            config,
            name,
            release,
        );
        todo!("health")
    }

    /// This replica.
    #[must_use]
    pub fn me(&self) -> &Replica {
        let _ = (&self.parts, &self.config);
        &self.me
    }

    /// Runs until told to stop: makes this replica known, looks at keys that are due, tells what is learnt here, obeys what was
    /// learnt elsewhere and says so.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        stop.cancelled().await;
        todo!("health")
    }
}
