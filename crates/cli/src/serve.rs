//! `keyferry serve`

use std::path::PathBuf;

use clap::Args;
use keyferry_api::{Config, Service, telemetry};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Failure, whole};

/// Runs the service until SIGINT or SIGTERM, then drains: what is under way is finished, nothing new is taken.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// The configuration file (docs/operations.md); the environment overrides it, as `KEYFERRY_HTTP__LISTEN`
    #[arg(long, env = "KEYFERRY_CONFIG")]
    config: Option<PathBuf>,
    /// Only check the configuration and the files it names; connects to nothing
    #[arg(long)]
    check_config: bool,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let config =
            Config::load(self.config.as_deref(), std::env::vars_os()).map_err(|error| Failure::usage(whole(&error)))?;
        if self.check_config {
            Service::check(&config)
                .await
                .map_err(|error| Failure::usage(whole(&error)))?;
            println!("the configuration is good");
            return Ok(());
        }
        let telemetry = telemetry::init(&config.telemetry).map_err(Failure::start)?;
        let mut service = Service::start(config)
            .await
            .map_err(|error| Failure::start(whole(&error)))?;
        let mut signals = Signals::listen()?;
        eprintln!("keyferry serves on {}", service.addr());
        tokio::select! {
            () = signals.stop() => {}
            ended = service.wait() => return Err(Failure::start(ended)),
        }
        service.stop().await;
        telemetry.shutdown();
        Ok(())
    }
}

/// SIGINT and SIGTERM. From when this is made neither ends the process by itself, so it is made before anything is said
/// that somebody could answer with one.
pub(crate) struct Signals {
    terminated: Signal,
    interrupted: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, Failure> {
        Ok(Self {
            terminated: signal(SignalKind::terminate()).map_err(Failure::start)?,
            interrupted: signal(SignalKind::interrupt()).map_err(Failure::start)?,
        })
    }

    /// Waits for one of them.
    pub(crate) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminated.recv() => {}
            _ = self.interrupted.recv() => {}
        }
    }
}
