//! What a customer takes away is gone when Azure would have it gone: at once, after a while, or with the connection.

use keyferry_emulator::{Assignment, Network, Order, Role, Scope};

use crate::world::{APPLICATION, DIRECTORY, HOST, World, allowed, forbidden};

/// Longer than any test.
const A_DAY_OF_MILLIS: u64 = 86_400_000;

async fn served() -> World {
    let (world, principal) = World::with_vault().await;
    world.order(Order::Assign {
        host: HOST.into(),
        assignment: Assignment {
            principal,
            role: Role::CryptoUser,
            scope: Scope::Vault,
        },
        works_after_seconds: 0,
    });
    assert_eq!(world.reads_key().await, allowed());
    world
}

fn network(network: Network) -> Order {
    Order::SetNetwork {
        host: HOST.into(),
        network,
    }
}

#[tokio::test]
async fn what_is_ordered_for_later_is_done_when_all_waiting_ends_and_not_before() {
    let world = served().await;
    world.order(Order::Later {
        after_millis: A_DAY_OF_MILLIS,
        orders: vec![network(Network::Firewall(Vec::new()))],
    });
    assert_eq!(world.reads_key().await, allowed());
    world.order(Order::EndPropagation);
    // Carried out beside us.
    while world.reads_key().await == allowed() {}
    assert_eq!(world.reads_key().await, forbidden("ForbiddenByFirewall"));
}

#[tokio::test]
async fn a_token_outlives_the_withdrawal_of_consent() {
    let world = served().await;
    let token = world.token().await.unwrap();
    world.order(Order::WithdrawConsent {
        directory: DIRECTORY,
        client_id: APPLICATION,
    });
    assert_eq!(world.token().await, Err(7_000_229));
    let url = format!("https://{HOST}/keys/k?api-version=7.6");
    let answer = world.azure.get(url).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_firewall_closes_open_connections_too_unless_they_linger() {
    for closed in [Network::Firewall(Vec::new()), Network::Closed] {
        let world = served().await;
        world.order(network(closed.clone()));
        assert_eq!(world.reads_key().await.0, 403);

        let world = served().await;
        world.order(Order::SetLingering {
            host: HOST.into(),
            lingers: true,
        });
        world.order(network(closed));
        assert_eq!(world.reads_key().await, allowed(), "over the connection that is open");
        let fresh = reqwest::Client::builder()
            .tls_certs_merge([reqwest::Certificate::from_pem(world.emulator.ca_pem().as_bytes()).unwrap()])
            .resolve(HOST, world.emulator.https_addr())
            .no_proxy()
            .build()
            .unwrap();
        let token = world.token().await.unwrap();
        let url = format!("https://{HOST}/keys/k?api-version=7.6");
        let answer = fresh.get(url).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), 403, "over a new one");
        world.order(Order::SetLingering {
            host: HOST.into(),
            lingers: false,
        });
        assert_eq!(world.reads_key().await.0, 403);
    }
}
