//! A customer's vault is away: what is held is used for as long as the tenant's policy says, the vault is left alone meanwhile, and
//! is used again as soon as it answers.

use std::time::Duration;

use keyferry_client::Policy;
use keyferry_emulator::{Fault, Operation, Order};
use keyferry_tests::{Caller, Customer, Database, Deed, Fleet, Load, Pace, Records, Ways, World, eventually};
use tokio::time::Instant;

const TTL: Duration = Duration::from_secs(6);
const GRACE: Duration = Duration::from_secs(6);
/// How long the vaults are away.
const OUTAGE: Duration = Duration::from_secs(20);
/// Calls a second for each of two tenants, half of them to seal.
const PER_SECOND: f64 = 40.0;

/// A tenant whose vault goes away.
struct Subject {
    customer: Customer,
    caller: Caller,
    /// When what is held of it was got: between these.
    got: (Instant, Instant),
}

impl Subject {
    async fn new(world: &World, fleet: &Fleet, slug: &str, grace: Duration) -> Self {
        let policy = Policy {
            cache_ttl_seconds: TTL.as_secs(),
            lease_max_age_seconds: TTL.as_secs(),
            lease_max_messages: 1_000_000,
            outage_grace_seconds: grace.as_secs(),
        };
        let replica = fleet.replica(0);
        let customer = world.tenant(replica.process(), slug, Some(policy)).await;
        let from = Instant::now();
        let caller = Caller::of(replica.client(), slug).await.unwrap();
        Self {
            customer,
            caller,
            got: (from, Instant::now()),
        }
    }

    /// How often its vault was asked to use the key, or which key is the newest.
    fn asked(&self, world: &World) -> u64 {
        let operations = [Operation::WrapKey, Operation::UnwrapKey, Operation::Get];
        operations
            .map(|operation| world.count(&self.customer, operation))
            .iter()
            .sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_serves_to_its_ttl_and_grace_and_the_vault_is_left_alone_until_it_answers() {
    let world = World::new(Database::sqlite()).await;
    let pace = Pace {
        period_seconds: 2.0,
        ..Pace::FAST
    };
    let fleet = Fleet::start(&world, pace, 1, Ways::Straight).await;
    let strict = Subject::new(&world, &fleet, "strict", Duration::ZERO).await;
    let lenient = Subject::new(&world, &fleet, "lenient", GRACE).await;
    let subjects = [&strict, &lenient];
    for subject in subjects {
        world.fault(&subject.customer, Operation::WrapKey, Fault::Reset);
        world.fault(&subject.customer, Operation::UnwrapKey, Fault::Reset);
        world.fault(&subject.customer, Operation::Get, Fault::Reset);
    }
    let away_from = Instant::now();
    let asked_before = subjects.map(|subject| subject.asked(&world));
    let callers = subjects.map(|subject| subject.caller.clone());
    let load = Load::start(&fleet.clients(), &callers, 2.0 * PER_SECOND);
    eventually("the outage has lasted", async || {
        load.so_far(|records| {
            let late = records.sent_since(away_from + OUTAGE);
            [0, 1].iter().all(|&tenant| late.of_tenant(tenant).0.len() > 10)
        })
    })
    .await;
    let asked = subjects.map(|subject| subject.asked(&world));
    let lasted = away_from.elapsed();
    world.order(Order::ClearFaults);
    let back_at = Instant::now();
    eventually("both are served again", async || {
        load.so_far(|records| {
            let since = records.sent_since(back_at).successes();
            let is_served = |tenant, deed| {
                let served = since.which(|record| record.tenant == tenant && record.deed == deed);
                served.0.len() > 20
            };
            [Deed::Seal, Deed::Open]
                .iter()
                .all(|&deed| is_served(0, deed) && is_served(1, deed))
        })
    })
    .await;
    let records = load.stop().await;

    for (tenant, (subject, grace)) in subjects.into_iter().zip([Duration::ZERO, GRACE]).enumerate() {
        let name = &subject.customer.slug;
        let records = records.of_tenant(tenant);
        let during = records.which(|record| record.finished_at <= back_at);
        for (deed, lasts) in [(Deed::Open, TTL + grace), (Deed::Seal, TTL)] {
            let during = during.which(|record| record.deed == deed);
            let (from, to) = subject.got;
            // What came together does not go together: a tenth of the TTL may be missing.
            let held = during.which(|record| record.finished_at <= from + lasts - TTL / 10);
            let early = held.which(|record| record.failure.is_some());
            let early = early
                .0
                .first()
                .map(|first| (first.sent_at - from, first.finished_at - from));
            assert!(
                early.is_none(),
                "{name}, {deed:?}: {:?} after {early:?}",
                held.failures()
            );
            assert!(!held.0.is_empty(), "{name}, {deed:?}");
            let over = during.sent_since(to + lasts);
            assert!(
                over.successes().0.is_empty(),
                "{name}, {deed:?}: {:?} late",
                over.successes().0.first().map(|first| first.sent_at - to)
            );
            let told = over.failures();
            assert!(told.keys().eq(["vault-unreachable"]), "{name}, {deed:?}: {told:?}");
            recovers_at_once(&records.which(|record| record.deed == deed), back_at);
        }
        // Five calls open the breaker, with a second try here and there; then one for each pause of it, which double from a
        // second to half a minute and are cut to no less than half; and the watch's, one for each period, with a try to
        // find the newest version.
        let probes = 5 + 5 + 6;
        let looks = 2 * (2 + u64::try_from((lasted.as_millis() * 10) / (9 * 2_000)).unwrap());
        let asked = asked[tenant] - asked_before[tenant];
        assert!(asked <= probes + looks, "{name}: {asked} calls in {lasted:?}");
    }
}

/// From the first call that is done on, all are.
fn recovers_at_once(records: &Records, back_at: Instant) {
    let since = records.sent_since(back_at);
    let first = since
        .successes()
        .0
        .iter()
        .map(|record| record.finished_at)
        .min()
        .unwrap();
    let late = since.sent_since(first).failures();
    assert!(late.is_empty(), "{late:?}");
}
