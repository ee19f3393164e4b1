//! The `keyferry` command.

use std::process::ExitCode;

/// Buffers of a request are made and wiped by the dozen, up to its body's size: with glibc's allocator the large ones go back
/// to the kernel and come anew, page by page (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keyferry::main()
}
