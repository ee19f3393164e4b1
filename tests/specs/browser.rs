//! People with a browser onboard customers, in `keyferry dev`: from the link to the first key.

use std::path::{Path, PathBuf};

use keyferry_client::http_client;
use keyferry_tests::{command, needs, output_of};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    dev::{Dev, field, shell},
    interop::pytest_of,
};

#[tokio::test]
async fn people_with_a_browser_onboard_customers_from_the_link_to_the_first_key() {
    let (Some(python), Some(chromium)) = (
        needs("KEYFERRY_PYTHON", "Python with Playwright"),
        needs("KEYFERRY_CHROMIUM", "Chromium"),
    ) else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let dev = Dev::start(home.path());
    let globex = dev.after("its page");
    // One whose administrator's browser runs no scripts.
    order(&dev, json!({"order": "create-directory", "directory": INITECH})).await;
    let named = json!({"order": "name-directory", "directory": INITECH, "display_name": "Initech"});
    order(&dev, named).await;
    let initech = opened(
        home.path(),
        &["initech", "--display-name", "Initech", "--private-endpoint", "required"],
    );
    // And one whose link is void by now.
    let revoked = opened(home.path(), &["hooli"]);
    onboarding(home.path(), &["revoke", "hooli"]);
    for customer in ["globex", "initech"] {
        let refused = shell(&first_key(&dev, customer)).answers;
        assert_eq!(
            field(&refused, "type"),
            ["https://keyferry.dev/problems/tenant-onboarding"],
            "{refused}"
        );
    }

    let case = json!({
        "service": dev.after("API"),
        "portal": dev.after("its Azure"),
        "control": control(&dev),
        "links": {"globex": globex, "initech": initech, "revoked": revoked},
        "operator": {"command": command().get_program().to_str(), "home": home.path()},
        "artifacts": artifacts(),
    });
    let environment = vec![("KEYFERRY_CASE", case.to_string()), ("KEYFERRY_CHROMIUM", chromium)];
    pytest_of(python, "tests/interop/browser", environment).await;

    for customer in ["globex", "initech"] {
        let generated = shell(&first_key(&dev, customer)).answers;
        assert_eq!(field(&generated, "wrapped_key").len(), 1, "{generated}");
    }
}

/// What `dev` says to type for a newcomer's first key, after what comes first.
fn first_key(dev: &Dev, customer: &str) -> String {
    let setup: Vec<_> = dev.to_type().lines().take(2).collect();
    format!("{}\nTENANT={customer}\ncall generate-data-key '{{}}'", setup.join("\n"))
}

/// Opens an onboarding, and answers the link to its page.
fn opened(home: &Path, arguments: &[&str]) -> String {
    let opened = onboarding(home, &[&["open", "--output", "json"], arguments].concat());
    let opened: Value = serde_json::from_slice(&opened).unwrap();
    opened["link_url"].as_str().unwrap().to_owned()
}

/// What the operator's command prints.
fn onboarding(home: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = output_of(command().arg("onboarding").args(arguments).current_dir(home));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Has the emulator change the world.
async fn order(dev: &Dev, order: Value) {
    let client = http_client([]).build().unwrap();
    let orders = format!("{}/orders", control(dev));
    let done = client.post(orders).json(&order).send().await.unwrap();
    assert!(done.status().is_success(), "{}", done.text().await.unwrap());
}

/// Where the emulator takes orders.
fn control(dev: &Dev) -> String {
    let said = dev.line_of("emulator");
    let (_, rest) = said.split_once("orders on ").unwrap();
    rest.split(' ').next().unwrap().to_owned()
}

/// Where pictures are left for people to look at.
fn artifacts() -> PathBuf {
    let target = || {
        let specs = std::env::current_exe().unwrap();
        specs.ancestors().nth(3).unwrap().join("artifacts")
    };
    std::env::var_os("KEYFERRY_ARTIFACTS")
        .map_or_else(target, PathBuf::from)
        .join("onboarding")
}

const INITECH: Uuid = Uuid::from_u128(0x1217_ec40_0000_4000_8000_0000_0000_0001);
