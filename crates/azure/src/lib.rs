//! A customer's Key Vault, reached through the official SDK.
//!
//! The SDK speaks the protocol; what it leaves to be wished is done here, and `docs/azure.md` says why: tokens are cached and
//! renewed by `token`, retries are `retry`'s, what spares a vault that is near its limits or does not answer is `restraint`'s, errors are parsed from raw bodies by `failure`, one HTTPS client serves all
//! customers (`http`) but those with a private endpoint. What the SDK has no call for, or none that stops where we want to,
//! goes over the same ways by itself: onboarding's questions (`probe`) and the resource manager (`arm`).

mod answer;
pub mod arm;
mod asking;
mod breaker;
mod clock;
pub mod config;
mod credential;
mod errand;
mod exchange;
mod failure;
mod gauge;
mod http;
mod jitter;
mod key;
mod overrides;
mod price;
pub mod probe;
mod quota;
mod request;
mod restraint;
mod retry;
mod throttle;
mod token;
mod vault;
mod wire;

pub use arm::PrivateEndpoints;
pub use config::{AzureConfig, ClientId, ClientSecret, ConfigError, CredentialConfig, PrivateEndpointsConfig};
pub use gauge::{Gauge, VaultStats};
pub use key::KeyDescription;
pub use overrides::Overrides;
pub use vault::AzureKeyVault;
