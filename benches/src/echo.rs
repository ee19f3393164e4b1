//! The yardsticks: axum servers that read a request of the same size and answer with as many bytes.
#![expect(clippy::print_stdout, reason = "it says where it listens")]

use std::{borrow::Cow, collections::BTreeMap, io, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{FromRequestParts, Path, State},
    http::{HeaderName, StatusCode, header, request::Parts},
    response::IntoResponse,
    routing::post,
};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tower::limit::GlobalConcurrencyLimitLayer;
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    timeout::TimeoutLayer,
    trace::TraceLayer,
};

/// Serves, for answers of `len` bytes:
///
/// - `/bytes/{len}`: reads the body, answers fixed bytes;
/// - `/same-auth/{len}`: knows its caller by the token's hash, parses the body as JSON, answers fixed bytes;
/// - `/same-middleware/{len}`: the same behind the layers that any service has (request id, deadline, limit, panics caught,
///   a span at debug level), as `tower-http` makes them;
/// - `/json`: parses one string and answers it back, as `serde_json` does.
pub async fn serve(listener: tokio::net::TcpListener) -> io::Result<()> {
    let same_middleware = Router::new()
        .route("/same-middleware/{len}", post(same_auth))
        .layer(PropagateRequestIdLayer::new(X_REQUEST_ID))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            Duration::from_mins(1),
        ))
        .layer(GlobalConcurrencyLimitLayer::new(20_000))
        .layer(CatchPanicLayer::new())
        .layer(TraceLayer::new_for_http())
        .layer(SetRequestIdLayer::new(X_REQUEST_ID, MakeRequestUuid));
    let router = Router::new()
        .route("/bytes/{len}", post(fixed))
        .route("/same-auth/{len}", post(same_auth))
        .route("/json", post(json))
        .merge(same_middleware)
        .layer(axum::extract::DefaultBodyLimit::max(1 << 20))
        .with_state(Cache::new(10_000));
    axum::serve(listener, router).await
}

/// Serves on a free port of loopback, and says which on the first line of its output.
pub async fn announce_and_serve() -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    serve(listener).await
}

type Callers = Cache<[u8; 32], Arc<str>>;

/// A caller, looked up by its token's hash. Whoever comes first is let in: verifying is not what is measured.
struct Caller(Arc<str>);

impl FromRequestParts<Callers> for Caller {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, callers: &Callers) -> Result<Self, StatusCode> {
        let token = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        let hash = Sha256::digest(token.ok_or(StatusCode::UNAUTHORIZED)?).into();
        Ok(Self(callers.get_with(hash, || "a caller".into())))
    }
}

/// What `unwrap` is sent.
#[derive(Deserialize)]
struct UnwrapRequest<'a> {
    #[serde(borrow)]
    wrapped_key: Cow<'a, str>,
    #[serde(borrow)]
    encryption_context: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

async fn same_auth(
    Path(len): Path<usize>,
    caller: Caller,
    State(_): State<Callers>,
    body: Bytes,
) -> Result<impl IntoResponse, StatusCode> {
    let request: UnwrapRequest<'_> = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    std::hint::black_box((
        caller.0.len(),
        request.wrapped_key.len(),
        request.encryption_context.len(),
    ));
    Ok(answer(len))
}

async fn fixed(Path(len): Path<usize>, body: Bytes) -> impl IntoResponse {
    std::hint::black_box(body.len());
    answer(len)
}

fn answer(len: usize) -> impl IntoResponse {
    static ANSWER: [u8; 1 << 17] = [b'x'; 1 << 17];
    let len = len.min(ANSWER.len());
    ([(header::CONTENT_TYPE, "application/json")], &ANSWER[..len])
}

#[derive(Deserialize, Serialize)]
struct Message {
    plaintext: String,
}

async fn json(Json(message): Json<Message>) -> Json<Message> {
    Json(message)
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
