//! No event is sent to a webhook that did not agree.

use keyferry_emulator::{EVENT_GRID, EventBearer, EventSchema, EventSubscription, Order, Validation};
use reqwest::Method;

use crate::webhook::{Answers, DIRECTORY, HOST, Stage};

#[tokio::test]
async fn a_webhook_of_event_grids_schema_agrees_by_repeating_a_code() {
    let mut stage = Stage::set().await;
    let asked = stage.subscribe(stage.wish(EventSchema::EventGrid)).await;
    assert_eq!(asked.method, Method::POST);
    assert_eq!(asked.headers["aeg-event-type"], "SubscriptionValidation");
    assert_eq!(asked.headers["x-secret"], "pretend");
    let event = &asked.body[0];
    assert_eq!(event["eventType"], "Microsoft.EventGrid.SubscriptionValidationEvent");
    assert!(event["topic"].as_str().unwrap().ends_with("/vaults/acme"));
    assert!(event["data"]["validationUrl"].is_string());
    stage.until_it_agreed().await;
}

#[tokio::test]
async fn a_webhook_of_cloud_events_agrees_by_allowing_the_origin() {
    let mut stage = Stage::set().await;
    let asked = stage.subscribe(stage.wish(EventSchema::CloudEvents)).await;
    assert_eq!(asked.method, Method::OPTIONS);
    assert_eq!(asked.headers["webhook-request-origin"], "eventgrid.azure.net");
    assert_eq!(asked.headers["x-secret"], "pretend");
    stage.until_it_agreed().await;
}

#[tokio::test]
async fn a_webhook_that_does_not_agree_is_sent_nothing() {
    for schema in [EventSchema::EventGrid, EventSchema::CloudEvents] {
        let mut stage = Stage::set().await;
        stage.answer_with(Answers {
            agrees: false,
            status: 200,
        });
        stage.subscribe(stage.wish(schema)).await;
        stage
            .until(|state| matches!(state.validation, Validation::Failed(_)))
            .await;
        stage.new_version("kek");
        stage.until(|state| state.waiting == 1).await;
        assert!(stage.nothing_was_sent());
    }
}

#[tokio::test]
async fn every_request_brings_a_token_of_event_grids_own_principal_if_so_ordered() {
    let mut stage = Stage::set().await;
    let application = uuid::Uuid::from_u128(0xa9);
    stage.order(Order::RegisterApplication {
        client_id: application,
        application: keyferry_emulator::Application {
            identifier_uri: Some("api://keyferry".into()),
            ..keyferry_emulator::Application::default()
        },
    });
    let wish = EventSubscription {
        bearer: Some(EventBearer {
            directory: DIRECTORY,
            resource: "api://keyferry".into(),
        }),
        ..stage.wish(EventSchema::EventGrid)
    };
    stage.order(Order::SubscribeEvents {
        host: HOST.into(),
        name: "keyferry".into(),
        subscription: wish.clone(),
    });
    stage
        .until(|state| matches!(state.validation, Validation::Failed(_)))
        .await;
    stage.order(Order::Consent {
        directory: DIRECTORY,
        client_id: EVENT_GRID,
        resource: "api://keyferry".into(),
        roles: vec!["AzureEventGridSecureWebhookSubscriber".into()],
        usable_after_seconds: 0,
    });
    let asked = stage.subscribe(wish).await;
    let claims = asked.headers["authorization"]
        .to_str()
        .unwrap()
        .split('.')
        .nth(1)
        .unwrap();
    let claims = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["azp"], EVENT_GRID.to_string());
    assert_eq!(claims["aud"], application.to_string());
    assert_eq!(claims["roles"][0], "AzureEventGridSecureWebhookSubscriber");
}
