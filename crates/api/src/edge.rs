//! The outermost layer of every request: its id, its place among the concurrent ones, its deadline, its span, its count,
//! and the one place where a problem is written and a failure is logged.
//!
//! One layer does all of it, because each layer costs, on every request. A success writes no log line.
//!
//! A place is given back when the answer is made. What is not sent yet has none: a large answer stays charged instead
//! ([`crate::budget`]), and small ones are as few as the connections that they wait on.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use http::{HeaderName, HeaderValue, StatusCode, header};
use keyferry_crypto::vault::Fault;
use tokio::time::Instant;
use tracing::Instrument;

pub(crate) use self::items::Items;
use self::request_id::RequestIds;
use crate::{
    app::App,
    config::HttpConfig,
    problem::{Kind, Problem, SHORT_WAIT},
    telemetry::{Metrics, Operation, Outcome, tracing_context},
};

mod items;
mod patience;
mod request_id;

/// What the edge keeps.
pub(crate) struct Edge {
    ids: RequestIds,
    under_way: AtomicUsize,
    most: usize,
    deadline: Duration,
    metrics: Arc<Metrics>,
}

impl Edge {
    pub(crate) fn new(config: &HttpConfig, metrics: Arc<Metrics>) -> Self {
        Self {
            ids: RequestIds::new(),
            under_way: AtomicUsize::new(0),
            most: config.max_concurrent_requests,
            deadline: config.request_timeout,
            metrics,
        }
    }

    /// A place among the concurrent requests, given back when dropped.
    fn enter(&self) -> Option<Place<'_>> {
        let place = Place(&self.under_way);
        (self.under_way.fetch_add(1, Relaxed) < self.most).then_some(place)
    }
}

/// Marks an error that is told on a page of its own, and is no problem.
#[derive(Clone, Copy)]
pub(crate) struct Told;

struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Handles a request.
pub(crate) async fn handle(State(app): State<App>, request: Request, next: Next) -> Response {
    let edge = app.edge();
    let began = Instant::now();
    let operation = Operation::of(request.method(), request.extensions().get().map(MatchedPath::as_str));
    let id = edge.ids.of(request.headers());
    let response = edge.answer(request, next, operation, &id).await;
    let (response, outcome) = edge.finish(response, operation, &id);
    edge.metrics.count_request(operation, outcome, began.elapsed());
    dressed(response, id)
}

/// Handles a request of a customer's browser. What fails is told on a page.
pub(crate) async fn handle_page(State(app): State<App>, request: Request, next: Next) -> Response {
    let edge = app.edge();
    let began = Instant::now();
    let id = edge.ids.of(request.headers());
    let response = edge.answer(request, next, Operation::Page, &id).await;
    let write = |problem: &Problem, id: &str| crate::onboarding::failed(&app, problem, id);
    let (response, outcome) = edge.finish_with(response, Operation::Page, &id, write);
    edge.metrics.count_request(Operation::Page, outcome, began.elapsed());
    dressed(response, id)
}

/// Handles a request of a machine that runs Keyferry. It needs no place, so that it is answered when callers are not, and it
/// may be answered with an error that is no problem: that this replica is not ready.
pub(crate) async fn handle_machine(State(app): State<App>, request: Request, next: Next) -> Response {
    let edge = app.edge();
    let id = edge.ids.of(request.headers());
    let (response, _) = edge.finish(next.run(request).await, Operation::Other, &id);
    dressed(response, id)
}

/// The headers that every answer has.
fn dressed(mut response: Response, id: HeaderValue) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_REQUEST_ID, id);
    // Whatever is answered may be a secret: it is for nobody to keep, and for no browser to interpret.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

impl Edge {
    /// Lets the handlers answer, within the limits.
    async fn answer(&self, request: Request, next: Next, operation: Operation, id: &HeaderValue) -> Response {
        let Some(_place) = self.enter() else {
            return Problem::new(Kind::Overloaded).retry_after(SHORT_WAIT).into_response();
        };
        // At debug level, so that it costs nothing unless traces are exported or somebody looks.
        let span = tracing::debug_span!(
            "request",
            otel.name = operation.name(),
            otel.kind = "server",
            request.id = id.to_str().unwrap_or_default(),
            tenant.id = tracing::field::Empty,
            http.response.status_code = tracing::field::Empty,
            problem = tracing::field::Empty,
        );
        tracing_context::adopt(&span, request.headers());
        let patience = patience::of(request.headers()).filter(|patience| *patience < self.deadline);
        let answer = AssertUnwindSafe(next.run(request))
            .catch_unwind()
            .instrument(span.clone());
        let response = match tokio::time::timeout(patience.unwrap_or(self.deadline), answer).await {
            Ok(Ok(response)) => named(response),
            Ok(Err(_panic)) => Problem::new(Kind::Internal).into_response(),
            Err(_elapsed) if patience.is_some() => Problem::because(Kind::DeadlineExceeded, IMPATIENT)
                .asked_for()
                .into_response(),
            Err(_elapsed) => Problem::new(Kind::DeadlineExceeded)
                .retry_after(SHORT_WAIT)
                .into_response(),
        };
        span.record("http.response.status_code", response.status().as_u16());
        if let Some(problem) = response.extensions().get::<Problem>() {
            span.record("problem", problem.kind().slug());
        }
        response
    }

    /// Writes and logs the problem, if the answer is one, and the problems of a batch's items.
    fn finish(&self, response: Response, operation: Operation, id: &HeaderValue) -> (Response, Outcome) {
        self.finish_with(response, operation, id, |problem, id| problem.to_response(Some(id)))
    }

    /// The same, with a problem written in another way.
    fn finish_with(
        &self,
        mut response: Response,
        operation: Operation,
        id: &HeaderValue,
        write: impl FnOnce(&Problem, &str) -> Response,
    ) -> (Response, Outcome) {
        let request_id = id.to_str().unwrap_or_default();
        let extensions = response.extensions_mut();
        if let Some(problem) = extensions.remove::<Problem>() {
            self.metrics.count_problems(problem.kind(), 1);
            log(&problem, operation, request_id, None);
            let outcome = if problem.is_asked_for() {
                Outcome::Caller
            } else {
                problem.kind().fault().into()
            };
            return (write(&problem, request_id), outcome);
        }
        if let Some(items) = extensions.remove::<Items>() {
            self.note_items(&items, operation, request_id);
        }
        let outcome = if response.status().is_client_error() {
            Outcome::Caller
        } else {
            Outcome::Ok
        };
        (response, outcome)
    }

    fn note_items(&self, items: &Items, operation: Operation, request_id: &str) {
        self.metrics.count_items(operation, Outcome::Ok, items.done);
        for (problem, count) in &items.failed {
            let kind = problem.kind();
            self.metrics.count_items(operation, kind.fault().into(), *count);
            self.metrics.count_problems(kind, *count);
            log(problem, operation, request_id, Some(*count));
        }
    }
}

/// Makes a problem of an error that a handler did not make one of. (The `allow` header of a 405 is the router's, outside of
/// here.)
fn named(response: Response) -> Response {
    let status = response.status();
    let kind = match status {
        _ if response.extensions().get::<Problem>().is_some() => return response,
        _ if response.extensions().get::<Told>().is_some() => return response,
        StatusCode::NOT_FOUND => Kind::RouteNotFound,
        StatusCode::METHOD_NOT_ALLOWED => Kind::MethodNotAllowed,
        _ if status.is_client_error() => Kind::MalformedRequest,
        _ if status.is_server_error() => Kind::Internal,
        _ => return response,
    };
    Problem::new(kind).into_response()
}

/// A failure is logged once, here: ours loudest, a caller's only if somebody looks. Of a batch's items, those that failed for
/// the same reason are logged together.
fn log(problem: &Problem, operation: Operation, request_id: &str, items: Option<u64>) {
    let (kind, cause, is_asked_for) = (problem.kind(), problem.cause(), problem.is_asked_for());
    let tenant = problem.tenant().map(tracing::field::display);
    let upstream = problem.upstream();
    let upstream_code = upstream.and_then(|said| said.code.as_deref());
    let upstream_request_id = upstream.and_then(|said| said.request_id.as_deref());
    let (operation, problem) = (operation.name(), kind.slug());
    macro_rules! event {
        ($level:ident) => {
            tracing::$level!(
                problem,
                operation,
                request_id,
                items,
                tenant,
                cause,
                upstream_code,
                upstream_request_id,
                "request failed"
            )
        };
    }
    // What a vault said is logged where it is learnt; what comes in floods is counted only.
    let is_many = matches!(kind, Kind::Overloaded | Kind::BodyBudgetExhausted) || is_asked_for;
    let told_or_many = is_many || upstream.is_some();
    match kind.fault() {
        _ if told_or_many => event!(debug),
        Fault::Service => event!(error),
        Fault::Unavailable => event!(warn),
        Fault::Customer => event!(info),
        Fault::Caller => event!(debug),
    }
}

const IMPATIENT: &str = "The request was given up when the time was over that its caller, or a proxy on the way, gives it. Whether an administrative change \
was made must be read back.";
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
