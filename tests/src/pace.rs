//! How fast replicas live: everything that the bound of a withdrawal is made of, in one place.

use std::time::Duration;

/// The spans of a configuration, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// P: the longest between two looks at a key that is held.
    pub period_seconds: f64,
    /// How long beyond its next look a replica keeps a key to itself.
    pub lease_seconds: f64,
    /// H: how long it counts that the registry was heard.
    pub hearing_seconds: f64,
    /// How often the newest version is looked up.
    pub version_period_seconds: f64,
    /// T: how long one try of a call to Azure may take.
    pub try_seconds: f64,
    /// C: how long a refusal is confirmed that may be one of a change that spreads.
    pub confirmation_seconds: f64,
    /// How often the registry is asked for changes, if nothing is told.
    pub poll_seconds: f64,
    /// N: the longest that a token is used.
    pub token_max_age_seconds: f64,
}

impl Pace {
    /// Some thirty times faster than the defaults, which is still slow beside a machine that is busy with tests.
    pub const FAST: Self = Self {
        period_seconds: 1.0,
        lease_seconds: 1.0,
        hearing_seconds: 1.0,
        version_period_seconds: 1.0,
        try_seconds: 1.0,
        confirmation_seconds: 0.5,
        poll_seconds: 0.5,
        token_max_age_seconds: 2.0,
    };

    /// What a configuration that says nothing is, which `docs/revocation.md` gives the bound of.
    pub const DEFAULT: Self = Self {
        period_seconds: 30.0,
        lease_seconds: 10.0,
        hearing_seconds: 10.0,
        version_period_seconds: 60.0,
        try_seconds: 8.0,
        confirmation_seconds: 3.0,
        poll_seconds: 2.0,
        token_max_age_seconds: 2_700.0,
    };

    /// W: the longest between two looks at a key, if the replica that looks at it dies.
    #[must_use]
    pub fn watch(&self) -> Duration {
        seconds(self.period_seconds + self.lease_seconds + self.try_seconds)
    }

    /// What a replica that hears the registry may take to refuse, once Azure does: W + T + H, and C where that is needed.
    #[must_use]
    pub fn bound(&self) -> Duration {
        self.watch() + seconds(self.try_seconds + self.hearing_seconds)
    }

    /// The same of one that was cut off from the registry before Azure refused: it knows after H, and asks the vault itself
    /// unless that has served within P. The longer of the two, and T.
    #[must_use]
    pub fn deaf_bound(&self) -> Duration {
        seconds(self.period_seconds.max(self.hearing_seconds) + self.try_seconds)
    }

    /// C: how long a refusal is confirmed that may pass.
    #[must_use]
    pub fn confirmation(&self) -> Duration {
        seconds(self.confirmation_seconds)
    }

    /// The longest that a new version may go unnoticed: until the next look that looks it up, with the calls of that (to look it up,
    /// and to wrap and unwrap under it), and until all have read of it.
    #[must_use]
    pub fn rotation(&self) -> Duration {
        seconds(self.version_period_seconds + self.period_seconds + 3.0 * self.try_seconds + self.poll_seconds)
    }

    /// N: the longest that a token outlives the consent that it was issued by.
    #[must_use]
    pub fn token_max_age(&self) -> Duration {
        seconds(self.token_max_age_seconds)
    }

    /// How long it may take until a private endpoint is looked at in Azure that was rejected: a look at the key in vain brings
    /// it forward, then the next round of checks, which begins within a second, with four calls that may be in vain, too.
    #[must_use]
    pub fn endpoint_noticed(&self) -> Duration {
        self.watch() + seconds(1.0 + 5.0 * self.try_seconds)
    }

    /// For `[registry]`.
    pub(crate) fn registry(&self) -> String {
        format!("poll_seconds = {}", self.poll_seconds)
    }

    /// For `[azure]`.
    pub(crate) fn azure(&self) -> String {
        format!("token_max_age_seconds = {}", self.token_max_age_seconds)
    }

    /// Sections of their own.
    pub(crate) fn tables(&self) -> String {
        format!(
            r"
[health]
period_seconds = {}
lease_seconds = {}
hearing_seconds = {}
version_period_seconds = {}

[vaults]
confirmation_seconds = {}
",
            self.period_seconds,
            self.lease_seconds,
            self.hearing_seconds,
            self.version_period_seconds,
            self.confirmation_seconds
        )
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
