//! The load generator: pre-written HTTP/1.1 requests over kept-alive connections, on one thread.
//!
//! It does as little as it can per answer (find the head's end, read `content-length`, count), so that the server and
//! not the generator is what saturates. An answer other than 200 ends the run: a fast refusal is not a fast unwrap.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

/// What to send, and where: one side of a comparison.
#[derive(Clone)]
pub struct Target {
    /// The server.
    pub addr: SocketAddr,
    /// A whole request, head and body.
    pub request: Arc<[u8]>,
}

impl Target {
    /// A `POST` of `body` to `path`, with a bearer token.
    #[must_use]
    pub fn post(addr: SocketAddr, path: &str, token: &str, content_type: &str, body: &[u8]) -> Self {
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer {token}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        Self {
            addr,
            request: request.into(),
        }
    }
}

impl Target {
    /// Sends the request once and returns the answer's body, so that the yardstick can answer as many bytes.
    pub async fn answer(&self) -> io::Result<Vec<u8>> {
        let stream = TcpStream::connect(self.addr).await?;
        let mut connection = Connection {
            stream,
            request: Arc::clone(&self.request),
            buffer: vec![0; BUFFER],
        };
        let whole = connection.exchange().await?;
        let answer = &connection.buffer[..whole];
        let head = head_len(answer).unwrap_or(whole);
        Ok(answer[head..].to_vec())
    }
}

/// Kept-alive connections to one target.
pub struct Driver {
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    request: Arc<[u8]>,
    buffer: Vec<u8>,
}

impl Driver {
    /// Opens `connections` connections and sends one request over each, so that nothing is cold.
    pub async fn connect(target: &Target, connections: usize) -> io::Result<Self> {
        let mut all = Vec::with_capacity(connections);
        for _ in 0..connections {
            let stream = TcpStream::connect(target.addr).await?;
            stream.set_nodelay(true)?;
            let mut connection = Connection {
                stream,
                request: Arc::clone(&target.request),
                buffer: vec![0; 256 * 1024],
            };
            connection.exchange().await?;
            all.push(connection);
        }
        Ok(Self { connections: all })
    }

    /// As many requests as fit into `span`, each connection sending its next when the last is answered; how many were answered.
    pub async fn saturate(&mut self, span: Duration) -> io::Result<u64> {
        let end = Instant::now() + span;
        let runs = self.connections.iter_mut().map(|connection| async move {
            let mut answered = 0;
            while Instant::now() < end {
                connection.exchange().await?;
                answered += 1;
            }
            io::Result::Ok(answered)
        });
        Ok(futures::future::try_join_all(runs).await?.into_iter().sum())
    }

    /// `rate` requests a second for `span`, each sent when it is due whatever became of the others; every answer's time
    /// is taken from when its request was due, so that a stall is seen by all whom it kept waiting.
    pub async fn pace(&mut self, rate: f64, span: Duration) -> io::Result<Vec<Duration>> {
        let start = Instant::now();
        let lanes = self.connections.len();
        let every = Duration::from_secs_f64(lanes as f64 / rate);
        let runs = self
            .connections
            .iter_mut()
            .enumerate()
            .map(|(lane, connection)| async move {
                let mut due = start + every.mul_f64(lane as f64 / lanes as f64);
                let mut times = Vec::new();
                while due < start + span {
                    tokio::time::sleep_until(due).await;
                    connection.exchange().await?;
                    times.push(due.elapsed());
                    due += every;
                }
                io::Result::Ok(times)
            });
        Ok(futures::future::try_join_all(runs).await?.concat())
    }
}

impl Connection {
    /// Sends the request, reads the answer into the buffer, returns the answer's length.
    async fn exchange(&mut self) -> io::Result<usize> {
        self.stream.write_all(&self.request).await?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += read;
            if let Some(whole) = answer_len(&self.buffer[..filled])?
                && filled >= whole
            {
                return Ok(whole);
            }
        }
    }
}

/// The length of the whole answer, once its head is there.
fn answer_len(bytes: &[u8]) -> io::Result<Option<usize>> {
    let Some(head_len) = head_len(bytes) else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..head_len]);
    if !head.starts_with("HTTP/1.1 200") {
        return Err(io::Error::other(format!(
            "not a success: {}",
            String::from_utf8_lossy(bytes)
        )));
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.parse::<usize>().ok())
        .ok_or_else(|| io::Error::other("an answer without content-length"))?;
    Ok(Some(head_len + length))
}

/// The length of the answer's head with the empty line that ends it.
fn head_len(bytes: &[u8]) -> Option<usize> {
    Some(bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4)
}

/// Room for the largest answer of any row: a 64 KiB envelope in base64url.
const BUFFER: usize = 256 * 1024;
