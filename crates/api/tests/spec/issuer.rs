//! An identity provider: serves its discovery documents and keys over HTTP, and signs whatever a test wants signed.

use std::sync::{
    Arc, LazyLock, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use base64_simd::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::{net::TcpListener, task::JoinSet};
use url::Url;
use uuid::Uuid;

/// The platform's own directory, whose tokens are accepted.
pub(crate) const DIRECTORY: Uuid = Uuid::from_u128(0xd1);
/// A directory that the issuer serves as well, and that nobody trusts.
pub(crate) const FOREIGN: Uuid = Uuid::from_u128(0xd2);
/// Who calls, where it does not matter.
pub(crate) const APPLICATION: Uuid = Uuid::from_u128(0xa1);
/// The API's client id, which is what version 2.0 tokens name as their audience.
pub(crate) const AUDIENCE: Uuid = Uuid::from_u128(0xa0);

pub(crate) struct Issuer {
    origin: Url,
    published: Arc<Published>,
    _server: JoinSet<()>,
}

struct Published {
    origin: Url,
    keys: Mutex<Vec<Value>>,
    discovered: Mutex<Option<Value>>,
    is_down: AtomicBool,
    asked: AtomicUsize,
}

/// A signing key.
pub(crate) struct Key {
    pub(crate) kid: &'static str,
    pair: KeyPair,
}

/// The key that is published from the start.
pub(crate) static FIRST: LazyLock<Key> = LazyLock::new(|| Key::generate("first"));
/// A key that is published when the issuer rotates.
pub(crate) static SECOND: LazyLock<Key> = LazyLock::new(|| Key::generate("second"));

impl Key {
    fn generate(kid: &'static str) -> Self {
        Self {
            kid,
            pair: KeyPair::generate(KeySize::Rsa2048).unwrap(),
        }
    }

    /// The public key, as anyone can read it.
    pub(crate) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// A token with this header and these claims, under this key's RS256 signature whatever the header says.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        self.pair
            .sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature)
            .unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode_to_string(signature))
    }

    /// The public key, as an issuer publishes it (RFC 7517).
    pub(crate) fn jwk(&self) -> Value {
        let public = self.pair.public_key();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode_to_string(bytes);
        let (n, e) = (public.modulus(), public.exponent());
        json!({
            "kty": "RSA", "use": "sig", "kid": self.kid,
            "n": part(n.big_endian_without_leading_zero()), "e": part(e.big_endian_without_leading_zero()),
        })
    }
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let published = Arc::new(Published {
            origin: origin.clone(),
            keys: Mutex::new(vec![FIRST.jwk()]),
            discovered: Mutex::default(),
            is_down: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/{directory}/v2.0/.well-known/openid-configuration", get(discovery))
            .route("/{directory}/keys", get(keys))
            .with_state(Arc::clone(&published));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            origin,
            published,
            _server: server,
        }
    }

    pub(crate) fn origin(&self) -> &Url {
        &self.origin
    }

    /// From now on only that key is published.
    pub(crate) fn rotates_to(&self, key: &Key) {
        self.publishes(vec![key.jwk()]);
    }

    /// From now on those keys are published, whatever they are.
    pub(crate) fn publishes(&self, keys: Vec<Value>) {
        *self.published.keys.lock().unwrap() = keys;
    }

    /// From now on that is what discovery finds.
    pub(crate) fn discovers(&self, document: &Value) {
        *self.published.discovered.lock().unwrap() = Some(document.clone());
    }

    /// Whether every question is answered with a failure.
    pub(crate) fn is_down(&self, is_down: bool) {
        self.published.is_down.store(is_down, SeqCst);
    }

    /// How often somebody asked for the keys.
    pub(crate) fn asked(&self) -> usize {
        self.published.asked.load(SeqCst)
    }

    /// The claims of an application with these roles, good for an hour.
    pub(crate) fn claims(&self, roles: &[&str]) -> Value {
        let now = now();
        json!({
            "iss": format!("{}{DIRECTORY}/v2.0", self.origin), "tid": DIRECTORY, "aud": AUDIENCE,
            "iat": now, "nbf": now, "exp": now + 3600, "azp": APPLICATION, "roles": roles,
        })
    }

    /// A good token of an application with these roles.
    pub(crate) fn token(&self, roles: &[&str]) -> String {
        FIRST.sign(&header(FIRST.kid), &self.claims(roles))
    }
}

/// The header of a good token.
pub(crate) fn header(kid: &str) -> Value {
    json!({"typ": "JWT", "alg": "RS256", "kid": kid})
}

/// A part of a token.
pub(crate) fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode_to_string(part.to_string())
}

/// The time, as a token tells it.
pub(crate) fn now() -> i64 {
    let clock = keyferry_api::clock::system();
    OffsetDateTime::unix_timestamp(clock())
}

async fn discovery(
    State(published): State<Arc<Published>>,
    Path(directory): Path<Uuid>,
) -> Result<Json<Value>, StatusCode> {
    if published.is_down.load(SeqCst) {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let origin = &published.origin;
    let discovered = published.discovered.lock().unwrap().clone();
    Ok(Json(discovered.unwrap_or_else(|| {
        json!({
            "issuer": format!("{origin}{directory}/v2.0"),
            "jwks_uri": format!("{origin}{directory}/keys"),
        })
    })))
}

async fn keys(State(published): State<Arc<Published>>) -> Json<Value> {
    published.asked.fetch_add(1, SeqCst);
    Json(json!({ "keys": *published.keys.lock().unwrap() }))
}
