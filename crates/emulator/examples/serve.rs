//! An emulator on free ports of loopback, until it is told to stop (SIGTERM): for judges in other languages.
#![expect(clippy::print_stdout, reason = "it tells where it is")]

use std::net::Ipv4Addr;

use keyferry_emulator::{Emulator, EmulatorConfig};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let config = EmulatorConfig {
        portal: Some((Ipv4Addr::LOCALHOST, 0).into()),
        ..EmulatorConfig::default()
    };
    let emulator = Emulator::start(config).await?;
    let (https, control) = (emulator.https_addr(), emulator.control_addr());
    let portal = emulator.portal_addr().map(|portal| format!("http://{portal}/"));
    println!(
        r#"{{"https":"{https}","control":"{control}","ca":"http://{control}/ca.pem","portal":"{}"}}"#,
        portal.unwrap_or_default()
    );
    signal(SignalKind::terminate())?.recv().await;
    emulator.stop().await;
    Ok(())
}
