//! The HTTP API: a data plane that generates, wraps, unwraps, rewraps, encrypts and decrypts for tenants, and an admin plane
//! that registers them.
//!
//! A request passes the `edge` (its id, deadline and count), then extractors that prove what a handler needs: a
//! [`caller`] with the role, an active `tenant`, a whole `body`. Handlers are a few lines. Every failure is a
//! [problem].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use keyferry_api::{Config, Service};
//!
//! let config = Config::load(Some("keyferry.toml".as_ref()), std::env::vars_os())?;
//! let _telemetry = keyferry_api::telemetry::init(&config.telemetry)?;
//! let service = Service::start(config).await?;
//! println!("listening on {}", service.addr());
//! service.stop().await;
//! # Ok(())
//! # }
//! ```

mod admin;
pub mod app;
mod body;
pub mod bound;
mod budget;
pub mod caller;
pub mod clock;
mod codec;
pub mod config;
mod edge;
pub mod events;
mod heavy;
mod onboarding;
pub mod openapi;
mod ops;
pub mod problem;
pub mod router;
mod routes;
pub mod service;
pub mod telemetry;
mod tenant;

pub use self::{
    config::{Config, ConfigError},
    service::{Service, StartError},
};
