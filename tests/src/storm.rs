//! A crowd that wants as many cold keys opened at once, and comes back when it is told to.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use keyferry_client::{Client, Context, Error, TenantClient};
use tokio::{task::JoinSet, time::Instant};

use crate::{COLD_KEY, PATIENCE, Replica};

/// What became of a storm.
#[derive(Clone, Debug, Default)]
pub struct Aftermath {
    /// What the first answers to all keys were: `ok`, or the problem's slug.
    pub at_first: BTreeMap<String, usize>,
    /// What all further answers were.
    pub later: BTreeMap<String, usize>,
    /// Answers that were neither a key nor said when to come back.
    pub without_advice: BTreeMap<String, usize>,
    /// How many keys were opened in the end.
    pub opened: usize,
    /// The longest that an answer took.
    pub slowest: Duration,
}

/// What one key's caller met.
#[derive(Default)]
struct Met {
    answers: Vec<String>,
    without_advice: Vec<String>,
    is_opened: bool,
    slowest: Duration,
}

/// Has each key asked for at once, by turns at those clients, and again when each is told to come back, until all are opened or
/// `until` is past.
pub async fn storm(clients: &[TenantClient], keys: Vec<String>, until: Option<Instant>) -> Aftermath {
    let clients: Arc<[TenantClient]> = clients.into();
    let mut callers = JoinSet::new();
    for (number, key) in keys.into_iter().enumerate() {
        let clients = Arc::clone(&clients);
        callers.spawn(async move {
            // Whoever comes back comes back to the same replica.
            want(&clients[number % clients.len()], &key, until).await
        });
    }
    let mut aftermath = Aftermath::default();
    while let Some(met) = callers.join_next().await {
        aftermath.add(met.unwrap());
    }
    aftermath
}

/// Clients of a replica that carry many requests over each connection.
#[must_use]
pub fn multiplexed(
    replica: &Replica,
    slug: &str,
    tokens: &keyferry_client::TokenSource,
    count: usize,
) -> Vec<TenantClient> {
    let client = || {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        let http = http.http2_prior_knowledge().build().unwrap();
        Client::with_http(http, replica.process().url("/"), tokens.clone()).tenant(slug)
    };
    std::iter::repeat_with(client).take(count).collect()
}

async fn want(client: &TenantClient, key: &str, until: Option<Instant>) -> Met {
    let mut met = Met::default();
    loop {
        let asked_at = Instant::now();
        let answer = client.unwrap(key, &Context::new()).await;
        met.slowest = met.slowest.max(asked_at.elapsed());
        let problem = match answer {
            Ok(opened) => {
                assert_eq!(opened.key.expose(), COLD_KEY);
                met.answers.push("ok".to_owned());
                met.is_opened = true;
                return met;
            }
            Err(Error::Problem(problem)) => problem,
            Err(error) => {
                met.without_advice.push(error.to_string());
                return met;
            }
        };
        met.answers.push(problem.slug().to_owned());
        let Some(pause) = problem.retry_after() else {
            met.without_advice.push(problem.slug().to_owned());
            return met;
        };
        if until.is_some_and(|until| Instant::now() + pause > until) {
            return met;
        }
        tokio::time::sleep(pause).await;
    }
}

impl Aftermath {
    fn add(&mut self, met: Met) {
        let mut answers = met.answers.into_iter();
        if let Some(first) = answers.next() {
            *self.at_first.entry(first).or_default() += 1;
        }
        for later in answers {
            *self.later.entry(later).or_default() += 1;
        }
        for answer in met.without_advice {
            *self.without_advice.entry(answer).or_default() += 1;
        }
        self.opened += usize::from(met.is_opened);
        self.slowest = self.slowest.max(met.slowest);
    }
}
