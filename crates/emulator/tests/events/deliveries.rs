//! What happens to keys is told, at least once, in no order.

use keyferry_emulator::{Disturbance, EventSchema, EventSubscription, Order};

use crate::webhook::{Answers, HOST, Stage};

async fn subscribed(schema: EventSchema) -> Stage {
    let mut stage = Stage::set().await;
    stage.subscribe(stage.wish(schema)).await;
    stage.until_it_agreed().await;
    stage
}

fn disturb(disturbance: Disturbance) -> Order {
    Order::DisturbEvents {
        host: HOST.into(),
        name: "keyferry".into(),
        disturbance,
    }
}

#[tokio::test]
async fn a_new_version_is_told_in_either_schema() {
    let mut stage = subscribed(EventSchema::EventGrid).await;
    let kid = stage.new_version("kek");
    let delivery = stage.sent().await;
    assert_eq!(delivery.headers["aeg-event-type"], "Notification");
    assert_eq!(delivery.headers["x-secret"], "pretend");
    let event = &delivery.body[0];
    assert_eq!(event["eventType"], "Microsoft.KeyVault.KeyNewVersionCreated");
    assert_eq!(event["subject"], "kek");
    assert_eq!(event["data"]["Id"], kid);
    assert_eq!(event["data"]["VaultName"], "acme");
    assert!(kid.ends_with(event["data"]["Version"].as_str().unwrap()));
    stage.until(|state| state.delivered == 1 && state.waiting == 0).await;

    let mut stage = subscribed(EventSchema::CloudEvents).await;
    let kid = stage.new_version("kek");
    let delivery = stage.sent().await;
    let content_type = delivery.headers["content-type"].to_str().unwrap();
    assert!(content_type.starts_with("application/cloudevents+json"));
    assert_eq!(delivery.body["type"], "Microsoft.KeyVault.KeyNewVersionCreated");
    assert_eq!(delivery.body["specversion"], "1.0");
    assert!(delivery.body["source"].as_str().unwrap().ends_with("/vaults/acme"));
    assert_eq!(delivery.body["data"]["Id"], kid);
}

#[tokio::test]
async fn expiry_is_told_by_order() {
    let mut stage = subscribed(EventSchema::EventGrid).await;
    stage.new_version("kek");
    stage.event().await;
    for (expired, kind) in [
        (false, "Microsoft.KeyVault.KeyNearExpiry"),
        (true, "Microsoft.KeyVault.KeyExpired"),
    ] {
        stage.order(Order::TellExpiry {
            host: HOST.into(),
            name: "kek".into(),
            version: String::new(),
            expired,
        });
        assert_eq!(stage.event().await["eventType"], kind);
    }
}

#[tokio::test]
async fn by_order_events_come_late_out_of_order_and_more_than_once() {
    let mut stage = subscribed(EventSchema::EventGrid).await;
    stage.order(disturb(Disturbance {
        copies: 2,
        held: true,
        reversed: false,
    }));
    let (first, second) = (stage.new_version("kek"), stage.new_version("kek"));
    stage.until(|state| state.waiting == 4).await;
    assert!(stage.nothing_was_sent());
    stage.order(disturb(Disturbance {
        reversed: true,
        ..Disturbance::default()
    }));
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(stage.event().await);
    }
    let ids: Vec<_> = told.iter().map(|event| event["data"]["Id"].as_str().unwrap()).collect();
    assert_eq!(ids, [&second, &second, &first, &first]);
    assert_eq!(told[0]["id"], told[1]["id"], "it is one event");
    assert_ne!(told[1]["id"], told[2]["id"]);
}

#[tokio::test]
async fn events_that_wait_come_in_one_delivery_where_that_is_wanted() {
    let mut stage = Stage::set().await;
    let wish = EventSubscription {
        max_batch: 10,
        ..stage.wish(EventSchema::CloudEvents)
    };
    stage.subscribe(wish).await;
    stage.until_it_agreed().await;
    stage.order(disturb(Disturbance {
        held: true,
        ..Disturbance::default()
    }));
    for _ in 0..3 {
        stage.new_version("kek");
    }
    stage.order(disturb(Disturbance::default()));
    let delivery = stage.sent().await;
    let content_type = delivery.headers["content-type"].to_str().unwrap();
    assert!(content_type.starts_with("application/cloudevents-batch+json"));
    assert_eq!(delivery.body.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_is_not_taken_is_delivered_again_and_what_is_refused_is_not() {
    let mut stage = subscribed(EventSchema::EventGrid).await;
    stage.answer_with(Answers {
        agrees: true,
        status: 503,
    });
    stage.new_version("kek");
    let first = stage.event().await;
    stage.until(|state| state.last_status == Some(503)).await;
    stage.answer_with(Answers {
        agrees: true,
        status: 400,
    });
    // Sooner than Event Grid would by itself.
    stage.order(disturb(Disturbance::default()));
    assert_eq!(stage.event().await["id"], first["id"]);
    stage.until(|state| state.dropped == 1 && state.waiting == 0).await;
    stage.order(disturb(Disturbance::default()));
    stage.answer_with(Answers {
        agrees: true,
        status: 200,
    });
    stage.new_version("kek");
    assert_ne!(stage.event().await["id"], first["id"]);
}

#[tokio::test]
async fn a_subscription_that_was_ended_is_told_nothing() {
    let mut stage = subscribed(EventSchema::EventGrid).await;
    stage.order(Order::UnsubscribeEvents {
        host: HOST.into(),
        name: "keyferry".into(),
    });
    stage.new_version("kek");
    assert!(stage.emulator.event_subscriptions().is_empty());
    // The next that has its name is told of nothing before.
    stage.subscribe(stage.wish(EventSchema::EventGrid)).await;
    stage.until_it_agreed().await;
    let kid = stage.new_version("other");
    assert_eq!(stage.event().await["data"]["Id"], kid);
}
