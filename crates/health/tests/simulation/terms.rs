//! What the bound is made of: the configuration's values if left out, in the letters of `docs/revocation.md`.

use std::time::Duration;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// P.
pub(crate) const PERIOD: Duration = Duration::from_secs(30);
/// L.
pub(crate) const LEASE: Duration = Duration::from_secs(10);
/// T.
pub(crate) const TRY: Duration = Duration::from_secs(8);
/// C.
pub(crate) const CONFIRMATION: Duration = Duration::from_secs(3);
/// H.
pub(crate) const HEARING: Duration = Duration::from_secs(10);
/// W.
pub(crate) const WATCHED_WITHIN: Duration = PERIOD.saturating_add(LEASE).saturating_add(TRY);

/// The bound of a replica that hears: W + T + C + H.
pub(crate) const HEARS: Duration = WATCHED_WITHIN
    .saturating_add(TRY)
    .saturating_add(CONFIRMATION)
    .saturating_add(HEARING);
/// That of one that is deaf: P, which is longer than H, + T + C.
pub(crate) const DEAF: Duration = PERIOD.saturating_add(TRY).saturating_add(CONFIRMATION);
/// Within which all serves again, once nothing is wrong any more.
pub(crate) const AFTERMATH: Duration = Duration::from_secs(45);
