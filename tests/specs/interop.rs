//! Others judge: the official Python SDK the emulator, and a COSE library the envelopes.

use std::process::Command;

use keyferry_client::{Context, Secret};
use keyferry_tests::{Database, World, needs, output_of, repository};

async fn pytest(path: &str, environment: Vec<(&'static str, String)>) {
    let Some(python) = needs("KEYFERRY_PYTHON", "Python with the Azure SDK") else {
        return;
    };
    pytest_of(python, path, environment).await;
}

/// Runs the tests at `path` with that Python, and passes if they do.
pub async fn pytest_of(python: String, path: &str, environment: Vec<(&'static str, String)>) {
    let path = repository().join(path);
    let output = tokio::task::spawn_blocking(move || {
        let mut pytest = Command::new(python);
        pytest
            .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
            .arg(path)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(environment);
        output_of(&mut pytest)
    });
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{said}");
}

#[tokio::test]
async fn the_official_python_sdk_finds_azure_in_the_emulator() {
    let emulator = std::env::current_exe()
        .unwrap()
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("keyferry-under-test");
    let command = format!(
        "{} emulator --https 127.0.0.1:0 --control 127.0.0.1:0",
        emulator.display()
    );
    pytest("tests/interop/emulator", vec![("KEYFERRY_EMULATOR", command)]).await;
}

#[tokio::test]
async fn an_envelope_opens_in_python_with_the_data_key_unwrapped_by_the_azure_sdk() {
    let world = World::new(Database::sqlite()).await;
    let keyferry = world.start().await;
    let acme = world.tenant(&keyferry, "acme", None).await;
    let tenant = world.admin(&keyferry).get("acme").await.unwrap();
    let data = world.data(&keyferry, "acme");
    let context = Context::from([
        ("table".to_owned(), "payroll".to_owned()),
        ("row".to_owned(), "7".to_owned()),
    ]);
    let sealed = data
        .encrypt(&Secret::from(b"the customer's data".to_vec()), &context)
        .await
        .unwrap();
    let key = data.wrap(&Secret::from(vec![7; 32]), &context).await.unwrap();
    let case = serde_json::json!({
        "tenant_id": tenant.id,
        "directory": acme.directory,
        "client_id": world.application_id(),
        "client_secret": keyferry_tests::SECRET,
        "azure": world.emulator.https_addr().to_string(),
        "ca_file": world.ca_file(),
        "encryption_context": context,
        "ciphertext": sealed.ciphertext,
        "plaintext": "the customer's data",
        "wrapped_key": key.wrapped_key,
        "key_hex": "07".repeat(32),
    });
    pytest("tests/interop/envelope", vec![("KEYFERRY_CASE", case.to_string())]).await;
}
