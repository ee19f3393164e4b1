//! The way to the vault, as the private endpoint stands.

use keyferry_crypto::tenant::Route;

use super::{Endpoint, EndpointPolicy, EndpointState, Onboarding};

impl Onboarding {
    /// The way to the tenant's vault, which was `before` so far. The public network is never what remains when an endpoint
    /// goes: it is taken while an optional endpoint was not used yet, or where the policy allows it beside the endpoint.
    #[must_use]
    pub fn route(&self, before: Route) -> Route {
        let endpoint = self.endpoint.as_ref();
        match (self.endpoint_policy, endpoint.and_then(Endpoint::usable)) {
            (EndpointPolicy::Off, _) => Route::Public,
            (_, Some(address)) => Route::Private(address),
            (EndpointPolicy::Required, None) => Route::Closed,
            (EndpointPolicy::Optional, None) => {
                let is_lost = self.was_private || endpoint.is_some_and(Endpoint::is_lost);
                let was_never_lost = before == Route::Public && !is_lost;
                if was_never_lost || self.allows_public_path {
                    Route::Public
                } else {
                    Route::Closed
                }
            }
        }
    }
}

impl Endpoint {
    /// Its address, if traffic may take it.
    #[must_use]
    pub fn usable(&self) -> Option<std::net::IpAddr> {
        self.address
            .filter(|_| self.state == EndpointState::Approved && self.is_proven)
    }

    /// Whether the customer has refused it.
    fn is_lost(&self) -> bool {
        matches!(self.state, EndpointState::Rejected | EndpointState::Disconnected)
    }
}
