//! The memory that bodies and answers take, counted in bytes over all requests, and given back when they are wiped.
//!
//! A request whose body has at most [`FREE`] bytes is not counted, unless it is a batch: what such requests take is bounded
//! by how many there may be at once, what their answers take by how many connections there may be. Every other is charged in
//! advance what its body and its answer take together. The charge goes wherever the bytes go: onto the thread that seals
//! them, which works on when nobody waits for it any more, and to the server until the answer is sent.

mod unsent;

use std::sync::Arc;

use axum_server::ConnectionShutdown;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use self::unsent::AllUnsent;
use self::unsent::Unsent;
use crate::{
    body::Media,
    config::HttpConfig,
    problem::{Kind, Problem, SHORT_WAIT},
};

/// What all requests may take together.
pub(crate) struct Budget {
    bytes: Arc<Semaphore>,
    size: usize,
    unsent: Arc<AllUnsent>,
}

/// What all requests take just now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BudgetStats {
    pub(crate) taken: u64,
}

/// What one request takes, held by whatever holds its bytes. Cheap to clone, for nothing where nothing is charged.
#[derive(Clone)]
pub(crate) struct Charge(Option<Arc<Charged>>);

struct Charged {
    _taken: OwnedSemaphorePermit,
    _before: Charge,
    connection: Option<ConnectionShutdown>,
    unsent: Arc<AllUnsent>,
}

/// What an answer on its way takes.
pub(crate) struct Answering {
    _charged: Arc<Charged>,
    _unsent: Option<Unsent>,
}

impl Budget {
    pub(crate) fn new(config: &HttpConfig) -> Self {
        Self {
            bytes: Arc::new(Semaphore::new(config.body_budget_bytes)),
            size: config.body_budget_bytes,
            unsent: Arc::new(AllUnsent::new(config.answer_timeout)),
        }
    }

    /// The answers that are charged and on their way.
    pub(crate) fn unsent(&self) -> &Arc<AllUnsent> {
        &self.unsent
    }

    /// What tells how much is taken, whenever it is asked.
    pub(crate) fn stats(&self) -> impl Fn() -> BudgetStats + Send + Sync + 'static {
        let (bytes, size) = (Arc::clone(&self.bytes), self.size);
        move || BudgetStats {
            taken: size.saturating_sub(bytes.available_permits()) as u64,
        }
    }

    /// Takes so many bytes, if there are as many.
    pub(crate) fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let exhausted = || Problem::new(Kind::BodyBudgetExhausted).retry_after(SHORT_WAIT);
        let bytes = u32::try_from(bytes).map_err(|_| exhausted())?;
        Arc::clone(&self.bytes)
            .try_acquire_many_owned(bytes)
            .map_err(|_| exhausted())
    }

    /// A charge of what was taken, for a request that came over `connection`, besides what it was charged before.
    pub(crate) fn charge(
        &self,
        taken: OwnedSemaphorePermit,
        before: Charge,
        connection: Option<ConnectionShutdown>,
    ) -> Charge {
        Charge(Some(Arc::new(Charged {
            _taken: taken,
            _before: before,
            connection,
            unsent: Arc::clone(&self.unsent),
        })))
    }
}

impl Charge {
    /// A small request's.
    pub(crate) const NOTHING: Self = Self(None);

    /// An answer begins its way. One that costs nothing is not waited for.
    pub(crate) fn answering(&self) -> Option<Answering> {
        let charged = Arc::clone(self.0.as_ref()?);
        let connection = charged.connection.clone();
        Some(Answering {
            _unsent: connection.map(|connection| charged.unsent.begin(connection)),
            _charged: charged,
        })
    }
}

/// What a body of `len` bytes and its answer take, at the moment when it is most.
pub(crate) fn cost(media: Media, len: usize) -> usize {
    let times = match media {
        // The body, and an answer about as long.
        Media::Octets => 2,
        // The body, three quarters of it decoded, and three quarters sealed or opened; then, without the decoded, the answer.
        Media::Json | Media::Form => 3,
    };
    len.saturating_mul(times).saturating_add(ENVELOPE)
}

/// Bodies up to this many bytes are not counted.
pub(crate) const FREE: usize = 4 << 10;
/// What an envelope adds, as text, at most.
const ENVELOPE: usize = 2 << 10;
