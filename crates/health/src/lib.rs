//! How customers' keys are, found out by one replica and obeyed by all.

pub mod config;
mod watch;

pub use self::{
    config::HealthConfig,
    watch::{KeyWatch, Parts},
};
