//! How customers' keys are, found out by one replica and obeyed by all.
//!
//! Each key is looked at by one replica, which holds it by a lease in the registry: it has the customer's vault unwrap
//! *canaries*, past every cache. What it finds goes into the registry's feed, which every replica follows: a refusal evicts
//! everywhere, a new version is sealed under everywhere. What a replica learns from the requests that it serves goes the same
//! way.
//!
//! That others obey is not hoped for. A replica tells its sealer what it has heard, and whose key nobody looks at just now; the
//! sealer asks the vault itself where that is not enough ([`keyferry_crypto::assurance`]). So whatever breaks here (the registry,
//! the way to it, this replica, another) costs calls to vaults, and not the bound. `docs/revocation.md` has the bound.
//!
//! Time is tokio's for spans, and the clock's that is passed in for what is written down; nothing is drawn at random. So a test
//! that turns the clock and decides when the feed is read decides everything.

mod acknowledging;
mod asking;
mod beating;
pub mod config;
mod holding;
mod jitter;
mod keys;
mod look;
mod looking;
mod obeying;
mod patience;
mod stats;
mod supervising;
mod telling;
mod tenants;
mod versions;
mod watch;

pub use self::{
    config::{ConfigError, HealthConfig},
    keys::Keys,
    stats::WatchStats,
    tenants::Tenants,
    watch::{KeyWatch, Parts},
};
