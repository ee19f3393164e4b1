//! The `keyferry` command.
fn main() {}
