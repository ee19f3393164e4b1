//! `keyferry dev`: the whole product in one process on loopback.
//!
//! Only the emulator is pretend: the service speaks the same HTTPS to it, through the same SDK, as to Azure. Everything
//! is kept in one directory, so that a second start finds what the first one left.

mod guide;
mod home;
mod world;

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

use clap::Args;
use keyferry_api::{Config, Service, telemetry};
use keyferry_client::{
    Client, LinkUrl, NewTenant,
    onboarding::{NewOnboarding, Typed},
};
use keyferry_emulator::{Emulator, EmulatorConfig};
use keyferry_registry::DatabaseUrl;

use self::{
    home::Home,
    world::{Places, World},
};
use crate::{
    failure::{Failure, whole},
    onboarding::is_absent,
    serve::Signals,
};

/// Runs everything on this machine: the service on SQLite, and an emulator in Azure's place with one customer in it and
/// one to be onboarded. For development only: its secrets lie in a file, and the emulator obeys everyone.
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
    /// Where the emulator is for people: the customer's side of Azure, and the page that asks for consent
    #[arg(long, default_value = "127.0.0.1:8082")]
    portal: SocketAddr,
    /// What is logged: a level, or directives such as `info,keyferry_azure=debug`
    #[arg(long, default_value = "warn")]
    log: String,
}

impl Dev {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let home = Home::open(&self.data_dir)?;
        let emulator = self.start_emulator(&home).await?;
        // Kept until the service takes the address: what is written before then names it.
        let taken = TcpListener::bind(self.listen).map_err(|error| self.not_served(error))?;
        let places = Places {
            service: taken.local_addr().map_err(Failure::start)?,
            azure: emulator.https_addr(),
            portal: emulator.portal_addr().unwrap_or(self.portal),
        };
        let world = tokio::task::block_in_place(|| World::settle(&emulator, &home, places))?;
        home.write_ca(emulator.ca_pem())?;
        let config = self.config(&home, &world, places)?;
        let telemetry = telemetry::init(&config.telemetry).map_err(Failure::start)?;
        let url: DatabaseUrl = home.database().parse().map_err(Failure::start)?;
        keyferry_registry::migrate(&url)
            .await
            .map_err(|error| Failure::start(whole(&error)))?;
        drop(taken);
        let service = Service::start(config).await.map_err(|error| self.not_served(error))?;
        let access = world.access(&home, places)?;
        let client = home.operator_client()?;
        register_demo_tenant(&client, &world).await?;
        let link = open_demo_onboarding(&client).await?;
        let mut signals = Signals::listen()?;
        print!(
            "{}",
            guide::text(&access, &home, places, emulator.control_addr(), link.as_ref())
        );
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
            portal: Some(self.portal),
            state_dir: Some(home.emulator()),
            signing_key: None,
        };
        Emulator::start(config).await.map_err(|error| {
            Failure::start(format!(
                "the emulator does not start on {}, {} and {}: {error}. Another `keyferry dev`? Else choose with --azure, --control and --portal",
                self.azure, self.control, self.portal
            ))
        })
    }

    /// Written as a file, so that what `keyferry serve` would be given can be read there.
    fn config(&self, home: &Home, world: &World, places: Places) -> Result<Config, Failure> {
        let file = home.write_config(&world.config(home, places, &self.log))?;
        Config::load(Some(&file), std::iter::empty()).map_err(Failure::start)
    }

    fn not_served(&self, error: impl std::fmt::Display) -> Failure {
        Failure::start(format!("the service does not start on {}: {error}", self.listen))
    }
}

/// Registers the demo customer, or finds it registered by an earlier start.
async fn register_demo_tenant(client: &Client, world: &World) -> Result<(), Failure> {
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

/// Opens the onboarding of the customer who is still to come, or makes a new link for the one that an earlier start opened: a
/// link is known only when it is made. There is none where a person took the slug for something else.
async fn open_demo_onboarding(client: &Client) -> Result<Option<LinkUrl>, Failure> {
    let onboardings = client.onboardings();
    match onboardings.get(world::NEWCOMER).await {
        Ok(_) => Ok(Some(onboardings.new_link(world::NEWCOMER).await?.link_url)),
        Err(error) if is_absent(&error) => {
            let new = NewOnboarding {
                slug: world::NEWCOMER.into(),
                display_name: "Globex, a customer to onboard".into(),
                cloud: "public".into(),
                policy: None,
                endpoint_policy: Some("optional".into()),
                allows_public_path: None,
                answers: Typed::default(),
            };
            match onboardings.open(&new, None).await {
                Ok(opened) => Ok(Some(opened.link_url)),
                Err(error) if error.problem().is_some_and(|problem| problem.slug() == "slug-taken") => Ok(None),
                Err(error) => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}
