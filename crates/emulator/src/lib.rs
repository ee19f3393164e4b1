//! Entra, Key Vault and the resource manager as one local program, with faults to order.
//!
//! It answers as Azure does, over HTTPS, under Azure's host names, with a certificate authority of its own; what it
//! knows of Azure comes from Azure's documentation and recorded answers, never from a client of ours, and the official
//! Python SDK is its judge (`tests/interop/emulator`). It is no place for a secret that matters.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use keyferry_emulator::{Emulator, EmulatorConfig};
//!
//! let emulator = Emulator::start(EmulatorConfig::default()).await?;
//! println!("https on {}, orders on {}", emulator.https_addr(), emulator.control_addr());
//! emulator.stop().await;
//! # Ok(())
//! # }
//! ```

mod arm;
mod background;
mod calls;
mod control;
mod encoding;
mod entra;
mod events;
mod fault;
mod form;
mod html;
mod keyvault;
mod order;
mod portal;
mod private;
#[cfg(test)]
mod reference;
mod rsa;
mod server;
mod service;
mod state;
mod tls;
mod world;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::state::State;
pub use crate::{
    calls::{CallCount, Operation},
    events::{Disturbance, EVENT_GRID, EventBearer, EventSchema, EventSubscription, SubscriptionState, Validation},
    fault::{Fault, FaultOrder, Flapping},
    order::{Order, OrderError},
    rsa::{RsaError, RsaKey},
    world::{
        Application, Assignment, Certificate, Decision, FederatedIssuer, Network, Pace, Role, Scope, Secret,
        TokenTimes, VaultOptions,
    },
};

/// Where to listen and what to keep.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmulatorConfig {
    /// Where all of Azure's hosts answer. Port 0 picks a free one.
    pub https: SocketAddr,
    /// Where orders are taken. Keep it on loopback: whoever reaches it is everyone's administrator.
    pub control: SocketAddr,
    /// Where people act as customers' administrators, with a browser; nowhere if left out. Must be of loopback.
    pub portal: Option<SocketAddr>,
    /// Where state is kept between runs; nothing is kept if left out.
    pub state_dir: Option<PathBuf>,
    /// A PKCS#8 key for Entra to sign with, to be spared the making of one.
    #[serde(skip)]
    pub signing_key: Option<Vec<u8>>,
}

/// A running emulator.
pub struct Emulator {
    state: Arc<State>,
    https: SocketAddr,
    control: SocketAddr,
    portal: Option<SocketAddr>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Emulator {
    /// Starts one. Several may run in one process.
    pub async fn start(config: EmulatorConfig) -> io::Result<Self> {
        let (https, control) = (
            TcpListener::bind(config.https).await?,
            TcpListener::bind(config.control).await?,
        );
        let portal = match config.portal {
            Some(address) if !address.ip().is_loopback() => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the portal is for this machine alone: its address must be of loopback",
                ));
            }
            Some(address) => Some(TcpListener::bind(address).await?),
            None => None,
        };
        let opened = tokio::task::spawn_blocking(move || {
            State::open(config.state_dir.as_deref(), config.signing_key.as_deref())
        });
        let state = Arc::new(opened.await.map_err(io::Error::other)??);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let emulator = Self {
            https: https.local_addr()?,
            control: control.local_addr()?,
            portal: portal.as_ref().map(TcpListener::local_addr).transpose()?,
            state,
            stop,
            tasks,
        };
        emulator
            .state
            .background
            .start(&emulator.state, &emulator.tasks, &emulator.stop);
        let doors = emulator.state.private.open(emulator.https, &emulator.state.world())?;
        emulator.tasks.spawn(server::serve(
            https,
            doors,
            Arc::clone(&emulator.state),
            emulator.stop.clone(),
        ));
        emulator.tasks.spawn(control::serve(
            control,
            Arc::clone(&emulator.state),
            emulator.stop.clone(),
        ));
        if let Some(portal) = portal {
            emulator.tasks.spawn(portal::serve(
                portal,
                Arc::clone(&emulator.state),
                emulator.stop.clone(),
            ));
        }
        emulator.tasks.close();
        Ok(emulator)
    }

    /// Where Azure's hosts answer.
    #[must_use]
    pub fn https_addr(&self) -> SocketAddr {
        self.https
    }

    /// Where orders are taken.
    #[must_use]
    pub fn control_addr(&self) -> SocketAddr {
        self.control
    }

    /// Where people act as customers' administrators, if anywhere.
    #[must_use]
    pub fn portal_addr(&self) -> Option<SocketAddr> {
        self.portal
    }

    /// The certificate that clients are to trust.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.state.ca_pem()
    }

    /// Carries out an order. One that makes a key takes a second or more of this thread.
    pub fn order(&self, order: Order) -> Result<Value, OrderError> {
        order::carry_out(&self.state, order)
    }

    /// The addresses of a vault's private endpoints, whatever became of their connections. Their port is that of `https_addr`.
    #[must_use]
    pub fn private_addresses(&self, host: &str) -> Vec<Ipv4Addr> {
        let world = self.state.world();
        let all = world.resources.endpoints.values();
        all.filter(|endpoint| endpoint.vault.eq_ignore_ascii_case(host))
            .map(|endpoint| endpoint.address)
            .collect()
    }

    /// Whether there is a key of that name, deleted or not.
    #[must_use]
    pub fn has_key(&self, host: &str, name: &str) -> bool {
        self.state
            .world()
            .vaults
            .get(&host.to_ascii_lowercase())
            .is_some_and(|vault| vault.keys.contains_key(name))
    }

    /// What was asked so far.
    #[must_use]
    pub fn calls(&self) -> Vec<CallCount> {
        self.state.calls.list()
    }

    /// How often a host was asked an operation with a token, whatever the answer.
    #[must_use]
    pub fn count(&self, host: &str, operation: Operation) -> u64 {
        self.calls()
            .iter()
            .filter(|call| call.host.eq_ignore_ascii_case(host) && call.operation == operation)
            .map(|call| call.count)
            .sum()
    }

    /// The most requests for an operation that a host had under way at once, since the counters were last set to zero. One ends
    /// with its answer, or when whoever asked gives up.
    #[must_use]
    pub fn most_at_once(&self, host: &str, operation: Operation) -> u64 {
        self.state.calls.most_at_once(host, operation)
    }

    /// How each subscription to a vault's events fares.
    #[must_use]
    pub fn event_subscriptions(&self) -> Vec<SubscriptionState> {
        self.state.events.list()
    }

    /// The fault orders in force, each with the times that are left. One that was met as often as it says is gone.
    #[must_use]
    pub fn faults(&self) -> Vec<FaultOrder> {
        self.state.faults.list()
    }

    /// Stops, breaking off what is under way.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Emulator(https on {}, control on {})", self.https, self.control)
    }
}

impl Default for EmulatorConfig {
    /// Free ports of loopback, nothing kept.
    fn default() -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            https: free,
            control: free,
            portal: None,
            state_dir: None,
            signing_key: None,
        }
    }
}

/// The reference's example in Rust is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/emulator.md")]
struct ReferenceExample;
