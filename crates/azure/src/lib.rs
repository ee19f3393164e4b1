//! A customer's Key Vault, reached through the official SDK.

pub mod config;
mod overrides;
mod vault;

pub use config::{AzureConfig, ClientId, ClientSecret, ConfigError, CredentialConfig};
pub use overrides::Overrides;
pub use vault::AzureKeyVault;
