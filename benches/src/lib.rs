//! Micro-benchmarks and the load test.
