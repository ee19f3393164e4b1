//! A run: replicas under load, and what the plan says.

use std::{sync::Arc, time::Duration};

use keyferry_crypto::{
    id::{Cloud, DirectoryId, KeyRef, TenantId},
    tenant::VersionPolicy,
};
use keyferry_registry::{NewTenant, Revision, Tenant};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::{
    clock::{self, clock},
    clocks,
    customer::Customer,
    dice::Dice,
    plan::{Plan, Taken, What, Whose},
    registry::Database,
    replica::Replica,
    requests::{Asked, Requests},
    store::FakeStore,
    terms::SECOND,
    trace,
};

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) began: Instant,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) customer: Arc<Customer>,
    pub(crate) database: Arc<Database>,
    /// All that there ever were.
    pub(crate) replicas: Vec<Replica>,
    pub(crate) requests: Requests,
    /// Which of them runs on each machine, if one does.
    on: Vec<Option<usize>>,
    /// Of each fault that hit a machine, which.
    hit: Vec<Option<usize>>,
    /// Of each withdrawal of a version, which.
    pub(crate) former: Vec<Option<u8>>,
    /// How many looks there had been when all served again.
    pub(crate) looks_before: Option<usize>,
    dice: Dice,
}

/// Something that the plan says.
#[derive(Clone, Copy, Debug)]
enum Act {
    Begins(usize),
    Ends(usize),
    Withdraws(usize),
    GivesBack(usize),
    AllServes,
}

impl World {
    pub(crate) async fn run(seed: u64, plan: Plan) -> Self {
        clock::begin();
        clocks::differ_by(plan.ahead);
        let tenant = Arc::new(tenant(&plan));
        let store = FakeStore::default();
        store.register(&tenant);
        let mut world = Self {
            began: Instant::now(),
            customer: Customer::new(seed, plan.terms.try_limit),
            database: Database::new(seed, store, tenant.keys.tenant),
            requests: Requests::new(&tenant),
            tenant,
            replicas: Vec::new(),
            on: vec![None; plan.machines],
            hit: vec![None; plan.faults.len()],
            former: vec![None; plan.withdrawals.len()],
            looks_before: None,
            dice: Dice::for_the("requests", seed),
            plan,
        };
        for machine in 0..world.plan.machines {
            world.starts_on(machine);
        }
        let first = &world.replicas[0];
        world.requests.seal_first(&first.sealer).await;
        world.goes_on().await;
        world
    }

    /// All acts in their order, with requests in between.
    async fn goes_on(&mut self) {
        let mut acts = self.acts();
        acts.sort_by_key(|(at, _)| *at);
        let mut acts = acts.into_iter().peekable();
        let mut next: Vec<_> = (0..self.plan.machines)
            .map(|_| self.dice.between(Duration::ZERO, SECOND))
            .collect();
        let mut asked = 0;
        loop {
            let (machine, request_at) = next
                .iter()
                .copied()
                .enumerate()
                .min_by_key(|(_, at)| *at)
                .expect("there are machines");
            let act = acts.next_if(|(at, _)| *at <= request_at);
            let at = act.map_or(request_at, |(at, _)| at);
            if at > self.plan.end {
                break;
            }
            sleep_until(self.began + at).await;
            if let Some((_, act)) = act {
                self.happens(act);
                continue;
            }
            next[machine] += self.dice.between(self.plan.pause / 2, self.plan.pause * 3 / 2);
            if let Some(number) = self.on[machine] {
                let what = if asked % 2 == 0 { Asked::Seal } else { Asked::Open };
                self.requests.send(&self.replicas[number], what);
                asked += self.dice.place(2) + 1;
            }
        }
    }

    fn acts(&self) -> Vec<(Duration, Act)> {
        let faults = self.plan.faults.iter().enumerate();
        let mut acts: Vec<_> = faults
            .flat_map(|(number, fault)| [(fault.from, Act::Begins(number)), (fault.until, Act::Ends(number))])
            .collect();
        for (number, withdrawal) in self.plan.withdrawals.iter().enumerate() {
            acts.push((withdrawal.at, Act::Withdraws(number)));
            acts.extend(withdrawal.returns.map(|at| (at, Act::GivesBack(number))));
        }
        acts.extend(self.plan.serves_from().map(|at| (at, Act::AllServes)));
        acts
    }

    fn happens(&mut self, act: Act) {
        match act {
            Act::Begins(number) => {
                trace::note(format_args!("begins: {:?}", self.plan.faults[number].what));
                self.begins(number);
            }
            Act::Ends(number) => {
                trace::note(format_args!("ends: {:?}", self.plan.faults[number].what));
                self.ends(number);
            }
            Act::Withdraws(number) => {
                let withdrawal = self.plan.withdrawals[number];
                trace::note(format_args!("the customer withdraws: {withdrawal:?}"));
                match withdrawal.taken {
                    Taken::Key => self.customer.withdraws(withdrawal.cause),
                    Taken::Former(place) => {
                        self.former[number] = self.customer.withdraws_former(place, withdrawal.cause);
                    }
                }
            }
            Act::GivesBack(number) => {
                let taken = self.plan.withdrawals[number].taken;
                trace::note(format_args!("the customer gives back: {taken:?}"));
                match (taken, self.former[number]) {
                    (Taken::Key, _) => self.customer.gives_back(),
                    (Taken::Former(_), Some(version)) => self.customer.gives_version_back(version),
                    (Taken::Former(_), None) => {}
                }
            }
            Act::AllServes => self.looks_before = Some(self.database.server().looks().len()),
        }
    }

    fn begins(&mut self, number: usize) {
        match self.plan.faults[number].what {
            What::Vault(trouble) => self.customer.begins(trouble),
            What::Registry(trouble) => self.database.begins(trouble),
            What::FailsOver => self.database.begins_to_lag(),
            What::Rotates => self.customer.rotates(),
            What::Dies(whose) => {
                if let Some(replica) = self.replica_of(whose) {
                    let machine = self.replicas[replica].machine;
                    self.replicas[replica].dies();
                    self.on[machine] = None;
                    self.hit[number] = Some(machine);
                }
            }
            What::Pauses(whose) => {
                if let Some(replica) = self.replica_of(whose) {
                    self.replicas[replica].gate.pauses();
                    self.hit[number] = Some(replica);
                }
            }
        }
    }

    fn ends(&mut self, number: usize) {
        match self.plan.faults[number].what {
            What::Vault(trouble) => self.customer.ends(trouble),
            What::Registry(trouble) => self.database.ends(trouble),
            What::FailsOver => self.database.fails_over(),
            What::Rotates => {}
            What::Dies(_) => {
                if let Some(machine) = self.hit[number] {
                    self.starts_on(machine);
                }
            }
            What::Pauses(_) => {
                if let Some(replica) = self.hit[number] {
                    self.replicas[replica].gate.goes_on();
                }
            }
        }
    }

    /// Which replica is meant, if it runs.
    fn replica_of(&self, whose: Whose) -> Option<usize> {
        let number = match whose {
            Whose::Machine(machine) => self.on[machine],
            Whose::Looks => {
                let owner = self.database.server().health(self.tenant.keys.tenant).owner;
                self.replicas
                    .iter()
                    .find(|replica| Some(replica.id) == owner)
                    .map(|replica| replica.number)
            }
        };
        number.filter(|number| self.replicas[*number].gate.runs())
    }

    fn starts_on(&mut self, machine: usize) {
        let number = self.replicas.len();
        self.replicas.push(Replica::start(
            number,
            machine,
            &self.plan.terms,
            &self.customer,
            &self.database,
        ));
        self.on[machine] = Some(number);
    }

    /// Those that live.
    pub(crate) fn living(&self) -> impl Iterator<Item = &Replica> {
        self.on.iter().flatten().map(|number| &self.replicas[*number])
    }
}

fn tenant(plan: &Plan) -> Tenant {
    let new = NewTenant {
        slug: "acme".parse().expect("a slug"),
        display_name: "Acme".parse().expect("a name"),
        directory: DirectoryId(Uuid::from_u128(1)),
        cloud: Cloud::Public,
        key: KeyRef {
            vault: "acme.vault.azure.net".parse().expect("a host"),
            name: "kek".parse().expect("a name"),
        },
        version: VersionPolicy::FollowLatest,
        policy: plan.policy,
    };
    let mut tenant = Tenant::new(new, clock()).expect("a tenant");
    tenant.keys.tenant = TenantId(Uuid::from_u128(1));
    tenant.revision = Revision(1);
    tenant
}
