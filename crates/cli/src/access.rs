//! How a command reaches a Keyferry and proves who it is: from options, the environment, or a file.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use keyferry_client::{Client, ClientCredentials, TokenSource};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::failure::Failure;

/// Where `keyferry dev` leaves an operator's access, so that commands beside it need no options.
pub(crate) const DEV_ACCESS: &str = ".keyferry/operator.json";

/// Options of every command that calls the API.
#[derive(Args, Debug)]
pub(crate) struct AccessOptions {
    /// The API's address; the access file's if left out
    #[arg(long, global = true, env = "KEYFERRY_SERVER")]
    server: Option<Url>,
    /// A bearer token; without one, the access file's credentials get one
    #[arg(long, global = true, env = "KEYFERRY_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file that says how to reach Keyferry and how to get a token (docs/command.md); `keyferry dev` writes one
    #[arg(long, global = true, env = "KEYFERRY_ACCESS")]
    access: Option<PathBuf>,
}

/// What an access file says. It holds a secret: keep it readable by its owner only.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Access {
    /// The API's address.
    pub(crate) server: Url,
    /// Entra's token endpoint for the platform's directory.
    pub(crate) token_endpoint: Url,
    /// The caller's application.
    pub(crate) client_id: String,
    /// Its secret.
    pub(crate) client_secret: String,
    /// What the token is for.
    pub(crate) scope: String,
    /// A certificate to trust beside the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Where the token endpoint's host is to be found, if not by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) connect: Option<SocketAddr>,
}

impl AccessOptions {
    /// What a command line with only this access file would give.
    #[cfg(feature = "emulator")]
    pub(crate) fn of_file(file: PathBuf) -> Self {
        Self {
            server: None,
            token: None,
            access: Some(file),
        }
    }

    /// A client of the API.
    pub(crate) fn client(self) -> Result<Client, Failure> {
        let given = self.access.clone();
        let file = given.clone().unwrap_or_else(|| DEV_ACCESS.into());
        if let (Some(server), Some(token)) = (&self.server, &self.token) {
            return Ok(Client::new(server.clone(), token.clone().into())?);
        }
        if given.is_none() && !file.exists() {
            return Err(Failure::usage(format!(
                "say where Keyferry is and who you are: --server with --token, or --access FILE. (Started beside `keyferry dev`, {DEV_ACCESS} would be read.)"
            )));
        }
        let access = Access::read(&file)?;
        let tokens = match self.token {
            Some(token) => token.into(),
            None => TokenSource::ClientCredentials(Arc::new(access.credentials()?)),
        };
        Ok(Client::new(self.server.unwrap_or(access.server), tokens)?)
    }
}

impl Access {
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let text =
            std::fs::read(file).map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
        serde_json::from_slice(&text)
            .map_err(|error| Failure::usage(format!("{} is no access file: {error}", file.display())))
    }

    pub(crate) fn credentials(&self) -> Result<ClientCredentials, Failure> {
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if let Some(file) = &self.ca_file {
            let pem = std::fs::read(file)
                .map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
            builder = builder.add_root_certificate(reqwest::Certificate::from_pem(&pem).map_err(Failure::usage)?);
        }
        if let (Some(addr), Some(host)) = (self.connect, self.token_endpoint.host_str()) {
            builder = builder.resolve(host, addr);
        }
        let http = builder.build().map_err(Failure::start)?;
        Ok(ClientCredentials::new(
            http,
            self.token_endpoint.clone(),
            self.client_id.clone(),
            self.client_secret.clone(),
            self.scope.clone(),
        ))
    }
}
