//! Loads a nameserver from one core, checks every reply, and prints one JSON object.
//!
//! ```text
//! arguments ─► Load (queries and what their replies must be)
//!                └─► udp: fresh source ports │ flows │ a fixed rate      tcp: pipelined │ a connection for each query
//!                      └─► Tally (replies, losses, wrong ones, latencies) ─► JSON
//! ```
//!
//! * It never sleeps unless told to: at saturation it waits spinning, and how much it waited is printed, so that nobody takes
//!   its own limit for the server's.
//! * What is under way is bounded, below what a socket buffer of Linux's default size holds: nothing is lost unless the
//!   server loses it.

mod arguments;
mod clock;
mod load;
mod system;
mod tally;
mod tcp;
mod udp;

use std::process::ExitCode;

use arguments::{Arguments, Mode};

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{}", arguments::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("blast: {error}; --help says more");
            return ExitCode::from(64);
        }
    };
    match run(&arguments) {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("blast: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> std::io::Result<String> {
    if let Some(cpu) = arguments.cpu {
        system::pin(cpu)?;
    }
    let load = load::Load::read(arguments)?;
    let tally = match arguments.mode {
        Mode::Fresh => udp::fresh(arguments, &load)?,
        Mode::Flows => udp::flows(arguments, &load)?,
        Mode::Rate(rate) => udp::paced(arguments, &load, rate)?,
        Mode::Tcp => tcp::pipelined(arguments, &load)?,
        Mode::TcpOnce => tcp::one_each(arguments, &load)?,
    };
    Ok(tally.json())
}
