//! A database that falls silent: connections that are neither answered nor closed, as after a failover or behind a
//! firewall that forgot them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use keyferry_registry::{RegistryError, TenantStatus};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    key_world::replica,
    stores::{Raw, empty_postgres, open, open_whole},
    world::{running, slug, tenant, until, view},
};

#[tokio::test]
async fn a_connection_that_falls_silent_does_not_stop_the_feed() {
    let Some(url) = empty_postgres().await else { return };
    let line = Line::to(server(&url)).await;
    let store = open(&line.carries(&url)).await;
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

/// Whoever watches over keys is told after seconds that the registry does not answer, and goes on with another connection.
#[tokio::test]
async fn a_connection_that_falls_silent_does_not_stop_the_watch() {
    let Some(url) = empty_postgres().await else { return };
    let line = Line::to(server(&url)).await;
    let store = open_whole(&line.carries(&url)).await;
    store.create(&tenant("acme"), None).await.expect("created");
    let (me, hour) = (replica("host-1"), Duration::from_hours(1));
    store.beat(&me, hour).await.expect("known");

    let mut raw = Raw::connect(&url).await;
    raw.execute("begin; lock table replicas, key_health")
        .await
        .expect("locked");
    let mut observer = Raw::connect(&url).await;
    let waits = "select query from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let asking = tokio::spawn({
        let (store, me) = (Arc::clone(&store), me.clone());
        async move { tokio::join!(store.beat(&me, hour), store.claim_keys(me.id, hour, hour, 10)) }
    });
    until("both wait for an answer", async || {
        observer.texts(waits).await.len() == 2
    })
    .await;
    line.falls_silent();
    raw.execute("commit").await.expect("let go");
    let (beat, claimed) = asking.await.expect("joined");
    assert!(matches!(beat, Err(RegistryError::Unavailable(_))), "{beat:?}");
    assert!(matches!(claimed, Err(RegistryError::Unavailable(_))), "{claimed:?}");
    assert_eq!(store.beat(&me, hour).await.expect("known").len(), 1);
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

    /// The same database, over this.
    fn carries(&self, url: &str) -> String {
        url.replace(&server(url), &self.address.to_string())
    }

    fn falls_silent(&self) {
        self.silences.send_replace(());
    }
}

/// The host and port in a URL.
fn server(url: &str) -> String {
    let (_, rest) = url.split_once('@').expect("a URL with a user");
    let (server, _) = rest.split_once('/').expect("a URL with a database");
    server.to_owned()
}
