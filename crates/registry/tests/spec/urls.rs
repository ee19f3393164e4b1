//! How a database is opened, and that its password is shown to nobody.

use std::error::Error;

use keyferry_registry::{DatabaseUrl, DatabaseUrlError, PostgresStore, TenantStore};
use sqlx::{Connection, PgConnection};
use tokio::net::TcpListener;

use crate::{
    stores::{Raw, clock, empty_sqlite, open},
    world::slug,
};

#[tokio::test]
async fn sqlite_keeps_what_it_acknowledged_through_a_power_cut_and_waits_for_its_turn() {
    let (url, _held) = empty_sqlite();
    open(&url).await;
    let mut raw = Raw::connect(&url).await;
    for (pragma, value) in [
        ("journal_mode", "wal"),
        ("synchronous", "2"), // FULL
        ("busy_timeout", "5000"),
        ("foreign_keys", "1"),
    ] {
        let column = if pragma == "busy_timeout" { "timeout" } else { pragma };
        let asked = format!("select cast({column} as text) from pragma_{pragma}");
        assert_eq!(raw.texts(&asked).await, [value], "{pragma}");
    }
}

#[test]
fn an_address_that_is_none_is_refused_without_repeating_it() {
    for url in [
        format!("postgres://keyferry:{PASSWORD}@[::1/registry"),
        format!("postgres://keyferry:{PASSWORD}@host:port/registry"),
        format!("postgres://keyferry:{PASSWORD}@host/registry?sslmode={PASSWORD}"),
        format!("mysql://keyferry:{PASSWORD}@host/registry"),
        format!("sqlite:registry.db?mode={PASSWORD}"),
    ] {
        let refused: Result<DatabaseUrl, DatabaseUrlError> = url.parse();
        shows_no_password(&refused.expect_err("no address"));
    }
}

/// A server that is away is what an operator meets: the words for it go to the log.
#[tokio::test]
async fn the_password_of_a_database_is_shown_by_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed = listener.local_addr().expect("an address");
    drop(listener);
    let url: DatabaseUrl = format!("postgres://keyferry:{PASSWORD}@{closed}/registry?sslmode=disable")
        .parse()
        .expect("a URL");
    assert_eq!(format!("{url:?}"), "DatabaseUrl(postgres)");
    let DatabaseUrl::Postgres(options) = url else {
        unreachable!("it is Postgres")
    };

    let refused = PgConnection::connect_with(&options).await.expect_err("nobody listens");
    shows_no_password(&keyferry_registry::RegistryError::from(refused));
    let store = PostgresStore::connect_lazy(options, clock);
    assert!(!format!("{store:?}").contains(PASSWORD));
    shows_no_password(&store.find(&slug("acme")).await.expect_err("nobody listens"));
}

fn shows_no_password(error: &(dyn Error + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        for shown in [error.to_string(), format!("{error:?}"), format!("{error:#?}")] {
            assert!(!shown.contains(PASSWORD), "{shown}");
        }
        next = error.source();
    }
}

const PASSWORD: &str = "a-planted-password";
