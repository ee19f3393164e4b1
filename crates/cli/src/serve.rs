//! `keyferry serve`

use std::path::PathBuf;

use clap::Args;
use keyferry_api::{Config, Service, telemetry};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// Runs the service until SIGINT or SIGTERM, then drains: what is under way is finished, nothing new is taken.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// The configuration file (docs/operations.md); the environment overrides it, as `KEYFERRY_HTTP__LISTEN`
    #[arg(long, env = "KEYFERRY_CONFIG")]
    config: Option<PathBuf>,
    /// Only check the configuration; connects to nothing
    #[arg(long)]
    check_config: bool,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let config = Config::load(self.config.as_deref(), std::env::vars()).map_err(Failure::usage)?;
        if self.check_config {
            println!("the configuration is good");
            return Ok(());
        }
        let telemetry = telemetry::init(&config.telemetry).map_err(Failure::start)?;
        let mut service = Service::start(config).await.map_err(Failure::start)?;
        eprintln!("keyferry serves on {}", service.addr());
        tokio::select! {
            stopped = stopped() => stopped?,
            ended = service.wait() => return Err(Failure::start(ended)),
        }
        service.stop().await;
        telemetry.shutdown();
        Ok(())
    }
}

/// Waits for SIGINT or SIGTERM.
pub(crate) async fn stopped() -> Result<(), Failure> {
    let mut terminated = signal(SignalKind::terminate()).map_err(Failure::start)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(Failure::start)?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    Ok(())
}
