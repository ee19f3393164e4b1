//! The yardstick: a bare axum server that reads a request of the same size and answers with as many bytes.
#![expect(clippy::print_stdout, reason = "it says where it listens")]

use std::io;

use axum::{Json, Router, body::Bytes, http::header, response::IntoResponse, routing::post};
use serde::{Deserialize, Serialize};

/// Serves, for answers of `len` bytes: `/bytes/{len}` (reads the body, answers fixed bytes) and `/json` (parses one
/// string and answers it back, as `serde_json` does).
pub async fn serve(listener: tokio::net::TcpListener) -> io::Result<()> {
    let router = Router::new()
        .route("/bytes/{len}", post(fixed))
        .route("/json", post(json))
        .layer(axum::extract::DefaultBodyLimit::max(1 << 20));
    axum::serve(listener, router).await
}

/// Serves on a free port of loopback, and says which on the first line of its output.
pub async fn announce_and_serve() -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    serve(listener).await
}

async fn fixed(axum::extract::Path(len): axum::extract::Path<usize>, body: Bytes) -> impl IntoResponse {
    static ANSWER: [u8; 1 << 17] = [b'x'; 1 << 17];
    let len = len.min(ANSWER.len());
    std::hint::black_box(body.len());
    ([(header::CONTENT_TYPE, "application/json")], &ANSWER[..len])
}

#[derive(Deserialize, Serialize)]
struct Message {
    plaintext: String,
}

async fn json(Json(message): Json<Message>) -> Json<Message> {
    Json(message)
}
