//! Batches: each item succeeds or fails by itself, and a malformed item spoils no other.

use std::fmt;

use axum::response::Response;
use futures::{FutureExt, StreamExt, stream::FuturesOrdered};
use keyferry_crypto::secret::SecretBytes;
use keyferry_registry::tenant::Tenant;
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::Operation;
use crate::{
    app::App,
    body::JsonPayload,
    budget::Charge,
    codec::{Answer, parse_item},
    edge,
    problem::{Kind, Problem},
};

/// A batch as it arrives: its items are not looked at yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request<'a> {
    #[serde(borrow)]
    items: Items<'a>,
}

/// At most one item more than may be, so that a body of commas does not fill the memory.
struct Items<'a>(Vec<&'a RawValue>);

/// Does an operation for every item, several at once, and answers in the items' order.
pub(super) async fn batch<O: Operation>(
    app: &App,
    tenant: &Tenant,
    payload: &JsonPayload,
) -> Result<Response, Problem> {
    let Request { items: Items(items) } = payload.parse()?;
    if items.len() > MAX_ITEMS {
        return Err(Problem::because(
            Kind::BatchTooLarge,
            format!("A batch has at most {MAX_ITEMS} items."),
        ));
    }
    let charge = payload.charge_more(app.body_limits(), items.len() * PER_ITEM)?;
    let mut items = items.into_iter();
    let mut results = Vec::with_capacity(items.len());
    let mut under_way = FuturesOrdered::new();
    loop {
        if under_way.len() < app.batch_concurrency()
            && let Some(item) = items.next()
        {
            under_way.push_back(one::<O>(app, tenant, item, &charge));
            match under_way.next().now_or_never().flatten() {
                Some(result) => results.push(result),
                // It waits for its vault. What it takes to ask is somebody's turn, and the next item's comes after others'.
                None => tokio::task::yield_now().await,
            }
        } else if let Some(result) = under_way.next().await {
            results.push(result);
        } else {
            break;
        }
    }
    let mut response = super::json(document(&results), &charge);
    response.extensions_mut().insert(edge::Items::of(&results));
    Ok(response)
}

async fn one<O: Operation>(app: &App, tenant: &Tenant, item: &RawValue, charge: &Charge) -> Result<Answer, Problem> {
    // A thousand items whose keys are cached would otherwise keep a thread to themselves.
    tokio::task::consume_budget().await;
    let request = parse_item(item.get())?;
    let answer = O::run(app, tenant, request, charge).await;
    answer.map_err(|problem| problem.concerning(tenant.keys.tenant))
}

fn document(results: &[Result<Answer, Problem>]) -> SecretBytes {
    let problems: Vec<_> = results
        .iter()
        .map(|result| result.as_ref().err().map(|problem| problem.to_json(None)))
        .collect();
    let lens = results.iter().zip(&problems).map(|(result, problem)| {
        let answer = result.as_ref().map_or(0, Answer::json_len);
        answer + problem.as_ref().map_or(0, Vec::len) + FRAME
    });
    // Large enough from the start: a buffer that grows leaves secrets behind.
    let mut out = Vec::with_capacity(lens.sum::<usize>() + FRAME);
    out.extend_from_slice(b"{\"results\":[");
    for (place, (result, problem)) in results.iter().zip(problems).enumerate() {
        if place > 0 {
            out.push(b',');
        }
        if let Ok(answer) = result {
            out.extend_from_slice(b"{\"ok\":");
            answer.write_json(&mut out);
        }
        if let Some(problem) = problem {
            out.extend_from_slice(b"{\"problem\":");
            out.extend_from_slice(&problem);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    SecretBytes::new(out)
}

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ItemsVisitor).map(Self)
    }
}

struct ItemsVisitor;

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX_ITEMS} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let (mut items, mut seen) = (Vec::new(), 0);
        while let Some(item) = sequence.next_element()? {
            seen += 1;
            if seen > 50 * MAX_ITEMS {
                return Err(A::Error::invalid_length(seen, &self));
            }
            if items.len() <= MAX_ITEMS {
                items.push(item);
            }
        }
        Ok(items)
    }
}

/// The most items in a batch.
pub(super) const MAX_ITEMS: usize = 1000;
/// What an item's answer takes in memory beside what its own length tells: most where a key of 1024 bytes is generated from a
/// few bytes of request, and held as it is, sealed, and as text of both.
const PER_ITEM: usize = 8 << 10;
/// Braces, a name and a comma.
const FRAME: usize = 32;
