//! A database that falls silent: connections that are neither answered nor closed, as after a failover or behind a
//! firewall that forgot them.

use std::net::SocketAddr;

use keyferry_registry::TenantStatus;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    stores::{Raw, empty_postgres, open},
    world::{running, slug, tenant, until, view},
};

#[tokio::test]
async fn a_connection_that_falls_silent_does_not_stop_the_feed() {
    let Some(url) = empty_postgres().await else { return };
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (user, rest) = rest.split_once('@').expect("a URL with a user");
    let (server, database) = rest.split_once('/').expect("a URL with a database");
    let line = Line::to(server.to_owned()).await;
    let store = open(&format!("{scheme}://{user}@{}/{database}", line.address)).await;
    store.create(&tenant("acme"), None).await.expect("created");
    let here = view(&store);
    let _running = running(&here);
    until("all is loaded", async || here.stats().loaded).await;

    let mut raw = Raw::connect(&url).await;
    raw.execute("begin; lock table tenants").await.expect("locked");
    let mut observer = Raw::connect(&url).await;
    let asks = "select query from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
                and query like '%revision > $1%'";
    until("the view waits for an answer", async || {
        observer.texts(asks).await.len() == 1
    })
    .await;
    line.falls_silent();
    raw.execute("update tenants set status = 'suspended', revision = nextval('tenant_revisions'); commit")
        .await
        .expect("written");
    until("the view has it", async || {
        let acme = here.tenant(&slug("acme")).await.expect("in memory").expect("there");
        acme.status == TenantStatus::Suspended
    })
    .await;
}

/// Carries connections to the server until it falls silent; those made afterwards are carried again.
struct Line {
    address: SocketAddr,
    silences: watch::Sender<()>,
}

impl Line {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let silences = watch::Sender::new(());
        let told = silences.subscribe();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (server, mut silent) = (server.clone(), told.clone());
                silent.borrow_and_update();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(server).await.expect("the server answers");
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        // Neither end is closed.
                        Ok(()) = silent.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { address, silences }
    }

    fn falls_silent(&self) {
        self.silences.send_replace(());
    }
}
