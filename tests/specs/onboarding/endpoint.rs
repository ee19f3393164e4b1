//! The private endpoint: made, approved, used, rejected, removed, made anew, taken away with its tenant.

use keyferry_client::{Context, Secret, TenantClient, onboarding::Onboarding};
use keyferry_emulator::{Decision, Network, Operation, Order};
use keyferry_tests::{Customer, Database, Keyferry, Setup, World, check, eventually, findings};

/// A customer whose vault is closed to the public network, active over its private endpoint.
struct Stage {
    world: World,
    keyferry: Keyferry,
    customer: Customer,
    data: TenantClient,
}

impl Stage {
    async fn set(allows_public_path: bool) -> Self {
        let mut world = World::new(Database::sqlite()).await;
        world.offer_onboarding(Setup::default());
        let keyferry = world.start().await;
        let customer = world.customer("acme");
        let network = if allows_public_path {
            Network::Open
        } else {
            Network::Closed
        };
        world.order(Order::SetNetwork {
            host: customer.vault.clone(),
            network,
        });
        let mut new = customer.onboarding();
        let policy = if allows_public_path { "optional" } else { "required" };
        new.endpoint_policy = Some(policy.into());
        new.allows_public_path = Some(allows_public_path);
        new.answers.vault_resource_id = Some(customer.resource_id());
        world.onboardings(&keyferry).open(&new, None).await.unwrap();
        let data = world.data(&keyferry, "acme");
        let stage = Self {
            world,
            keyferry,
            customer,
            data,
        };
        let pending = stage.until("private-endpoint", "endpoint-pending").await;
        let expected = if allows_public_path { "active" } else { "open" };
        assert_eq!(
            pending.stage,
            expected,
            "one that is required is waited for: {}",
            findings(&pending)
        );
        stage.decide(&pending, Decision::Approve);
        let proven = stage.until("private-endpoint", "endpoint-proven").await;
        assert_eq!(proven.stage, "active", "{}", findings(&proven));
        eventually("the tenant is known here", async || stage.seals().await.is_ok()).await;
        stage
    }

    async fn until(&self, name: &str, finding: &str) -> Onboarding {
        let onboardings = self.world.onboardings(&self.keyferry);
        let mut last = None;
        eventually(finding, async || {
            let shown = onboardings.verify("acme").await.unwrap();
            let is_there = check(&shown, name).finding == finding;
            last = Some(shown);
            is_there
        })
        .await;
        last.unwrap()
    }

    fn decide(&self, shown: &Onboarding, decision: Decision) {
        let endpoint = &shown.private_endpoint.as_ref().unwrap().name;
        self.world.decide(&self.customer, endpoint, decision);
    }

    async fn seals(&self) -> Result<(), String> {
        let sealed = self
            .data
            .encrypt(&Secret::from(b"payroll".to_vec()), &Context::new())
            .await;
        sealed.map(drop).map_err(|error| match error.problem() {
            Some(problem) => problem.slug().to_owned(),
            None => error.to_string(),
        })
    }

    async fn shown(&self) -> Onboarding {
        self.world.onboardings(&self.keyferry).get("acme").await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_approved_traffic_is_proven_to_take_it_and_a_closed_vault_serves() {
    let stage = Stage::set(false).await;
    let shown = stage.shown().await;
    let endpoint = shown.private_endpoint.unwrap();
    assert!(endpoint.is_proven);
    let addresses = stage.world.emulator.private_addresses(&stage.customer.vault);
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    assert_eq!(
        addresses,
        [endpoint.address.unwrap()],
        "the service goes where Azure said"
    );
    assert_eq!(stage.seals().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_endpoint_closes_the_way_and_none_is_taken_in_silence() {
    for decision in [Decision::Reject, Decision::Remove] {
        let stage = Stage::set(false).await;
        // The public network would let us in now; that nobody may notice is the point.
        stage.world.order(Order::SetNetwork {
            host: stage.customer.vault.clone(),
            network: Network::Open,
        });
        stage.decide(&stage.shown().await, decision);
        let finding = match decision {
            Decision::Reject => "endpoint-rejected",
            _ => "endpoint-disconnected",
        };
        let shown = stage.until("private-endpoint", finding).await;
        assert_eq!(check(&shown, "private-endpoint").status, "failed");
        assert!(check(&shown, "private-endpoint").next.is_some(), "another is offered");
        assert_eq!(shown.stage, "active", "the tenant is not taken away by a check");
        eventually("the way is closed", async || {
            stage.seals().await == Err("private-endpoint-closed".into())
        })
        .await;
        let before = stage.world.count(&stage.customer, Operation::WrapKey);
        for _ in 0..5 {
            assert_eq!(stage.seals().await, Err("private-endpoint-closed".into()));
        }
        assert_eq!(
            stage.world.count(&stage.customer, Operation::WrapKey),
            before,
            "nobody was asked"
        );

        // Made anew and approved, the way is open again; and there is one endpoint, not two.
        let onboardings = stage.world.onboardings(&stage.keyferry);
        onboardings.retry_endpoint("acme").await.unwrap();
        let pending = stage.until("private-endpoint", "endpoint-pending").await;
        assert_ne!(
            pending.private_endpoint.as_ref().unwrap().name,
            shown.private_endpoint.unwrap().name
        );
        stage.decide(&pending, Decision::Approve);
        stage.until("private-endpoint", "endpoint-proven").await;
        eventually("the way is open again", async || stage.seals().await.is_ok()).await;
        let addresses = stage.world.emulator.private_addresses(&stage.customer.vault);
        assert_eq!(addresses.len(), 1, "{addresses:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_public_path_is_taken_where_policy_says_so_and_only_there() {
    let stage = Stage::set(true).await;
    stage.decide(&stage.shown().await, Decision::Reject);
    stage.until("private-endpoint", "endpoint-rejected").await;
    eventually("it seals over the public network", async || stage.seals().await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_vaults_of_one_short_name_in_two_clouds_do_not_cross() {
    let stage = Stage::set(false).await;
    let twin = format!("{}.vault.azure.cn", stage.customer.vault_name());
    let directory = stage.customer.directory;
    stage.world.order(Order::CreateVault {
        host: twin.clone(),
        directory,
        options: keyferry_emulator::VaultOptions::default(),
    });
    let twin = Customer {
        slug: "twin".into(),
        directory,
        vault: twin,
        principal: stage.customer.principal,
    };
    stage.world.order(twin.assignment(true));
    stage.world.new_version(&twin);
    let mut new = twin.onboarding();
    new.cloud = "china".into();
    let onboardings = stage.world.onboardings(&stage.keyferry);
    onboardings.open(&new, None).await.unwrap();
    let shown = onboardings.verify("twin").await.unwrap();
    assert_eq!(shown.stage, "active", "{}", findings(&shown));
    let data = stage.world.data(&stage.keyferry, "twin");
    let seals = async || data.encrypt(&Secret::from(b"x".to_vec()), &Context::new()).await;
    eventually("the twin seals", async || seals().await.is_ok()).await;
    assert!(stage.world.count(&twin, Operation::WrapKey) > 0, "in its own vault");

    // What becomes of the one's endpoint is nothing to the other.
    stage.decide(&stage.shown().await, Decision::Reject);
    stage.until("private-endpoint", "endpoint-rejected").await;
    eventually("the way is closed", async || {
        stage.seals().await == Err("private-endpoint-closed".into())
    })
    .await;
    assert!(seals().await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_goes_with_its_onboarding_and_with_its_tenant() {
    let mut world = World::new(Database::sqlite()).await;
    world.offer_onboarding(Setup::default());
    world.extra.push_str("[admin]\ndeletion_window_seconds = 0\n");
    let keyferry = world.start().await;
    let onboardings = world.onboardings(&keyferry);
    let made = async |slug: &str| {
        let customer = world.customer(slug);
        let mut new = customer.onboarding();
        new.endpoint_policy = Some("required".into());
        new.answers.vault_resource_id = Some(customer.resource_id());
        onboardings.open(&new, None).await.unwrap();
        eventually("it is made", async || {
            let shown = onboardings.verify(slug).await.unwrap();
            check(&shown, "private-endpoint").finding == "endpoint-pending"
        })
        .await;
        customer
    };
    let given_up = made("given-up").await;
    let read = onboardings.get("given-up").await.unwrap();
    onboardings.close(&read).await.unwrap();
    eventually("the endpoint is removed", async || {
        world.emulator.private_addresses(&given_up.vault).is_empty()
    })
    .await;
    eventually("the slug is free again", async || {
        onboardings.open(&given_up.onboarding(), None).await.is_ok()
    })
    .await;

    let purged = made("purged").await;
    let endpoint = onboardings.get("purged").await.unwrap().private_endpoint.unwrap();
    world.decide(&purged, &endpoint.name, Decision::Approve);
    eventually("it is active", async || {
        onboardings.verify("purged").await.unwrap().stage == "active"
    })
    .await;
    let admin = world.admin(&keyferry);
    admin.delete(&admin.get("purged").await.unwrap()).await.unwrap();
    eventually("the tenant's endpoint is removed with it", async || {
        world.emulator.private_addresses(&purged.vault).is_empty()
    })
    .await;
}
