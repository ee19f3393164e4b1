//! How a request comes to a vault. The vault says so in a header, to anyone.
//! <https://learn.microsoft.com/azure/key-vault/general/private-link-diagnostics>

use std::net::IpAddr;

use azure_core::http::headers::HeaderName;
use keyferry_crypto::{
    id::VaultHost,
    tenant::Route,
    vault::{VaultCause, VaultError},
};
use reqwest::Method;

use super::NetworkInfo;
use crate::{
    exchange::Answer,
    failure::{evidence, of_key_vault_openly},
    request::Request,
    vault::AzureKeyVault,
};

impl AzureKeyVault {
    /// Asks a vault how our request came to it. Its firewall does not concern this question.
    pub async fn network(&self, vault: &VaultHost, route: Route) -> Result<NetworkInfo, VaultError> {
        let request = Request::new(Method::GET, ["healthstatus"]);
        self.ask_stranger(vault, route, &request, read).await
    }
}

fn read(answer: &Answer) -> Result<NetworkInfo, VaultError> {
    if answer.status != 200 {
        return Err(of_key_vault_openly(answer.status, &answer.headers, &answer.body));
    }
    let evidence = evidence(answer.status, None, &answer.headers);
    let told = answer.headers.get_optional_str(&HeaderName::from_static(HEADER));
    let Some(told) = told else {
        return Err(VaultError::new(VaultCause::AnswerInvalid, None, evidence));
    };
    let value = |name: &str| {
        let mut parts = told.split(';').filter_map(|part| part.trim().split_once('='));
        parts.find(|(named, _)| *named == name).map(|(_, value)| value)
    };
    let address: Option<IpAddr> = value("addr").and_then(|address| address.parse().ok());
    Ok(NetworkInfo {
        is_private_link: match value("conn_type") {
            Some(kind) => kind.eq_ignore_ascii_case("PrivateLink"),
            // Older vaults tell the address alone: a private one is taken for it.
            None => address.is_some_and(is_private),
        },
        address,
        endpoint: value("private_endpoint").filter(|id| is_plain(id)).map(str::to_owned),
        evidence,
    })
}

/// Addresses that are nobody's on the public network (RFC 1918, RFC 4193).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

/// A resource id that can be shown: what else may stand there is not known.
fn is_plain(id: &str) -> bool {
    id.len() <= 512 && id.starts_with('/') && id.bytes().all(|b| b.is_ascii_graphic())
}

const HEADER: &str = "x-ms-keyvault-network-info";

#[cfg(test)]
mod tests {
    use azure_core::http::headers::Headers;

    use super::*;

    fn told(header: &'static str) -> NetworkInfo {
        let mut headers = Headers::new();
        headers.insert(HEADER, header);
        let answer = Answer {
            status: 200,
            headers,
            body: "null".into(),
        };
        read(&answer).unwrap()
    }

    #[test]
    fn a_private_link_is_told_from_the_public_network_and_from_a_service_endpoint() {
        let public = told("conn_type=Ipv4;addr=51.141.175.151;act_addr_fam=InterNetwork;");
        assert!(!public.is_private_link);
        assert_eq!(public.address, Some([51, 141, 175, 151].into()));
        let private = told(
            "conn_type=PrivateLink;private_endpoint=/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateEndpoints/pe;addr=10.10.1.5;act_addr_fam=InterNetworkV6;",
        );
        assert!(private.is_private_link);
        assert_eq!(private.address, Some([10, 10, 1, 5].into()));
        assert!(private.endpoint.unwrap().ends_with("/privateEndpoints/pe"));
        // Within a virtual network a service endpoint keeps the private address, and is no private link.
        assert!(!told("conn_type=Ipv4;addr=10.10.1.5;act_addr_fam=InterNetwork;").is_private_link);
    }

    #[test]
    fn where_no_kind_is_told_the_address_decides() {
        assert!(told("addr=10.4.5.6;act_addr_fam=InterNetworkV6;").is_private_link);
        assert!(!told("addr=52.4.5.6;act_addr_fam=InterNetwork;").is_private_link);
        assert!(!told("act_addr_fam=InterNetwork;").is_private_link);
        assert!(!told("addr=PrivateLink").is_private_link);
    }

    #[test]
    fn a_vault_that_does_not_say_is_not_believed_to_have_said() {
        let cause = |status, body: &'static str| {
            let answer = Answer {
                status,
                headers: Headers::new(),
                body: body.into(),
            };
            read(&answer).unwrap_err().cause()
        };
        assert_eq!(cause(200, "null"), VaultCause::AnswerInvalid);
        assert_eq!(cause(302, ""), VaultCause::AnswerInvalid);
        assert_eq!(cause(500, ""), VaultCause::VaultFailed);
    }
}
