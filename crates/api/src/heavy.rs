//! Sealing and opening, large messages away from the threads that serve everyone else.
//!
//! The data key is got first, where waiting costs nothing: a vault that hangs keeps no thread. Then the cipher runs on a
//! thread of its own, on as many at once as there are processors; more would only take memory, and threads from those who
//! look up names.

use std::{num::NonZero, sync::Arc, thread};

use keyferry_crypto::{
    context::EncryptionContext,
    sealer::{Content, Opened, Sealed, Sealer, SealerError},
    secret::SecretBytes,
};
use keyferry_registry::tenant::Tenant;
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{
    app::App,
    budget::Charge,
    problem::{Kind, Problem},
};

/// The processors, shared by all large messages.
pub(crate) struct Processors(Arc<Semaphore>);

/// Seals `plaintext`, which is charged, for `tenant`.
pub(crate) async fn seal(
    app: &App,
    tenant: &Tenant,
    content: Content,
    context: EncryptionContext,
    plaintext: SecretBytes,
    charge: &Charge,
) -> Result<Sealed, Problem> {
    let sealer = app.sealer();
    if plaintext.len() <= LIGHT {
        let sealed = sealer.seal(&tenant.keys, content, &context, plaintext.expose());
        return Ok(sealed.await?);
    }
    let key = sealer.key_to_seal(&tenant.keys).await?;
    let work = move || key.seal(content, &context, plaintext.expose());
    app.processors().run(work, charge.clone()).await
}

/// Opens `envelope`, which is charged, for `tenant`.
pub(crate) async fn open(
    app: &App,
    tenant: &Tenant,
    content: Content,
    context: EncryptionContext,
    envelope: SecretBytes,
    charge: &Charge,
) -> Result<Opened, Problem> {
    let sealer = app.sealer();
    if envelope.len() <= LIGHT {
        let opened = sealer.open(&tenant.keys, content, &context, envelope.expose());
        return opened
            .await
            .map_err(|error| not_opened(error, tenant, envelope.expose()));
    }
    let key = sealer.key_to_open(&tenant.keys, content, envelope.expose()).await;
    let key = key.map_err(|error| not_opened(error, tenant, envelope.expose()))?;
    let work = move || key.open(content, &context, envelope.expose());
    app.processors().run(work, charge.clone()).await
}

/// Why an envelope was not opened, with the version of the customer's key that it needs.
pub(crate) fn not_opened(error: SealerError, tenant: &Tenant, envelope: &[u8]) -> Problem {
    let problem = Problem::from(error);
    match Sealer::kek_of(&tenant.keys, envelope) {
        Ok(kek) => problem.needing(&kek),
        Err(_) => problem,
    }
}

impl Processors {
    /// As many as there are.
    pub(crate) fn all() -> Self {
        let count = thread::available_parallelism().map_or(1, NonZero::get);
        Self(Arc::new(Semaphore::new(count)))
    }

    /// Runs `work` on a thread of its own as soon as a processor is free. It runs to its end even if nobody waits for it any
    /// more, and until then its memory stays charged.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, SealerError> + Send + 'static,
        charge: Charge,
    ) -> Result<T, Problem> {
        let lost = || Problem::new(Kind::Internal);
        let processor = Arc::clone(&self.0).acquire_owned().await.map_err(|_| lost())?;
        let working = spawn_blocking(move || {
            let done = work();
            drop(processor);
            (done, charge)
        });
        // It panicked, or the runtime is going down.
        let (done, _charge) = working.await.map_err(|_| lost())?;
        Ok(done?)
    }
}

/// Up to this many bytes take well under a millisecond.
const LIGHT: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::*;
    use crate::{budget::Budget, config::HttpConfig};

    #[tokio::test]
    async fn memory_stays_charged_until_the_work_is_done_though_nobody_waits_for_it() {
        let config = HttpConfig {
            body_budget_bytes: 100,
            ..HttpConfig::default()
        };
        let budget = Budget::new(&config);
        let charge = budget.charge(budget.take(60).unwrap(), Charge::NOTHING, None);
        let (begin, begun) = oneshot::channel();
        let (go_on, told) = mpsc::channel::<()>();
        let working = tokio::spawn(async move {
            let work = move || {
                begin.send(()).unwrap();
                told.recv().unwrap();
                Ok(())
            };
            Processors::all().run(work, charge).await
        });
        begun.await.unwrap();
        working.abort();
        assert!(working.await.unwrap_err().is_cancelled());
        assert!(budget.take(60).is_err(), "the work goes on");
        go_on.send(()).unwrap();
        while budget.take(60).is_err() {
            tokio::task::yield_now().await;
        }
    }
}
