//! How many connections there are at once, and how long one may be quiet.
//!
//! A connection is kept while bytes move. One on which nothing was received or sent for the idle time is closed, whatever the
//! reason: its caller keeps it for later, does not read its answer, or is gone. That holds for HTTP/1.1 and HTTP/2 alike.
//! A request under way is not cut off, since the idle time is longer than any request may take.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum_server::accept::Accept;
use futures::{FutureExt, future::BoxFuture};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};

use crate::config::HttpConfig;

/// Accepts as many connections as there may be, and closes those beyond that at once.
#[derive(Clone)]
pub(super) struct Bounded<A> {
    acceptor: A,
    limits: ConnectionLimits,
}

/// What a listener's connections may be.
#[derive(Clone)]
pub(super) struct ConnectionLimits {
    places: Arc<Semaphore>,
    idle_timeout: Duration,
    refused: Arc<AtomicU64>,
}

/// A connection that was accepted.
pub(super) struct Kept<S> {
    stream: S,
    tick: Pin<Box<Sleep>>,
    every: Duration,
    /// Whether bytes moved since the last tick.
    has_moved: bool,
    /// The ticks since then.
    quiet: u32,
    _place: OwnedSemaphorePermit,
}

impl ConnectionLimits {
    /// A listener's limits. Connections that are refused are counted in `refused`.
    pub(super) fn new(config: &HttpConfig, refused: &Arc<AtomicU64>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(config.max_connections)),
            idle_timeout: config.idle_timeout,
            refused: Arc::clone(refused),
        }
    }

    /// Lets `acceptor` accept within these limits.
    pub(super) fn on<A>(self, acceptor: A) -> Bounded<A> {
        Bounded { acceptor, limits: self }
    }
}

impl<A, S> Accept<TcpStream, S> for Bounded<A>
where
    A: Accept<TcpStream, S>,
    A::Future: Send + 'static,
{
    type Stream = Kept<A::Stream>;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(place) = Arc::clone(&self.limits.places).try_acquire_owned() else {
            self.limits.refused.fetch_add(1, Relaxed);
            return async { Err(io::Error::other("there are too many connections")) }.boxed();
        };
        let idle_timeout = self.limits.idle_timeout;
        let accepted = self.acceptor.accept(stream, service);
        accepted
            .map(move |accepted| accepted.map(|(stream, service)| (Kept::new(stream, idle_timeout, place), service)))
            .boxed()
    }
}

impl<S> Kept<S> {
    fn new(stream: S, idle_timeout: Duration, place: OwnedSemaphorePermit) -> Self {
        let every = idle_timeout / TICKS;
        Self {
            stream,
            tick: Box::pin(sleep(every)),
            every,
            has_moved: false,
            quiet: 0,
            _place: place,
        }
    }

    /// Notes that bytes moved; if none did, fails when that has been so for too long.
    ///
    /// The time is looked at in ticks, not with each read, which would cost every request. So a connection is closed a little
    /// later than it might be, never sooner.
    fn watched<T>(&mut self, cx: &mut Context<'_>, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            self.has_moved = true;
            return moved;
        }
        self.poll_quiet(cx).map(Err)
    }

    fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        while self.tick.as_mut().poll(cx).is_ready() {
            let has_moved = std::mem::take(&mut self.has_moved);
            self.quiet = if has_moved { 0 } else { self.quiet + 1 };
            if self.quiet >= TICKS {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.tick.as_mut().reset(Instant::now() + self.every);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Kept<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.watched(cx, read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Kept<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watched(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watched(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// A flush moves nothing where there is nothing to flush, so only one that must wait is looked at.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(flushed) => Poll::Ready(flushed),
            Poll::Pending => self.poll_quiet(cx).map(Err),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Ready(shut) => Poll::Ready(shut),
            Poll::Pending => self.poll_quiet(cx).map(Err),
        }
    }
}

/// How often within the idle time a connection is looked at.
const TICKS: u32 = 4;

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::advance,
    };

    use super::*;

    const IDLE: Duration = Duration::from_secs(100);

    /// A connection with little room, and its other end.
    fn connection() -> (Kept<DuplexStream>, DuplexStream) {
        let (ours, peers) = duplex(10);
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        (Kept::new(ours, IDLE, place), peers)
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_connection_ends_after_the_idle_time_and_not_before() {
        let (mut kept, _peer) = connection();
        let began = Instant::now();
        let ended = kept.read_u8().await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
        assert!((IDLE..IDLE * 5 / 4).contains(&began.elapsed()), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_moves_keeps_a_connection() {
        let (mut kept, mut peer) = connection();
        for turn in 0..10 {
            advance(IDLE * 9 / 10).await;
            if turn % 2 == 0 {
                peer.write_u8(7).await.unwrap();
                kept.read_u8().await.unwrap();
            } else {
                kept.write_u8(7).await.unwrap();
                peer.read_u8().await.unwrap();
            }
            let waited = tokio::time::timeout(Duration::from_secs(1), kept.read_u8());
            assert!(waited.await.is_err(), "nothing comes, and nothing ends");
        }
        assert_eq!(kept.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_nothing_is_quiet() {
        let (mut kept, _peer) = connection();
        let ended = kept.write_all(&[7; 100]).await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }
}
