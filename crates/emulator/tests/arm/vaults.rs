//! Vaults as resources, and their connections as their owner sees them.

use keyferry_emulator::{Network, Order, Role};
use reqwest::Method;
use serde_json::json;

use crate::azure::{Answer, Azure, HOST, MANAGER, VAULT_VERSION, vault_id};

fn url(rest: &str) -> String {
    format!(
        "https://{MANAGER}{}{rest}?api-version={VAULT_VERSION}",
        vault_id("acme")
    )
}

async fn read(azure: &Azure) -> Answer {
    azure.ask(azure.customer, Method::GET, &url(""), None).await
}

#[tokio::test]
async fn a_vault_tells_how_it_is_protected_to_whoever_may_read_it() {
    let azure = Azure::start().await;
    let refused = read(&azure).await;
    assert_eq!(refused.refusal(), (403, "AuthorizationFailed"));
    assert!(
        refused.body["error"]["message"]
            .as_str()
            .unwrap()
            .contains("'Microsoft.KeyVault/vaults/read'")
    );
    azure.assign(Role::AzureReader);
    let vault = read(&azure).await.body;
    assert_eq!(vault["id"], vault_id("acme"));
    let properties = &vault["properties"];
    assert_eq!(properties["tenantId"], azure.customer.directory.to_string());
    assert_eq!(properties["vaultUri"], format!("https://{HOST}/"));
    assert_eq!(properties["enableRbacAuthorization"], true);
    assert_eq!(properties["publicNetworkAccess"], "Enabled");
    assert_eq!(properties["networkAcls"]["defaultAction"], "Allow");
    for absent in ["enablePurgeProtection", "privateEndpointConnections"] {
        assert_eq!(properties.get(absent), None);
    }

    azure.order(Order::SetNetwork {
        host: HOST.into(),
        network: Network::Closed,
    });
    assert_eq!(read(&azure).await.body["properties"]["publicNetworkAccess"], "Disabled");
    azure.order(Order::SetAccessPolicies {
        host: HOST.into(),
        access_policies: Some([(azure.customer.oid, ["get".to_owned(), "secrets/list".to_owned()].into())].into()),
    });
    let properties = &read(&azure).await.body["properties"];
    assert_eq!(properties["enableRbacAuthorization"], false);
    assert_eq!(
        properties["accessPolicies"][0]["permissions"],
        json!({"keys": ["get"], "secrets": ["list"], "certificates": []})
    );
}

#[tokio::test]
async fn key_vault_reader_reads_the_vault_itself_if_the_world_says_so() {
    let azure = Azure::start().await;
    azure.assign(Role::Reader);
    for (reads, status) in [(false, 403), (true, 200)] {
        azure.order(Order::SetReaderReadsVaults { reads });
        assert_eq!(read(&azure).await.status, status);
    }
}

#[tokio::test]
async fn a_vault_is_read_with_its_own_directorys_token_and_not_when_it_is_deleted() {
    let azure = Azure::start().await;
    azure.assign(Role::AzureReader);
    let foreign = azure.ask(azure.ours, Method::GET, &url(""), None).await;
    assert_eq!(foreign.refusal(), (401, "InvalidAuthenticationTokenTenant"));
    let message = foreign.body["error"]["message"].as_str().unwrap();
    let (found, expected) = (azure.ours.directory, azure.customer.directory);
    let begins = format!(
        "The access token is from the wrong issuer 'https://sts.windows.net/{found}/'. It must match the tenant 'https://sts.windows.net/{expected}/' associated with this subscription."
    );
    assert!(message.starts_with(&begins), "{message}");
    azure.order(Order::SetVaultDeleted {
        host: HOST.into(),
        deleted: true,
    });
    assert_eq!(read(&azure).await.refusal(), (404, "ResourceNotFound"));
}

#[tokio::test]
async fn the_vaults_owner_decides_through_the_resource_manager_too() {
    let azure = Azure::start().await;
    azure.endpoint("pe-acme").await;
    azure.assign(Role::AzureReader);
    let listed = read(&azure).await.body;
    let connection = &listed["properties"]["privateEndpointConnections"][0];
    let endpoint = connection["properties"]["privateEndpoint"]["id"].as_str().unwrap();
    assert!(endpoint.ends_with("/privateEndpoints/pe-acme"), "{endpoint}");
    let url = url(&format!(
        "/privateEndpointConnections/{}",
        connection["name"].as_str().unwrap()
    ));
    let decide = async |status: &str| {
        let state = json!({"status": status, "description": "by the owner"});
        let body = json!({"properties": {"privateLinkServiceConnectionState": state}});
        azure.ask(azure.customer, Method::PUT, &url, Some(&body)).await
    };
    assert_eq!(decide("Approved").await.refusal(), (403, "AuthorizationFailed"));
    azure.assign(Role::VaultContributor);
    let ours = azure.get("pe-acme").await.body;
    let pending = &ours["properties"]["manualPrivateLinkServiceConnections"][0]["properties"];
    assert_eq!(pending["privateLinkServiceConnectionState"]["status"], "Pending");

    for status in ["Approved", "Rejected"] {
        let decided = decide(status).await.body;
        let state = &decided["properties"]["privateLinkServiceConnectionState"];
        assert_eq!(
            (&state["status"], &state["description"]),
            (&json!(status), &json!("by the owner"))
        );
    }
    assert_eq!(decide("Approved").await.refusal(), (400, "BadRequest"));
    let removed = azure.ask(azure.customer, Method::DELETE, &url, None).await;
    assert_eq!(removed.status, 200);
    assert_eq!(
        azure.ask(azure.customer, Method::GET, &url, None).await.refusal(),
        (404, "ResourceNotFound")
    );
    assert_eq!(azure.ask(azure.customer, Method::DELETE, &url, None).await.status, 204);
    let ours = azure.get("pe-acme").await.body;
    let left = &ours["properties"]["manualPrivateLinkServiceConnections"][0]["properties"];
    assert_eq!(left["privateLinkServiceConnectionState"]["status"], "Disconnected");
}
