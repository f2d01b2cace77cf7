//! `kofn man`: the manual page, made from the definition of the command line so that it cannot differ from it.

use std::io;

use clap::CommandFactory;
use clap_mangen::Man;

use super::{Cli, Failure};

/// Print the manual page
///
/// For example: kofn man | man -l -
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

impl Args {
    #[expect(clippy::unused_self, reason = "each command runs from its arguments; this one has none")]
    pub(super) fn run(&self) -> Result<(), Failure> {
        super::print_all(&mut io::stdout(), &page().map_err(Failure::system)?)
    }
}

/// One page: the commands follow one another as sections.
fn page() -> io::Result<Vec<u8>> {
    let mut root = Cli::command();
    root.build();
    let mut text = Vec::new();
    Man::new(root.clone()).render(&mut text)?;
    for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
        let man = Man::new(command.clone());
        let title = format!("kofn {}", command.get_name()).to_uppercase();
        text.extend_from_slice(format!(".SH {title}\n").as_bytes());
        man.render_description_section(&mut text)?;
        man.render_synopsis_section(&mut text)?;
        man.render_options_section(&mut text)?;
    }
    Ok(text)
}
