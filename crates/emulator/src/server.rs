//! The HTTPS side: one port for every host, told apart by the name that the client asks for.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::body::{Body, Bytes};
use futures::StreamExt;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request};
use http_body_util::{BodyExt, Collected, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::UnboundedReceiver,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::{
    arm::{self, ArmError, with_arm_headers},
    calls::Operation,
    entra::{self, error::TokenError},
    fault::{Fault, Met},
    keyvault::{self, CLIENT_REQUEST_ID, Call, Origin, Route, error::Refusal, json_answer, with_vault_headers},
    private::{Door, private_address},
    service::Service,
    state::State,
};

/// The connection is broken off without an answer.
#[derive(Debug)]
struct BrokenOff;

/// Serves the main address, and those of the private network as they are made, until told to stop.
pub(crate) async fn serve(
    listener: TcpListener,
    mut doors: UnboundedReceiver<Door>,
    state: Arc<State>,
    stop: CancellationToken,
) -> io::Result<()> {
    let acceptor = TlsAcceptor::from(Arc::new(state.certificates.server_config()?));
    let mut listening = JoinSet::new();
    listening.spawn(accept(listener, acceptor.clone(), Arc::clone(&state), stop.clone()));
    while let Some(door) = stop.run_until_cancelled(doors.recv()).await.flatten() {
        let accepting = accept(
            TcpListener::from_std(door.listener)?,
            acceptor.clone(),
            Arc::clone(&state),
            stop.clone(),
        );
        listening.spawn(async move { door.closed.run_until_cancelled(accepting).await.unwrap_or(Ok(())) });
    }
    while listening.join_next().await.is_some() {}
    Ok(())
}

/// Accepts connections until told to stop; each connection is served in a task of its own and ends with it.
async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    state: Arc<State>,
    stop: CancellationToken,
) -> io::Result<()> {
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => accepted?,
            () = stop.cancelled() => return Ok(()),
        };
        let (acceptor, state, stop) = (acceptor.clone(), Arc::clone(&state), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = connection(acceptor, stream, peer, state) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// A connection to a private endpoint lasts as long as the endpoint is open; any other, as long as the client likes.
async fn connection(acceptor: TlsAcceptor, stream: TcpStream, peer: SocketAddr, state: Arc<State>) {
    let mut origin = Origin {
        client: peer.ip(),
        connection: state.connections.fetch_add(1, Ordering::Relaxed),
        private: None,
    };
    let Ok(local) = stream.local_addr() else { return };
    let Some(address) = private_address(local.ip()) else {
        return converse(acceptor, stream, origin, state).await;
    };
    // In this order: an endpoint that is closed after it was found open has cancelled this by then.
    let Some(connected) = state.private.enter(address) else {
        return;
    };
    let open = state
        .world()
        .endpoint_at(address)
        .filter(|endpoint| endpoint.is_open())
        .map(|endpoint| endpoint.vault.clone());
    if open.is_some() {
        origin.private = open;
        let conversation = converse(acceptor, stream, origin, state);
        let _ = connected.run_until_cancelled(conversation).await;
    }
}

async fn converse(acceptor: TlsAcceptor, stream: TcpStream, origin: Origin, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let service = service_fn(move |request| {
        let (state, origin) = (Arc::clone(&state), origin.clone());
        async move { respond(&state, origin, request).await }
    });
    // A client that goes away is no error of ours.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// One request, as it was understood.
struct Asked {
    origin: Origin,
    client_request_id: Option<HeaderValue>,
    host: String,
    service: Service,
    operation: Operation,
    route: Option<Route>,
    resource: Option<arm::Route>,
}

async fn respond(state: &State, origin: Origin, request: Request<Incoming>) -> Result<Response<Body>, BrokenOff> {
    let asked = Asked::read(&request, origin);
    // A private endpoint leads to its own vault and to nothing else.
    if asked.origin.private.as_ref().is_some_and(|vault| *vault != asked.host) {
        return Err(BrokenOff);
    }
    let _begun = state.calls.begin(&asked.host, asked.operation);
    let (head, body) = request.into_parts();
    // To its end, whatever is answered: a connection with a half read request on it cannot be used again.
    let body = Limited::new(body, BODY_LIMIT).collect().await;
    let body = body.ok().map(Collected::to_bytes);
    let met = state.faults.meet(&asked.host, asked.operation);
    let outcome = match met.as_ref().map(|met| &met.fault) {
        Some(fault) if fault.comes_first() => disturb(state, &asked, fault, Err(BrokenOff)).await,
        Some(fault) => {
            let answer = answer(state, &asked, head, body).await;
            disturb(state, &asked, fault, answer).await
        }
        None => answer(state, &asked, head, body).await,
    };
    // Counted before it is kept back: whoever asked may give up meanwhile, and nothing that comes after is done.
    let status = outcome.as_ref().map_or(0, |answer| answer.status().as_u16());
    state.calls.count(&asked.host, asked.operation, status);
    if let Some(met) = met {
        met.keep_back().await;
    }
    outcome
}

impl Met {
    /// Waits as the fault says, at most until the faults are cleared.
    async fn keep_back(&self) {
        match self.fault {
            Fault::Latency { millis } => {
                let late = tokio::time::sleep(Duration::from_millis(millis));
                let _ = self.cleared.run_until_cancelled(late).await;
            }
            Fault::Hang => self.cleared.cancelled().await,
            _ => {}
        }
    }
}

impl Fault {
    /// Whether it stands in place of the answer (then nothing is done), rather than upon it.
    fn comes_first(&self) -> bool {
        !matches!(self, Self::Latency { .. } | Self::Truncate | Self::Nonsense)
    }
}

impl Asked {
    fn read(request: &Request<Incoming>, origin: Origin) -> Self {
        let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let host = request.uri().host().or(named).unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let (method, path) = (request.method(), request.uri().path());
        let service = Service::at(&host);
        let (mut route, mut resource) = (None, None);
        let named = match service {
            Service::Entra => Some(entra::operation(method, path)),
            Service::ResourceManager => {
                resource = arm::Route::parse(method, path);
                resource.as_ref().map(|route| route.operation)
            }
            Service::KeyVault => {
                route = Route::parse(method, path);
                route.as_ref().map(|route| route.operation)
            }
        };
        let mut operation = named.unwrap_or(Operation::Other);
        // Whoever brings no token is challenged, whatever it asks for. Only `/healthstatus` wants none.
        let is_anonymous = !request.headers().contains_key(header::AUTHORIZATION);
        if is_anonymous && service != Service::Entra && operation != Operation::HealthStatus {
            operation = Operation::Challenge;
        }
        Self {
            origin,
            client_request_id: request.headers().get(CLIENT_REQUEST_ID).cloned(),
            host,
            service,
            operation,
            route,
            resource,
        }
    }

    /// A refusal as the vault would send it.
    fn refuse(&self, refusal: Refusal) -> Response<Body> {
        with_vault_headers(refusal.into_answer(), &self.origin, self.client_request_id.as_ref())
    }
}

/// The true answer, unless nothing would answer at all.
async fn answer(
    state: &State,
    asked: &Asked,
    head: request::Parts,
    body: Option<Bytes>,
) -> Result<Response<Body>, BrokenOff> {
    let Some(body) = body else {
        return Ok(json_answer(
            StatusCode::PAYLOAD_TOO_LARGE,
            &json!({"error": {"code": "BadParameter"}}),
        ));
    };
    let path = head.uri.path();
    let query = head.uri.query().unwrap_or_default();
    match (asked.service, &asked.resource) {
        (Service::Entra, _) => {
            let page = entra::consent::answer(state, &head, &body);
            return Ok(page.unwrap_or_else(|| entra::answer(state, &asked.host, asked.operation, path, &body)));
        }
        (Service::ResourceManager, Some(route)) => {
            let call = arm::Call {
                host: &asked.host,
                headers: &head.headers,
                query,
                body,
                route: route.clone(),
            };
            return Ok(arm::answer(state, &call));
        }
        (Service::ResourceManager, None) => return Ok(with_arm_headers(ArmError::unknown_route().into_answer())),
        (Service::KeyVault, _) => {}
    }
    let there = state
        .world()
        .vaults
        .get(&asked.host)
        .is_some_and(|vault| !vault.deleted);
    if !there {
        return Err(BrokenOff);
    }
    let call = Call {
        host: &asked.host,
        origin: &asked.origin,
        headers: &head.headers,
        query,
        body,
        route: asked.route.clone().unwrap_or_else(Route::other),
    };
    let mut answer = keyvault::answer(state, call).await;
    if head.method == Method::HEAD {
        *answer.body_mut() = Body::empty();
    }
    Ok(answer)
}

/// What a fault makes of the answer, if there is one yet.
async fn disturb(
    state: &State,
    asked: &Asked,
    fault: &Fault,
    answer: Result<Response<Body>, BrokenOff>,
) -> Result<Response<Body>, BrokenOff> {
    match *fault {
        Fault::Latency { .. } => answer,
        Fault::Hang | Fault::Reset => Err(BrokenOff),
        Fault::Throttle { retry_after } => Ok(match asked.service {
            Service::Entra => {
                let mut answer = entra_status(StatusCode::TOO_MANY_REQUESTS);
                if let Some(seconds) = retry_after {
                    answer
                        .headers_mut()
                        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                }
                answer
            }
            Service::ResourceManager => {
                let subscription = asked.resource.as_ref().map(|route| route.subscription);
                with_arm_headers(ArmError::throttled(subscription, retry_after).into_answer())
            }
            Service::KeyVault => asked.refuse(Refusal::throttled(retry_after)),
        }),
        Fault::Status { status } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Ok(match asked.service {
                Service::Entra => entra_status(status),
                Service::ResourceManager => with_arm_headers(ArmError::of_status(status).into_answer()),
                Service::KeyVault => asked.refuse(keyvault::refusal_of_status(state, &asked.host, status)),
            })
        }
        Fault::Truncate => truncate(answer?).await,
        Fault::Nonsense => Ok(json_answer(StatusCode::OK, &json!({"nonsense": true}))),
    }
}

/// Behind Entra stand gateways that fail in HTML.
fn entra_status(status: StatusCode) -> Response<Body> {
    if status.is_server_error() {
        let mut answer = Response::new(Body::from("<html><body><h1>Service unavailable</h1></body></html>"));
        *answer.status_mut() = status;
        answer
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        return answer;
    }
    let (status, body) = TokenError::of_status(status).into_parts();
    json_answer(status, &body)
}

/// Long enough for half of a small answer to be on its way.
const FLUSH: Duration = Duration::from_millis(50);

/// Promises the whole body, sends half, and breaks off.
async fn truncate(answer: Response<Body>) -> Result<Response<Body>, BrokenOff> {
    let (mut parts, body) = answer.into_parts();
    let whole = body.collect().await.map_err(|_| BrokenOff)?.to_bytes();
    let half = whole.slice(..whole.len() / 2);
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let broken = futures::stream::once(async { Ok::<Bytes, io::Error>(half) }).chain(futures::stream::once(async {
        // On HTTP/2 the reset would overtake what is still in the buffer, and there would be no answer at all.
        tokio::time::sleep(FLUSH).await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    }));
    Ok(Response::from_parts(parts, Body::from_stream(broken)))
}

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken off on purpose")
    }
}

impl std::error::Error for BrokenOff {}

impl From<Infallible> for BrokenOff {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// More than any request of these protocols.
const BODY_LIMIT: usize = 1 << 20;
