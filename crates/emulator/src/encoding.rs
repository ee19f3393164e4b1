//! Small encodings of the wire, the clock, and random names.

use base64_simd::URL_SAFE_NO_PAD;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

/// Base64url without padding.
pub(crate) fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// Reads base64url without padding; `None` if it is anything else.
pub(crate) fn unb64(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode_to_vec(text).ok()
}

/// The wall clock.
#[expect(clippy::disallowed_methods, reason = "the emulator's one reader of the wall clock")]
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// The wall clock in seconds since 1970.
pub(crate) fn unix_now() -> i64 {
    now().unix_timestamp()
}

/// A `NumericDate` of JWTs (RFC 7519 §2), which may have a fraction.
pub(crate) fn numeric_date(seconds: f64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH.saturating_add(Duration::saturating_seconds_f64(seconds))
}

/// A time with all its digits: `2026-11-24T12:00:00.25Z`.
pub(crate) fn rfc3339(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}

/// A time as Entra writes it beside its errors: `2026-11-24 12:00:00Z`.
pub(crate) fn entra_timestamp() -> String {
    let whole = now().replace_nanosecond(0).unwrap_or_else(|_| now());
    rfc3339(whole).replacen('T', " ", 1)
}

/// 32 hexadecimal digits: a key version, a token's `uti`.
pub(crate) fn hex_name() -> String {
    Uuid::new_v4().simple().to_string()
}
