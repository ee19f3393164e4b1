//! The link to a customer's page: signed, expiring, revocable, bound to one onboarding.

use base64_simd::URL_SAFE_NO_PAD;
use keyferry_crypto::id::TenantId;
use keyferry_registry::{RegistryError, onboarding::Link};
use time::OffsetDateTime;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::signature::{Purpose, SigningKey, TAG_LEN};

/// What a link carries. Whoever has it may act for the customer on its page, so it is not shown whole, and wiped when dropped.
#[derive(Clone)]
pub struct LinkToken(Zeroizing<String>);

/// Why a link opens nothing. To whoever holds it the first three look alike.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It is none of ours.
    #[error("the link is not valid")]
    Forged,
    /// It was good once: it expired, was revoked, or gave way to a newer one.
    #[error("the link is not good any more")]
    Expired,
    /// Its onboarding is over.
    #[error("the onboarding is over")]
    Closed,
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// What a genuine link says. Whether it is still good is for its onboarding to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkClaims {
    /// Whose page it opens.
    pub(crate) tenant: TenantId,
    /// Which of its links this is.
    pub(crate) serial: u32,
    /// Until when it is good, in seconds since 1970.
    pub(crate) expires_at: i64,
}

impl LinkToken {
    /// Takes what stood in a path. Whether it is good is found out when it is used.
    #[must_use]
    pub fn from_path(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// The token, for the page's own addresses.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The token of an onboarding's present link: `base64url(tenant ‖ serial ‖ expiry ‖ tag)`, the numbers big-endian.
    pub(crate) fn of(key: &SigningKey, tenant: TenantId, link: Link) -> Self {
        let claims = LinkClaims {
            tenant,
            serial: link.serial,
            expires_at: link.expires_at.unix_timestamp(),
        };
        let message = claims.encode();
        let tag = key.tag(Purpose::Link, &message);
        Self(Zeroizing::new(
            URL_SAFE_NO_PAD.encode_to_string([&message[..], &tag[..]].concat()),
        ))
    }

    /// What the token says, if it is ours.
    pub(crate) fn claims(&self, key: &SigningKey) -> Option<LinkClaims> {
        if self.0.len() != TOKEN_LEN {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode_to_vec(self.0.as_str()).ok()?;
        let (message, tag) = bytes.split_first_chunk::<MESSAGE_LEN>()?;
        let tag: &[u8; TAG_LEN] = tag.try_into().ok()?;
        key.is_tag(Purpose::Link, message, tag)
            .then(|| LinkClaims::decode(message))
            .flatten()
    }
}

impl LinkClaims {
    /// Whether this is the link that an onboarding has now, and still within its time.
    pub(crate) fn is(self, link: Link, now: OffsetDateTime) -> bool {
        self.serial == link.serial && self.expires_at == link.expires_at.unix_timestamp() && now < link.expires_at
    }

    fn encode(self) -> [u8; MESSAGE_LEN] {
        let mut message = [0; MESSAGE_LEN];
        message[..16].copy_from_slice(self.tenant.0.as_bytes());
        message[16..20].copy_from_slice(&self.serial.to_be_bytes());
        message[20..].copy_from_slice(&self.expires_at.to_be_bytes());
        message
    }

    fn decode(message: &[u8; MESSAGE_LEN]) -> Option<Self> {
        let (tenant, rest) = message.split_first_chunk::<16>()?;
        let (serial, expires_at) = rest.split_first_chunk::<4>()?;
        Some(Self {
            tenant: TenantId(Uuid::from_bytes(*tenant)),
            serial: u32::from_be_bytes(*serial),
            expires_at: i64::from_be_bytes(expires_at.try_into().ok()?),
        })
    }
}

impl std::fmt::Debug for LinkToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkToken(…)")
    }
}

const MESSAGE_LEN: usize = 16 + 4 + 8;
const TOKEN_LEN: usize = (MESSAGE_LEN + TAG_LEN) * 4 / 3;

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-07-01 12:00 UTC);
    const ACME: TenantId = TenantId(Uuid::from_u128(7));

    fn link() -> Link {
        Link {
            serial: 3,
            expires_at: NOW + Duration::DAY,
        }
    }

    #[test]
    fn a_link_says_whose_it_is_and_is_good_until_it_expires() {
        let key = SigningKey::of(1);
        let claims = LinkToken::of(&key, ACME, link()).claims(&key).unwrap();
        assert_eq!((claims.tenant, claims.serial), (ACME, 3));
        assert!(claims.is(link(), NOW));
        assert!(!claims.is(link(), NOW + Duration::DAY), "expired");
        assert!(
            !claims.is(Link { serial: 4, ..link() }, NOW),
            "a newer one took its place"
        );
        let shortened = Link {
            expires_at: NOW + Duration::HOUR,
            ..link()
        };
        assert!(!claims.is(shortened, NOW), "not the one that was kept");
    }

    #[test]
    fn a_token_with_any_character_changed_cut_or_added_is_none() {
        let key = SigningKey::of(1);
        let token = LinkToken::of(&key, ACME, link());
        for at in 0..token.0.len() {
            let mut forged = token.0.as_bytes().to_vec();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = LinkToken::from_path(&String::from_utf8(forged).unwrap());
            assert_eq!(forged.claims(&key), None, "at {at}");
            assert_eq!(LinkToken::from_path(&token.0[..at]).claims(&key), None, "cut at {at}");
        }
        for odd in [
            format!("{}A", token.0.as_str()),
            format!("{}=", token.0.as_str()),
            "é".repeat(40),
            String::new(),
        ] {
            assert_eq!(LinkToken::from_path(&odd).claims(&key), None, "{odd}");
        }
        assert_eq!(token.claims(&SigningKey::of(2)), None, "another key");
    }

    #[test]
    fn a_token_is_not_shown() {
        let token = LinkToken::of(&SigningKey::of(1), ACME, link());
        assert_eq!(format!("{token:?}"), "LinkToken(…)");
    }
}
