//! A wire that can be cut: a proxy between a process and what it talks to.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Passes connections on, until cut.
pub struct Cut {
    addr: SocketAddr,
    open: Arc<Mutex<Option<JoinSet<()>>>>,
}

impl Cut {
    /// A wire to `target`.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let open = Arc::new(Mutex::new(Some(JoinSet::new())));
        tokio::spawn(accept(listener, target, Arc::clone(&open)));
        Self { addr, open }
    }

    /// Where to connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Breaks every connection, and every new one at once.
    pub fn cut(&self) {
        *self.open.lock().unwrap() = None;
    }

    /// Passes connections on again.
    pub fn mend(&self) {
        *self.open.lock().unwrap() = Some(JoinSet::new());
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, open: Arc<Mutex<Option<JoinSet<()>>>>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let passes = async move {
            if let Ok(mut far) = TcpStream::connect(target).await {
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }
        };
        if let Some(connections) = open.lock().unwrap().as_mut() {
            connections.spawn(passes);
        }
    }
}
