//! `kofn restart`: a new process takes over from the running one.

use std::env;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::{Failure, print_all, serve};

/// Replace the running server by this program, without losing a query
///
/// It takes what `kofn serve` takes: the new process reads settings, zones and state as at any start, gets the sockets of the
/// running one, and answers when it is ready; the old one then finishes what it holds and ends. If the new one cannot start, this
/// says why and ends with its exit code, and the old one goes on. Addresses that are new in `listen` are bound by whoever runs this.
// Its arguments are those of another command, whose group has the name already.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    serve: serve::Args,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        drop(self.serve);
        let program = env::current_exe().map_err(Failure::system)?;
        // As they were written: the definition has taken them already.
        let arguments = env::args_os().skip_while(|argument| argument != NAME).skip(1);
        let mut command = Command::new(program);
        command.arg("serve").arg(serve::TAKEOVER).args(arguments);
        // It outlives the terminal: a signal for what runs here is not for it.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(Failure::system)?;
        let mut told = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut told).map_err(Failure::system)?;
        if !told.is_empty() {
            return print_all(&mut std::io::stdout(), told.as_bytes());
        }
        let status = child.wait().map_err(Failure::system)?;
        let code = status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0);
        Err(Failure::of_child(code, "the new process did not take over; the running one goes on"))
    }
}

/// The word on the command line.
const NAME: &str = "restart";
