//! A private endpoint as it is written: what we ask for, and what the resource manager says of one.

use std::net::IpAddr;

use keyferry_crypto::id::{Cloud, VaultKind, VaultResource};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Connection, EndpointStatus, Provisioning};
use crate::{
    config::{PrivateEndpointsConfig, is_resource_name},
    exchange::Answer,
    failure::evidence,
};

/// The most that a vault's owner is shown.
const MAX_MESSAGE: usize = 140;

/// The most that is taken of what a vault's owner wrote.
const MAX_DESCRIPTION: usize = 200;

/// Whether an endpoint may have this name: 2 to 64 characters.
pub(super) fn is_named(name: &str) -> bool {
    name.len() >= 2 && is_resource_name(name, 64)
}

/// What is asked for: a connection that waits for the approval of whoever owns the vault. It has the endpoint's name.
pub(super) fn wanted(own: &PrivateEndpointsConfig, name: &str, target: &VaultResource, message: &str) -> Value {
    let message: String = message.chars().take(MAX_MESSAGE).collect();
    json!({
        "location": own.location.to_string(),
        "properties": {
            "subnet": { "id": own.subnet.to_string() },
            "manualPrivateLinkServiceConnections": [{
                "name": name,
                "properties": {
                    "privateLinkServiceId": target.to_string(),
                    "groupIds": [group(target.kind)],
                    "requestMessage": message,
                },
            }],
        },
    })
}

/// What the resource manager calls that which an endpoint leads to.
fn group(kind: VaultKind) -> &'static str {
    match kind {
        VaultKind::KeyVault => "vault",
        VaultKind::ManagedHsm => "managedhsm",
    }
}

/// Reads what is said of the endpoint that was asked about; `None` if it is about anything else, or makes no sense.
pub(super) fn read(id: &str, name: &str, cloud: Cloud, answer: &Answer) -> Option<EndpointStatus> {
    let told: Told = serde_json::from_slice(&answer.body).ok()?;
    let is_asked = told.name.eq_ignore_ascii_case(name) && told.id.eq_ignore_ascii_case(id);
    let Ok([connection]) = <[Link; 1]>::try_from(told.properties.connections) else {
        return None;
    };
    if !is_asked || !connection.name.eq_ignore_ascii_case(name) {
        return None;
    }
    let target: VaultResource = connection.properties.target.parse().ok()?;
    // Before an endpoint is made, nothing is said of its connection.
    let state = connection.properties.state.unwrap_or_default();
    Some(EndpointStatus {
        provisioning: provisioning(&told.properties.provisioning)?,
        connection: state.status.as_deref().map_or(Some(Connection::Pending), decided)?,
        description: state.description.as_deref().and_then(plain),
        address: address(&target, cloud, &told.properties.names),
        target,
        evidence: evidence(answer.status, None, &answer.headers),
    })
}

/// Whether two ids are of one vault. The resource manager ignores case in names.
pub(super) fn is_same(one: &VaultResource, other: &VaultResource) -> bool {
    one.to_string().eq_ignore_ascii_case(&other.to_string())
}

fn provisioning(text: &str) -> Option<Provisioning> {
    match text {
        "Updating" | "Creating" => Some(Provisioning::Updating),
        "Succeeded" => Some(Provisioning::Succeeded),
        "Failed" | "Canceled" => Some(Provisioning::Failed),
        "Deleting" => Some(Provisioning::Deleting),
        _ => None,
    }
}

fn decided(text: &str) -> Option<Connection> {
    match text {
        "Pending" => Some(Connection::Pending),
        "Approved" => Some(Connection::Approved),
        "Rejected" => Some(Connection::Rejected),
        // The network's own reference says removed of what the vault's calls disconnected.
        "Disconnected" | "Removed" => Some(Connection::Disconnected),
        _ => None,
    }
}

/// What somebody wrote, as it can be shown: without control characters, and not without end.
fn plain(text: &str) -> Option<String> {
    let plain: String = text.chars().filter(|c| !c.is_control()).take(MAX_DESCRIPTION).collect();
    let plain = plain.trim();
    (!plain.is_empty()).then(|| plain.to_owned())
}

/// The address of the vault's own name. It is told for that name alone, though an endpoint can have several.
fn address(target: &VaultResource, cloud: Cloud, names: &[Named]) -> Option<IpAddr> {
    let suffix = match target.kind {
        VaultKind::KeyVault => cloud.vault_suffix(),
        VaultKind::ManagedHsm => cloud.managed_hsm_suffix(),
    };
    let host = format!("{}.{suffix}", target.name);
    let named = names.iter().find(|named| named.fqdn.eq_ignore_ascii_case(&host))?;
    named.addresses.first().copied()
}

#[derive(Deserialize)]
struct Told {
    id: String,
    name: String,
    properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    #[serde(rename = "provisioningState")]
    provisioning: String,
    #[serde(default, rename = "manualPrivateLinkServiceConnections")]
    connections: Vec<Link>,
    #[serde(default, rename = "customDnsConfigs")]
    names: Vec<Named>,
}

#[derive(Deserialize)]
struct Link {
    name: String,
    properties: LinkProperties,
}

#[derive(Deserialize)]
struct LinkProperties {
    #[serde(rename = "privateLinkServiceId")]
    target: String,
    #[serde(default, rename = "privateLinkServiceConnectionState")]
    state: Option<State>,
}

#[derive(Default, Deserialize)]
struct State {
    status: Option<String>,
    description: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    fqdn: String,
    #[serde(default, rename = "ipAddresses")]
    addresses: Vec<IpAddr>,
}

#[cfg(test)]
mod tests {
    use azure_core::http::headers::Headers;

    use super::*;

    const ID: &str = "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/endpoints/providers/Microsoft.Network/privateEndpoints/kf-1";
    const VAULT: &str = "/subscriptions/5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11/resourceGroups/Keys/providers/Microsoft.KeyVault/vaults/acme";

    fn told() -> Value {
        json!({
            "name": "kf-1", "id": ID, "type": "Microsoft.Network/privateEndpoints", "location": "westeurope", "etag": "W/x",
            "properties": {
                "provisioningState": "Succeeded",
                "privateLinkServiceConnections": [],
                "manualPrivateLinkServiceConnections": [{
                    "name": "kf-1", "id": "x",
                    "properties": {
                        "provisioningState": "Succeeded", "privateLinkServiceId": VAULT, "groupIds": ["vault"],
                        "requestMessage": "m",
                        "privateLinkServiceConnectionState": {
                            "status": "Approved", "description": " Wel\u{7}come\n", "actionsRequired": "None"
                        },
                    },
                }],
                "networkInterfaces": [{"id": "x"}],
                "customDnsConfigs": [
                    {"fqdn": "other.vault.azure.net", "ipAddresses": ["10.1.0.4"]},
                    {"fqdn": "Acme.vault.azure.net", "ipAddresses": ["10.1.0.5"]},
                ],
            },
        })
    }

    fn read_all(told: &Value) -> Option<EndpointStatus> {
        let answer = Answer {
            status: 200,
            headers: Headers::new(),
            body: told.to_string().into(),
        };
        read(ID, "kf-1", Cloud::Public, &answer)
    }

    fn with(pointer: &str, value: Value) -> Option<EndpointStatus> {
        let mut told = told();
        *told.pointer_mut(pointer).unwrap() = value;
        read_all(&told)
    }

    const LINK: &str = "/properties/manualPrivateLinkServiceConnections/0";

    #[test]
    fn an_endpoint_is_read() {
        let status = read_all(&told()).unwrap();
        assert_eq!(status.provisioning, Provisioning::Succeeded);
        assert_eq!(status.connection, Connection::Approved);
        assert_eq!(status.description.as_deref(), Some("Welcome"));
        assert_eq!(status.address, Some([10, 1, 0, 5].into()));
        assert_eq!(status.target.to_string(), VAULT);
    }

    #[test]
    fn what_has_been_made_and_what_has_been_decided_are_two_things() {
        let state = format!("{LINK}/properties/privateLinkServiceConnectionState/status");
        for (text, means) in [
            ("Pending", Connection::Pending),
            ("Rejected", Connection::Rejected),
            ("Disconnected", Connection::Disconnected),
            ("Removed", Connection::Disconnected),
        ] {
            let status = with(&state, text.into()).unwrap();
            assert_eq!(
                (status.provisioning, status.connection),
                (Provisioning::Succeeded, means)
            );
        }
        for (text, means) in [
            ("Updating", Provisioning::Updating),
            ("Deleting", Provisioning::Deleting),
            ("Failed", Provisioning::Failed),
        ] {
            let status = with("/properties/provisioningState", text.into()).unwrap();
            assert_eq!((status.provisioning, status.connection), (means, Connection::Approved));
        }
        let unmade = with(
            &format!("{LINK}/properties/privateLinkServiceConnectionState"),
            Value::Null,
        );
        assert_eq!(unmade.unwrap().connection, Connection::Pending);
    }

    #[test]
    fn an_address_counts_for_the_vaults_own_name_in_its_own_cloud_only() {
        let named = "/properties/customDnsConfigs/1/fqdn";
        for name in [
            "acme.vault.azure.cn",
            "acme.managedhsm.azure.net",
            "acme.vault.azure.net.evil.example",
        ] {
            assert_eq!(with(named, name.into()).unwrap().address, None, "{name}");
        }
        assert_eq!(with("/properties/customDnsConfigs", json!([])).unwrap().address, None);
    }

    #[test]
    fn what_is_about_anything_else_or_makes_no_sense_is_not_believed() {
        let link = told().pointer(LINK).unwrap().clone();
        for (pointer, value) in [
            ("/name".to_owned(), json!("kf-2")),
            ("/id".to_owned(), json!(ID.replace("kf-1", "kf-2"))),
            ("/properties/provisioningState".to_owned(), json!("Moved")),
            (format!("{LINK}/name"), json!("kf-2")),
            (
                format!("{LINK}/properties/privateLinkServiceId"),
                json!("/subscriptions/x"),
            ),
            (
                format!("{LINK}/properties/privateLinkServiceConnectionState/status"),
                json!("Maybe"),
            ),
            ("/properties/manualPrivateLinkServiceConnections".to_owned(), json!([])),
            (
                "/properties/manualPrivateLinkServiceConnections".to_owned(),
                json!([link, link]),
            ),
            (
                "/properties/customDnsConfigs/0/ipAddresses".to_owned(),
                json!(["evil.example"]),
            ),
        ] {
            assert_eq!(with(&pointer, value.clone()), None, "{pointer} {value}");
        }
    }

    #[test]
    fn a_vaults_owner_is_shown_what_fits() {
        let own: PrivateEndpointsConfig = toml::from_str(
            r#"
            directory = "11111111-1111-4111-8111-111111111111"
            subscription = "11111111-1111-4111-8111-111111111111"
            resource_group = "endpoints"
            location = "westeurope"
            subnet = "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/hub/subnets/pe"
            "#,
        )
        .unwrap();
        let target = VAULT.parse().unwrap();
        let asked = wanted(&own, "kf-1", &target, &"é".repeat(150));
        let link = asked.pointer(LINK).unwrap();
        assert_eq!(link["properties"]["requestMessage"], "é".repeat(140));
        assert_eq!(link["properties"]["groupIds"], json!(["vault"]));
        assert_eq!(link["properties"]["privateLinkServiceId"], VAULT);
        assert_eq!(asked["location"], "westeurope");
        let hsm = VAULT.replace("/vaults/", "/managedHSMs/").parse().unwrap();
        assert_eq!(
            wanted(&own, "kf-1", &hsm, "").pointer(LINK).unwrap()["properties"]["groupIds"],
            json!(["managedhsm"])
        );
    }

    #[test]
    fn a_name_is_one_segment() {
        for name in ["", "k", "-k", "k-", "a/b", "..", "a%2Fb", "größe", &"k".repeat(65)] {
            assert!(!is_named(name), "{name}");
        }
        assert!(is_named("keyferry-0192f3a1-2"));
    }
}
