//! A way for connections that is not the straight one.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{copy, copy_bidirectional, sink},
    net::{TcpListener, TcpStream},
};

/// A way to the emulator, or to nowhere, that counts who takes it.
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    taken: Arc<AtomicUsize>,
}

impl Way {
    /// Leads to `end`; without one, connections are taken and nothing is said on them.
    pub(crate) async fn to(end: Option<SocketAddr>) -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), end).await.unwrap()
    }

    /// The same from a certain address.
    pub(crate) async fn at(near: SocketAddr, end: Option<SocketAddr>) -> io::Result<Self> {
        let listener = TcpListener::bind(near).await?;
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(AtomicUsize::new(0));
        tokio::spawn({
            let taken = Arc::clone(&taken);
            async move {
                while let Ok((mut near, _)) = listener.accept().await {
                    taken.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(async move {
                        let Some(end) = end else {
                            return drop(copy(&mut near, &mut sink()).await);
                        };
                        let mut far = TcpStream::connect(end).await.unwrap();
                        drop(copy_bidirectional(&mut near, &mut far).await);
                    });
                }
            }
        });
        Ok(Self { address, taken })
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}
