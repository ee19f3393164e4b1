//! What an access token says, and whether to believe it (Entra's v2.0 tokens; RFC 7519, RFC 9068).

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use keyferry_crypto::id::DirectoryId;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::problem::{Kind, Problem};

/// The claims that matter.
#[derive(Deserialize)]
pub(super) struct Claims {
    exp: i64,
    nbf: Option<i64>,
    tid: DirectoryId,
    azp: Option<Uuid>,
    appid: Option<Uuid>,
    #[serde(default)]
    pub(super) roles: Vec<String>,
}

/// What must be known before anything can be verified.
#[derive(Deserialize)]
struct Unverified {
    tid: DirectoryId,
}

/// Which directory's which key a token claims to be signed with. Nothing more is taken from an unverified token.
pub(super) fn unverified(token: &[u8]) -> Result<(DirectoryId, String), Problem> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| not_accepted())?;
    let kid = header
        .kid
        .filter(|_| header.alg == Algorithm::RS256)
        .ok_or_else(not_accepted)?;
    let claims: Unverified = jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| not_accepted())?;
    Ok((claims.tid, kid))
}

impl Claims {
    /// The claims of a token that `directory` signed with `key` for one of `audiences`. Its times are not yet looked at.
    pub(super) fn verified(
        token: &[u8],
        key: &DecodingKey,
        issuer: &str,
        directory: DirectoryId,
        audiences: &[String],
    ) -> Result<Self, Problem> {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(audiences);
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // The library would read the system's clock; `valid_until` takes the time that is passed in.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = jsonwebtoken::decode::<Self>(token, key, &validation)
            .map_err(|_| not_accepted())?
            .claims;
        if claims.tid == directory {
            Ok(claims)
        } else {
            Err(not_accepted())
        }
    }

    /// Until when the token is good, if it is good now.
    pub(super) fn valid_until(&self, now: OffsetDateTime, leeway: Duration) -> Result<OffsetDateTime, Problem> {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| not_accepted());
        let expires_at = at(self.exp)?.saturating_add(leeway);
        if now >= expires_at {
            return Err(Problem::new(Kind::TokenExpired));
        }
        match self.nbf.map(at).transpose()? {
            Some(begins) if now.saturating_add(leeway) < begins => Err(not_accepted()),
            Some(_) | None => Ok(expires_at),
        }
    }

    /// The application that called: `azp` in v2.0 tokens, `appid` in older ones.
    pub(super) fn application(&self) -> Result<Uuid, Problem> {
        match (self.azp, self.appid) {
            (Some(azp), Some(appid)) if azp != appid => Err(not_accepted()),
            (Some(application), _) | (None, Some(application)) => Ok(application),
            (None, None) => Err(not_accepted()),
        }
    }
}

/// One answer for every reason: what exactly displeased would help only a forger.
pub(super) fn not_accepted() -> Problem {
    Problem::new(Kind::TokenInvalid)
}
