//! `docs/operations.md` says what the program does: every field of the configuration, every metric.

use std::collections::BTreeSet;

use keyferry_client::{Context, Secret};
use keyferry_tests::{Database, World, command, repository};

fn guide() -> String {
    std::fs::read_to_string(repository().join("docs/operations.md")).unwrap()
}

/// What the program says it expects where it is given a field that it does not know.
fn fields(table: &str) -> Vec<String> {
    let output = command()
        .args(["serve", "--check-config"])
        .env(format!("KEYFERRY_{}__NO_SUCH_FIELD", table.to_uppercase()), "1")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = said
        .split_once("expected")
        .unwrap_or_else(|| panic!("{table}: {said}"))
        .1;
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_field_of_the_configuration_is_explained() {
    let guide = guide();
    for table in ["http", "registry", "azure", "auth", "cache", "telemetry", "admin"] {
        let section = guide.split(&format!("### `[{table}]`")).nth(1).unwrap();
        let section = section.split("\n##").next().unwrap();
        let fields = fields(table);
        assert!(!fields.is_empty());
        for field in fields {
            assert!(section.contains(&format!("`{field}`")), "{field} of [{table}]");
        }
    }
}

#[tokio::test]
async fn every_metric_is_explained_and_every_explained_metric_is_there() {
    let guide = guide();
    let world = World::new(Database::sqlite()).await;
    let keyferry = world.start().await;
    world.tenant(&keyferry, "acme", None).await;
    let data = world.data(&keyferry, "acme");
    data.encrypt(&Secret::from(b"payroll".to_vec()), &Context::new())
        .await
        .unwrap();
    // A problem and a batch, so that they are counted.
    assert!(data.unwrap("!", &Context::new()).await.is_err());
    let items = [serde_json::json!({"wrapped_key": "AA"})];
    assert_eq!(
        data.batch::<serde_json::Value>("unwrap", &items).await.unwrap().len(),
        1
    );
    let scraped = reqwest::get(keyferry.url("/metrics"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let there: BTreeSet<_> = scraped
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .filter(|name| name.starts_with("keyferry_"))
        .collect();
    let explained: BTreeSet<_> = guide
        .split('`')
        .filter(|word| {
            word.starts_with("keyferry_") && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        })
        .collect();
    // `keyferry_azure` is a part of the program, named in an example of a log level.
    assert_eq!(there, explained);
}
