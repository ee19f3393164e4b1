//! encrypt, decrypt, wrapkey, unwrapkey, sign, verify.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::{Call, access::vault_of, error::Refusal};
use crate::{
    calls::Operation,
    encoding::{b64, unb64},
    rsa::{RsaError, RsaKey},
    state::State,
};

/// Performs a crypto operation. The RSA itself runs off the async threads.
pub(super) async fn perform(state: &State, call: &Call<'_>) -> Result<(StatusCode, Value), Refusal> {
    let (key, kid) = usable_key(state, call)?;
    let body: Value = serde_json::from_slice(&call.body)
        .map_err(|_| Refusal::bad_parameter("The request body is missing or is not JSON."))?;
    let operation = call.route.operation;
    let done = tokio::task::spawn_blocking(move || transform(operation, &key, &body)).await;
    let value = done.map_err(|_| Refusal::of_status(StatusCode::INTERNAL_SERVER_ERROR))??;
    Ok((
        StatusCode::OK,
        match operation {
            Operation::Verify => json!({"value": value}),
            _ => json!({"kid": kid, "value": value}),
        },
    ))
}

/// The key at the version asked for, if its state lets it do this.
fn usable_key(state: &State, call: &Call<'_>) -> Result<(Arc<RsaKey>, String), Refusal> {
    let world = state.world();
    let vault = vault_of(&world, call)?;
    let route = &call.route;
    let bundle = vault.keys.get(&route.name).filter(|key| key.deleted_at.is_none());
    let version = bundle
        .and_then(|key| key.version(&route.version))
        .ok_or_else(|| Refusal::key_not_found(&route.name, &route.version))?;
    let verb = verb(route.operation);
    if !version.enabled {
        return Err(Refusal::key_disabled(verb));
    }
    if !version.key_ops.iter().any(|op| op.eq_ignore_ascii_case(verb)) {
        return Err(Refusal::operation_forbidden(verb));
    }
    // An expired or too young key still unwraps, decrypts and verifies: what it protects must stay readable.
    let protects = matches!(
        route.operation,
        Operation::Encrypt | Operation::WrapKey | Operation::Sign
    );
    if protects && !version.is_current() {
        let expired = version.exp.is_some_and(|exp| exp <= crate::encoding::unix_now());
        return Err(Refusal::key_not_current(verb, expired));
    }
    Ok((Arc::clone(&version.key), version.kid(vault, &route.name)))
}

fn transform(operation: Operation, key: &RsaKey, body: &Value) -> Result<Value, Refusal> {
    let alg = body["alg"].as_str().unwrap_or_default();
    let bytes = |name: &str| body[name].as_str().and_then(unb64).ok_or_else(Refusal::bad_value);
    let made = match operation {
        Operation::Encrypt | Operation::WrapKey => key.encrypt(alg, &bytes("value")?),
        Operation::Decrypt | Operation::UnwrapKey => key.decrypt(alg, &bytes("value")?),
        Operation::Sign => key.sign(alg, &bytes("value")?),
        _ => {
            let verdict = key.verify(alg, &bytes("digest")?, &bytes("value")?);
            return verdict.map(Value::Bool).map_err(|error| refused(error, alg));
        }
    };
    made.map(|bytes| b64(&bytes).into())
        .map_err(|error| refused(error, alg))
}

fn refused(error: RsaError, alg: &str) -> Refusal {
    match error {
        RsaError::Padding => Refusal::bad_padding(),
        RsaError::Algorithm => Refusal::bad_parameter(&format!("Property 'alg' has invalid value '{alg}'.\r\n")),
        RsaError::Input | RsaError::Key => {
            Refusal::bad_parameter("Property 'value' has a length that does not fit the key and the algorithm.\r\n")
        }
    }
}

/// The operation as messages and `key_ops` name it.
fn verb(operation: Operation) -> &'static str {
    match operation {
        Operation::Encrypt => "encrypt",
        Operation::Decrypt => "decrypt",
        Operation::WrapKey => "wrapKey",
        Operation::UnwrapKey => "unwrapKey",
        Operation::Sign => "sign",
        _ => "verify",
    }
}
