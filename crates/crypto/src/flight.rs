//! Single flight: whoever wants a result that is already on its way waits for it instead of asking again.
//!
//! The cache library can do this too, but its flight belongs to the request that started it: it is begun anew when that
//! caller goes away, it cannot renew an entry that is still in use, and it keeps what it brings. A flight here is a task
//! of its own.
//!
//! It goes on when those who wait have given up: they may come again, and others may have joined. So no deadline of any one of them
//! is the flight's. But it can know whether anybody waits, and whoever makes the call need not begin again for nobody.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tracing::Instrument as _;

use crate::arrival::Arrival;

/// What each flight brings; nothing if it was lost.
type Flying<K, V> = HashMap<K, Arc<Aloft<V>>>;

/// A flight, and how many wait for it.
struct Aloft<V> {
    arrival: Arrival<Option<V>>,
    passengers: Arc<AtomicUsize>,
}

tokio::task_local! {
    /// How many wait for the flight that a task is.
    static PASSENGERS: Arc<AtomicUsize>;
}

/// The flights under way, by what they are to bring.
pub(crate) struct Flights<K, V>(Arc<Mutex<Flying<K, V>>>);

/// A place on a flight. Giving it up does not stop the flight.
pub(crate) struct Flight<V>(Arc<Aloft<V>>);

/// Whether anybody waits for the call that is being made by this task. Always, where it is not known: whoever waits for it may be
/// the one that makes it. To be asked on behalf of those who wait: what is begun ahead of time is waited for by nobody.
#[must_use]
pub fn is_waited_for() -> bool {
    PASSENGERS
        .try_with(|passengers| passengers.load(Relaxed) > 0)
        .unwrap_or(true)
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// The flight for `key`, if there is one under way.
    pub(crate) fn under_way(&self, key: &K) -> Option<Flight<V>> {
        lock(&self.0).get(key).map(Flight::board)
    }

    /// Joins the flight for `key`, or starts it.
    ///
    /// A flight stores its result before it leaves this table. So a caller who found nothing stored may find no flight
    /// either, because one landed in between: before a new one starts, `landed` looks once more for what is stored.
    pub(crate) fn join<F>(&self, key: K, landed: impl FnOnce() -> Option<V>, start: impl FnOnce() -> F) -> Flight<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let (aloft, leave) = {
            let mut flying = lock(&self.0);
            if let Some(flight) = flying.get(&key) {
                return Flight::board(flight);
            }
            let aloft = Arc::new(Aloft {
                arrival: Arrival::awaited(),
                passengers: Arc::default(),
            });
            if let Some(landed) = landed() {
                aloft.arrival.comes(Some(landed));
                return Flight::board(&aloft);
            }
            flying.insert(key.clone(), Arc::clone(&aloft));
            let leave = Leave {
                flying: Arc::clone(&self.0),
                key,
                aloft: Arc::clone(&aloft),
            };
            (aloft, leave)
        };
        let (first, passengers) = (Flight::board(&aloft), Arc::clone(&aloft.passengers));
        // Not under the lock: a runtime that is shutting down drops the task at once, on this thread, and `leave` with it.
        tokio::spawn(PASSENGERS.scope(passengers, fly(start(), leave)).in_current_span());
        first
    }
}

async fn fly<K: Eq + Hash, V>(flight: impl Future<Output = V>, leave: Leave<K, V>) {
    let result = flight.await;
    leave.aloft.arrival.comes(Some(result));
    drop(leave);
}

impl<V> Flight<V> {
    fn board(aloft: &Arc<Aloft<V>>) -> Self {
        aloft.passengers.fetch_add(1, Relaxed);
        Self(Arc::clone(aloft))
    }
}

impl<V> Drop for Flight<V> {
    fn drop(&mut self) {
        self.0.passengers.fetch_sub(1, Relaxed);
    }
}

impl<V: Clone> Flight<V> {
    /// Waits for the result. `None` if the flight was lost: it panicked, or the runtime shuts down.
    pub(crate) async fn landing(self) -> Option<V> {
        self.0.arrival.wait().await.clone()
    }
}

/// Takes a flight off the table when it ends, however it ends. If it has brought nothing by then it was lost.
struct Leave<K: Eq + Hash, V> {
    flying: Arc<Mutex<Flying<K, V>>>,
    key: K,
    aloft: Arc<Aloft<V>>,
}

impl<K: Eq + Hash, V> Drop for Leave<K, V> {
    fn drop(&mut self) {
        lock(&self.flying).remove(&self.key);
        self.aloft.arrival.comes(None);
    }
}

/// The table is never left half-changed, so a panic elsewhere does not spoil it.
fn lock<K, V>(flying: &Mutex<Flying<K, V>>) -> MutexGuard<'_, Flying<K, V>> {
    flying.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            atomic::{AtomicUsize, Ordering::Relaxed},
            mpsc,
        },
        time::Duration,
    };

    use tokio::{runtime::Builder, sync::Notify};

    use super::*;

    #[tokio::test]
    async fn a_flight_goes_on_when_its_first_passenger_leaves() {
        let flights = Flights::<u8, u8>::new();
        let (started, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let board = || {
            let (started, go) = (Arc::clone(&started), Arc::clone(&go));
            flights.join(
                1,
                || None,
                move || async move {
                    started.fetch_add(1, Relaxed);
                    go.notified().await;
                    7
                },
            )
        };
        let first = board();
        let second = board();
        drop(first);
        go.notify_one();
        assert_eq!(second.landing().await, Some(7));
        assert_eq!(started.load(Relaxed), 1);
    }

    #[tokio::test]
    async fn a_flight_knows_whether_anybody_waits() {
        let flights = Flights::<u8, bool>::new();
        let (go, asked) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (told, mut is_waited_for_then) = tokio::sync::mpsc::unbounded_channel();
        let board = || {
            let (go, asked, told) = (Arc::clone(&go), Arc::clone(&asked), told.clone());
            flights.join(
                1,
                || None,
                move || async move {
                    for _ in 0..3 {
                        go.notified().await;
                        told.send(is_waited_for()).unwrap();
                        asked.notify_one();
                    }
                    true
                },
            )
        };
        let mut seats = vec![board(), board()];
        for (leave, join, waits) in [(1, 0, true), (1, 0, false), (0, 1, true)] {
            seats.truncate(seats.len() - leave);
            seats.extend((0..join).map(|_| board()));
            go.notify_one();
            asked.notified().await;
            assert_eq!(is_waited_for_then.recv().await, Some(waits));
        }
        assert!(is_waited_for(), "no flight");
    }

    #[tokio::test]
    async fn what_landed_in_between_is_not_fetched_again() {
        let flights = Flights::<u8, u8>::new();
        let flight = flights.join(1, || Some(7), || async { unreachable!("the result is there") });
        assert_eq!(flight.landing().await, Some(7));
        assert!(lock(&flights.0).is_empty());
    }

    #[tokio::test]
    async fn a_lost_flight_is_told_and_forgotten() {
        let flights = Flights::<u8, u8>::new();
        let flight = flights.join(1, || None, || async { panic!("lost") });
        assert_eq!(flight.landing().await, None);
        assert!(lock(&flights.0).is_empty());
    }

    #[test]
    fn a_flight_that_starts_while_the_runtime_shuts_down_is_lost_and_nobody_waits_for_it() {
        let (told, outcome) = mpsc::channel();
        // On a thread of its own, so that a deadlock is told, and not waited for.
        std::thread::spawn(move || {
            let flights = Flights::<u8, u8>::new();
            let closed = Builder::new_current_thread().build().unwrap();
            let handle = closed.handle().clone();
            drop(closed);
            let inside = handle.enter();
            let flight = flights.join(1, || None, || async { 7 });
            drop(inside);
            let open = Builder::new_current_thread().build().unwrap();
            let landed = open.block_on(flight.landing());
            told.send((landed, lock(&flights.0).len())).unwrap();
        });
        assert_eq!(outcome.recv_timeout(Duration::from_secs(20)), Ok((None, 0)));
    }
}
