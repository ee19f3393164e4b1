//! Admin consent: where the administrator is sent, and what comes back.
//!
//! What comes back is a browser's word. The state tells that this browser, or one that was shown the link, was sent by us; it
//! is signed, it expires, and it is used once. The directory that the answer names is compared and never taken, and that
//! consent was given is proven by a token and by nothing else.

use base64_simd::URL_SAFE_NO_PAD;
use keyferry_crypto::id::{DirectoryId, TenantId};
use keyferry_registry::{RegistryError, onboarding::PendingConsent};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::signature::{Purpose, SigningKey, TAG_LEN};

/// The query that Entra sends the administrator's browser back with, as it came.
#[derive(Clone, Default)]
pub struct ConsentReturn {
    /// `state`.
    pub state: Option<String>,
    /// `tenant`.
    pub tenant: Option<String>,
    /// `admin_consent`.
    pub admin_consent: Option<String>,
    /// `error`.
    pub error: Option<String>,
    /// `error_subcode` or the code in `error_description`; the description itself is not kept.
    pub error_code: Option<String>,
}

/// Why what came back was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// There is no state, or it is none of ours.
    #[error("the answer belongs to no consent that was begun here")]
    Forged,
    /// The state was used before, or a newer one took its place.
    #[error("that answer was used before")]
    Used,
    /// The state is too old.
    #[error("the consent took too long")]
    Expired,
    /// The administrator, or Entra, said no.
    #[error("consent was not given")]
    Denied {
        /// Entra's code, if it is one.
        code: Option<String>,
        /// The link back to the page.
        back: url::Url,
    },
    /// It came for another directory than the one that was told.
    #[error("consent was given in another directory")]
    OtherDirectory {
        /// The link back to the page.
        back: url::Url,
    },
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// What an answer says, read in the one order that is safe.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// No, with Entra's code.
    No(Option<String>),
    /// Yes, in another directory than the customer's.
    Elsewhere,
    /// Yes. That is to be proven.
    Yes,
}

impl ConsentReturn {
    /// What it says. `error` comes first, since `admin_consent=True` comes with errors too.
    pub(crate) fn said(&self, told: Option<DirectoryId>) -> Said {
        if self.error.is_some() {
            let code = self.error_code.clone().or_else(|| self.error.clone());
            return Said::No(code.filter(|code| is_code(code)));
        }
        if !self
            .admin_consent
            .as_deref()
            .is_some_and(|said| said.eq_ignore_ascii_case("true"))
        {
            return Said::No(None);
        }
        let named = self.tenant.as_deref().and_then(|tenant| Uuid::try_parse(tenant).ok());
        match (told, named) {
            (Some(told), named) if named != Some(told.0) => Said::Elsewhere,
            _ => Said::Yes,
        }
    }
}

impl std::fmt::Debug for ConsentReturn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConsentReturn(…)")
    }
}

/// Whether it looks like one of Entra's codes. Anybody can send anything here, and it is shown.
fn is_code(code: &str) -> bool {
    (1..=40).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A state on its way to Entra and back.
pub(crate) struct State {
    tenant: TenantId,
    nonce: [u8; NONCE_LEN],
    expires_at: i64,
}

impl State {
    pub(crate) fn new(tenant: TenantId, nonce: [u8; NONCE_LEN], expires_at: OffsetDateTime) -> Self {
        Self {
            tenant,
            nonce,
            expires_at: expires_at.unix_timestamp(),
        }
    }

    /// `base64url(tenant ‖ nonce ‖ expiry ‖ tag)`, the number big-endian.
    pub(crate) fn encode(&self, key: &SigningKey) -> String {
        let message = self.message();
        let tag = key.tag(Purpose::ConsentState, &message);
        URL_SAFE_NO_PAD.encode_to_string([&message[..], &tag[..]].concat())
    }

    /// A state that came back, if it is ours.
    pub(crate) fn decode(key: &SigningKey, text: &str) -> Option<Self> {
        if text.len() != STATE_LEN {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode_to_vec(text).ok()?;
        let (message, tag) = bytes.split_first_chunk::<MESSAGE_LEN>()?;
        let tag: &[u8; TAG_LEN] = tag.try_into().ok()?;
        if !key.is_tag(Purpose::ConsentState, message, tag) {
            return None;
        }
        let (tenant, rest) = message.split_first_chunk::<16>()?;
        let (nonce, expires_at) = rest.split_first_chunk::<NONCE_LEN>()?;
        Some(Self {
            tenant: TenantId(Uuid::from_bytes(*tenant)),
            nonce: *nonce,
            expires_at: i64::from_be_bytes(expires_at.try_into().ok()?),
        })
    }

    /// Whose consent this is about.
    pub(crate) fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// What is kept of the nonce.
    pub(crate) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.nonce).into()
    }

    /// Whether this is the state that is awaited, and in time.
    pub(crate) fn is_awaited(&self, pending: Option<PendingConsent>, now: OffsetDateTime) -> Result<(), ConsentError> {
        let is_it = |pending: &PendingConsent| bool::from(pending.nonce_digest.ct_eq(&self.digest()));
        pending.filter(is_it).ok_or(ConsentError::Used)?;
        if now.unix_timestamp() >= self.expires_at {
            return Err(ConsentError::Expired);
        }
        Ok(())
    }

    fn message(&self) -> [u8; MESSAGE_LEN] {
        let mut message = [0; MESSAGE_LEN];
        message[..16].copy_from_slice(self.tenant.0.as_bytes());
        message[16..16 + NONCE_LEN].copy_from_slice(&self.nonce);
        message[16 + NONCE_LEN..].copy_from_slice(&self.expires_at.to_be_bytes());
        message
    }
}

pub(crate) const NONCE_LEN: usize = 16;
const MESSAGE_LEN: usize = 16 + NONCE_LEN + 8;
const STATE_LEN: usize = (MESSAGE_LEN + TAG_LEN) * 4 / 3;

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-07-01 12:00 UTC);
    const ACME: TenantId = TenantId(Uuid::from_u128(7));
    const CONTOSO: DirectoryId = DirectoryId(Uuid::from_u128(0xc0));

    fn state() -> State {
        State::new(ACME, [9; NONCE_LEN], NOW + Duration::HOUR)
    }

    fn pending() -> PendingConsent {
        PendingConsent {
            nonce_digest: state().digest(),
            expires_at: NOW + Duration::HOUR,
        }
    }

    fn came_back(pairs: &[(&str, &str)]) -> ConsentReturn {
        let of = |name: &str| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned());
        ConsentReturn {
            state: of("state"),
            tenant: of("tenant"),
            admin_consent: of("admin_consent"),
            error: of("error"),
            error_code: of("error_code"),
        }
    }

    #[test]
    fn a_state_comes_back_as_it_went_and_is_awaited_once() {
        let key = SigningKey::of(1);
        let back = State::decode(&key, &state().encode(&key)).unwrap();
        assert_eq!(back.tenant(), ACME);
        assert!(back.is_awaited(Some(pending()), NOW).is_ok());
        assert!(matches!(back.is_awaited(None, NOW), Err(ConsentError::Used)));
        let newer = PendingConsent {
            nonce_digest: [0; 32],
            ..pending()
        };
        assert!(matches!(back.is_awaited(Some(newer), NOW), Err(ConsentError::Used)));
        let late = back.is_awaited(Some(pending()), NOW + Duration::HOUR);
        assert!(matches!(late, Err(ConsentError::Expired)));
    }

    #[test]
    fn a_state_with_any_character_changed_or_cut_is_none() {
        let key = SigningKey::of(1);
        let text = state().encode(&key);
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert!(
                State::decode(&key, std::str::from_utf8(&forged).unwrap()).is_none(),
                "at {at}"
            );
            assert!(State::decode(&key, &text[..at]).is_none(), "cut at {at}");
        }
    }

    #[test]
    fn what_was_signed_as_something_else_is_no_state() {
        let key = SigningKey::of(1);
        let message = state().message();
        let tag = key.tag(Purpose::Link, &message);
        let text = URL_SAFE_NO_PAD.encode_to_string([&message[..], &tag[..]].concat());
        assert!(State::decode(&key, &text).is_none());
    }

    #[test]
    fn an_error_counts_whatever_else_is_said() {
        let back = came_back(&[
            ("admin_consent", "True"),
            ("error", "consent_required"),
            ("error_code", "AADSTS65004"),
            ("tenant", &CONTOSO.0.to_string()),
        ]);
        assert_eq!(back.said(Some(CONTOSO)), Said::No(Some("AADSTS65004".into())));
    }

    #[test]
    fn a_code_that_is_none_is_not_repeated() {
        for code in ["<script>", "", &"A".repeat(41), "a b"] {
            let back = came_back(&[("error", "access_denied"), ("error_code", code)]);
            assert_eq!(back.said(None), Said::No(None), "{code}");
        }
    }

    #[test]
    fn what_does_not_say_yes_says_no() {
        for pairs in [&[][..], &[("admin_consent", "False")], &[("admin_consent", "")]] {
            assert_eq!(came_back(pairs).said(Some(CONTOSO)), Said::No(None));
        }
    }

    #[test]
    fn a_directory_that_is_not_the_customers_is_told_from_its_own() {
        let said = |tenant: &str| came_back(&[("admin_consent", "True"), ("tenant", tenant)]).said(Some(CONTOSO));
        assert_eq!(said(&CONTOSO.0.to_string()), Said::Yes);
        assert_eq!(said(&Uuid::from_u128(1).to_string()), Said::Elsewhere);
        assert_eq!(said("contoso.example"), Said::Elsewhere);
        assert_eq!(
            came_back(&[("admin_consent", "True")]).said(Some(CONTOSO)),
            Said::Elsewhere
        );
        assert_eq!(
            came_back(&[("admin_consent", "True")]).said(None),
            Said::Yes,
            "none was told"
        );
    }
}
