//! A customer takes its key away, and every replica refuses within the bound that is published (docs/revocation.md): time is
//! what is promised here, so it is looked at. It is counted by when a call was sent that was done all the same.

mod causes;
mod failures;
mod registry;

use keyferry_tests::{Database, Fleet, Pace, Setup, Ways, World, revocation::Loss};

/// Calls a second for one tenant, over all replicas and both deeds.
const PER_SECOND: f64 = 60.0;

/// A world on Postgres with three replicas, if there is Postgres.
async fn three(ways: Ways) -> Option<(World, Fleet)> {
    let mut world = World::new(Database::postgres().await?).await;
    world.offer_onboarding(Setup::default());
    let fleet = Fleet::start(&world, Pace::FAST, 3, ways).await;
    Some((world, fleet))
}

/// Nobody was served later than that, at any replica.
fn holds(loss: &Loss, bound: std::time::Duration) {
    assert!(loss.longest() <= bound, "{loss:?}, and the bound is {bound:?}");
}
