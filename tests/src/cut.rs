//! A wire that can be cut, or led elsewhere: a proxy between a process and what it talks to.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Passes connections on, until cut.
pub struct Cut {
    addr: SocketAddr,
    ends: Arc<Mutex<Ends>>,
}

struct Ends {
    target: SocketAddr,
    /// The connections; none are taken if absent.
    open: Option<JoinSet<()>>,
}

impl Cut {
    /// A wire to `target`.
    pub async fn to(target: SocketAddr) -> Self {
        Self::at(Ipv4Addr::LOCALHOST.into(), target).await
    }

    /// One whose near end is at that address of this machine's.
    pub async fn at(address: IpAddr, target: SocketAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let open = Some(JoinSet::new());
        let ends = Arc::new(Mutex::new(Ends { target, open }));
        tokio::spawn(accept(listener, Arc::clone(&ends)));
        Self { addr, ends }
    }

    /// Where to connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Breaks every connection, and every new one at once.
    pub fn cut(&self) {
        self.ends.lock().unwrap().open = None;
    }

    /// Passes connections on again.
    pub fn mend(&self) {
        self.ends.lock().unwrap().open = Some(JoinSet::new());
    }

    /// Leads to another place from now on: every connection breaks, and new ones go there.
    pub fn lead_to(&self, target: SocketAddr) {
        let mut ends = self.ends.lock().unwrap();
        (ends.target, ends.open) = (target, Some(JoinSet::new()));
    }
}

async fn accept(listener: TcpListener, ends: Arc<Mutex<Ends>>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let mut ends = ends.lock().unwrap();
        let target = ends.target;
        let passes = async move {
            if let Ok(mut far) = TcpStream::connect(target).await {
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }
        };
        if let Some(connections) = ends.open.as_mut() {
            // Those that are over need not be kept.
            while connections.try_join_next().is_some() {}
            connections.spawn(passes);
        }
    }
}
