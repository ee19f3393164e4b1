//! A private endpoint's connection is decided about in the portal, and the endpoint's owner sees it.

use keyferry_emulator::Order;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{APPLICATION, DIRECTORY, HOST, LOGIN, World};

const SUBSCRIPTION: Uuid = Uuid::from_u128(0x5ab5_0000_0000_4000_8000_0000_0000_0002);
const VAULT: &str = "/subscriptions/5ab50000-0000-4000-8000-000000000001/resourceGroups/customer/providers/Microsoft.KeyVault/vaults/acme";

/// The application's own subscription, with an endpoint that asks for the vault. The customer's directory owns it as well,
/// which spares the test a second one.
async fn asked() -> World {
    let (world, oid) = World::with_vault().await;
    let resource_group = "keyferry".to_owned();
    world.order(Order::CreateSubscription {
        subscription: SUBSCRIPTION,
        directory: DIRECTORY,
    });
    let network = Order::CreateNetwork {
        subscription: SUBSCRIPTION,
        resource_group: resource_group.clone(),
        virtual_network: "vnet".into(),
        subnet: "endpoints".into(),
        location: "westeurope".into(),
    };
    let subnet = world.order(network)["subnet"].clone();
    world.order(Order::SetNetworkContributor {
        subscription: SUBSCRIPTION,
        resource_group,
        principal: oid,
        holds: true,
    });
    let connection = json!({
        "name": "byok-acme",
        "properties": {"privateLinkServiceId": VAULT, "groupIds": ["vault"], "requestMessage": "From <Keyferry>"},
    });
    let wanted = json!({
        "location": "westeurope",
        "properties": {"subnet": {"id": subnet}, "manualPrivateLinkServiceConnections": [connection]},
    });
    let put = world.azure.put(endpoint()).bearer_auth(management_token(&world).await);
    assert_eq!(put.json(&wanted).send().await.unwrap().status(), 201);
    world
}

fn endpoint() -> String {
    format!(
        "https://management.azure.com/subscriptions/{SUBSCRIPTION}/resourceGroups/keyferry/providers/Microsoft.Network/privateEndpoints/to-acme?api-version=2024-05-01"
    )
}

async fn management_token(world: &World) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &APPLICATION.to_string()),
        ("client_secret", "pretend"),
        ("scope", "https://management.azure.com/.default"),
    ];
    let url = format!("{LOGIN}/{DIRECTORY}/oauth2/v2.0/token");
    let answer = world.azure.post(url).form(&form).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    body["access_token"].as_str().unwrap().to_owned()
}

/// What the endpoint's owner sees of its connection: its status and the description.
async fn seen(world: &World) -> (String, String) {
    let get = world.azure.get(endpoint()).bearer_auth(management_token(world).await);
    let body: Value = get.send().await.unwrap().json().await.unwrap();
    let state = &body["properties"]["manualPrivateLinkServiceConnections"][0]["properties"]["privateLinkServiceConnectionState"];
    let text = |name: &str| state[name].as_str().unwrap().to_owned();
    (text("status"), text("description"))
}

fn status(status: &str, description: &str) -> (String, String) {
    (status.to_owned(), description.to_owned())
}

/// The name that the vault gave the connection, off the page.
async fn connection(world: &World) -> String {
    let page = world.browser.load(&format!("/vaults/{HOST}")).await;
    let (_, rest) = page.text.split_once("id=\"connection-state-").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

#[tokio::test]
async fn a_connection_is_shown_with_who_asks_and_approved() {
    let world = asked().await;
    let (vault, name) = (format!("/vaults/{HOST}"), connection(&world).await);
    let waiting = world.browser.load(&format!("/directories/{DIRECTORY}")).await;
    assert!(waiting.has("1 private endpoint connection to decide about"));
    let page = world.browser.load(&vault).await;
    assert_eq!(page.element(&format!("connection-state-{name}")), "Pending");
    assert!(page.has("privateEndpoints/to-acme") && page.has("Keyferry") && !page.has("<Keyferry>"));
    assert_eq!(seen(&world).await.0, "Pending");
    let said = world.browser.does(&vault, &format!("approve-{name}"), &[]).await;
    assert_eq!(said, "The private endpoint connection was approved.");
    let page = world.browser.load(&vault).await;
    assert_eq!(page.element(&format!("connection-state-{name}")), "Approved");
    assert!(!page.has(&format!("id=\"approve-{name}\"")));
    assert_eq!(seen(&world).await, status("Approved", "Approved"));
}

#[tokio::test]
async fn a_connection_is_rejected_and_what_was_rejected_is_not_offered_for_approval() {
    let world = asked().await;
    let (vault, name) = (format!("/vaults/{HOST}"), connection(&world).await);
    let before = world.browser.load(&vault).await;
    world.browser.does(&vault, &format!("reject-{name}"), &[]).await;
    assert_eq!(seen(&world).await, status("Rejected", "Rejected"));
    assert!(!world.browser.load(&vault).await.has(&format!("id=\"approve-{name}\"")));
    let late = world.browser.press(&before, &format!("approve-{name}"), &[]).await;
    let page = world.browser.load(&crate::browser::location(&late)).await;
    assert!(
        page.element("notice")
            .starts_with("It was not done: what was rejected does not come back")
    );
    assert_eq!(seen(&world).await.0, "Rejected");
}

#[tokio::test]
async fn a_connection_is_removed() {
    let world = asked().await;
    let (vault, name) = (format!("/vaults/{HOST}"), connection(&world).await);
    world.browser.does(&vault, &format!("remove-{name}"), &[]).await;
    assert!(!world.browser.load(&vault).await.has(&name));
    assert_eq!(seen(&world).await.0, "Disconnected");
}
