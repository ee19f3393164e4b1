//! Something that comes once, and those who wait for it. They go on in the order in which they came: so nobody is passed over,
//! and a simulation can be run again.

use std::sync::OnceLock;

use tokio::sync::Notify;

pub(crate) struct Arrival<V> {
    value: OnceLock<V>,
    came: Notify,
}

impl<V> Arrival<V> {
    /// Nothing has come yet.
    pub(crate) fn awaited() -> Self {
        Self {
            value: OnceLock::new(),
            came: Notify::new(),
        }
    }

    /// This comes, unless something has come before.
    pub(crate) fn comes(&self, value: V) {
        if self.value.set(value).is_ok() {
            self.came.notify_waiters();
        }
    }

    /// Waits for what comes.
    pub(crate) async fn wait(&self) -> &V {
        loop {
            // Whoever waits is told from here on, whether or not it was polled.
            let came = self.came.notified();
            if let Some(value) = self.value.get() {
                return value;
            }
            came.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn all_who_wait_go_on_in_the_order_in_which_they_came() {
        let (arrival, order) = (Arc::new(Arrival::awaited()), Arc::new(Mutex::new(Vec::new())));
        let waiting: Vec<_> = (0..50)
            .map(|number| {
                let (arrival, order) = (Arc::clone(&arrival), Arc::clone(&order));
                tokio::spawn(async move {
                    let came = *arrival.wait().await;
                    order.lock().unwrap().push(number);
                    came
                })
            })
            .collect();
        tokio::task::yield_now().await;
        arrival.comes(7);
        arrival.comes(8);
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), 7);
        }
        assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>());
        assert_eq!(*arrival.wait().await, 7, "for who comes later, too");
    }
}
