//! Requests through the front door, several times a second: what a platform service would see.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keyferry_client::{Context, Error, Secret, TenantClient};
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};

/// Seals and opens until it is dropped.
pub(super) struct Traffic {
    seen: Arc<Mutex<Seen>>,
    sending: Vec<JoinHandle<()>>,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Of sealing.
    pub(super) seal: Tries,
    /// Of opening what was sealed before the act; of nothing if it may not be opened.
    pub(super) open: Option<Tries>,
    /// Whether the key is to be given back: from then on a success is not one too many.
    is_given_back: bool,
}

/// What came of one kind of request.
#[derive(Clone, Debug, Default)]
pub(super) struct Tries {
    /// How many did.
    pub(super) succeeded: u64,
    /// How many did not.
    pub(super) failed: u64,
    /// When the last success before the key was to be given back was answered.
    pub(super) last_success: Option<Instant>,
    /// As what the last of the others failed, by its problem's slug.
    pub(super) refused_as: Option<String>,
    /// When the first success after that was.
    pub(super) returned: Option<Instant>,
    /// Of the last few, whether each did.
    recent: VecDeque<bool>,
}

impl Traffic {
    /// Begins, if this caller may seal at all and the tenant does. Else the reason why not.
    pub(super) async fn begin(tenant: TenantClient) -> Result<Self, String> {
        let envelope = seal(&tenant).await.map_err(|error| error.to_string())?;
        let may_open = match open(&tenant, &envelope).await {
            Ok(()) => true,
            Err(Error::Problem(problem)) if problem.slug() == "caller-role-missing" => false,
            Err(error) => return Err(error.to_string()),
        };
        let seen = Arc::new(Mutex::new(Seen {
            open: may_open.then(Tries::default),
            ..Seen::default()
        }));
        let (sealer, note) = (tenant.clone(), Arc::clone(&seen));
        let mut sending = vec![tokio::spawn(again(
            move |outcome| {
                let mut seen = locked(&note);
                let is_given_back = seen.is_given_back;
                seen.seal.note(&outcome, is_given_back);
            },
            async move || seal(&sealer).await.map(drop),
        ))];
        if may_open {
            let note = Arc::clone(&seen);
            let note = move |outcome| {
                let mut seen = locked(&note);
                let is_given_back = seen.is_given_back;
                if let Some(open) = &mut seen.open {
                    open.note(&outcome, is_given_back);
                }
            };
            sending.push(tokio::spawn(again(note, async move || open(&tenant, &envelope).await)));
        }
        Ok(Self { seen, sending })
    }

    /// From now on the key is to be given back.
    pub(super) fn expect_return(&self) {
        locked(&self.seen).is_given_back = true;
    }

    /// What was seen so far.
    pub(super) fn seen(&self) -> Seen {
        locked(&self.seen).clone()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.sending.iter().for_each(JoinHandle::abort);
    }
}

impl Seen {
    /// Whether nothing does any more.
    pub(super) fn is_dark(&self) -> bool {
        self.all().all(Tries::is_dark)
    }

    /// Whether all do again that did not.
    pub(super) fn is_back(&self) -> bool {
        self.all().all(|tries| tries.returned.is_some())
    }

    fn all(&self) -> impl Iterator<Item = &Tries> {
        [&self.seal].into_iter().chain(&self.open)
    }
}

impl Tries {
    fn note(&mut self, outcome: &Result<(), Error>, is_given_back: bool) {
        let now = Instant::now();
        match outcome {
            Ok(()) => {
                self.succeeded += 1;
                if is_given_back {
                    self.returned.get_or_insert(now);
                } else {
                    self.last_success = Some(now);
                }
            }
            Err(error) => {
                self.failed += 1;
                let slug = error.problem().map(|problem| problem.slug().to_owned());
                self.refused_as = Some(slug.unwrap_or_else(|| error.to_string()));
            }
        }
        self.recent.push_back(outcome.is_ok());
        if self.recent.len() > ENOUGH {
            self.recent.pop_front();
        }
    }

    /// Whether several in a row did not.
    fn is_dark(&self) -> bool {
        self.recent.len() == ENOUGH && !self.recent.contains(&true)
    }
}

async fn again(note: impl Fn(Result<(), Error>), ask: impl AsyncFn() -> Result<(), Error>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        note(ask().await);
    }
}

async fn seal(tenant: &TenantClient) -> Result<String, Error> {
    let sealed = tenant.encrypt(&Secret::from(TEXT.to_vec()), &context()).await?;
    Ok(sealed.ciphertext)
}

async fn open(tenant: &TenantClient, envelope: &str) -> Result<(), Error> {
    tenant.decrypt(envelope, &context()).await.map(drop)
}

fn context() -> Context {
    Context::from([("purpose".to_owned(), "withdrawal drill".to_owned())])
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

const TEXT: &[u8] = b"withdrawal drill";
/// How often each kind of request is sent.
const PERIOD: Duration = Duration::from_millis(200);
/// How many in a row must fail until it is said that nothing does any more.
const ENOUGH: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_success_counts_until_the_key_is_to_be_given_back_however_long_there_was_none() {
        let mut tries = Tries::default();
        let refused = Err(Error::Unexpected("refused"));
        tries.note(&Ok(()), false);
        for _ in 0..ENOUGH {
            tokio::time::advance(PERIOD).await;
            assert!(!tries.is_dark());
            tries.note(&refused, false);
        }
        assert!(tries.is_dark());
        tokio::time::advance(PERIOD).await;
        let late = Instant::now();
        tries.note(&Ok(()), false);
        assert_eq!((tries.last_success, tries.is_dark()), (Some(late), false));
        tokio::time::advance(PERIOD).await;
        tries.note(&Ok(()), true);
        assert_eq!((tries.last_success, tries.returned), (Some(late), Some(Instant::now())));
    }
}
