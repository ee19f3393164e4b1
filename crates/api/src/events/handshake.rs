//! How an endpoint agrees to be delivered to: one way in each schema. Both are answered by themselves; neither the address that
//! a validation names nor the one that an announcement does is ever called.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, StatusCode};
use serde::{Deserialize, Serialize};

use super::{
    document::{Event, malformed, read},
    proof::Authentic,
};
use crate::{
    app::App,
    problem::{Kind, Problem},
};

/// What a validation brings.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Validation {
    validation_code: String,
}

/// How a validation is answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Validated {
    validation_response: String,
}

/// Whether a delivery asks for nothing but an agreement.
pub(super) fn is_validation(headers: &HeaderMap) -> bool {
    headers
        .get(EVENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().eq_ignore_ascii_case(b"SubscriptionValidation"))
}

/// Answers a validation, of Event Grid's own schema, with its code.
pub(super) fn validate(events: &[Event<'_>]) -> Result<Response, Problem> {
    let [event] = events else {
        return Err(malformed());
    };
    let data = event.data.filter(|_| event.kind == VALIDATION).ok_or_else(malformed)?;
    let Validation { validation_code } = read(data.get().as_bytes())?;
    if validation_code.len() > LONGEST_CODE {
        return Err(malformed());
    }
    tracing::info!("Event Grid has a new subscription that delivers here");
    let validated = Validated {
        validation_response: validation_code,
    };
    Ok(Json(validated).into_response())
}

/// Answers an announcement of Cloud Events.
///
/// <https://github.com/cloudevents/spec/blob/v1.0/http-webhook.md#4-abuse-protection>
pub(super) async fn announce(
    State(_): State<App>,
    authentic: Authentic,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let events = &authentic.events;
    let _place = events.enter()?;
    let mut asked = headers.get_all(REQUEST_ORIGIN).iter();
    let origin = asked.next().filter(|_| asked.next().is_none());
    let is_known = |origin: &&http::HeaderValue| {
        let mut known = events.origins.iter();
        known.any(|known| origin.as_bytes().eq_ignore_ascii_case(known.as_bytes()))
    };
    let origin = origin.filter(is_known).ok_or_else(|| {
        Problem::because(
            Kind::MalformedRequest,
            "`WebHook-Request-Origin` names no origin of which events are taken: `[events] origins`.",
        )
    })?;
    tracing::info!("Event Grid has a new subscription that delivers here");
    let mut response = StatusCode::OK.into_response();
    let answer = response.headers_mut();
    answer.insert(ALLOWED_ORIGIN, origin.clone());
    answer.insert(ALLOWED_RATE, events.per_minute.into());
    Ok(response)
}

const EVENT_TYPE: HeaderName = HeaderName::from_static("aeg-event-type");
const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
/// Deliveries a minute.
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");
const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";
/// In bytes; codes are UUIDs.
const LONGEST_CODE: usize = 256;
