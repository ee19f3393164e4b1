//! `keyferry completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Prints completions for a shell, to be sourced or put where the shell looks for them.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) {
        clap_complete::generate(
            self.shell,
            &mut crate::Cli::command(),
            "keyferry",
            &mut std::io::stdout(),
        );
    }
}
