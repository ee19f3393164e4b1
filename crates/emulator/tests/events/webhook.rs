//! A webhook that answers as it is told, and shows what it was sent.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
};
use keyferry_emulator::{
    Emulator, EmulatorConfig, EventSchema, EventSubscription, Order, RsaKey, SubscriptionState, Validation,
    VaultOptions,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use uuid::Uuid;

pub(crate) const HOST: &str = "acme.vault.azure.net";
pub(crate) const DIRECTORY: Uuid = Uuid::from_u128(0xd1d1_d1d1_0000_4000_8000_0000_0000_0001);

/// A vault, and a webhook that is not subscribed yet.
pub(crate) struct Stage {
    pub(crate) emulator: Emulator,
    address: SocketAddr,
    answers: Arc<Mutex<Answers>>,
    sent: UnboundedReceiver<Sent>,
    key: String,
}

/// How the webhook answers.
#[derive(Clone, Copy)]
pub(crate) struct Answers {
    /// Whether it agrees to be sent events.
    pub(crate) agrees: bool,
    /// The status that deliveries are answered with.
    pub(crate) status: u16,
}

/// A request that the webhook was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

#[derive(Clone)]
struct Hook {
    answers: Arc<Mutex<Answers>>,
    told: UnboundedSender<Sent>,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let emulator = Emulator::start(EmulatorConfig::default()).await.unwrap();
        let answers = Arc::new(Mutex::new(Answers {
            agrees: true,
            status: 200,
        }));
        let (told, sent) = unbounded_channel();
        let hook = Hook {
            answers: Arc::clone(&answers),
            told,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/events", any(take)).with_state(hook);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let stage = Self {
            emulator,
            address,
            answers,
            sent,
            key: base64_simd::URL_SAFE_NO_PAD.encode_to_string(RsaKey::generate(2048).unwrap().pkcs8()),
        };
        stage.order(Order::CreateDirectory { directory: DIRECTORY });
        stage.order(Order::CreateVault {
            host: HOST.into(),
            directory: DIRECTORY,
            options: VaultOptions::default(),
        });
        stage
    }

    pub(crate) fn order(&self, order: Order) -> Value {
        self.emulator.order(order).unwrap()
    }

    pub(crate) fn answer_with(&self, answers: Answers) {
        *self.answers.lock().unwrap() = answers;
    }

    /// What subscribes the webhook in the simplest way.
    pub(crate) fn wish(&self, schema: EventSchema) -> EventSubscription {
        EventSubscription {
            endpoint: format!("http://{}/events", self.address).parse().unwrap(),
            schema,
            headers: [("x-secret".to_owned(), "pretend".to_owned())].into(),
            bearer: None,
            max_batch: 1,
        }
    }

    /// Subscribes it, and answers the request of the handshake.
    pub(crate) async fn subscribe(&mut self, subscription: EventSubscription) -> Sent {
        self.order(Order::SubscribeEvents {
            host: HOST.into(),
            name: "keyferry".into(),
            subscription,
        });
        self.sent().await
    }

    /// Makes a version of a key. Answers its `kid`.
    pub(crate) fn new_version(&self, name: &str) -> String {
        let made = self.order(Order::ImportKey {
            host: HOST.into(),
            name: name.into(),
            pkcs8: self.key.clone(),
        });
        made["kid"].as_str().unwrap().to_owned()
    }

    /// The next request that the webhook is sent.
    pub(crate) async fn sent(&mut self) -> Sent {
        self.sent.recv().await.unwrap()
    }

    /// The next delivery's one event.
    pub(crate) async fn event(&mut self) -> Value {
        let body = self.sent().await.body;
        match body {
            Value::Array(mut events) => {
                assert_eq!(events.len(), 1);
                events.remove(0)
            }
            event => event,
        }
    }

    pub(crate) fn nothing_was_sent(&mut self) -> bool {
        self.sent.try_recv().is_err()
    }

    /// Waits until the subscription is like that.
    pub(crate) async fn until(&self, holds: impl Fn(&SubscriptionState) -> bool) {
        while !self.emulator.event_subscriptions().iter().any(&holds) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn until_it_agreed(&self) {
        self.until(|state| state.validation == Validation::Done).await;
    }
}

async fn take(State(hook): State<Hook>, method: Method, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Answers { agrees, status } = *hook.answers.lock().unwrap();
    let code = &body[0]["data"]["validationCode"];
    let answer = if !agrees {
        StatusCode::OK.into_response()
    } else if method == Method::OPTIONS {
        let origin = headers.get("webhook-request-origin").cloned();
        let allowed = HeaderName::from_static("webhook-allowed-origin");
        [(allowed, origin.unwrap())].into_response()
    } else if code.is_string() {
        json!({"validationResponse": code}).to_string().into_response()
    } else {
        StatusCode::from_u16(status).unwrap().into_response()
    };
    let _ = hook.told.send(Sent { method, headers, body });
    answer
}
