//! The private network: who gets through, where to, and until when.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use keyferry_emulator::{Decision, Emulator, EmulatorConfig, Network, Order, Role, VaultOptions};
use reqwest::{Client, Method};

use crate::azure::{Answer, Azure, HOST, answer};

const INFO: &str = "x-ms-keyvault-network-info";

async fn health(client: &Client, host: &str) -> reqwest::Result<Answer> {
    let sent = client.get(format!("https://{host}/healthstatus")).send().await?;
    Ok(answer(sent).await)
}

/// Whether a new connection gets through.
async fn gets_through(azure: &Azure, address: Ipv4Addr) -> bool {
    health(&azure.client(HOST, azure.at(address)), HOST).await.is_ok()
}

fn close(azure: &Azure) {
    azure.order(Order::SetNetwork {
        host: HOST.into(),
        network: Network::Closed,
    });
}

#[tokio::test]
async fn an_approved_endpoint_leads_into_a_closed_vault_and_the_public_way_does_not() {
    let azure = Azure::start().await;
    azure.assign(Role::Reader);
    let address = azure.endpoint("pe-acme").await;
    azure.decide("pe-acme", Decision::Approve);
    close(&azure);
    let token = azure.token(azure.customer, "https://vault.azure.net").await;
    let list = async |at: SocketAddr| {
        let url = format!("https://{HOST}/keys?api-version=7.6");
        let request = azure.client(HOST, at).get(url).bearer_auth(&token);
        answer(request.send().await.unwrap()).await
    };

    let private = list(azure.at(address)).await;
    assert_eq!(private.status, 200);
    assert!(
        private.header(INFO).starts_with("conn_type=PrivateLink;addr=127."),
        "{private:?}"
    );
    let public = list(azure.emulator.https_addr()).await;
    assert_eq!(public.status, 403);
    assert_eq!(public.body["error"]["innererror"]["code"], "ForbiddenByConnection");
    assert!(public.header(INFO).starts_with("conn_type=Ipv4;"));

    // Health is told to everyone, closed or not.
    for (at, way) in [
        (azure.at(address), "conn_type=PrivateLink;"),
        (azure.emulator.https_addr(), "conn_type=Ipv4;"),
    ] {
        let health = health(&azure.client(HOST, at), HOST).await.unwrap();
        assert_eq!(health.status, 200);
        assert!(health.header(INFO).starts_with(way));
    }
}

#[tokio::test]
async fn a_firewall_does_not_stand_on_the_private_way() {
    let azure = Azure::start().await;
    azure.assign(Role::Reader);
    let address = azure.endpoint("pe-acme").await;
    azure.decide("pe-acme", Decision::Approve);
    azure.order(Order::SetNetwork {
        host: HOST.into(),
        network: Network::Firewall(vec![Ipv4Addr::new(10, 1, 2, 3).into()]),
    });
    let token = azure.token(azure.customer, "https://vault.azure.net").await;
    let url = format!("https://{HOST}/keys?api-version=7.6");
    for (at, status) in [(azure.at(address), 200), (azure.emulator.https_addr(), 403)] {
        let sent = azure
            .client(HOST, at)
            .request(Method::GET, &url)
            .bearer_auth(&token)
            .send()
            .await;
        assert_eq!(sent.unwrap().status(), status);
    }
}

#[tokio::test]
async fn nothing_gets_through_until_it_is_approved_and_open_connections_break_when_it_no_longer_is() {
    for ends in [Decision::Reject, Decision::Remove] {
        let azure = Azure::start().await;
        let address = azure.endpoint("pe-acme").await;
        assert!(!gets_through(&azure, address).await, "pending");
        azure.decide("pe-acme", Decision::Approve);
        let client = azure.client(HOST, azure.at(address));
        health(&client, HOST).await.unwrap();
        azure.decide("pe-acme", ends);
        health(&client, HOST).await.unwrap_err();
        assert!(!gets_through(&azure, address).await, "{ends:?}");
    }
}

#[tokio::test]
async fn by_order_open_connections_outlive_the_rejection_until_the_order_ends() {
    let azure = Azure::start().await;
    let address = azure.endpoint("pe-acme").await;
    azure.decide("pe-acme", Decision::Approve);
    let client = azure.client(HOST, azure.at(address));
    health(&client, HOST).await.unwrap();
    let linger = |lingers| Order::SetLingering {
        host: HOST.into(),
        lingers,
    };
    azure.order(linger(true));
    azure.decide("pe-acme", Decision::Reject);
    health(&client, HOST).await.unwrap();
    assert!(!gets_through(&azure, address).await, "a new one");
    azure.order(linger(false));
    health(&client, HOST).await.unwrap_err();
}

#[tokio::test]
async fn what_is_not_provisioned_yet_is_not_open_though_it_is_approved() {
    let azure = Azure::start().await;
    let wish = azure.wish(&crate::azure::vault_id("acme"));
    azure.put("pe-acme", &wish).await;
    azure.decide("pe-acme", Decision::Approve);
    let address = azure.emulator.private_addresses(HOST)[0];
    assert!(!gets_through(&azure, address).await);
    azure.get("pe-acme").await;
    azure.get("pe-acme").await;
    assert!(gets_through(&azure, address).await);
}

#[tokio::test]
async fn a_deleted_endpoints_connections_break_at_once_and_its_address_is_given_out_again() {
    let azure = Azure::start().await;
    let address = azure.endpoint("pe-acme").await;
    azure.decide("pe-acme", Decision::Approve);
    let client = azure.client(HOST, azure.at(address));
    health(&client, HOST).await.unwrap();
    let url = azure.endpoint_url("pe-acme");
    azure.ask(azure.ours, Method::DELETE, &url, None).await;
    health(&client, HOST).await.unwrap_err();
    azure.get("pe-acme").await;
    assert_eq!(azure.get("pe-acme").await.status, 404);
    // Nobody is let through at the old address by an approval that was another endpoint's.
    let next = azure.endpoint("pe-next").await;
    assert!(!gets_through(&azure, next).await && !gets_through(&azure, address).await);
}

#[tokio::test]
async fn an_endpoint_leads_to_its_own_vault_and_to_nothing_else() {
    let azure = Azure::start().await;
    let other = "acme.vault.azure.cn";
    azure.vault(other, VaultOptions::default());
    let address = azure.endpoint("pe-acme").await;
    azure.decide("pe-acme", Decision::Approve);
    for host in [other, "login.microsoftonline.com", "management.azure.com"] {
        let client = azure.client(host, azure.at(address));
        health(&client, host).await.unwrap_err();
    }
    assert!(gets_through(&azure, address).await);
}

#[tokio::test]
async fn vaults_of_one_name_in_two_clouds_do_not_cross() {
    let azure = Azure::start().await;
    let china = "acme.vault.azure.cn";
    azure.vault(china, VaultOptions::default());
    let address = azure.endpoint("pe-acme").await;
    let url = azure
        .endpoint_url("pe-acme")
        .replace("management.azure.com", "management.chinacloudapi.cn");
    let wish = azure.wish(&crate::azure::vault_id("acme"));
    let made = azure.ask(azure.ours, Method::PUT, &url, Some(&wish)).await;
    assert_eq!(made.status, 201);
    for _ in 0..2 {
        azure.ask(azure.ours, Method::GET, &url, None).await;
    }
    let in_china = azure.emulator.private_addresses(china)[0];
    assert_ne!(in_china, address);
    azure.decide("pe-acme", Decision::Approve);
    assert!(gets_through(&azure, address).await);
    health(&azure.client(china, azure.at(in_china)), china)
        .await
        .unwrap_err();
}

#[tokio::test]
async fn a_purged_vault_leaves_its_endpoint_disconnected() {
    let azure = Azure::start().await;
    let address = azure.endpoint("pe-acme").await;
    azure.decide("pe-acme", Decision::Approve);
    azure.order(Order::PurgeVault { host: HOST.into() });
    let there = azure.get("pe-acme").await;
    let connection = &there.body["properties"]["manualPrivateLinkServiceConnections"][0]["properties"];
    assert_eq!(
        connection["privateLinkServiceConnectionState"]["status"],
        "Disconnected"
    );
    assert!(!gets_through(&azure, address).await);
}

#[tokio::test]
async fn an_emulator_at_every_address_serves_the_private_ones_as_well() {
    let config = EmulatorConfig {
        https: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        ..EmulatorConfig::default()
    };
    let azure = Azure::over(Emulator::start(config).await.unwrap());
    let address = azure.endpoint("pe-acme").await;
    assert!(!gets_through(&azure, address).await, "pending");
    azure.decide("pe-acme", Decision::Approve);
    let health = health(&azure.client(HOST, azure.at(address)), HOST).await.unwrap();
    assert!(health.header(INFO).starts_with("conn_type=PrivateLink;"));
    assert!(
        !gets_through(&azure, Ipv4Addr::new(127, 77, 200, 1)).await,
        "nobody's address"
    );
}

async fn start(state_dir: &Path, https: SocketAddr) -> Emulator {
    let config = EmulatorConfig {
        https,
        state_dir: Some(state_dir.to_owned()),
        ..EmulatorConfig::default()
    };
    Emulator::start(config).await.unwrap()
}

#[tokio::test]
async fn the_endpoints_of_a_kept_world_are_listened_at_again() {
    let place = std::env::temp_dir().join(format!("keyferry-emulator-{}", uuid::Uuid::new_v4()));
    let mut azure = Azure::over(start(&place, EmulatorConfig::default().https).await);
    let address = azure.endpoint("pe-acme").await;
    azure.decide("pe-acme", Decision::Approve);
    assert!(gets_through(&azure, address).await);
    let https = azure.emulator.https_addr();
    let stopped = std::mem::replace(
        &mut azure.emulator,
        start(&place, EmulatorConfig::default().https).await,
    );
    stopped.stop().await;
    assert!(gets_through(&azure, address).await, "at another port");
    let stopped = std::mem::replace(&mut azure.emulator, start(&place, https).await);
    stopped.stop().await;
    assert!(gets_through(&azure, address).await, "at the port of before");
    std::fs::remove_dir_all(place).unwrap();
}
