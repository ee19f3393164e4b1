//! The handshake with a webhook, and deliveries to it, tried again as Event Grid does.
//! <https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema>
//! <https://learn.microsoft.com/azure/event-grid/end-point-validation-cloud-events-schema>
//! <https://learn.microsoft.com/azure/event-grid/delivery-and-retry>

use std::{sync::Arc, time::Duration};

use http::{Method, StatusCode, header};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Event, EventSchema, Validation, subscription::Line};
use crate::{
    encoding::{now, rfc3339},
    entra,
    state::State,
};

/// The application that Event Grid is in Entra, in every directory.
pub const EVENT_GRID: Uuid = Uuid::from_u128(0x4962_773b_9cdb_44cf_a8bf_2378_46a0_0ab7);

/// What Event Grid calls itself in the handshake of `CloudEvents`.
const ORIGIN: &str = "eventgrid.azure.net";
/// How long a webhook may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// After how many seconds what was not taken is tried again. Event Grid goes on for a day.
const PAUSES: [u64; 5] = [10, 30, 60, 300, 600];

/// Asks the webhook whether it wants events, then delivers them until the subscription is closed.
pub(super) async fn attend(state: Arc<State>, line: Arc<Line>) {
    let Ok(http) = client(&state) else {
        return line.validated(Validation::Failed("no HTTP client could be made".into()));
    };
    let sender = Sender { state, line, http };
    let closed = sender.line.closed.clone();
    let attending = async {
        match sender.handshake().await {
            Ok(()) => {
                sender.line.validated(Validation::Done);
                sender.deliver().await;
            }
            Err(why) => sender.line.validated(Validation::Failed(why)),
        }
    };
    let _ = closed.run_until_cancelled(attending).await;
}

struct Sender {
    state: Arc<State>,
    line: Arc<Line>,
    http: Client,
}

/// What a webhook made of a delivery.
enum Outcome {
    Taken,
    /// It may take it another time.
    Again,
    /// It never will.
    Refused,
}

impl Sender {
    async fn handshake(&self) -> Result<(), String> {
        match self.line.wanted.schema {
            EventSchema::EventGrid => self.validate_by_code().await,
            EventSchema::CloudEvents => self.validate_by_origin().await,
        }
    }

    async fn validate_by_code(&self) -> Result<(), String> {
        let code = Uuid::new_v4().to_string();
        let event = json!([{
            "id": Uuid::new_v4(), "topic": self.topic(), "subject": "", "eventTime": rfc3339(now()),
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "metadataVersion": "1", "dataVersion": "2",
            "data": {
                "validationCode": code,
                "validationUrl": format!("https://rp-westeurope.eventgrid.azure.net:553/eventsubscriptions/{}/validate?id={code}", self.line.name),
            },
        }]);
        let request = self
            .request(Method::POST)?
            .header("aeg-event-type", "SubscriptionValidation");
        let answer = self.answer(request.json(&event)).await?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        if status == StatusCode::OK && body["validationResponse"] == code {
            Ok(())
        } else {
            Err(format!("{status}, without the code of the validation"))
        }
    }

    async fn validate_by_origin(&self) -> Result<(), String> {
        let request = self
            .request(Method::OPTIONS)?
            .header("webhook-request-origin", ORIGIN)
            .header("webhook-request-rate", "120");
        let answer = self.answer(request).await?;
        let allowed = answer.headers().get("webhook-allowed-origin");
        if answer.status() == StatusCode::OK && allowed.is_some_and(|allowed| allowed == ORIGIN || allowed == "*") {
            Ok(())
        } else {
            Err(format!(
                "{}, without the origin as one that is allowed",
                answer.status()
            ))
        }
    }

    async fn deliver(&self) {
        loop {
            let events = self.line.next();
            if events.is_empty() {
                self.line.woken.notified().await;
            } else {
                self.deliver_these(events).await;
            }
        }
    }

    /// Tries as often as Event Grid does, or sooner if an order says so.
    async fn deliver_these(&self, events: Vec<Event>) {
        let len = events.len();
        let mut pauses = PAUSES.iter();
        for tries in 0.. {
            match self.send(&events, tries).await {
                Outcome::Taken => return self.line.delivered(len),
                Outcome::Refused => return self.line.dropped(len),
                Outcome::Again => {}
            }
            let Some(&pause) = pauses.next() else {
                return self.line.dropped(len);
            };
            let pause = tokio::time::sleep(Duration::from_secs(pause));
            // What comes meanwhile is not held up by it for long, and what an order says of these events is heeded.
            tokio::select! {
                () = pause => {}
                () = self.line.woken.notified() => return self.line.put_back(events),
            }
        }
    }

    async fn send(&self, events: &[Event], tries: u32) -> Outcome {
        let schema = self.line.wanted.schema;
        let mut written: Vec<_> = events.iter().map(|event| event.written(schema)).collect();
        let (content_type, body) = match (schema, self.line.wanted.max_batch) {
            (EventSchema::EventGrid, _) => ("application/json; charset=utf-8", Value::Array(written)),
            (EventSchema::CloudEvents, 0 | 1) => (
                "application/cloudevents+json; charset=utf-8",
                written.pop().unwrap_or_default(),
            ),
            (EventSchema::CloudEvents, _) => (
                "application/cloudevents-batch+json; charset=utf-8",
                Value::Array(written),
            ),
        };
        let Ok(request) = self.request(Method::POST) else {
            return Outcome::Again;
        };
        let request = request
            .header("aeg-event-type", "Notification")
            .header("aeg-delivery-count", tries)
            .header(header::CONTENT_TYPE, content_type)
            .body(body.to_string());
        let answer = self.answer(request).await.map(|answer| answer.status());
        self.line.answered(answer.as_ref().ok().map(StatusCode::as_u16));
        match answer {
            Ok(status) if status.is_success() => Outcome::Taken,
            Ok(status) if matches!(status.as_u16(), 400 | 401 | 403 | 404 | 413) => Outcome::Refused,
            Ok(_) | Err(_) => Outcome::Again,
        }
    }

    fn request(&self, method: Method) -> Result<RequestBuilder, String> {
        let wanted = &self.line.wanted;
        let mut request = self
            .http
            .request(method, wanted.endpoint.clone())
            .header("aeg-subscription-name", self.line.name.to_uppercase());
        for (name, value) in &wanted.headers {
            request = request.header(name, value);
        }
        if let Some(bearer) = &wanted.bearer {
            let token = entra::token_for(&self.state, bearer.directory, EVENT_GRID, &bearer.resource);
            request = request.bearer_auth(token.ok_or("Entra gives Event Grid no token")?);
        }
        Ok(request)
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Response, String> {
        request.send().await.map_err(|error| format!("no answer: {error}"))
    }

    fn topic(&self) -> String {
        let world = self.state.world();
        let vault = world.vaults.get(&self.line.host);
        vault.map(crate::world::Vault::resource_id).unwrap_or_default()
    }
}

/// One that trusts the emulator's own authority, too.
fn client(state: &State) -> Result<Client, reqwest::Error> {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(ANSWER_WITHIN)
        .tls_certs_merge([reqwest::Certificate::from_pem(state.ca_pem().as_bytes())?])
        .build()
}
