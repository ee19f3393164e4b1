//! A token, with the times at which it is renewed and given up.

use std::{fmt, time::Duration};

use azure_core::credentials::AccessToken;
use tokio::time::Instant;

use crate::{clock, jitter::between};

/// A token with the times at which it is renewed and given up.
pub(crate) struct Held {
    token: AccessToken,
    renew_at: Instant,
    until: Instant,
}

impl Held {
    /// A tenth of the token's life, at most half a minute, is left unused: the vault's clock is not ours. It is renewed
    /// somewhere in its last quarter, not at the same moment as every other directory's.
    pub(crate) fn new(token: AccessToken, max_age: Duration) -> Self {
        let life = Duration::try_from(token.expires_on - clock::now()).unwrap_or_default();
        let used = life
            .saturating_sub((life / 10).min(Duration::from_secs(30)))
            .min(max_age);
        let now = Instant::now();
        Self {
            token,
            renew_at: now + between(used / 4 * 3, used / 10 * 9),
            until: now + used,
        }
    }

    /// Whether it may still be used.
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        now < self.until
    }

    /// Whether it is to be renewed.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.renew_at <= now
    }

    /// The token, for the one header that needs it.
    pub(crate) fn expose(&self) -> &str {
        self.token.token.secret()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held(…)")
    }
}

#[cfg(test)]
mod tests {
    use azure_core::credentials::Secret;

    use super::*;

    #[tokio::test]
    async fn a_token_does_not_show_in_a_debug_print() {
        let held = Held::new(AccessToken::new(Secret::new("planted"), clock::now()), Duration::ZERO);
        assert_eq!(held.expose(), "planted");
        assert!(!format!("{held:?}").contains("planted"));
    }
}
