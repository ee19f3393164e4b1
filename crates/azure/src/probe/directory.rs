//! Whether a directory exists: Entra publishes something about each one that does, to anyone.

use std::borrow::Cow;

use keyferry_crypto::{
    id::{Cloud, DirectoryId},
    tenant::Route,
    vault::{VaultCause, VaultError},
};
use reqwest::Method;
use serde::Deserialize;

use crate::{
    credential::login_host,
    exchange::{Answer, exchange},
    failure::of_entra,
    request::Request,
    vault::AzureKeyVault,
};

impl AzureKeyVault {
    /// Whether there is such a directory in that cloud.
    pub async fn directory_exists(&self, cloud: Cloud, directory: DirectoryId) -> Result<bool, VaultError> {
        let (id, host) = (directory.to_string(), login_host(cloud));
        let request = Request::new(Method::GET, [&id, "v2.0", ".well-known", "openid-configuration"]);
        let request = &request;
        let attempt = || async move {
            let client = self.http.client_for(host, Route::Public)?;
            // Whatever keeps us from Entra says nothing of the directory.
            let answer = exchange(request.to(&client, host)?).await;
            exists(cloud, directory, &answer.map_err(|_| VaultCause::EntraUnavailable)?)
        };
        self.ask_openly(VaultCause::EntraUnavailable, attempt).await
    }
}

fn exists(cloud: Cloud, directory: DirectoryId, answer: &Answer) -> Result<bool, VaultError> {
    if answer.status != 200 {
        let refused = of_entra(answer.status, &answer.headers, &answer.body);
        let is_unknown = refused.cause() == VaultCause::DirectoryNotFound;
        return if is_unknown { Ok(false) } else { Err(refused) };
    }
    let published: Published<'_> = serde_json::from_slice(&answer.body).map_err(|_| VaultCause::EntraUnavailable)?;
    if !published.issuer.contains(&directory.to_string()) {
        return Err(VaultCause::EntraUnavailable.into());
    }
    let named = published.cloud_instance_name.as_deref().and_then(cloud_named);
    Ok(named.is_none_or(|named| named == cloud))
}

/// The cloud that a directory is in, by Entra's own names [B]: it publishes something about the directories of other clouds,
/// too.
fn cloud_named(name: &str) -> Option<Cloud> {
    match name {
        "microsoftonline.com" => Some(Cloud::Public),
        "partner.microsoftonline.cn" | "chinacloudapi.cn" => Some(Cloud::China),
        "microsoftonline.us" => Some(Cloud::UsGovernment),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Published<'a> {
    #[serde(borrow)]
    issuer: Cow<'a, str>,
    #[serde(borrow)]
    cloud_instance_name: Option<Cow<'a, str>>,
}

#[cfg(test)]
mod tests {
    use azure_core::http::headers::Headers;
    use uuid::Uuid;

    use super::*;

    const DIRECTORY: DirectoryId = DirectoryId(Uuid::from_u128(0x22));

    fn read(status: u16, body: &str) -> Result<bool, VaultCause> {
        let answer = Answer {
            status,
            headers: Headers::new(),
            body: body.to_owned().into(),
        };
        exists(Cloud::Public, DIRECTORY, &answer).map_err(|error| error.cause())
    }

    fn published(cloud: &str) -> String {
        format!(r#"{{"issuer":"https://login.microsoftonline.com/{DIRECTORY}/v2.0","cloud_instance_name":"{cloud}"}}"#)
    }

    #[test]
    fn a_directory_of_another_cloud_is_not_in_this_one_though_entra_knows_it() {
        assert_eq!(read(200, &published("microsoftonline.com")), Ok(true));
        assert_eq!(read(200, &published("microsoftonline.us")), Ok(false));
        assert_eq!(read(200, &published("partner.microsoftonline.cn")), Ok(false));
        assert_eq!(read(200, &published("a.cloud.to.come")), Ok(true));
    }

    #[test]
    fn only_entras_word_makes_a_directory_unknown() {
        let unknown = r#"{"error":"invalid_tenant","error_description":"AADSTS90002: Tenant 'x' not found.\r\n","error_codes":[90002]}"#;
        assert_eq!(read(400, unknown), Ok(false));
        assert_eq!(read(400, "{}"), Err(VaultCause::RequestRejected));
        assert_eq!(read(404, "<html>"), Err(VaultCause::RequestRejected));
        assert_eq!(read(429, ""), Err(VaultCause::EntraThrottled));
        assert_eq!(read(503, ""), Err(VaultCause::EntraUnavailable));
    }

    #[test]
    fn what_is_not_about_the_directory_says_nothing() {
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"issuer":"https://login.microsoftonline.com/common/v2.0"}"#,
        ] {
            assert_eq!(read(200, body), Err(VaultCause::EntraUnavailable), "{body}");
        }
    }
}
