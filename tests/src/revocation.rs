//! A customer takes its key away from a fleet that is hot, in each of the ways that it has, and is measured how long it is used
//! all the same.

use std::{collections::BTreeMap, time::Duration};

use keyferry_client::Policy;
use keyferry_emulator::{Decision, Network, Operation, Order};
use tokio::time::Instant;

use crate::{Caller, Customer, Fleet, KEY, Load, Pace, Record, Records, World, check, eventually};

/// How a customer takes its key away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The key is disabled.
    KeyDisabled,
    /// The key is deleted.
    KeyDeleted,
    /// Keyferry's role is removed.
    RoleRemoved,
    /// Keyferry's principal is removed from the directory.
    ConsentWithdrawn,
    /// The vault's firewall is closed.
    FirewallClosed,
    /// The connection of the private endpoint is rejected.
    EndpointRejected,
}

/// A tenant that is about to lose its key.
pub struct Subject {
    cause: Cause,
    customer: Customer,
    caller: Caller,
    /// The name of its private endpoint, if that is its way.
    endpoint: Option<String>,
}

/// A tenant that all replicas are asked for all the time.
pub struct Trial {
    subject: Subject,
    load: Load,
    acted_at: Option<Instant>,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Loss {
    /// How the key was taken away.
    pub cause: Cause,
    /// From the act until the last call was sent that was done all the same, for each replica. Zero if there was none.
    pub last_success: Vec<Duration>,
    /// What became of calls that were sent after the act and failed.
    pub failures: BTreeMap<String, usize>,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::KeyDisabled,
        Self::KeyDeleted,
        Self::RoleRemoved,
        Self::ConsentWithdrawn,
        Self::FirewallClosed,
        Self::EndpointRejected,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KeyDisabled => "key-disabled",
            Self::KeyDeleted => "key-deleted",
            Self::RoleRemoved => "role-removed",
            Self::ConsentWithdrawn => "consent-withdrawn",
            Self::FirewallClosed => "firewall-closed",
            Self::EndpointRejected => "endpoint-rejected",
        }
    }

    /// A slug for a tenant that loses its key in that way: short, as it is the beginning of the name of a vault, too.
    #[must_use]
    pub fn slug(self, run: usize) -> String {
        let word = match self {
            Self::KeyDisabled => "disabled",
            Self::KeyDeleted => "deleted",
            Self::RoleRemoved => "role",
            Self::ConsentWithdrawn => "consent",
            Self::FirewallClosed => "firewall",
            Self::EndpointRejected => "endpoint",
        };
        format!("{word}-{run}")
    }

    /// The problem that callers are answered with in the end.
    #[must_use]
    pub fn problem(self) -> &'static str {
        match self {
            Self::KeyDisabled => "key-disabled",
            Self::KeyDeleted => "key-not-found",
            Self::RoleRemoved => "role-missing",
            Self::ConsentWithdrawn => "consent-missing",
            Self::FirewallClosed => "firewall-denied",
            Self::EndpointRejected => "private-endpoint-closed",
        }
    }

    /// A: how long it takes until the emulator refuses a new token or a new connection, or shows that it does. In Azure it may
    /// be longer.
    #[must_use]
    pub fn azure(self, pace: &Pace) -> Duration {
        match self {
            Self::KeyDisabled | Self::KeyDeleted | Self::RoleRemoved | Self::FirewallClosed => Duration::ZERO,
            Self::ConsentWithdrawn => pace.token_max_age(),
            Self::EndpointRejected => pace.endpoint_noticed(),
        }
    }

    /// The bound for a replica that hears the registry.
    #[must_use]
    pub fn bound(self, pace: &Pace) -> Duration {
        self.azure(pace) + pace.bound() + self.confirmation(pace)
    }

    /// The bound for one that does not, and asks the vault itself.
    #[must_use]
    pub fn deaf_bound(self, pace: &Pace) -> Duration {
        self.azure(pace) + pace.deaf_bound() + self.confirmation(pace)
    }

    /// C: how long it is confirmed, where a refusal may be of a change that spreads.
    fn confirmation(self, pace: &Pace) -> Duration {
        match self {
            Self::KeyDeleted | Self::RoleRemoved => pace.confirmation(),
            Self::KeyDisabled | Self::ConsentWithdrawn | Self::FirewallClosed | Self::EndpointRejected => {
                Duration::ZERO
            }
        }
    }
}

impl Subject {
    /// A tenant of that slug. For one with a private endpoint, the world has to offer onboarding, and replicas no network of
    /// their own.
    pub async fn prepare(world: &World, fleet: &Fleet, cause: Cause, slug: &str) -> Self {
        let first = fleet.replica(0);
        // After a registry that was away, a replica may take a moment to find it again.
        let admin = world.admin(first.process());
        eventually("the registry answers", async || admin.list(None, 1).await.is_ok()).await;
        let (customer, endpoint) = if cause == Cause::EndpointRejected {
            let customer = world.customer(slug);
            let endpoint = connect(world, fleet, &customer).await;
            (customer, Some(endpoint))
        } else {
            (world.tenant(first.process(), slug, Some(LONG)).await, None)
        };
        let mut caller = None;
        eventually("the tenant is known", async || {
            caller = Caller::of(first.client(), slug).await.ok();
            caller.is_some()
        })
        .await;
        Self {
            cause,
            customer,
            caller: caller.unwrap(),
            endpoint,
        }
    }

    /// Has all replicas seal and open for it, so many calls a second altogether, and waits until they do and its key is looked
    /// at as one that is held.
    pub async fn heat(self, world: &World, fleet: &Fleet, per_second: f64) -> Trial {
        let load = Load::start(&fleet.clients(), std::slice::from_ref(&self.caller), per_second);
        for replica in 0..fleet.replicas().len() {
            eventually("the replica serves", async || {
                load.so_far(|records| records.of_replica(replica).successes().0.len() >= 20)
            })
            .await;
        }
        // What is held opens without Key Vault: so who unwraps is who looks.
        let unwraps = world.count(&self.customer, Operation::UnwrapKey);
        eventually("the key is looked at", async || {
            world.count(&self.customer, Operation::UnwrapKey) >= unwraps + 3
        })
        .await;
        Trial {
            subject: self,
            load,
            acted_at: None,
        }
    }

    fn act(&self) -> Order {
        let (host, name) = (self.customer.vault.clone(), KEY.to_owned());
        match self.cause {
            Cause::KeyDisabled => self.customer.set_key(Some(false), None),
            Cause::KeyDeleted => Order::DeleteKey { host, name },
            Cause::RoleRemoved => self.customer.assignment(false),
            Cause::ConsentWithdrawn => self.customer.withdraw_consent(),
            Cause::FirewallClosed => Order::SetNetwork {
                host,
                network: Network::Firewall(Vec::new()),
            },
            Cause::EndpointRejected => Order::DecideConnection {
                host,
                connection: self.endpoint.clone().unwrap(),
                decision: Decision::Reject,
                description: "taken back".into(),
            },
        }
    }
}

impl Trial {
    /// Takes the key away. Time counts from before Azure is told.
    pub fn act(&mut self, world: &World) {
        self.acted_at = Some(Instant::now());
        world.order(self.subject.act());
    }

    /// Waits until the bound is past, and each of these replicas has refused calls that were sent after that, with the
    /// problem that is meant.
    pub async fn until_past(&self, bound: Duration, replicas: &[usize]) {
        let past = self.acted_at.unwrap() + bound;
        let problem = self.subject.cause.problem();
        for &replica in replicas {
            let is_late = |record: &&Record| record.replica == replica && record.sent_at > past;
            let is_meant = |record: &&Record| is_late(record) && record.failure.as_deref() == Some(problem);
            eventually("the replica refuses", async || {
                self.load.so_far(|records| {
                    let all = &records.0;
                    // What is wrong already does not become right: whoever measures will see.
                    all.iter().filter(is_late).any(|record| record.failure.is_none())
                        || all.iter().filter(is_meant).count() >= 10
                })
            })
            .await;
        }
    }

    /// Waits until a replica has done calls that were sent so much later than now.
    pub async fn until_served(&self, replica: usize, later: Duration) {
        let until = Instant::now() + later;
        eventually("the replica serves on", async || {
            self.load.so_far(|records| {
                let late = records.of_replica(replica).sent_since(until);
                late.0.len() >= 10
            })
        })
        .await;
    }

    /// What became of calls that failed.
    #[must_use]
    pub fn failures(&self) -> BTreeMap<String, usize> {
        self.load.so_far(Records::failures)
    }

    /// What was measured by now.
    #[must_use]
    pub fn so_far(&self, replicas: usize) -> Loss {
        let acted_at = self.acted_at.unwrap();
        self.load.so_far(|records| {
            let since = records.sent_since(acted_at);
            Loss {
                cause: self.subject.cause,
                last_success: (0..replicas)
                    .map(|replica| {
                        let last = since.of_replica(replica).last_success();
                        last.map_or(Duration::ZERO, |last| last - acted_at)
                    })
                    .collect(),
                failures: since.failures(),
            }
        })
    }

    /// The customer.
    #[must_use]
    pub fn customer(&self) -> &Customer {
        &self.subject.customer
    }

    /// Ends the load, and the tenant, which would be looked at for ever.
    pub async fn end(self, world: &World, fleet: &Fleet, replica: usize) -> Loss {
        let loss = self.so_far(fleet.replicas().len());
        self.load.stop().await;
        let admin = world.admin(fleet.replica(replica).process());
        let slug = &self.subject.customer.slug;
        eventually("the tenant is suspended", async || match admin.get(slug).await {
            Ok(read) => read.status != "active" || admin.suspend(&read).await.is_ok(),
            Err(_) => false,
        })
        .await;
        loss
    }
}

impl Loss {
    /// The longest of all replicas.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.last_success.iter().copied().max().unwrap_or_default()
    }
}

/// A whole trial: a tenant is made, served by all replicas, and loses its key. Answers what was measured once the bound is past
/// and every replica refuses.
pub async fn lose(world: &World, fleet: &Fleet, cause: Cause, slug: &str, per_second: f64) -> Loss {
    let subject = Subject::prepare(world, fleet, cause, slug).await;
    let mut trial = subject.heat(world, fleet, per_second).await;
    trial.act(world);
    let all: Vec<_> = (0..fleet.replicas().len()).collect();
    trial.until_past(cause.bound(&fleet.pace), &all).await;
    trial.end(world, fleet, 0).await
}

/// Has a customer's vault reached by a private endpoint alone. Answers the endpoint's name.
async fn connect(world: &World, fleet: &Fleet, customer: &Customer) -> String {
    let keyferry = fleet.replica(0).process();
    world.order(Order::SetNetwork {
        host: customer.vault.clone(),
        network: Network::Closed,
    });
    let mut new = customer.onboarding();
    new.policy = Some(LONG);
    new.endpoint_policy = Some("required".into());
    new.allows_public_path = Some(false);
    new.answers.vault_resource_id = Some(customer.resource_id());
    let onboardings = world.onboardings(keyferry);
    onboardings.open(&new, None).await.unwrap();
    let mut endpoint = None;
    eventually("the endpoint waits for approval", async || {
        let shown = onboardings.verify(&customer.slug).await.unwrap();
        let is_pending = check(&shown, "private-endpoint").finding == "endpoint-pending";
        endpoint = shown.private_endpoint.map(|endpoint| endpoint.name);
        is_pending
    })
    .await;
    let endpoint = endpoint.unwrap();
    world.decide(customer, &endpoint, Decision::Approve);
    eventually("the endpoint is proven", async || {
        let shown = onboardings.verify(&customer.slug).await.unwrap();
        check(&shown, "private-endpoint").finding == "endpoint-proven" && shown.stage == "active"
    })
    .await;
    endpoint
}

/// So long that what is held is never let go for its age: who refuses does so because the key was taken away.
const LONG: Policy = Policy {
    cache_ttl_seconds: 3_600,
    lease_max_age_seconds: 3_600,
    lease_max_messages: 1_000_000,
    outage_grace_seconds: 0,
};
