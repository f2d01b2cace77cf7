//! How the commands end: exit codes by sysexits.h, so that a script and a service manager can tell faults apart.

use std::fmt;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

const ERROR: Style = AnsiColor::Red.on_default().bold();

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Failure {
    /// 1: what was asserted does not hold.
    pub(super) fn refuted(message: impl fmt::Display) -> Self {
        Self { code: 1, message: message.to_string() }
    }

    /// 64: the command line is wrong.
    pub(super) fn usage(message: impl fmt::Display) -> Self {
        Self { code: USAGE, message: message.to_string() }
    }

    /// 65: the data that was read has a fault.
    pub(super) fn data(message: impl fmt::Display) -> Self {
        Self { code: 65, message: message.to_string() }
    }

    /// What another process of this program has ended with, and has said why; 71 if it was ended.
    pub(super) fn of_child(code: Option<u8>, message: impl fmt::Display) -> Self {
        Self { code: code.unwrap_or(71), message: message.to_string() }
    }

    /// 66: a file that was named cannot be read.
    pub(super) fn no_input(message: impl fmt::Display) -> Self {
        Self { code: 66, message: message.to_string() }
    }

    /// 69: no server is there to answer, or it cannot have what it needs.
    pub(super) fn unavailable(message: impl fmt::Display) -> Self {
        Self { code: 69, message: message.to_string() }
    }

    /// 71: the system refuses what every program may have, such as a thread.
    pub(super) fn system(message: impl fmt::Display) -> Self {
        Self { code: 71, message: message.to_string() }
    }

    /// 73: a file that was to be written cannot be.
    pub(super) fn cannot_create(message: impl fmt::Display) -> Self {
        Self { code: 73, message: message.to_string() }
    }

    /// 78: the settings have a fault.
    pub(super) fn settings(message: impl fmt::Display) -> Self {
        Self { code: 78, message: message.to_string() }
    }

    /// Says the failure on stderr and ends with its code.
    pub(super) fn report(&self) -> ExitCode {
        anstream::eprintln!("{ERROR}error{ERROR:#}: {}", self.message);
        ExitCode::from(self.code)
    }
}

/// 64: the command line is wrong.
pub(super) const USAGE: u8 = 64;

/// For the help and the manual.
pub(super) const MEANINGS: &str = "\
Exit codes (sysexits.h): 0 done; 1 check found errors, an assertion does not hold, or the server is not well; 64 the command line is wrong; \
65 the data has a fault; 66 a file that was named cannot be read; 69 no server answers, or an address or the state \
folder cannot be had; 71 the system refuses; 73 a file cannot be written; 78 the settings have a fault.";
