//! A caller's idempotency key.

use http::HeaderMap;
use keyferry_registry::{Idempotency, IdempotencyKey};
use sha2::{Digest, Sha256};

use crate::{
    body::JsonPayload,
    caller::Caller,
    problem::{Kind, Problem},
};

/// The caller's idempotency key, bound to the caller and to the request's bytes.
pub(super) fn idempotency(
    headers: &HeaderMap,
    caller: &Caller,
    payload: &JsonPayload,
) -> Result<Option<Idempotency>, Problem> {
    let mut all = headers.get_all("idempotency-key").iter();
    let Some(value) = all.next() else { return Ok(None) };
    let refused = || {
        Problem::because(
            Kind::MalformedRequest,
            "`idempotency-key` has 1 to 200 visible ASCII characters.",
        )
    };
    if all.next().is_some() {
        return Err(refused());
    }
    let key = value
        .to_str()
        .ok()
        .and_then(IdempotencyKey::parse)
        .ok_or_else(refused)?;
    let fingerprint = Sha256::new()
        .chain_update(caller.application())
        .chain_update(payload.bytes())
        .finalize();
    Ok(Some(Idempotency {
        key,
        fingerprint: fingerprint.into(),
    }))
}
