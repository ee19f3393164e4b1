//! How soon a withdrawal is obeyed everywhere: the terms of the formula in `docs/revocation.md`, as they are configured.

use std::time::Duration;

use keyferry_health::HealthConfig;

/// The terms of the bound. Azure's own delay, until a vault itself refuses, comes on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The longest that a held key goes unlooked at, its replica's death included.
    pub watch: Duration,
    /// One try of a call to a vault.
    pub per_try: Duration,
    /// How long a refusal that may pass is asked about again.
    pub confirmation: Duration,
    /// How long it counts that the registry was heard.
    pub hearing: Duration,
}

impl Bound {
    /// The bound of a service that is so configured.
    #[must_use]
    pub fn new(health: &HealthConfig, confirmation: Duration, per_try: Duration) -> Self {
        Self {
            watch: health.watched_within(per_try),
            per_try,
            confirmation,
            hearing: health.hearing(),
        }
    }

    /// All of it, for a replica that hears the registry.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.watch + self.per_try + self.confirmation + self.hearing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_the_sum_of_its_terms() {
        let (confirmation, per_try) = (Duration::from_secs(3), Duration::from_secs(8));
        let bound = Bound::new(&HealthConfig::default(), confirmation, per_try);
        assert_eq!(bound.watch, Duration::from_secs(30 + 10 + 8));
        assert_eq!(bound.total(), Duration::from_secs(48 + 8 + 3 + 10));
    }
}
