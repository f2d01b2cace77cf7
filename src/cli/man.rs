//! `kofn man`: the manual page, made from the definition of the command line so that it cannot differ from it.

use std::io;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::{Cli, Failure, exit};

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
    let man = Man::new(root.clone());
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
        let title = format!("kofn {}", command.get_name()).to_uppercase();
        text.extend_from_slice(format!(".SH {title}\n").as_bytes());
        text.extend_from_slice(&section(command)?);
    }
    text.extend_from_slice(format!(".SH EXIT STATUS\n{}\n", exit::MEANINGS).as_bytes());
    Ok(text)
}

/// What a page of its own would say of a command, as subsections.
fn section(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_description_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let page = String::from_utf8_lossy(&page).replace("\n.SH ", "\n.SS ");
    // What stands first needs no heading.
    let body = page.split_once(".SS DESCRIPTION\n").map_or(page.as_str(), |(_, body)| body);
    Ok(body.as_bytes().to_vec())
}
