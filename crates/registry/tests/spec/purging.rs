//! A running view purges: nobody has to ask.

use std::{sync::Arc, time::Duration};

use crate::{
    fake::Empty,
    stores::{clock, on_each_database, open},
    world::{running, slug, tenant, tenants_told, until, view},
};

on_each_database!(a_running_view_purges_what_is_due_and_nothing_else);

async fn a_running_view_purges_what_is_due_and_nothing_else(url: &str) {
    let store = open(url).await;
    for (name, window) in [("due", Duration::ZERO), ("not-due", Duration::from_secs(1))] {
        let mut tenant = store.create(&tenant(name), None).await.expect("created").tenant;
        tenant.delete(clock(), window);
        store.save(&tenant).await.expect("saved");
    }
    let here = view(&store);
    here.follow().await.expect("followed");
    let mut changes = here.changes();
    let _running = running(&here);
    until("the view has it", async || !tenants_told(&mut changes).is_empty()).await;
    assert_eq!(here.tenant(&slug("due")).await.expect("asked"), None);
    assert!(here.tenant(&slug("not-due")).await.expect("asked").is_some());
    assert_eq!(store.find(&slug("due")).await.expect("asked"), None);
}

#[tokio::test(start_paused = true)]
async fn a_running_view_looks_at_once_and_every_minute_for_what_is_due() {
    let store = Arc::new(Empty::default());
    let here = view(&(Arc::clone(&store) as _));
    let _running = running(&here);
    // The clock stands until all wait for it, and then jumps to whatever is next.
    tokio::time::sleep(Duration::from_secs(200)).await;
    let purges = store.purges.lock().expect("unpoisoned").clone();
    let spans: Vec<_> = purges.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(spans, [Duration::from_mins(1); 3]);
}
