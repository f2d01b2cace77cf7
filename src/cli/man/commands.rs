//! The pages of the commands: kofn(8), and one for each command and what is under it.

use std::io;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use roff::{Roff, bold, roman};

use super::super::{Cli, exit};
use super::{Page, see_also, tagged, title};

const SECTION: &str = "8";

/// The page of the program first.
pub(super) fn pages() -> io::Result<Vec<Page>> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = vec![page(&root, program)?];
    for command in root.get_subcommands() {
        add(&mut pages, command)?;
    }
    Ok(pages)
}

fn add(pages: &mut Vec<Page>, command: &Command) -> io::Result<()> {
    pages.push(page(command, |roff, command| {
        subcommands(roff, command);
        exit_status(roff);
        see_also(roff, &[("kofn", SECTION)]);
    })?);
    command.get_subcommands().try_for_each(|inner| add(pages, inner))
}

fn page(command: &Command, rest: impl FnOnce(&mut Roff, &Command)) -> io::Result<Page> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let man = Man::new(command.clone());
    let mut text = title(&name, SECTION).into_bytes();
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    let mut roff = Roff::new();
    rest(&mut roff, command);
    roff.to_writer(&mut text)?;
    Ok(Page { name, section: SECTION, text })
}

/// What the page of the program has beyond those of its commands.
fn program(roff: &mut Roff, root: &Command) {
    subcommands(roff, root);
    roff.control("SH", ["FILES"]);
    tagged(roff, [bold("kofn.toml")], "The settings, in the folder that kofn is started in, or where --config says.");
    tagged(roff, [bold("zones/NAME.zone")], "The zone NAME, a standard master file.");
    tagged(roff, [bold("zones/NAME.toml")], "Its policy: which names are pools, and how their members are checked.");
    tagged(roff, [bold("state/")], "What must survive a restart, and the control socket.");
    roff.control("SH", ["SIGNALS"]);
    tagged(roff, [bold("SIGHUP")], "Reads all files again.");
    tagged(roff, [bold("SIGTERM"), roman(", "), bold("SIGINT")], "Answers what has arrived, and ends with 0.");
    exit_status(roff);
    see_also(roff, &[("kofn.toml", "5"), ("kofn-zones", "5")]);
}

fn subcommands(roff: &mut Roff, command: &Command) {
    if !command.has_subcommands() {
        return;
    }
    roff.control("SH", ["COMMANDS"]);
    for inner in command.get_subcommands() {
        let name = inner.get_display_name().unwrap_or_else(|| inner.get_name());
        let about = inner.get_about().map(ToString::to_string).unwrap_or_default();
        tagged(roff, [bold(name), roman(format!("({SECTION})"))], &about);
    }
}

fn exit_status(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]).text([roman(exit::MEANINGS)]);
}
