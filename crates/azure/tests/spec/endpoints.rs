//! Private endpoints: asked for, decided about, used, and removed.

use std::{net::IpAddr, sync::Arc, time::Duration};

use keyferry_azure::{
    AzureKeyVault, PrivateEndpoints,
    arm::{ArmCause, ArmError, Connection, EndpointStatus, Provisioning},
};
use keyferry_crypto::{
    id::Cloud,
    tenant::{Route, TenantKeys},
    vault::VaultCause,
};
use keyferry_emulator::{Decision, Fault, Network, Operation, Order, Pace, VaultOptions};
use uuid::Uuid;

use crate::world::{self, CLIENT, DIRECTORY, VAULT, World, data_key, resource, tenant};

const HOME: Uuid = Uuid::from_u128(0x77);
const SUBSCRIPTION: Uuid = Uuid::from_u128(0x5ab);
const GROUP: &str = "keyferry";
const NAME: &str = "kf-0192f3a1";

/// A customer with a vault, and our own subscription, where endpoints can be made.
struct Ours {
    world: World,
    vault: Arc<AzureKeyVault>,
    endpoints: PrivateEndpoints,
    principal: Uuid,
}

impl Ours {
    async fn new() -> Self {
        Self::with_subnet("pe").await
    }

    async fn with_subnet(named: &str) -> Self {
        let world = World::new().await;
        world.order(Order::CreateDirectory { directory: HOME });
        let consent = Order::Consent {
            directory: HOME,
            client_id: CLIENT,
            resource: String::new(),
            roles: Vec::new(),
            usable_after_seconds: 0,
        };
        let made = world.emulator.order(consent).unwrap();
        let principal = made["oid"].as_str().unwrap().parse().unwrap();
        world.order(Order::CreateSubscription {
            subscription: SUBSCRIPTION,
            directory: HOME,
        });
        world.order(Order::CreateNetwork {
            subscription: SUBSCRIPTION,
            resource_group: GROUP.into(),
            virtual_network: "hub".into(),
            subnet: "pe".into(),
            location: "westeurope".into(),
        });
        let mut config = world.config(world::secret());
        let port = world.emulator.https_addr().port();
        let text = format!(
            r#"
            directory = "{HOME}"
            subscription = "{SUBSCRIPTION}"
            resource_group = "{GROUP}"
            location = "westeurope"
            subnet = "/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network/virtualNetworks/hub/subnets/{named}"
            port = {port}
            "#
        );
        config.private_endpoints = Some(toml::from_str(&text).unwrap());
        let vault = Arc::new(AzureKeyVault::new(&config).unwrap());
        let ours = Self {
            endpoints: PrivateEndpoints::new(&config, &vault).unwrap(),
            vault,
            principal,
            world,
        };
        ours.contribute(true);
        ours
    }

    /// Whether we may do anything in our own resource group.
    fn contribute(&self, holds: bool) {
        self.world.order(Order::SetNetworkContributor {
            subscription: SUBSCRIPTION,
            resource_group: GROUP.into(),
            principal: self.principal,
            holds,
        });
    }

    async fn create(&self) -> Result<EndpointStatus, ArmError> {
        self.endpoints.create(NAME, &resource("acme"), "Keyferry asks").await
    }

    async fn status(&self) -> EndpointStatus {
        self.endpoints.get(NAME).await.unwrap().unwrap()
    }

    /// Waits until Azure has made it, as long as Azure says that it is about to.
    async fn made(&self) -> EndpointStatus {
        self.create().await.unwrap();
        loop {
            let status = self.status().await;
            if status.provisioning != Provisioning::Updating {
                return status;
            }
        }
    }

    fn decide(&self, decision: Decision) {
        self.world.order(Order::DecideConnection {
            host: VAULT.into(),
            connection: NAME.into(),
            decision,
            description: "decided".into(),
        });
    }

    /// An approved endpoint's address.
    async fn approved(&self) -> IpAddr {
        self.made().await;
        self.decide(Decision::Approve);
        self.status().await.address.unwrap()
    }

    fn close_public_network(&self) {
        self.world.order(Order::SetNetwork {
            host: VAULT.into(),
            network: Network::Closed,
        });
    }
}

fn cause(error: &ArmError) -> String {
    format!("{:?}", error.cause)
}

#[tokio::test]
async fn without_a_subscription_of_our_own_there_are_no_endpoints() {
    let world = World::new().await;
    let config = world.config(world::secret());
    assert!(PrivateEndpoints::new(&config, &Arc::new(world.vault())).is_none());
}

#[tokio::test]
async fn an_endpoint_is_made_once_however_often_it_is_asked_for_and_awaits_its_approval() {
    let ours = Ours::new().await;
    assert_eq!(ours.endpoints.get(NAME).await.unwrap(), None);
    let first = ours.create().await.unwrap();
    assert_eq!(
        (first.provisioning, first.connection),
        (Provisioning::Updating, Connection::Pending)
    );
    assert_eq!(first.target, resource("acme"));
    let made = ours.made().await;
    assert_eq!(
        (made.provisioning, made.connection),
        (Provisioning::Succeeded, Connection::Pending)
    );
    ours.create().await.unwrap();
    assert_eq!(ours.status().await.address, made.address);
    assert_eq!(ours.endpoints.cloud(), Cloud::Public);
    assert!(
        ours.endpoints
            .resource_id(NAME)
            .ends_with("/Microsoft.Network/privateEndpoints/kf-0192f3a1")
    );
}

#[tokio::test]
async fn what_the_vaults_owner_decides_is_told() {
    let ours = Ours::new().await;
    ours.made().await;
    for (decision, connection) in [
        (Decision::Approve, Connection::Approved),
        (Decision::Reject, Connection::Rejected),
        (Decision::Remove, Connection::Disconnected),
    ] {
        ours.decide(decision);
        let status = ours.status().await;
        assert_eq!(status.connection, connection);
        assert_eq!(status.description.as_deref(), Some("decided"));
        assert_eq!(status.provisioning, Provisioning::Succeeded);
    }
}

#[tokio::test]
async fn an_endpoint_that_keeps_its_address_back_until_it_is_approved_has_none_until_then() {
    let ours = Ours::new().await;
    ours.world.order(Order::SetPendingAddresses { shown: false });
    assert_eq!(ours.made().await.address, None);
    ours.decide(Decision::Approve);
    assert!(ours.status().await.address.is_some());
}

#[tokio::test]
async fn an_endpoint_that_azure_cannot_make_has_failed() {
    let ours = Ours::new().await;
    ours.world.order(Order::SetPace {
        pace: Pace {
            fails: true,
            ..Pace::default()
        },
    });
    assert_eq!(ours.made().await.provisioning, Provisioning::Failed);
}

#[tokio::test]
async fn an_endpoint_that_is_removed_is_gone_and_may_be_removed_again() {
    let ours = Ours::new().await;
    ours.made().await;
    ours.endpoints.delete(NAME).await.unwrap();
    while let Some(status) = ours.endpoints.get(NAME).await.unwrap() {
        assert_eq!(status.provisioning, Provisioning::Deleting);
        ours.endpoints.delete(NAME).await.unwrap();
    }
    ours.endpoints.delete(NAME).await.unwrap();
    assert_eq!(ours.made().await.connection, Connection::Pending, "made anew");
}

#[tokio::test]
async fn a_vault_that_is_not_there_is_told_from_a_subnet_that_is_not() {
    let ours = Ours::new().await;
    let missing = ours.endpoints.create(NAME, &resource("nobodys"), "").await.unwrap_err();
    assert_eq!(cause(&missing), "TargetNotFound");
    assert_eq!(missing.evidence.code.as_deref(), Some("InvalidResourceReference"));
    let elsewhere = Ours::with_subnet("another").await;
    assert_eq!(cause(&elsewhere.create().await.unwrap_err()), "Misconfigured");
}

#[tokio::test]
async fn a_vault_has_only_so_many_endpoints() {
    let ours = Ours::new().await;
    for number in 0..64 {
        let name = format!("kf-{number}");
        ours.endpoints.create(&name, &resource("acme"), "").await.unwrap();
    }
    assert_eq!(cause(&ours.create().await.unwrap_err()), "TooManyEndpoints");
}

#[tokio::test]
async fn an_endpoint_leads_to_one_vault_for_good() {
    let ours = Ours::new().await;
    ours.made().await;
    ours.world.order(Order::CreateVault {
        host: "other.vault.azure.net".into(),
        directory: DIRECTORY,
        options: VaultOptions::default(),
    });
    let refused = ours.endpoints.create(NAME, &resource("other"), "").await.unwrap_err();
    assert_eq!(cause(&refused), "Rejected");
    assert_eq!(ours.status().await.target, resource("acme"));
}

/// Whoever asks again after a crash may call itself, or the customer, by another name by then.
#[tokio::test]
async fn an_endpoint_is_the_same_whatever_its_vaults_owner_was_shown() {
    let ours = Ours::new().await;
    let made = ours.made().await;
    let again = ours
        .endpoints
        .create(NAME, &resource("acme"), "Keyferry asks again")
        .await;
    assert_eq!(again.unwrap().address, made.address);
    ours.decide(Decision::Reject);
    let again = ours
        .endpoints
        .create(NAME, &resource("acme"), "Keyferry asks again")
        .await;
    assert_eq!(again.unwrap().connection, Connection::Rejected, "it never comes back");
}

#[tokio::test]
async fn what_we_may_not_do_in_our_own_subscription_is_forbidden() {
    let ours = Ours::new().await;
    ours.contribute(false);
    for refused in [
        ours.create().await.map(drop).unwrap_err(),
        ours.endpoints.get(NAME).await.map(drop).unwrap_err(),
        ours.endpoints.delete(NAME).await.unwrap_err(),
    ] {
        assert_eq!(cause(&refused), "Forbidden");
    }
}

#[tokio::test]
async fn without_a_principal_in_our_own_directory_there_is_no_token() {
    let ours = Ours::new().await;
    ours.world.order(Order::WithdrawConsent {
        directory: HOME,
        client_id: CLIENT,
    });
    let refused = ours.create().await.unwrap_err();
    let ArmCause::Token(error) = refused.cause else {
        panic!("{refused:?}")
    };
    assert_eq!(error.cause(), VaultCause::ConsentMissing);
}

#[tokio::test]
async fn a_name_that_is_no_name_is_not_sent() {
    let ours = Ours::new().await;
    ours.world.order(Order::ResetCalls);
    for name in ["", "..", "a/b", "kf-1?api-version=1"] {
        assert_eq!(cause(&ours.endpoints.delete(name).await.unwrap_err()), "Rejected");
    }
    assert_eq!(ours.world.emulator.calls(), []);
}

#[tokio::test]
async fn a_throttling_resource_managers_word_is_passed_on_and_a_failing_one_is_tried_again() {
    let ours = Ours::new().await;
    ours.world.fault(
        Operation::PutPrivateEndpoint,
        Fault::Throttle { retry_after: Some(40) },
        Some(1),
    );
    let throttled = ours.create().await.unwrap_err();
    assert_eq!(
        (cause(&throttled), throttled.retry_after),
        ("Throttled".into(), Some(Duration::from_secs(40)))
    );
    assert_eq!(
        ours.world.count(Operation::PutPrivateEndpoint),
        1,
        "it was not asked again"
    );
    for fault in [Fault::Status { status: 500 }, Fault::Reset, Fault::Truncate] {
        ours.world.fault(Operation::PutPrivateEndpoint, fault, Some(1));
        ours.create().await.unwrap();
    }
    ours.world
        .fault(Operation::GetPrivateEndpoint, Fault::Nonsense, Some(1));
    assert_eq!(cause(&ours.endpoints.get(NAME).await.unwrap_err()), "Unavailable");
    ours.world
        .fault(Operation::DeletePrivateEndpoint, Fault::Status { status: 401 }, Some(1));
    ours.endpoints.delete(NAME).await.unwrap();
    assert_eq!(
        ours.world.emulator.count("login.microsoftonline.com", Operation::Token),
        2,
        "another token"
    );
}

#[tokio::test]
async fn an_approved_endpoint_leads_into_a_vault_that_is_closed_to_the_public_and_is_proven_to() {
    let ours = Ours::new().await;
    let address = ours.approved().await;
    ours.close_public_network();
    let by = |route| TenantKeys { route, ..tenant(VAULT) };
    let private = by(Route::Private(address));
    let wrapped = ours.vault.wrap(&private, &data_key()).await.unwrap();
    let unwrapped = ours.vault.unwrap(&private, &wrapped).await.unwrap();
    assert_eq!(unwrapped.expose(), data_key().expose());
    let refused = ours.vault.unwrap(&by(Route::Public), &wrapped).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::PublicAccessDisabled);
    let key = tenant(VAULT).current;
    let network = ours.vault.network(&key.vault, Route::Private(address)).await.unwrap();
    assert!(network.is_private_link);
    let public = ours.vault.network(&key.vault, Route::Public).await.unwrap();
    assert!(!public.is_private_link);
    let challenge = ours.vault.challenge(&key.vault, Route::Private(address)).await.unwrap();
    assert_eq!(challenge.directory.0, DIRECTORY);
}

#[tokio::test]
async fn an_endpoint_that_is_rejected_while_in_use_takes_its_open_connections_along() {
    let ours = Ours::new().await;
    let private = TenantKeys {
        route: Route::Private(ours.approved().await),
        ..tenant(VAULT)
    };
    let wrapped = ours.vault.wrap(&private, &data_key()).await.unwrap();
    ours.decide(Decision::Reject);
    ours.world.order(Order::ResetCalls);
    let refused = ours.vault.unwrap(&private, &wrapped).await.unwrap_err();
    // The public network would have let us in.
    assert_eq!(refused.cause(), VaultCause::ConnectionFailed);
    assert_eq!(ours.world.count(Operation::UnwrapKey), 0);
}

#[tokio::test]
async fn vaults_of_one_name_in_two_clouds_do_not_cross() {
    let ours = Ours::new().await;
    let address = ours.approved().await;
    let chinas = "acme.vault.azure.cn";
    ours.world.order(Order::CreateVault {
        host: chinas.into(),
        directory: DIRECTORY,
        options: VaultOptions::default(),
    });
    let refused = ours
        .vault
        .network(&chinas.parse().unwrap(), Route::Private(address))
        .await
        .unwrap_err();
    assert_eq!(refused.cause(), VaultCause::ConnectionFailed);
}
