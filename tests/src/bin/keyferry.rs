//! The `keyferry` command, as the specifications start it.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyferry::main()
}
