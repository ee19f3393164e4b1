//! Entra is slow, throttles or fails: who has a token goes on, and who needs no token notices nothing.

use std::time::Duration;

use keyferry_client::Policy;
use keyferry_emulator::{Fault, Order};
use keyferry_tests::{Caller, Database, Deed, Fleet, Load, Pace, Ways, World, eventually};
use tokio::time::Instant;

/// Each seal is a wrap, for which a token is needed.
const EAGER: Policy = Policy {
    cache_ttl_seconds: 3_600,
    lease_max_age_seconds: 3_600,
    lease_max_messages: 1,
    outage_grace_seconds: 0,
};
/// Nothing that is held ends for its age.
const LONG: Policy = Policy {
    lease_max_messages: 1_000_000,
    ..EAGER
};
/// Renewed when three quarters of it are over, at the earliest.
const TOKEN_AGE: Duration = Duration::from_secs(8);
/// Their places among those who are asked for.
const EAGERS: usize = 1;

async fn world() -> (World, Fleet) {
    let mut world = World::new(Database::postgres().await.unwrap_or_else(Database::sqlite)).await;
    // Entra is asked as seldom as with what is left out in the configuration.
    world.retries = "attempts = 4, base_seconds = 0.5, cap_seconds = 4, retry_after_cap_seconds = 1".into();
    let pace = Pace {
        token_max_age_seconds: TOKEN_AGE.as_secs_f64(),
        ..Pace::FAST
    };
    let fleet = Fleet::start(&world, pace, 1, Ways::Straight).await;
    (world, fleet)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_entra_is_slow_throttles_or_fails_whoever_needs_no_new_token_is_served() {
    let (world, fleet) = world().await;
    let troubles = [
        ("slow", Fault::Latency { millis: 5_000 }),
        ("throttles", Fault::Throttle { retry_after: Some(2) }),
        ("unavailable", Fault::Status { status: 503 }),
    ];
    for (name, fault) in troubles {
        let mut callers = Vec::new();
        // Their directories' tokens are issued from here on.
        let tokens_from = Instant::now();
        for (kind, policy) in [("hot", LONG), ("eager", EAGER)] {
            let slug = format!("{kind}-{name}");
            world.tenant(fleet.replica(0).process(), &slug, Some(policy)).await;
            callers.push(Caller::of(fleet.replica(0).client(), &slug).await.unwrap());
        }
        world.fault_of_entra(fault);
        let began = Instant::now();
        let asked_before = world.tokens_asked();
        let load = Load::start(&fleet.clients(), &callers, 40.0);
        let valid_until = tokens_from + TOKEN_AGE;
        eventually("tokens are over", async || {
            load.so_far(|records| {
                let late = records.sent_since(valid_until + TOKEN_AGE / 2);
                late.of_tenant(EAGERS).0.iter().any(|record| record.failure.is_some())
            })
        })
        .await;
        let asked = world.tokens_asked() - asked_before;
        let took = began.elapsed();
        world.order(Order::ClearFaults);
        let is_over = Instant::now();
        eventually("new tokens are issued", async || {
            load.so_far(|records| {
                let since = records.sent_since(is_over).of_tenant(EAGERS);
                since.successes().0.iter().any(|record| record.deed == Deed::Seal)
            })
        })
        .await;
        let records = load.stop().await;
        let hot = records.of_tenant(0);
        assert!(hot.failures().is_empty(), "{name}: {:?}", hot.failures());
        let eager = records.of_tenant(EAGERS);
        let while_valid = eager.which(|record| record.finished_at <= valid_until);
        assert!(
            while_valid.failures().is_empty(),
            "{name}: {:?}",
            while_valid.failures()
        );
        assert!(
            while_valid.0.iter().any(|record| record.deed == Deed::Seal),
            "{name}: nothing was wrapped"
        );
        let opens = eager.which(|record| record.deed == Deed::Open);
        assert!(opens.failures().is_empty(), "{name}: {:?}", opens.failures());
        let told = eager.failures();
        assert!(told.keys().all(|slug| slug.starts_with("entra-")), "{name}: {told:?}");
        // Each directory by itself, and one after another: after a pause of a quarter of a second at least.
        let most = 2 * (2 + u64::try_from(took.as_millis() / 250).unwrap());
        assert!(
            asked <= most,
            "{name}: asked {asked} times in {took:?}, and {} calls failed",
            eager.failures().values().sum::<usize>()
        );
    }
}
