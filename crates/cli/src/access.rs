//! How a command reaches a Keyferry and proves who it is: from options, the environment, or a file.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use keyferry_client::{Client, ClientCredentials, TokenSource};
use reqwest::Certificate;
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
    /// PEM: certificates to trust beside the system's, at the API and at the token endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Where the token endpoint's host is to be found, if not by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) connect: Option<SocketAddr>,
}

impl AccessOptions {
    /// What a command line with only this access file would give.
    pub(crate) fn of_file(file: PathBuf) -> Self {
        Self {
            server: None,
            token: None,
            access: Some(file),
        }
    }

    /// A client of the API.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let access = match (&self.access, &self.server, &self.token) {
            (None, Some(server), Some(token)) => return Ok(Client::new(server.clone(), token.clone().into())?),
            (Some(file), _, _) => Access::read(file)?,
            (None, _, _) if Path::new(DEV_ACCESS).exists() => Access::read(Path::new(DEV_ACCESS))?,
            (None, _, _) => {
                return Err(Failure::usage(format!(
                    "say where Keyferry is and who you are: --server with --token, or --access FILE. (Started beside `keyferry dev`, {DEV_ACCESS} would be read.)"
                )));
            }
        };
        let http = access.http()?;
        let tokens = match &self.token {
            Some(token) => token.clone().into(),
            None => TokenSource::ClientCredentials(Arc::new(access.credentials(http.clone()))),
        };
        Ok(Client::with_http(
            http,
            self.server.clone().unwrap_or(access.server),
            tokens,
        ))
    }
}

impl Access {
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let text =
            std::fs::read(file).map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
        serde_json::from_slice(&text)
            .map_err(|error| Failure::usage(format!("{} is no access file: {error}", file.display())))
    }

    /// The HTTP client for both the API and the token endpoint.
    pub(crate) fn http(&self) -> Result<reqwest::Client, Failure> {
        let roots = self.ca_file.as_deref().map(roots).transpose()?.unwrap_or_default();
        let mut builder = keyferry_client::http_client(roots);
        if let (Some(addr), Some(host)) = (self.connect, self.token_endpoint.host_str()) {
            builder = builder.resolve(host, addr);
        }
        builder.build().map_err(Failure::start)
    }

    /// What gets tokens over `http`.
    pub(crate) fn credentials(&self, http: reqwest::Client) -> ClientCredentials {
        ClientCredentials::new(
            http,
            self.token_endpoint.clone(),
            self.client_id.clone(),
            self.client_secret.clone(),
            self.scope.clone(),
        )
    }
}

fn roots(file: &Path) -> Result<Vec<Certificate>, Failure> {
    let pem =
        std::fs::read(file).map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        Ok(_) | Err(_) => Err(Failure::usage(format!(
            "{} holds no certificates in PEM",
            file.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, time::Duration};

    use keyferry_client::Error;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_endpoint_that_never_answers_is_not_waited_for_for_ever() {
        // Connections are made, and nobody takes them.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let access = Access {
            server: "http://127.0.0.1:1".parse().unwrap(),
            token_endpoint: format!("http://{}", silent.local_addr().unwrap()).parse().unwrap(),
            client_id: String::new(),
            client_secret: String::new(),
            scope: String::new(),
            ca_file: None,
            connect: None,
        };
        let credentials = access.credentials(access.http().unwrap());
        let hours = Duration::from_hours(24);
        let waited = tokio::time::timeout(hours, credentials.token()).await;
        assert!(matches!(waited, Ok(Err(Error::NoIdentityProvider(_)))), "{waited:?}");
    }
}
