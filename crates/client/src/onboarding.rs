//! The admin plane: onboardings, customers on their way to being tenants.
//!
//! What the service calls a stage, a status, a step or a check is text here: a service that is newer than its client may
//! have more of them, and whoever reads can be shown them as they are.

mod document;
mod history;
mod request;

use reqwest::{Method, RequestBuilder, header};

pub use self::{
    document::{Answers, Check, Evidence, Link, Onboarding, OnboardingPage, Opened, PrivateEndpoint, Step},
    history::{Event, History},
    request::{NewOnboarding, OnboardingChange, Typed},
};
use crate::{
    error::Error,
    transport::{Client, json, send, text},
};

/// Opening and following onboardings.
#[derive(Clone, Debug)]
pub struct Onboardings {
    client: Client,
}

impl Onboardings {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Opens an onboarding, and answers the link for the customer's administrator. With an idempotency key the same request
    /// may be sent again without harm.
    pub async fn open(&self, new: &NewOnboarding, idempotency_key: Option<&str>) -> Result<Opened, Error> {
        let mut request = self.request(Method::POST, &[]).await?.json(new);
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        json(send(request).await?).await
    }

    /// An onboarding.
    pub async fn get(&self, slug: &str) -> Result<Onboarding, Error> {
        json(send(self.request(Method::GET, &[slug]).await?).await?).await
    }

    /// A page of those that are not closed.
    pub async fn list(&self, cursor: Option<&str>, limit: u32) -> Result<OnboardingPage, Error> {
        let mut request = self.request(Method::GET, &[]).await?.query(&[("limit", limit)]);
        if let Some(cursor) = cursor {
            request = request.query(&[("cursor", cursor)]);
        }
        json(send(request).await?).await
    }

    /// Changes an onboarding, if it is still at the revision it was read at. Its checks are due at once.
    pub async fn change(&self, read: &Onboarding, change: &OnboardingChange) -> Result<Onboarding, Error> {
        let request = self.at(Method::PATCH, read).await?.json(change);
        json(send(request).await?).await
    }

    /// Ends an onboarding, if it is still at the revision it was read at: what was made for it in Azure is removed.
    pub async fn close(&self, read: &Onboarding) -> Result<Onboarding, Error> {
        json(send(self.at(Method::DELETE, read).await?).await?).await
    }

    /// Makes a new link; those before it are void.
    pub async fn new_link(&self, slug: &str) -> Result<Opened, Error> {
        json(send(self.request(Method::POST, &[slug, "link"]).await?).await?).await
    }

    /// Makes every link void.
    pub async fn revoke_link(&self, slug: &str) -> Result<Onboarding, Error> {
        json(send(self.request(Method::DELETE, &[slug, "link"]).await?).await?).await
    }

    /// Makes all checks now, and answers what they found.
    pub async fn verify(&self, slug: &str) -> Result<Onboarding, Error> {
        json(send(self.request(Method::POST, &[slug, "verify"]).await?).await?).await
    }

    /// Lets a rejected, disconnected or failed private endpoint be made anew.
    pub async fn retry_endpoint(&self, slug: &str) -> Result<Onboarding, Error> {
        let request = self.request(Method::POST, &[slug, "private-endpoint"]).await?;
        json(send(request).await?).await
    }

    /// What happened, newest first: a page of events with numbers below `before`.
    pub async fn history(&self, slug: &str, before: Option<i64>, limit: u32) -> Result<History, Error> {
        let mut request = self.request(Method::GET, &[slug, "history"]).await?;
        request = request.query(&[("limit", limit)]);
        if let Some(before) = before {
            request = request.query(&[("before", before)]);
        }
        json(send(request).await?).await
    }

    /// The customer's instructions with its own values, in one of their forms: `consent`, `az`, `bicep`, `terraform`.
    pub async fn instructions(&self, slug: &str, form: &str) -> Result<String, Error> {
        let request = self.request(Method::GET, &[slug, "instructions", form]).await?;
        text(send(request).await?).await
    }

    async fn at(&self, method: Method, read: &Onboarding) -> Result<RequestBuilder, Error> {
        let request = self.request(method, &[&read.slug]).await?;
        Ok(request.header(header::IF_MATCH, format!("\"{}\"", read.revision)))
    }

    async fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, Error> {
        self.client
            .request(method, &[&["v1", "admin", "onboardings"], path].concat())
            .await
    }
}
