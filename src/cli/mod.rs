//! Layer 5: the command line, one file a command.
//!
//! ```text
//! kofn [serve]            the server; what it is given on the command line wins over kofn.toml
//! kofn restart            a new process in place of the running one
//! kofn check | query      from the files, without a server
//! kofn spread             what the hands of a pool do to its members
//! kofn status | explain | reload | transfer   to the running server, over the control socket
//! kofn health             whether it is well, as an exit code
//! kofn drain | undrain    members out of new answers, and back, over the same
//! kofn alert              a test to everyone who is told of alerts
//! kofn import | export    files of what another server was told, and files for others
//! kofn completions | man  made from this definition
//! ```
//!
//! Every command that a script would read has `--json`, and ends with a code of sysexits.h (`exit`).

mod alert;
mod check;
mod completions;
mod control;
mod drain;
mod exit;
mod explain;
mod export;
mod files;
mod health;
mod import;
mod man;
#[cfg(test)]
mod manual;
mod message;
mod query;
mod reload;
mod restart;
mod serve;
mod settings;
mod spread;
mod status;
mod table;
mod transfer;

use std::io::{self, Write};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use exit::Failure;
use serde::Serialize;

const BAD: Style = AnsiColor::Red.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();
const GOOD: Style = AnsiColor::Green.on_default();

/// An authoritative DNS nameserver that deals k of n healthy backends
///
/// Without a command it serves: the zones in ./zones on 127.0.0.1:5300, or whatever kofn.toml says.
#[derive(Debug, Parser)]
#[command(name = "kofn", version, args_conflicts_with_subcommands = true, after_long_help = exit::MEANINGS)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Check(check::Args),
    Query(query::Args),
    Spread(spread::Args),
    Status(status::Args),
    Health(health::Args),
    Explain(explain::Args),
    Reload(reload::Args),
    Restart(restart::Args),
    Drain(drain::Args),
    Undrain(drain::UndrainArgs),
    #[command(subcommand)]
    Transfer(transfer::Command),
    Alert(alert::Args),
    Import(import::Args),
    Export(export::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Runs the program as its command line says.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is the only failure here, and then nobody reads what would be said about it.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked { ExitCode::SUCCESS } else { ExitCode::from(exit::USAGE) };
        }
    };
    let command = cli.command.unwrap_or(Command::Serve(cli.serve));
    command.run().unwrap_or_else(|failure| failure.report())
}

impl Command {
    fn run(self) -> Result<ExitCode, Failure> {
        let done = |()| ExitCode::SUCCESS;
        match self {
            Self::Serve(arguments) => arguments.run().map(done),
            Self::Check(arguments) => arguments.run(),
            Self::Query(arguments) => arguments.run().map(done),
            Self::Spread(arguments) => arguments.run().map(done),
            Self::Status(arguments) => arguments.run().map(done),
            Self::Health(arguments) => arguments.run().map(done),
            Self::Explain(arguments) => arguments.run().map(done),
            Self::Reload(arguments) => arguments.run().map(done),
            Self::Restart(arguments) => arguments.run().map(done),
            Self::Drain(arguments) => arguments.run(),
            Self::Undrain(arguments) => arguments.run(),
            Self::Transfer(command) => command.run().map(done),
            Self::Alert(arguments) => arguments.run().map(done),
            Self::Import(arguments) => arguments.run().map(done),
            Self::Export(arguments) => arguments.run().map(done),
            Self::Completions(arguments) => arguments.run().map(done),
            Self::Man(arguments) => arguments.run().map(done),
        }
    }
}

/// A number and what it counts, such as `1 zone` and `2 zones`.
fn counted(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    }
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_vec_pretty(value).expect("the JSON types have no maps but of strings");
    text.push(b'\n');
    print_all(&mut io::stdout(), &text)
}

/// Writes and flushes. A reader that has seen enough, such as `head`, is no failure.
fn print_all(output: &mut impl Write, text: &[u8]) -> Result<(), Failure> {
    match output.write_all(text).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::system(error)),
        _ => Ok(()),
    }
}
