//! Deliveries as they are written: in Event Grid's own schema, and as Cloud Events 1.0.
//!
//! <https://learn.microsoft.com/azure/event-grid/event-schema>, <https://learn.microsoft.com/azure/event-grid/cloud-event-schema>

use std::borrow::Cow;

use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::problem::{Kind, Problem};

/// How a delivery is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schema {
    /// A list of Event Grid's own events.
    EventGrid,
    /// One Cloud Event.
    CloudEvent,
    /// A list of Cloud Events.
    CloudEvents,
}

/// An event, of either schema.
#[derive(Debug)]
pub(super) struct Event<'a> {
    /// What happened.
    pub(super) kind: Cow<'a, str>,
    /// Where: the vault's resource id.
    pub(super) source: Cow<'a, str>,
    /// With what, by its kind.
    pub(super) data: Option<&'a RawValue>,
}

/// An event in Event Grid's own schema, as far as it matters.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventGridEvent<'a> {
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// A Cloud Event, as far as it matters.
#[derive(Deserialize)]
struct CloudEvent<'a> {
    #[serde(borrow)]
    specversion: Cow<'a, str>,
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Schema {
    /// What the delivery's one media type says.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let unsupported = || Problem::because(Kind::UnsupportedMediaType, MEDIA_TYPES);
        if headers.contains_key(header::CONTENT_ENCODING) {
            return Err(unsupported());
        }
        let mut named = headers.get_all(header::CONTENT_TYPE).iter();
        let (Some(only), None) = (named.next(), named.next()) else {
            return Err(unsupported());
        };
        let essence = only.as_bytes().split(|&b| b == b';').next().unwrap_or_default();
        let essence = essence.trim_ascii().to_ascii_lowercase();
        match &*essence {
            b"application/json" => Ok(Self::EventGrid),
            b"application/cloudevents+json" => Ok(Self::CloudEvent),
            b"application/cloudevents-batch+json" => Ok(Self::CloudEvents),
            _ => Err(unsupported()),
        }
    }
}

/// The events of a delivery.
pub(super) fn parsed(schema: Schema, body: &[u8]) -> Result<Vec<Event<'_>>, Problem> {
    let events: Vec<Event<'_>> = match schema {
        Schema::EventGrid => {
            let events: Vec<EventGridEvent<'_>> = read(body)?;
            events.into_iter().map(Event::from).collect()
        }
        Schema::CloudEvent => vec![Event::try_from(read::<CloudEvent<'_>>(body)?)?],
        Schema::CloudEvents => {
            let events: Vec<CloudEvent<'_>> = read(body)?;
            events.into_iter().map(Event::try_from).collect::<Result<_, _>>()?
        }
    };
    if events.len() > MAX_EVENTS {
        return Err(Problem::because(
            Kind::BatchTooLarge,
            format!("A delivery has at most {MAX_EVENTS} events."),
        ));
    }
    Ok(events)
}

/// Reads JSON of Event Grid's.
pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(json).map_err(|_| malformed())
}

/// The problem of a delivery that cannot be read.
pub(super) fn malformed() -> Problem {
    Problem::because(
        Kind::MalformedRequest,
        "The body is not what its media type says: a list of events in Event Grid's schema, or Cloud Events 1.0.",
    )
}

impl<'a> From<EventGridEvent<'a>> for Event<'a> {
    fn from(event: EventGridEvent<'a>) -> Self {
        Self {
            kind: event.event_type,
            source: event.topic,
            data: event.data,
        }
    }
}

impl<'a> TryFrom<CloudEvent<'a>> for Event<'a> {
    type Error = Problem;

    fn try_from(event: CloudEvent<'a>) -> Result<Self, Problem> {
        if event.specversion != "1.0" {
            return Err(malformed());
        }
        Ok(Self {
            kind: event.r#type,
            source: event.source,
            data: event.data,
        })
    }
}

const MEDIA_TYPES: &str = "Events are `application/json` (Event Grid's schema), `application/cloudevents+json` or `application/cloudevents-batch+json`.";
/// Event Grid's most.
const MAX_EVENTS: usize = 5_000;
