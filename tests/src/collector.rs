//! A collector of traces and metrics that keeps every byte it is sent, unread.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Bytes, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

/// A server of OTLP over gRPC that says yes to everything.
pub struct Collector {
    addr: SocketAddr,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    /// Starts one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                let serve = service_fn(move |request| keep(request, Arc::clone(&kept)));
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), serve));
            }
        });
        Self { addr, received }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// All that it was sent.
    #[must_use]
    pub fn received(&self) -> Vec<u8> {
        self.received.lock().unwrap().clone()
    }
}

async fn keep(
    request: Request<Incoming>,
    received: Arc<Mutex<Vec<u8>>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let mut received = received.lock().unwrap();
    received.extend_from_slice(path.as_bytes());
    received.extend_from_slice(&body);
    // A message of no fields, and gRPC's word that all is well, as a header where there is no trailer.
    let mut answer = Response::new(Full::from(vec![0; 5]));
    let headers = answer.headers_mut();
    headers.insert(
        "content-type",
        hyper::header::HeaderValue::from_static("application/grpc"),
    );
    headers.insert("grpc-status", hyper::header::HeaderValue::from_static("0"));
    Ok(answer)
}
