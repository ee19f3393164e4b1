//! The reference (`docs/emulator.md`) names every order, every fault and every operation, and its examples are read.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{Fault, Operation, Order};

const REFERENCE: &str = include_str!("../../../docs/emulator.md");

#[test]
fn every_order_has_a_heading_and_an_example_that_is_read() {
    let mut shown = BTreeSet::new();
    for example in examples() {
        serde_json::from_value::<Order>(example.clone()).unwrap_or_else(|error| panic!("{error} in {example}"));
        shown.insert(example["order"].as_str().unwrap().to_owned());
    }
    let orders = names::<Order>(&json!({"order": "?"}));
    assert_eq!(shown, orders);
    for order in orders {
        assert!(REFERENCE.contains(&format!("\n**`{order}`**")), "{order} has no entry");
    }
}

#[test]
fn every_fault_has_a_row_with_an_example_that_is_read() {
    let mut shown = BTreeSet::new();
    for row in REFERENCE.lines().filter_map(|line| line.strip_prefix("| `{\"kind\"")) {
        let example = format!("{{\"kind\"{}", row.split_once('`').unwrap().0);
        serde_json::from_str::<Fault>(&example).unwrap_or_else(|error| panic!("{error} in {example}"));
        let example: Value = serde_json::from_str(&example).unwrap();
        shown.insert(example["kind"].as_str().unwrap().to_owned());
    }
    assert_eq!(shown, names::<Fault>(&json!({"kind": "?"})));
}

#[test]
fn every_operation_is_listed() {
    let list = REFERENCE
        .split("\n\n")
        .find(|paragraph| paragraph.starts_with("The operations: "))
        .unwrap();
    for operation in names::<Operation>(&json!("?")) {
        assert!(list.contains(&format!("`{operation}`")), "{operation} is not listed");
    }
}

/// The orders in blocks marked as JSON.
fn examples() -> Vec<Value> {
    let blocks = REFERENCE.split("\n```json\n").skip(1);
    blocks
        .map(|block| serde_json::from_str(block.split("\n```").next().unwrap()).unwrap())
        .collect()
}

/// The names that an enum goes by on the wire: what is refused is told which ones there are.
fn names<T: DeserializeOwned>(unknown: &Value) -> BTreeSet<String> {
    let Err(error) = serde_json::from_value::<T>(unknown.clone()) else {
        panic!("{unknown} is known")
    };
    let error = error.to_string();
    let (_, expected) = error.split_once("expected one of ").unwrap();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
