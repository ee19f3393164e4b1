//! A connection by hand, for requests that no proper client would send.

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::{reply::Reply, world::World};

pub(crate) struct Raw(TcpStream);

impl Raw {
    /// Connects, and sends nothing. What it is sent and does not read, it has hardly any room for.
    pub(crate) async fn connected(world: &World) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Self(socket.connect(world.addr()).await.unwrap())
    }

    /// Connects, and sends the head of a data plane's request that announces a body of `len` bytes.
    pub(crate) async fn announcing(world: &World, path: &str, content_type: &str, len: usize) -> Self {
        let token = world.issuer.token(&crate::world::DATA);
        let head = format!(
            "POST /v1/tenants/{path} HTTP/1.1\r\nhost: keyferry\r\nconnection: close\r\n\
             authorization: Bearer {token}\r\ncontent-type: {content_type}\r\ncontent-length: {len}\r\n\r\n"
        );
        let mut raw = Self::connected(world).await;
        raw.send(head.as_bytes()).await;
        raw
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Asks for something small, and reads the answer. The connection is kept.
    pub(crate) async fn asks(&mut self) -> String {
        self.send(b"GET /v1/nowhere HTTP/1.1\r\nhost: keyferry\r\n\r\n").await;
        let mut answer = String::new();
        while !answer.ends_with('}') {
            let mut bytes = [0; 4096];
            let len = self.0.read(&mut bytes).await.unwrap();
            assert_ne!(len, 0, "the connection is closed: {answer}");
            answer.push_str(str::from_utf8(&bytes[..len]).unwrap());
        }
        answer
    }

    /// Waits until the connection is closed. What was sent before that.
    pub(crate) async fn closed(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // It may end with a reset, where something that was sent is not read.
        let _ = self.0.read_to_end(&mut bytes).await;
        bytes
    }

    /// Ends what is sent, and can still read.
    pub(crate) async fn breaks_off(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// Reads the answer up to the end of the connection.
    pub(crate) async fn reply(mut self) -> Reply {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).await.unwrap();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            headers.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        Reply {
            status,
            headers,
            body: bytes.split_off(end + 4),
        }
    }
}
