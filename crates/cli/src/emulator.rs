//! `keyferry emulator`

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use keyferry_emulator::EmulatorConfig;

use crate::{failure::Failure, serve::Signals};

/// Runs Entra and Key Vault as one local program (docs/emulator.md). Prints where it answers as one line of JSON.
#[derive(Args, Debug)]
pub(crate) struct Emulator {
    /// Where all of Azure's hosts answer
    #[arg(long, default_value = "127.0.0.1:8443")]
    https: SocketAddr,
    /// Where orders are taken; keep it on loopback
    #[arg(long, default_value = "127.0.0.1:8081")]
    control: SocketAddr,
    /// Where people act as customers' administrators, with a browser: the portal and the consent page. Must be of loopback;
    /// nowhere if left out
    #[arg(long)]
    portal: Option<SocketAddr>,
    /// Where state is kept between runs; nothing is kept if left out
    #[arg(long)]
    state_dir: Option<PathBuf>,
}

impl Emulator {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let Self {
            https,
            control,
            portal,
            state_dir,
        } = self;
        let config = EmulatorConfig {
            https,
            control,
            portal,
            state_dir,
            signing_key: None,
        };
        let emulator = keyferry_emulator::Emulator::start(config)
            .await
            .map_err(|error| Failure::start(format!("the emulator does not start: {error}")))?;
        let mut signals = Signals::listen()?;
        let mut answers = serde_json::json!({
            "https": emulator.https_addr(),
            "control": emulator.control_addr(),
            "ca": format!("http://{}/ca.pem", emulator.control_addr()),
        });
        if let Some(portal) = emulator.portal_addr() {
            answers["portal"] = format!("http://{portal}/").into();
        }
        println!("{answers}");
        signals.stop().await;
        emulator.stop().await;
        Ok(())
    }
}
