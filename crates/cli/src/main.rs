//! The `keyferry` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyferry::main()
}
