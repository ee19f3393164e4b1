//! The `keyferry` command: the service, its tools, and everything on one machine for development. `docs/command.md` is its
//! reference.
//!
//! A library only so that the tests' own build of the command is the same; there is nothing in it to use.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command prints")]

mod access;
mod completions;
#[cfg(feature = "emulator")]
mod dev;
#[cfg(feature = "emulator")]
mod emulator;
mod failure;
mod migrate;
mod onboarding;
mod output;
mod policy;
mod replicas;
mod rewrap;
mod serve;
mod tenant;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

/// Wraps and unwraps each customer's data keys with the key that the customer keeps.
#[derive(Debug, Parser)]
#[command(name = "keyferry", version, about, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(serve::Serve),
    /// Run everything on this machine, with an emulator in Azure's place, and print what to type
    #[cfg(feature = "emulator")]
    Dev(dev::Dev),
    /// Run the Azure emulator alone
    #[cfg(feature = "emulator")]
    Emulator(emulator::Emulator),
    /// Bring the registry's database to the current schema
    Migrate(migrate::Migrate),
    /// Lead customers from a link to an active tenant
    Onboarding(Box<onboarding::Onboarding>),
    /// Register and administrate tenants
    Tenant(Box<tenant::Tenant>),
    /// List the replicas that live
    Replicas(replicas::Replicas),
    /// Bring many envelopes under the newest version of a tenant's key
    Rewrap(Box<rewrap::Rewrap>),
    /// Print a bearer token for the API
    Token(token::Token),
    /// Print completions for a shell
    Completions(completions::Completions),
}

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("keyferry: {failure}");
            failure.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    if let Command::Completions(completions) = command {
        completions.run();
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::start)?;
    runtime.block_on(async {
        match command {
            Command::Serve(serve) => serve.run().await,
            #[cfg(feature = "emulator")]
            Command::Dev(dev) => dev.run().await,
            #[cfg(feature = "emulator")]
            Command::Emulator(emulator) => emulator.run().await,
            Command::Migrate(migrate) => migrate.run().await,
            Command::Onboarding(onboarding) => onboarding.run().await,
            Command::Tenant(tenant) => tenant.run().await,
            Command::Replicas(replicas) => replicas.run().await,
            Command::Rewrap(rewrap) => rewrap.run().await,
            Command::Token(token) => token.run().await,
            Command::Completions(_) => Ok(()),
        }
    })
}

const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  failed
    2  wrong usage or configuration
    3  refused by Keyferry: the message says whose move it is
    4  unavailable: another try may help
  130  ended by Ctrl-C before it came to what was waited for";
