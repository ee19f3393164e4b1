//! Does all of it work together, on the way that the tenant has or will have?

use keyferry_crypto::tenant::Route;
use keyferry_registry::onboarding::{CheckName, Observed};

use super::{Looking, Seen, trouble, wrap};
use crate::finding::{Kind, With as _, is_needed};

pub(super) async fn look(looking: &Looking<'_>, seen: &Seen, route: Route) -> Observed {
    let policy = looking.onboarding.endpoint_policy;
    let missing: Vec<_> = CheckName::ALL
        .into_iter()
        .filter(|check| *check != CheckName::Verification && is_needed(*check, policy) && !seen.passed(*check))
        .map(CheckName::slug)
        .collect();
    let (Some(keys), true) = (looking.keys(route), missing.is_empty()) else {
        return Kind::VerificationNotYet.observed().with("missing", missing.join(", "));
    };
    let tried = async {
        let canary = wrap::wrapped(looking, &keys).await?;
        wrap::is_alive(looking, &keys, &canary).await
    };
    match tried.await {
        Ok(true) => Kind::Verified.observed(),
        Ok(false) => Kind::CanaryForeign.observed(),
        Err(error) => trouble::found(looking, &error),
    }
}
