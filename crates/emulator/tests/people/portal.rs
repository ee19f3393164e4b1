//! A person does with the portal what a customer's administrator does, and the vault then answers accordingly.

use keyferry_emulator::Order;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    browser::Page,
    world::{APPLICATION, DIRECTORY, HOST, World, allowed, forbidden},
};

fn directory() -> String {
    format!("/directories/{DIRECTORY}")
}

fn vault() -> String {
    format!("/vaults/{HOST}")
}

/// The application with Crypto User on its vault.
async fn in_use() -> (World, Uuid) {
    let (world, oid) = World::with_vault().await;
    let fields = [
        ("principal", &*oid.to_string()),
        ("role", "crypto-user"),
        ("scope", "vault"),
    ];
    world.browser.does(&vault(), "assign-role", &fields).await;
    (world, oid)
}

async fn vault_page(world: &World) -> Page {
    let page = world.browser.load(&vault()).await;
    assert_eq!(page.status, 200);
    page
}

#[tokio::test]
async fn a_directory_is_found_by_its_name_and_shows_what_is_asked_for() {
    let (world, oid) = in_use().await;
    let all = world.browser.load("/").await;
    assert!(all.has(&format!("href=\"{}\"", directory())) && all.has("Acme") && !all.has("<Sons>"));
    let page = world.browser.load(&directory()).await;
    assert!(page.has(&format!("id=\"directory-id\" readonly value=\"{DIRECTORY}\"")));
    assert!(page.has(&format!("href=\"{}\"", vault())));
    assert_eq!(page.element(&format!("oid-{APPLICATION}")), oid.to_string());
    assert!(page.has("Key Vault Crypto User on the whole vault of acme"));
    let (_, _, key) = world.asks("/keys/k").await;
    let page = vault_page(&world).await;
    assert!(page.has(key["key"]["kid"].as_str().unwrap()) && page.has("2048 bits"));
    assert!(page.has(&format!("value=\"https://{HOST}/keys/k\"")) && page.has(&format!("value=\"https://{HOST}/\"")));
    let resource = "/subscriptions/5ab50000-0000-4000-8000-000000000001/resourceGroups/customer/providers/Microsoft.KeyVault/vaults/acme";
    assert!(page.has(&format!("value=\"{resource}\"")));
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_not_there() {
    let world = World::start().await;
    for path in [
        "/vaults/none.vault.azure.net",
        "/directories/00000000-0000-4000-8000-000000000009",
        "/none",
    ] {
        let page = world.browser.load(path).await;
        assert_eq!(page.status, 404, "{path}");
        assert!(page.has("There is nothing at this address"));
    }
}

#[tokio::test]
async fn an_application_is_let_in_and_out() {
    let world = World::start().await;
    let said = world
        .browser
        .does(&directory(), &format!("consent-{APPLICATION}"), &[])
        .await;
    assert_eq!(said, "Keyferry was let into the directory.");
    assert!(world.token().await.is_ok());
    let said = world
        .browser
        .does(&directory(), &format!("withdraw-{APPLICATION}"), &[])
        .await;
    assert_eq!(said, "Consent to Keyferry was withdrawn.");
    assert_eq!(world.token().await, Err(7_000_229));
}

#[tokio::test]
async fn a_vault_and_a_key_are_made() {
    let world = World::start().await;
    let fields = [("name", "Acme"), ("suffix", "vault.azure.net"), ("access", "roles")];
    let said = world.browser.does(&directory(), "create-vault", &fields).await;
    assert_eq!(said, format!("The vault {HOST} was created."));
    let again = world.browser.does(&directory(), "create-vault", &fields).await;
    assert_eq!(again, format!("There is a vault at {HOST} already."));
    assert_eq!(vault_page(&world).await.element("access-mode"), "roles (Azure RBAC)");
    assert_eq!(vault_page(&world).await.element("purge-protection"), "off");
    let made = world
        .browser
        .does(&vault(), "create-key", &[("name", "kek"), ("bits", "3072")])
        .await;
    assert_eq!(made, "The key kek was created.");
    assert!(world.emulator.has_key(HOST, "kek"));
    assert!(vault_page(&world).await.has("RSA, 3072 bits"));
}

#[tokio::test]
async fn a_vault_is_made_as_it_was_asked_for() {
    let world = World::start().await;
    let fields = [
        ("name", "acme"),
        ("suffix", "vault.azure.cn"),
        ("access", "policies"),
        ("purge_protection", "on"),
    ];
    world.browser.does(&directory(), "create-vault", &fields).await;
    let page = world.browser.load("/vaults/acme.vault.azure.cn").await;
    assert_eq!(page.element("access-mode"), "access policies");
    assert_eq!(page.element("purge-protection"), "on");
    assert!(!page.has("turn-on-purge-protection"));
}

#[tokio::test]
async fn names_that_azure_would_not_take_are_refused_with_the_rule() {
    let (world, _) = World::with_vault().await;
    for name in [
        "ab",
        "1acme",
        "acme-",
        "ac--me",
        "acme.evil",
        "acmeacmeacmeacmeacmeacmeacme",
        "äcme",
    ] {
        let fields = [("name", name), ("suffix", "vault.azure.net")];
        let said = world.browser.does(&directory(), "create-vault", &fields).await;
        assert!(said.starts_with("A vault’s name is 3 to 24"), "{name}: {said}");
    }
    let elsewhere = [("name", "acme"), ("suffix", "evil.example")];
    let said = world.browser.does(&directory(), "create-vault", &elsewhere).await;
    assert_eq!(said, "No vault is at “evil.example”.");
    for (name, bits) in [("k_k", "2048"), ("", "2048"), ("kek", "1024"), ("kek", "many")] {
        let said = world
            .browser
            .does(&vault(), "create-key", &[("name", name), ("bits", bits)])
            .await;
        assert!(!said.contains("created"), "{name} {bits}: {said}");
        assert!(!world.emulator.has_key(HOST, name));
    }
}

#[tokio::test]
async fn a_key_is_disabled_enabled_deleted_and_recovered() {
    let (world, _) = in_use().await;
    let enabled = async || world.asks("/keys/k").await.2["attributes"]["enabled"].clone();
    assert_eq!(
        world.browser.does(&vault(), "switch-key-k", &[]).await,
        "The key k was disabled."
    );
    assert_eq!(enabled().await, false);
    assert_eq!(vault_page(&world).await.element("key-state-k"), "disabled");
    assert_eq!(
        world.browser.does(&vault(), "switch-key-k", &[]).await,
        "The key k was enabled."
    );
    assert_eq!(enabled().await, true);
    assert_eq!(
        world.browser.does(&vault(), "delete-key-k", &[]).await,
        "The key k was deleted."
    );
    assert_eq!(world.reads_key().await.0, 404);
    let taken = world
        .browser
        .does(&vault(), "create-key", &[("name", "k"), ("bits", "2048")])
        .await;
    assert!(
        taken.starts_with("The key k was deleted and can be recovered"),
        "{taken}"
    );
    assert_eq!(
        world.browser.does(&vault(), "recover-key-k", &[]).await,
        "The key k was recovered."
    );
    assert_eq!(world.reads_key().await, allowed());
}

#[tokio::test]
async fn each_version_of_a_key_has_a_switch_of_its_own() {
    let (world, _) = in_use().await;
    let kid = |key: &Value| {
        key["key"]["kid"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned()
    };
    let old = kid(&world.asks("/keys/k").await.2);
    world
        .browser
        .does(&vault(), "create-key", &[("name", "k"), ("bits", "2048")])
        .await;
    let (_, _, new) = world.asks("/keys/k").await;
    assert_ne!(kid(&new), old);
    world.browser.does(&vault(), &format!("switch-key-k-{old}"), &[]).await;
    assert_eq!(
        world.asks(&format!("/keys/k/{old}")).await.2["attributes"]["enabled"],
        false
    );
    assert_eq!(world.asks("/keys/k").await.2["attributes"]["enabled"], true);
}

#[tokio::test]
async fn roles_are_assigned_and_removed_on_the_vault_and_on_one_key() {
    let (world, oid) = World::with_vault().await;
    assert_eq!(world.reads_key().await, forbidden("ForbiddenByRbac"));
    let principal = oid.to_string();
    for (scope, told) in [("vault", "the whole vault"), ("key:k", "the key k")] {
        let fields = [("principal", &*principal), ("role", "crypto-user"), ("scope", scope)];
        let said = world.browser.does(&vault(), "assign-role", &fields).await;
        assert_eq!(said, format!("Keyferry was given Key Vault Crypto User on {told}."));
        assert_eq!(world.reads_key().await, allowed());
        let button = format!("unassign-crypto-user-{oid}-{scope}");
        let said = world.browser.does(&vault(), &button, &[]).await;
        assert_eq!(
            said,
            format!("Key Vault Crypto User on {told} was taken away from Keyferry.")
        );
        assert_eq!(world.reads_key().await, forbidden("ForbiddenByRbac"));
    }
    for (field, value) in [("principal", "nobody"), ("role", "owner"), ("scope", "everything")] {
        let mut fields = [("principal", &*principal), ("role", "crypto-user"), ("scope", "vault")];
        fields
            .iter_mut()
            .filter(|(name, _)| *name == field)
            .for_each(|(_, given)| *given = value);
        let said = world.browser.does(&vault(), "assign-role", &fields).await;
        assert!(said.contains(value), "{said}");
    }
    assert_eq!(world.reads_key().await, forbidden("ForbiddenByRbac"));
}

#[tokio::test]
async fn every_role_that_is_offered_can_be_assigned() {
    let (world, oid) = World::with_vault().await;
    let page = vault_page(&world).await;
    let (_, list) = page.text.split_once("id=\"role-name\"").unwrap();
    let (list, _) = list.split_once("</select>").unwrap();
    let values: Vec<_> = list
        .split("value=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(values.len() > 4);
    for role in values {
        let fields = [("principal", &*oid.to_string()), ("role", role), ("scope", "vault")];
        world.browser.does(&vault(), "assign-role", &fields).await;
        assert!(
            vault_page(&world).await.has(&format!("unassign-{role}-{oid}-vault")),
            "{role}"
        );
    }
}

#[tokio::test]
async fn a_role_of_a_principal_that_is_gone_can_still_be_removed() {
    let (world, oid) = in_use().await;
    world
        .browser
        .does(&directory(), &format!("withdraw-{APPLICATION}"), &[])
        .await;
    assert!(vault_page(&world).await.has(&format!("Unknown principal {oid}")));
    world
        .browser
        .does(&vault(), &format!("unassign-crypto-user-{oid}-vault"), &[])
        .await;
    assert!(!vault_page(&world).await.has(&oid.to_string()));
}

#[tokio::test]
async fn a_vault_is_switched_to_access_policies_and_back() {
    let (world, oid) = in_use().await;
    world.browser.does(&vault(), "switch-to-policies", &[]).await;
    assert_eq!(world.reads_key().await, forbidden("ForbiddenByPolicy"));
    let save = format!("save-policy-{oid}");
    let granted = [
        ("permission", "get"),
        ("permission", "wrapKey"),
        ("permission", "unwrapKey"),
    ];
    let said = world.browser.does(&vault(), &save, &granted).await;
    assert_eq!(said, "Keyferry has a policy with get, unwrapKey, wrapKey now.");
    assert_eq!(world.reads_key().await, allowed());
    assert_eq!(world.asks("/keys/k/rotationpolicy").await.1, "ForbiddenByPolicy");
    let page = vault_page(&world).await;
    assert_eq!(page.text.matches(" checked>").count(), 3);
    let said = world
        .browser
        .does(&vault(), &save, &[("permission", "everything")])
        .await;
    assert_eq!(said, "There is no permission “everything”.");
    // Every box unchecked: nothing is sent of them.
    let (path, fields) = page.form(&save, &[("principal", &oid.to_string())]);
    let unchecked: Vec<_> = fields.into_iter().filter(|(name, _)| name != "permission").collect();
    assert_eq!(
        world.browser.post(&path, &unchecked).send().await.unwrap().status(),
        303
    );
    assert_eq!(world.reads_key().await, forbidden("ForbiddenByPolicy"));
    world.browser.does(&vault(), "switch-to-roles", &[]).await;
    assert_eq!(world.reads_key().await, allowed(), "its role is still there");
}

#[tokio::test]
async fn the_network_is_closed_and_opened() {
    let (world, _) = in_use().await;
    let said = world.browser.does(&vault(), "close-network", &[]).await;
    assert_eq!(said, "The vault was closed to public networks.");
    assert_eq!(world.reads_key().await, forbidden("ForbiddenByConnection"));
    world.browser.does(&vault(), "open-network", &[]).await;
    assert_eq!(world.reads_key().await, allowed());
}

#[tokio::test]
async fn purge_protection_is_turned_on_for_ever() {
    let (world, _) = in_use().await;
    let level = async || world.asks("/keys/k").await.2["attributes"]["recoveryLevel"].clone();
    assert_eq!(level().await, "Recoverable+Purgeable");
    let said = world.browser.does(&vault(), "turn-on-purge-protection", &[]).await;
    assert_eq!(said, "Purge protection was turned on. It cannot be turned off again.");
    assert_eq!(level().await, "Recoverable");
    assert!(!vault_page(&world).await.has("<button id=\"turn-on-purge-protection\""));
}

#[tokio::test]
async fn what_cannot_be_done_is_said_and_nothing_is_done() {
    let (world, _) = in_use().await;
    let page = vault_page(&world).await;
    world.order(Order::PurgeVault { host: HOST.into() });
    for button in [
        "switch-key-k",
        "delete-key-k",
        "close-network",
        "turn-on-purge-protection",
        "switch-to-policies",
    ] {
        let answer = world.browser.press(&page, button, &[]).await;
        assert_eq!(answer.status(), 303, "{button}");
    }
    assert_eq!(world.browser.load(&vault()).await.status, 404);
}
