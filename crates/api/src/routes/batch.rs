//! Batches: each item succeeds or fails by itself, and a malformed item spoils no other.

use std::fmt;

use axum::response::Response;
use futures::{StreamExt, stream};
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
    codec::{Answer, parse_item},
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
    let work: Vec<_> = items.into_iter().map(|item| one::<O>(app, tenant, item)).collect();
    let results: Vec<_> = stream::iter(work).buffered(app.batch_concurrency()).collect().await;
    Ok(super::json(document(&results)))
}

async fn one<O: Operation>(app: &App, tenant: &Tenant, item: &RawValue) -> Result<Answer, Problem> {
    // A thousand items whose keys are cached would otherwise keep a thread to themselves.
    tokio::task::consume_budget().await;
    let request = parse_item(item.get())?;
    O::run(app, tenant, request).await
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
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
            if items.len() > 50 * MAX_ITEMS {
                return Err(A::Error::invalid_length(items.len(), &self));
            }
        }
        Ok(items)
    }
}

/// The most items in a batch.
pub(super) const MAX_ITEMS: usize = 1000;
/// Braces, a name and a comma.
const FRAME: usize = 32;
