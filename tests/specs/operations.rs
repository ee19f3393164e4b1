//! `docs/operations.md` says what the program does: every field of the configuration, every metric.

use std::collections::BTreeSet;

use keyferry_client::{Context, Secret};
use keyferry_tests::{Collector, Database, Keyferry, World, command, eventually, output_of, repository};

fn guide() -> String {
    std::fs::read_to_string(repository().join("docs/operations.md")).unwrap()
}

/// What the program says it expects where it is given a field that it does not know.
fn fields(table: &str) -> Vec<String> {
    let unknown = format!("KEYFERRY_{}__NO_SUCH_FIELD", table.to_uppercase());
    let output = output_of(command().args(["serve", "--check-config"]).env(unknown, "1"));
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
    for table in [
        "http",
        "registry",
        "azure",
        "auth",
        "cache",
        "vaults",
        "health",
        "events",
        "telemetry",
        "admin",
        "onboarding",
        "onboarding_page",
    ] {
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
    let scraped = keyferry.get("/metrics").await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_and_metrics_go_over_tls_to_a_collector_that_the_system_trusts() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let collector = Collector::start_tls(&made.cert.pem(), &made.signing_key.serialize_pem()).await;
    let dir = tempfile::tempdir().unwrap();
    let trusted = dir.path().join("trusted.pem");
    std::fs::write(&trusted, made.cert.pem()).unwrap();
    let mut world = World::new(Database::sqlite()).await;
    let url = collector.url();
    world.extra = format!("[telemetry]\ntrace_ratio = 1.0\notlp_endpoint = {url:?}\n");
    let keyferry = Keyferry::start_in(&[("SSL_CERT_FILE", &trusted)], &world.write_config());
    let client = keyferry.client(world.service());
    eventually("the service is ready", async || client.is_ready().await).await;
    world.tenant(&keyferry, "acme", None).await;
    let received = |what: &str| {
        let received = collector.received();
        received.windows(what.len()).any(|window| window == what.as_bytes())
    };
    eventually("traces arrive", async || received("TraceService")).await;
    assert!(keyferry.terminate().success());
    assert!(received("MetricsService"));
}
