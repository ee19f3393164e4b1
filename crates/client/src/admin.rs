//! The admin plane: tenants, and how their keys are.

use reqwest::{Method, RequestBuilder, header};
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    key::{Acknowledgements, KeyEventPage, KeyHealth, Replica, Replicas},
    transport::{Client, json, send},
};

/// Registering and administrating tenants.
#[derive(Clone, Debug)]
pub struct Admin {
    client: Client,
}

/// What registers a tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// Its name in URLs.
    pub slug: String,
    /// Its name for people.
    pub display_name: String,
    /// The customer's Entra directory (tenant ID).
    pub directory_id: String,
    /// The cloud: `public`, `china`, `us-government`.
    #[serde(default = "public")]
    pub cloud: String,
    /// The vault: `acme.vault.azure.net` or its URI.
    pub vault: String,
    /// The key's name in it.
    pub key_name: String,
    /// The version that wraps, or `latest`, which it is if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_version: Option<String>,
    /// How long keys may be kept and used; the service's defaults if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// How long keys may be kept and used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// How long an unwrapped data key may be kept for opening; 0 keeps none.
    pub cache_ttl_seconds: u64,
    /// The longest a replica seals with one data key.
    pub lease_max_age_seconds: u64,
    /// The most messages it seals with one.
    pub lease_max_messages: u64,
    /// How much longer a cached key may open while the vault is unavailable.
    pub outage_grace_seconds: u64,
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// Its name in URLs.
    pub slug: String,
    /// Its name for people.
    pub display_name: String,
    /// The customer's Entra directory.
    pub directory_id: String,
    /// The cloud.
    pub cloud: String,
    /// The vault's host.
    pub vault: String,
    /// The key's name.
    pub key_name: String,
    /// The version that wraps, or `latest`.
    pub key_version: String,
    /// Keys that were current before; they still open what they wrapped.
    pub former_keys: Vec<FormerKey>,
    /// How long keys may be kept and used.
    pub policy: Policy,
    /// `active`, `suspended` or `deleting`.
    pub status: String,
    /// When the safety window of its deletion ends.
    #[serde(default)]
    pub purge_at: Option<String>,
    /// Which change of it this is.
    pub revision: i64,
    /// When it was registered.
    pub created_at: String,
    /// When it was last changed.
    pub updated_at: String,
}

/// A key that was current before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerKey {
    /// The vault's host.
    pub vault: String,
    /// The key's name.
    pub key_name: String,
}

/// What changes of a tenant; what is absent stays.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TenantChange {
    /// Its name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The customer's Entra directory (tenant ID).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory_id: Option<String>,
    /// The vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// The key's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// The version that wraps, or `latest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_version: Option<String>,
    /// The former keys that are to be kept. What a dropped one wrapped opens no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub former_keys: Option<Vec<FormerKey>>,
    /// How long keys may be kept and used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// A page of tenants.
#[derive(Clone, Debug, Deserialize)]
pub struct TenantPage {
    /// The tenants, ordered by slug.
    pub tenants: Vec<Tenant>,
    /// Where the next page begins, if there is one.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

impl Admin {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Registers a tenant. With an idempotency key the same request may be sent again without harm.
    pub async fn create(&self, tenant: &NewTenant, idempotency_key: Option<&str>) -> Result<Tenant, Error> {
        let mut request = self.request(Method::POST, &[]).await?.json(tenant);
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        json(send(request).await?).await
    }

    /// A tenant.
    pub async fn get(&self, slug: &str) -> Result<Tenant, Error> {
        json(send(self.request(Method::GET, &[slug]).await?).await?).await
    }

    /// A page of tenants.
    pub async fn list(&self, cursor: Option<&str>, limit: u32) -> Result<TenantPage, Error> {
        let mut request = self.request(Method::GET, &[]).await?.query(&[("limit", limit)]);
        if let Some(cursor) = cursor {
            request = request.query(&[("cursor", cursor)]);
        }
        json(send(request).await?).await
    }

    /// Changes a tenant, if it is still at the revision it was read at.
    pub async fn update(&self, read: &Tenant, change: &TenantChange) -> Result<Tenant, Error> {
        let request = self.at(Method::PATCH, &[&read.slug], read).await?.json(change);
        json(send(request).await?).await
    }

    /// Stops a tenant's use.
    pub async fn suspend(&self, read: &Tenant) -> Result<Tenant, Error> {
        json(send(self.at(Method::POST, &[&read.slug, "suspend"], read).await?).await?).await
    }

    /// Takes a tenant into use again, also out of deletion.
    pub async fn resume(&self, read: &Tenant) -> Result<Tenant, Error> {
        json(send(self.at(Method::POST, &[&read.slug, "resume"], read).await?).await?).await
    }

    /// Deletes a tenant, once its safety window is over.
    pub async fn delete(&self, read: &Tenant) -> Result<Tenant, Error> {
        json(send(self.at(Method::DELETE, &[&read.slug], read).await?).await?).await
    }

    /// How a tenant's key is.
    pub async fn key(&self, slug: &str) -> Result<KeyHealth, Error> {
        json(send(self.request(Method::GET, &[slug, "key"]).await?).await?).await
    }

    /// Has a tenant's key looked at at once. Answers how it was before: what is found comes with the next [`key`](Self::key).
    pub async fn look(&self, slug: &str) -> Result<KeyHealth, Error> {
        json(send(self.request(Method::POST, &[slug, "key", "look"]).await?).await?).await
    }

    /// A page of what happened to a tenant's key, newest first.
    pub async fn key_events(&self, slug: &str, cursor: Option<&str>, limit: u32) -> Result<KeyEventPage, Error> {
        let request = self.request(Method::GET, &[slug, "key", "events"]).await?;
        let mut request = request.query(&[("limit", limit)]);
        if let Some(cursor) = cursor {
            request = request.query(&[("cursor", cursor)]);
        }
        json(send(request).await?).await
    }

    /// Which replicas have obeyed the withdrawal with this revision, and which that live have not.
    pub async fn acknowledgements(&self, slug: &str, revision: i64) -> Result<Acknowledgements, Error> {
        let revision = revision.to_string();
        let path = [slug, "key", "events", &revision, "acknowledgements"];
        json(send(self.request(Method::GET, &path).await?).await?).await
    }

    /// The replicas that live.
    pub async fn replicas(&self) -> Result<Vec<Replica>, Error> {
        let request = self.client.request(Method::GET, &["v1", "admin", "replicas"]).await?;
        let Replicas { replicas } = json(send(request).await?).await?;
        Ok(replicas)
    }

    async fn at(&self, method: Method, path: &[&str], read: &Tenant) -> Result<RequestBuilder, Error> {
        Ok(self
            .request(method, path)
            .await?
            .header(header::IF_MATCH, format!("\"{}\"", read.revision)))
    }

    async fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, Error> {
        self.client
            .request(method, &[&["v1", "admin", "tenants"], path].concat())
            .await
    }
}

fn public() -> String {
    "public".to_owned()
}
