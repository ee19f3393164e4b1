//! `keyferry tenant`: what it prints for people, and the corrections that problems ask operators for.

use keyferry_client::{Context, Secret};
use keyferry_emulator::Order;
use keyferry_tests::{Database, KEY, Keyferry, World, eventually};
use uuid::Uuid;

/// An operator's command line.
struct Operator {
    access: String,
}

impl Operator {
    fn of(world: &World, keyferry: &Keyferry) -> Self {
        let access = world.operator_access(keyferry);
        Self {
            access: access.to_str().unwrap().to_owned(),
        }
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let all: Vec<_> = ["tenant", "--access", &self.access]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        tokio::task::block_in_place(|| super::run(&all))
    }

    /// What is printed by a command that does as asked.
    fn does(&self, arguments: &[&str]) -> String {
        let (code, output, error) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {error}");
        output
    }
}

/// The words of the line that begins with a name.
fn line<'a>(table: &'a str, name: &str) -> Vec<&'a str> {
    let mut lines = table.lines().map(str::trim_start);
    let line = lines.find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {table}"))
        .split_whitespace()
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_get_tables() {
    let world = World::new(Database::sqlite()).await;
    let keyferry = world.start().await;
    let acme = world.tenant(&keyferry, "acme", None).await;
    world.tenant(&keyferry, "zenith", None).await;
    let operator = Operator::of(&world, &keyferry);
    let key = format!("https://{}/keys/{KEY}", acme.vault);

    for arguments in [&["list"][..], &["list", "--output", "table"]] {
        let listed = operator.does(arguments);
        assert_eq!(line(&listed, "SLUG"), ["STATUS", "KEY", "NAME"]);
        assert_eq!(line(&listed, "acme"), ["active", &key, "Customer", "acme"]);
        assert_eq!(listed.lines().count(), 3, "{listed}");
    }
    let shown = operator.does(&["show", "acme", "--output", "table"]);
    assert_eq!(line(&shown, "slug"), ["acme"]);
    assert_eq!(line(&shown, "status"), ["active"]);
    assert_eq!(line(&shown, "directory"), [acme.directory.to_string()]);
    assert_eq!(line(&shown, "key"), [key]);
    assert_eq!(line(&shown, "version"), ["latest"]);
    assert_eq!(line(&shown, "cache TTL"), ["300", "s"]);
    assert_eq!(line(&shown, "lease"), ["300", "s", "or", "1000000", "messages"]);
    let deleted = operator.does(&["delete", "acme"]);
    assert_eq!(line(&deleted, "status").get(..2).unwrap(), ["deleting", "until"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrected_directory_holds_at_once_whatever_is_cached() {
    for database in Database::each().await {
        let world = World::new(database).await;
        let keyferry = world.start().await;
        let acme = world.tenant(&keyferry, "acme", None).await;
        let (operator, data) = (Operator::of(&world, &keyferry), world.data(&keyferry, "acme"));
        let context = Context::new();
        let sealed = data
            .encrypt(&Secret::from(b"payroll".to_vec()), &context)
            .await
            .unwrap();
        data.decrypt(&sealed.ciphertext, &context).await.unwrap();

        // A directory that never consented.
        let other = Uuid::new_v4();
        world.order(Order::CreateDirectory { directory: other });
        let shown = operator.does(&["update", "acme", "--directory-id", &other.to_string()]);
        assert_eq!(line(&shown, "directory"), [other.to_string()]);
        eventually("what was cached opens no more", async || {
            let refused = data.decrypt(&sealed.ciphertext, &context).await.err();
            refused.is_some_and(|error| {
                error
                    .problem()
                    .is_some_and(|problem| problem.slug() == "consent-missing")
            })
        })
        .await;
        operator.does(&["update", "acme", "--directory-id", &acme.directory.to_string()]);
        eventually("the corrected directory is asked", async || {
            data.decrypt(&sealed.ciphertext, &context).await.is_ok()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_former_key_that_is_dropped_opens_nothing_more() {
    let world = World::new(Database::sqlite()).await;
    let keyferry = world.start().await;
    let acme = world.tenant(&keyferry, "acme", None).await;
    let (operator, data) = (Operator::of(&world, &keyferry), world.data(&keyferry, "acme"));
    let context = Context::new();
    let sealed = data
        .encrypt(&Secret::from(b"payroll".to_vec()), &context)
        .await
        .unwrap();
    world.order(Order::CreateKey {
        host: acme.vault.clone(),
        name: "second".into(),
        bits: 2048,
    });
    let shown = operator.does(&["update", "acme", "--key-name", "second"]);
    let former = format!("https://{}/keys/{KEY}", acme.vault);
    assert_eq!(line(&shown, "former keys"), [former.as_str()]);
    data.decrypt(&sealed.ciphertext, &context).await.unwrap();

    let (code, _, error) = operator.run(&[
        "update",
        "acme",
        "--drop-former-key",
        "https://x.vault.azure.net/keys/y",
    ]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("no former key"), "{error}");
    let shown = operator.does(&["update", "acme", "--drop-former-key", &former]);
    assert_eq!(line(&shown, "former keys"), Vec::<&str>::new());
    eventually("what it wrapped opens no more", async || {
        let refused = data.decrypt(&sealed.ciphertext, &context).await.err();
        refused.is_some_and(|error| error.problem().is_some_and(|problem| problem.slug() == "foreign-key"))
    })
    .await;
}
