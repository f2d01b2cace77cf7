//! `kofn completions`: what a shell needs to complete the command line.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Failure};

/// Print the completions of a shell
///
/// For example: kofn completions bash > /etc/bash_completion.d/kofn
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

impl Args {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "kofn", &mut text);
        super::print_all(&mut io::stdout(), &text)
    }
}
