//! `keyferry dev`: the whole product in one process on loopback.
//!
//! Only the emulator is pretend: the service speaks the same HTTPS to it, through the same SDK, as to Azure. Everything
//! is kept in one directory, so that a second start finds what the first one left.

mod guide;
mod home;
mod world;

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use keyferry_api::{Config, Service, telemetry};
use keyferry_client::{Client, NewTenant};
use keyferry_emulator::{Emulator, EmulatorConfig};
use keyferry_registry::DatabaseUrl;

use self::{home::Home, world::World};
use crate::{
    failure::{Failure, whole},
    serve::Signals,
};

/// Runs everything on this machine: the service on SQLite, and an emulator in Azure's place with one customer in it.
/// For development only: its secrets lie in a file, and the emulator obeys everyone.
#[derive(Args, Debug)]
pub(crate) struct Dev {
    /// Where everything is kept between runs
    #[arg(long, default_value = ".keyferry")]
    data_dir: PathBuf,
    /// Where the API is served; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the emulator answers as Azure
    #[arg(long, default_value = "127.0.0.1:8443")]
    azure: SocketAddr,
    /// Where the emulator takes orders (docs/emulator.md)
    #[arg(long, default_value = "127.0.0.1:8081")]
    control: SocketAddr,
    /// What is logged: a level, or directives such as `info,keyferry_azure=debug`
    #[arg(long, default_value = "warn")]
    log: String,
}

impl Dev {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let home = Home::open(&self.data_dir)?;
        let emulator = self.start_emulator(&home).await?;
        let world = tokio::task::block_in_place(|| World::settle(&emulator, &home))?;
        home.write_ca(emulator.ca_pem())?;
        let config = self.config(&home, &world, emulator.https_addr())?;
        let telemetry = telemetry::init(&config.telemetry).map_err(Failure::start)?;
        let url: DatabaseUrl = home.database().parse().map_err(Failure::start)?;
        keyferry_registry::migrate(&url)
            .await
            .map_err(|error| Failure::start(whole(&error)))?;
        let service = Service::start(config)
            .await
            .map_err(|error| Failure::start(format!("the service does not start on {}: {error}", self.listen)))?;
        let access = world.access(&home, service.addr(), emulator.https_addr())?;
        register_demo_tenant(&home, &world).await?;
        let mut signals = Signals::listen()?;
        print!("{}", guide::text(&access, &home, emulator.control_addr()));
        signals.stop().await;
        service.stop().await;
        emulator.stop().await;
        telemetry.shutdown();
        println!("\nstopped; {} has everything for the next start", home.path().display());
        Ok(())
    }

    async fn start_emulator(&self, home: &Home) -> Result<Emulator, Failure> {
        let config = EmulatorConfig {
            https: self.azure,
            control: self.control,
            portal: None,
            state_dir: Some(home.emulator()),
            signing_key: None,
        };
        Emulator::start(config).await.map_err(|error| {
            Failure::start(format!(
                "the emulator does not start on {} and {}: {error}. Another `keyferry dev`? Else choose with --azure and --control",
                self.azure, self.control
            ))
        })
    }

    /// Written as a file, so that what `keyferry serve` would be given can be read there.
    fn config(&self, home: &Home, world: &World, azure: SocketAddr) -> Result<Config, Failure> {
        let file = home.write_config(&world.config(home, self.listen, azure, &self.log))?;
        Config::load(Some(&file), std::iter::empty()).map_err(Failure::start)
    }
}

/// Registers the demo customer, or finds it registered by an earlier start.
async fn register_demo_tenant(home: &Home, world: &World) -> Result<(), Failure> {
    let client: Client = home.operator_client()?;
    let tenant = NewTenant {
        slug: world::TENANT.into(),
        display_name: "Acme, the demo customer".into(),
        directory_id: world.customer_directory().to_string(),
        cloud: "public".into(),
        vault: world::VAULT.into(),
        key_name: world::KEY.into(),
        key_version: None,
        policy: None,
    };
    match client.admin().create(&tenant, None).await {
        Ok(_) => Ok(()),
        Err(error) if error.problem().is_some_and(|problem| problem.slug() == "slug-taken") => Ok(()),
        Err(error) => Err(error.into()),
    }
}
