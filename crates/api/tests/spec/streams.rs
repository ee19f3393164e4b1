//! A page is told of what changes.

use futures::StreamExt;
use reqwest::Response;

use crate::{browser::Browser, reply::Reply, world::World};

/// The events of a stream, one after the other.
struct Events {
    stream: futures::stream::BoxStream<'static, String>,
}

impl Events {
    async fn of(browser: &Browser) -> Self {
        let response: Response = browser.asks("/events").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let chunks = response.bytes_stream();
        let chunks = chunks.map(|chunk| String::from_utf8(chunk.unwrap().to_vec()).unwrap());
        Self { stream: chunks.boxed() }
    }

    /// What the next event tells.
    async fn next(&mut self) -> Option<String> {
        loop {
            let event = self.stream.next().await?;
            if event.contains("event: changed") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                return data.map(str::to_owned);
            }
        }
    }
}

fn revision(html: &str) -> String {
    let rest = html.split("data-revision=\"").nth(1).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_page_is_told_its_revision_and_each_later_one() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    let mut events = Events::of(&browser).await;
    let first = events.next().await.unwrap();
    let form = [("directory", "5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11")];
    Reply::to(browser.sends("/answers", &form)).await.leads_to();
    let second = events.next().await.unwrap();
    assert!(second.parse::<i64>().unwrap() > first.parse::<i64>().unwrap());
    assert!(revision(&browser.sees().await).parse::<i64>().unwrap() >= second.parse::<i64>().unwrap());
}

#[tokio::test]
async fn a_page_is_told_when_its_link_is_no_good_any_more_and_then_no_more() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    let mut events = Events::of(&browser).await;
    events.next().await.unwrap();
    let revoked = world.onboarding(http::Method::DELETE, "/globex-to-be/link");
    Reply::to(revoked).await.with(200);
    // Whatever changed before that may be told first.
    let mut told = Vec::new();
    while let Some(event) = events.next().await {
        told.push(event);
    }
    assert_eq!(told.last().map(String::as_str), Some("gone"), "{told:?}");
}

#[tokio::test]
async fn streams_do_not_hold_up_a_stop() {
    let mut world = World::new().await;
    let made = world.opens("globex-to-be").await;
    let service = world.take_service();
    let browser = Browser::with(&world, &made);
    let mut events = Events::of(&browser).await;
    events.next().await.unwrap();
    service.stop().await;
    while events.next().await.is_some() {}
}

#[tokio::test]
async fn a_link_has_so_many_streams_and_gets_a_place_back() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(Events::of(&browser).await);
    }
    let refused = Reply::to(browser.asks("/events")).await;
    refused.page(429);
    assert!(!refused.header("retry-after").is_empty());
    let other = Browser::of(&world, "initech-to-be").await;
    Events::of(&other).await.next().await.unwrap();
}
