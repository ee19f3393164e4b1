//! What an application asks for, and where the answer is to go.

use std::collections::HashMap;

use url::Url;
use uuid::Uuid;

use super::super::error::TokenError;
use crate::world::World;

/// The two forms of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// `/{tenant}/adminconsent`: for whatever the application is registered for.
    One,
    /// `/{tenant}/v2.0/adminconsent`: for the scope that is named.
    Two,
}

/// A request for consent, of an application that is known and wants the answer where it may be sent.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) version: Version,
    /// The directory that was named, if one was: else the administrator is to choose.
    pub(super) directory: Option<Uuid>,
    pub(super) client_id: Uuid,
    /// What the application is called.
    pub(super) application: String,
    pub(super) redirect: Url,
    pub(super) scope: String,
    /// What the application wants to see again, if anything.
    pub(super) state: Option<String>,
}

impl Asked {
    /// Reads path and query. What is wrong is told on a page: nobody is sent to an address that is not registered.
    pub(super) fn read(world: &World, tenant: &str, version: Version, query: &str) -> Result<Self, TokenError> {
        let directory = directory(world, tenant)?;
        let mut given: HashMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let mut required = |name: &str| {
            let value = given.remove(name).filter(|value| !value.is_empty());
            value.ok_or_else(|| TokenError::missing_parameter(name))
        };
        let client_id = required("client_id")?;
        let unknown = || TokenError::unknown_application(&client_id, &tenant);
        let id: Uuid = client_id.parse().map_err(|_| unknown())?;
        let application = world.applications.get(&id).ok_or_else(unknown)?;
        let redirect = required("redirect_uri")?;
        let scope = match version {
            Version::One => String::new(),
            Version::Two => required("scope")?,
        };
        // Letter for letter: what only looks alike, once it is parsed, was not registered.
        let registered = application.redirect_uris.contains(&redirect);
        let parsed = Url::parse(&redirect).ok().filter(|_| registered);
        Ok(Self {
            version,
            directory,
            client_id: id,
            application: application.display_name.clone().unwrap_or(client_id),
            redirect: parsed.ok_or_else(|| TokenError::unregistered_redirect(&redirect, id))?,
            scope,
            state: given.remove("state"),
        })
    }

    /// Where the administrator is sent in the end, as a policy of a page can name it.
    pub(super) fn origin(&self) -> String {
        match self.redirect.origin() {
            url::Origin::Opaque(_) => format!("{}:", self.redirect.scheme()),
            origin @ url::Origin::Tuple(..) => origin.ascii_serialization(),
        }
    }
}

fn directory(world: &World, tenant: &str) -> Result<Option<Uuid>, TokenError> {
    if matches!(tenant, "organizations" | "common") {
        return Ok(None);
    }
    let id = tenant.parse().ok().filter(|id| world.directories.contains_key(id));
    id.map(Some).ok_or_else(|| TokenError::tenant_not_found(tenant))
}
