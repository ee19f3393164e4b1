//! Which directory a vault trusts: its challenge to whoever brings no token says so.

use azure_core::http::headers::WWW_AUTHENTICATE;
use keyferry_crypto::{
    id::{DirectoryId, VaultHost},
    tenant::Route,
    vault::{VaultCause, VaultError},
};
use reqwest::Method;
use uuid::Uuid;

use super::{API_VERSION, Challenge};
use crate::{
    credential::{Audience, authority},
    exchange::Answer,
    failure::{evidence, of_key_vault_openly},
    request::Request,
    vault::AzureKeyVault,
};

impl AzureKeyVault {
    /// Asks a vault without a token which directory it trusts. Where its challenge sends us is compared, and never called.
    pub async fn challenge(&self, vault: &VaultHost, route: Route) -> Result<Challenge, VaultError> {
        let request = Request::new(Method::GET, ["keys"]).query(API_VERSION);
        self.ask_stranger(vault, route, &request, |answer| read(vault, answer))
            .await
    }
}

fn read(vault: &VaultHost, answer: &Answer) -> Result<Challenge, VaultError> {
    if answer.status != 401 {
        return Err(of_key_vault_openly(answer.status, &answer.headers, &answer.body));
    }
    let evidence = evidence(answer.status, None, &answer.headers);
    let header = answer.headers.get_optional_str(&WWW_AUTHENTICATE);
    match header.and_then(|header| trusted(vault, header)) {
        Some(directory) => Ok(Challenge { directory, evidence }),
        None => Err(VaultError::new(VaultCause::AnswerInvalid, None, evidence)),
    }
}

/// The directory in `Bearer authorization="https://login.microsoftonline.com/{directory}", resource="https://vault.azure.net"`,
/// if both are of the vault's own cloud and kind. A `scope` may stand in for the resource.
fn trusted(vault: &VaultHost, header: &str) -> Option<DirectoryId> {
    let (scheme, parameters) = header.split_once(' ')?;
    let parameters: Vec<(&str, &str)> = parameters.split(',').map(parameter).collect::<Option<_>>()?;
    let one = |name: &str| {
        let mut values = parameters.iter().filter(|(named, _)| named.eq_ignore_ascii_case(name));
        let first = values.next().map(|(_, value)| *value);
        // Of two that differ, either could be the one that somebody else believes.
        if values.next().is_none() { Ok(first) } else { Err(()) }
    };
    let (authorization, resource, scope) = (one("authorization").ok()??, one("resource").ok()?, one("scope").ok()?);
    let directory = authorization
        .strip_prefix(&authority(vault.cloud()))?
        .strip_prefix('/')?;
    let directory: Uuid = directory.strip_suffix('/').unwrap_or(directory).parse().ok()?;
    let own = Audience::of(DirectoryId(directory), vault);
    let is_own = scheme.eq_ignore_ascii_case("Bearer")
        && (resource.is_some() || scope.is_some())
        && resource.is_none_or(|resource| resource == own.resource())
        && scope.is_none_or(|scope| scope == own.scope());
    is_own.then_some(own.directory)
}

/// `name="value"`
fn parameter(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.trim().split_once('=')?;
    let value = value.strip_prefix('"')?.strip_suffix('"')?;
    (!value.contains(['"', '\\'])).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use azure_core::http::headers::Headers;

    use super::*;

    const DIRECTORY: &str = "22222222-2222-4222-8222-222222222222";

    fn told(host: &str, header: &str) -> Option<String> {
        trusted(&host.parse().unwrap(), header).map(|directory| directory.to_string())
    }

    #[test]
    fn a_challenge_names_the_directory_in_every_cloud_and_of_both_kinds_of_vault() {
        for (host, login, resource) in [
            ("acme.vault.azure.net", "login.microsoftonline.com", "vault.azure.net"),
            ("acme.vault.azure.cn", "login.chinacloudapi.cn", "vault.azure.cn"),
            (
                "pool.managedhsm.azure.net",
                "login.microsoftonline.com",
                "managedhsm.azure.net",
            ),
            (
                "acme.vault.usgovcloudapi.net",
                "login.microsoftonline.us",
                "vault.usgovcloudapi.net",
            ),
        ] {
            let challenge =
                format!(r#"Bearer authorization="https://{login}/{DIRECTORY}", resource="https://{resource}""#);
            assert_eq!(told(host, &challenge).as_deref(), Some(DIRECTORY), "{host}");
            let scoped =
                format!(r#"bearer authorization="https://{login}/{DIRECTORY}/",scope="https://{resource}/.default""#);
            assert_eq!(told(host, &scoped).as_deref(), Some(DIRECTORY), "{host}");
        }
    }

    #[test]
    fn a_challenge_that_leads_anywhere_else_is_none() {
        let login = format!("https://login.microsoftonline.com/{DIRECTORY}");
        for challenge in [
            "Bearer".to_owned(),
            format!(r#"Bearer authorization="{login}""#),
            format!(r#"Basic authorization="{login}", resource="https://vault.azure.net""#),
            format!(r#"Bearer authorization={login}, resource="https://vault.azure.net""#),
            format!(r#"Bearer authorization="{login}", resource="https://vault.azure.cn""#),
            format!(r#"Bearer authorization="{login}", resource="https://vault.azure.net.evil.example""#),
            format!(r#"Bearer authorization="{login}", resource="https://managedhsm.azure.net""#),
            format!(
                r#"Bearer authorization="{login}", resource="https://vault.azure.net", scope="https://evil.example/.default""#
            ),
            format!(
                r#"Bearer authorization="{login}", authorization="https://evil.example", resource="https://vault.azure.net""#
            ),
            format!(r#"Bearer authorization="https://evil.example/{DIRECTORY}", resource="https://vault.azure.net""#),
            format!(
                r#"Bearer authorization="https://login.microsoftonline.com.evil.example/{DIRECTORY}", resource="https://vault.azure.net""#
            ),
            format!(
                r#"Bearer authorization="https://login.microsoftonline.us/{DIRECTORY}", resource="https://vault.azure.net""#
            ),
            r#"Bearer authorization="https://login.microsoftonline.com/common", resource="https://vault.azure.net""#
                .to_owned(),
        ] {
            assert_eq!(told("acme.vault.azure.net", &challenge), None, "{challenge}");
        }
    }

    #[test]
    fn what_is_no_challenge_is_what_it_is() {
        let vault = "acme.vault.azure.net".parse().unwrap();
        let cause = |status, body: &'static str| {
            let answer = Answer {
                status,
                headers: Headers::new(),
                body: body.into(),
            };
            read(&vault, &answer).unwrap_err().cause()
        };
        assert_eq!(
            cause(401, ""),
            VaultCause::AnswerInvalid,
            "a 401 that sends nobody anywhere"
        );
        assert_eq!(
            cause(200, "{}"),
            VaultCause::AnswerInvalid,
            "a vault that asks for no token"
        );
        assert_eq!(cause(429, ""), VaultCause::Throttled);
        assert_eq!(cause(503, ""), VaultCause::VaultFailed);
        let closed = r#"{"error":{"code":"Forbidden","innererror":{"code":"ForbiddenByConnection"}}}"#;
        assert_eq!(cause(403, closed), VaultCause::PublicAccessDisabled);
    }
}
