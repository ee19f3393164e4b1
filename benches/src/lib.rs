//! Micro-benchmarks (`cargo bench -p keyferry-benches`) and the load test (`cargo run --release -p keyferry-benches --bin load`), and how
//! long a withdrawn key is used (`--bin revocation`).
//!
//! Every figure of the first two is a ratio to a yardstick measured in the same run, for absolute times mean nothing on shared machines.
#![expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]

pub mod compare;
pub mod driver;
pub mod echo;
pub mod stage;
