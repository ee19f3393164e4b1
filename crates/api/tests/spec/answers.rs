//! What a customer answers on its page, and how it is told what was wrong.

use http::Method;
use serde_json::{Value, json};

use crate::{browser::Browser, reply::Reply, world::World};

const DIRECTORY: &str = "5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11";

async fn answers(world: &World) -> Value {
    let shown = Reply::to(world.onboarding(Method::GET, "/globex-to-be")).await;
    shown.with(200)["answers"].clone()
}

#[tokio::test]
async fn an_answer_is_kept_and_the_browser_sent_back_to_where_it_was() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    for (form, part) in [
        (vec![("directory", DIRECTORY)], "authorize"),
        (
            vec![
                ("vault", "HTTPS://Contoso-Keys.vault.azure.net"),
                ("key", "customer-key"),
            ],
            "vault-and-key",
        ),
    ] {
        let sent = Reply::to(browser.sends("/answers", &form)).await;
        assert_eq!(sent.leads_to(), format!("{}#{part}", browser.page));
    }
    let kept = json!({
        "directory_id": DIRECTORY, "vault": "contoso-keys.vault.azure.net", "key_name": "customer-key", "key_version": "latest",
    });
    assert_eq!(answers(&world).await, kept);
    let html = browser.sees().await;
    assert!(
        html.contains(&format!("value=\"{DIRECTORY}\""))
            && html.contains("value=\"https://contoso-keys.vault.azure.net/\"")
    );
}

#[tokio::test]
async fn what_is_refused_is_told_beside_the_field_and_above_all_and_the_input_is_kept() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    let form = [
        ("vault", "https://contoso-keys.example.com/<b>"),
        ("key", "my-good-key"),
    ];
    let refused = Reply::to(browser.sends("/answers", &form)).await;
    let html = refused.page(422);
    assert!(html.contains("<title>Error: "), "{html}");
    assert!(html.contains("<li><a href=\"#vault\">Vault URI: "), "{html}");
    let input = html
        .split("<input id=\"vault\"")
        .nth(1)
        .unwrap()
        .split('>')
        .next()
        .unwrap();
    assert!(
        input.contains("aria-invalid=\"true\"")
            && input.contains("value=\"https://contoso-keys.example.com/&#60;b&#62;\""),
        "{input}"
    );
    let said = html.split("id=\"vault-said\"").nth(1).unwrap();
    assert!(
        said.starts_with(" aria-live=\"polite\">") && said.split("</p>").next().unwrap().len() > 40,
        "{said}"
    );
    assert!(html.contains("value=\"my-good-key\""), "{html}");
    assert_eq!(
        answers(&world).await,
        json!({"key_version": "latest"}),
        "nothing is kept in half"
    );
}

#[tokio::test]
async fn the_address_of_what_was_refused_leads_back_to_the_page_when_it_is_opened_again() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    for form in ["answers", "verify", "consent", "private-endpoint"] {
        let opened = Reply::to(browser.asks(&format!("/{form}"))).await;
        assert_eq!(opened.leads_to(), format!("{}#main", browser.page), "{form}");
    }
    browser.sees().await;
}

#[tokio::test]
async fn what_may_be_a_secret_is_not_shown_again() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    for secret in [
        "-----BEGIN PRIVATE KEY-----\nTUlJRXZRSUJBREFO\n-----END PRIVATE KEY-----",
        "https://contoso.vault.azure.net/?sig=TUlJRXZRSUJBREFO",
        "{\"d\": \"TUlJRXZRSUJBREFO\"}",
    ] {
        let refused = Reply::to(browser.sends("/answers", &[("vault", secret), ("key", "my-good-key")])).await;
        let html = refused.page(422);
        assert!(!html.contains("TUlJRXZRSUJBREFO"), "{html}");
        assert!(html.contains("value=\"my-good-key\""), "{html}");
        let read = Reply::to(browser.sends("/parse", &[("vault", secret)])).await;
        assert!(!read.text().contains("TUlJRXZRSUJBREFO"), "{}", read.text());
    }
}

#[tokio::test]
async fn a_form_left_empty_is_told_so_and_one_answer_is_enough() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    let empty = Reply::to(browser.sends("/answers", &[("vault", " "), ("key", "")])).await;
    assert!(
        empty
            .page(422)
            .contains("<li><a href=\"#vault\">Vault URI: Nothing was entered here yet.")
    );
    let identifier = "https://contoso-keys.vault.azure.net/keys/customer-key";
    let sent = Reply::to(browser.sends("/answers", &[("vault", identifier), ("key", "")])).await;
    sent.leads_to();
    assert_eq!(answers(&world).await["key_name"], "customer-key");
}

#[tokio::test]
async fn answers_are_read_as_they_are_typed_and_not_kept() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    let form = [
        ("vault", "contoso-keys"),
        ("key", "https://contoso-keys.vault.azure.net/keys/customer-key/"),
        ("directory", "contoso.com"),
    ];
    let read = Reply::to(browser.sends("/parse", &form)).await;
    read.keeps_to_itself();
    let read = read.with(200);
    assert_eq!(
        read[0],
        json!({"field": "vault", "understood": "https://contoso-keys.vault.azure.net/"})
    );
    assert_eq!(
        read[1],
        json!({"field": "key", "understood": "https://contoso-keys.vault.azure.net/keys/customer-key"})
    );
    assert!(read[2]["refused"].as_str().unwrap().contains("domain name") && read[2].get("understood").is_none());
    assert_eq!(answers(&world).await, json!({"key_version": "latest"}));
}

#[tokio::test]
async fn answers_that_come_in_floods_are_told_to_wait() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    let (mut refused, mut last) = (0, None);
    for _ in 0..32 {
        let sent = Reply::to(browser.sends("/answers", &[("directory", "x")])).await;
        if sent.status == 429 {
            refused += 1;
            last = Some(sent);
        }
    }
    let told = last.unwrap();
    told.page(429);
    let wait: u64 = told.header("retry-after").parse().unwrap();
    assert!(
        (1..=3).contains(&wait) && (1..=2).contains(&refused),
        "{refused} {wait}"
    );
    // Another customer's page is none the worse.
    let other = Browser::of(&world, "initech-to-be").await;
    Reply::to(other.sends("/answers", &[("directory", DIRECTORY)]))
        .await
        .leads_to();
}

#[tokio::test]
async fn a_window_from_before_takes_no_answer_back_that_came_meanwhile() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    let both = [("vault", "contoso-keys"), ("key", "customer-key")];
    Reply::to(browser.sends("/answers", &both)).await.leads_to();
    // A form that was shown before the key was told has nothing in its place.
    let older = [("vault", "contoso-keys-2"), ("key", "")];
    Reply::to(browser.sends("/answers", &older)).await.leads_to();
    let kept = answers(&world).await;
    assert_eq!(
        (&kept["vault"], &kept["key_name"]),
        (&json!("contoso-keys-2.vault.azure.net"), &json!("customer-key"))
    );
    let emptied = [("vault", ""), ("key", "")];
    Reply::to(browser.sends("/answers", &emptied)).await.leads_to();
    assert_eq!(answers(&world).await, json!({"key_version": "latest"}));
}
