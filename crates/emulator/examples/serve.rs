//! An emulator on free ports of loopback, until it is told to stop (SIGTERM): for judges in other languages.
#![expect(clippy::print_stdout, reason = "it tells where it is")]

use keyferry_emulator::{Emulator, EmulatorConfig};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let emulator = Emulator::start(EmulatorConfig::default()).await?;
    let control = emulator.control_addr();
    println!(
        r#"{{"https":"{}","control":"{control}","ca":"http://{control}/ca.pem"}}"#,
        emulator.https_addr()
    );
    signal(SignalKind::terminate())?.recv().await;
    emulator.stop().await;
    Ok(())
}
