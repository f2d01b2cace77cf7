//! Why a probe failed, in the words that status and log show, and the deadline over a whole probe.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::config::StatusRanges;
use crate::reach;
#[cfg(feature = "encrypted")]
use crate::tls::{ClientError, HandshakeError};
use crate::wire::{Rcode, Type};

/// Why a probe did not pass.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The connection was not made, or broke.
    #[error("{}", words(.0))]
    Connection(io::Error),
    /// The whole probe took too long.
    #[error("timed out after {after:?} waiting for {phase}")]
    TimedOut { after: Duration, phase: Phase },
    /// What came is no HTTP.
    #[error("the answer is no HTTP: {0}")]
    NotHttp(String),
    /// The peer hung up too early.
    #[error("connection closed before the end of {0}")]
    Closed(Phase),
    /// The status is none of those that pass.
    #[error("status {found}, expected {expected}")]
    Status { found: u16, expected: StatusRanges },
    /// The body lacks the text.
    #[error("the body lacks {0:?}")]
    Body(String),
    /// The first 64 KiB of the body lack the text.
    #[error("the first 64 KiB of the body lack {0:?}")]
    LongBody(String),
    /// The handshake of TLS failed.
    #[cfg(feature = "encrypted")]
    #[error("{0}")]
    Tls(HandshakeError),
    /// No certificate could be believed, whoever showed it.
    #[cfg(feature = "encrypted")]
    #[error("{0}")]
    NoTrust(ClientError),
    /// What came is no DNS.
    #[error("the answer is no DNS: {0}")]
    NotDns(String),
    /// What came answers another question.
    #[error("the answer is to another question")]
    OtherQuestion,
    /// The nameserver says that it has no answer.
    #[error("rcode {0}, expected NOERROR")]
    Rcode(Rcode),
    /// The nameserver has no such record.
    #[error("the answer has no {0} record")]
    NoRecord(Type),
    /// The nameserver has other records.
    #[error("the answer is {found}, expected {expected}")]
    Answer { found: String, expected: String },
    /// The command was not started.
    #[error("{} cannot be run: {}{}", program.display(), words(error), way_out(program, error))]
    NotRun { program: PathBuf, error: io::Error },
    /// The command has ended otherwise than with 0.
    #[error("{ending}{}", said.as_ref().map_or_else(String::new, |said| format!(": {said}")))]
    Command { ending: ExitStatus, said: Option<String> },
}

/// What a probe waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Connection,
    #[cfg(feature = "encrypted")]
    Handshake,
    Head,
    Body,
    Answer,
    Command,
}

impl Failure {
    /// What broke while the probe was in `phase`.
    pub(super) fn of_http(error: &hyper::Error, phase: Phase) -> Self {
        if error.is_parse() || error.is_parse_too_large() {
            return Self::NotHttp(error.to_string());
        }
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        match source.map(|source| (source, source.raw_os_error())) {
            Some((_, Some(code))) => Self::Connection(io::Error::from_raw_os_error(code)),
            // Not from the system, so from the reader of bodies.
            Some((source, None)) if source.kind() != io::ErrorKind::UnexpectedEof => Self::NotHttp(words(source)),
            _ => Self::Closed(phase),
        }
    }

    /// Why there is no TLS.
    #[cfg(feature = "encrypted")]
    pub(super) fn of_tls(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Connection(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Closed(Phase::Handshake)
            }
            HandshakeError::Connection(error) => Self::Connection(error),
            other => Self::Tls(other),
        }
    }

    /// Whether this says nothing of the member, because the probe could not even be sent.
    pub(super) fn is_ours(&self) -> bool {
        const OURS: [i32; 6] =
            [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EADDRNOTAVAIL, libc::EAGAIN];
        match self {
            // The sandbox of a server that had no commands to run when it started, or not this one.
            Self::NotRun { error, .. } if error.raw_os_error() == Some(libc::EPERM) => true,
            Self::NotRun { program, error } if reach::closed(program, error).is_some() => true,
            Self::Connection(error) | Self::NotRun { error, .. } => {
                error.raw_os_error().is_some_and(|code| OURS.contains(&code))
            }
            #[cfg(feature = "encrypted")]
            Self::NoTrust(_) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "the connection",
            #[cfg(feature = "encrypted")]
            Self::Handshake => "the TLS handshake",
            Self::Head => "the response head",
            Self::Body => "the response body",
            Self::Answer => "the answer",
            Self::Command => "the command",
        })
    }
}

/// The moment by which a probe must have passed, however its time was spent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    at: Instant,
    after: Duration,
}

impl Deadline {
    pub(super) fn after(after: Duration) -> Self {
        Self { at: Instant::now() + after, after }
    }

    /// Waits for `step`, but not beyond the deadline.
    pub(super) async fn bound<T>(self, phase: Phase, step: impl Future<Output = T>) -> Result<T, Failure> {
        timeout_at(self.at, step).await.map_err(|_| Failure::TimedOut { after: self.after, phase })
    }
}

/// The words of the system, without its number and its capital.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// What would let the program be run, if the sandbox keeps it closed.
fn way_out(program: &Path, error: &io::Error) -> String {
    let remedy = reach::remedy(program, error, "");
    if remedy.is_empty() { String::new() } else { format!("; {remedy}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_system_in_lower_case() {
        let error = |code| Failure::Connection(io::Error::from_raw_os_error(code)).to_string();
        assert_eq!(error(libc::ECONNREFUSED), "connection refused");
        assert_eq!(error(libc::EHOSTUNREACH), "no route to host");
    }

    #[test]
    fn running_out_of_sockets_is_no_fault_of_the_member() {
        let ours = |code| Failure::Connection(io::Error::from_raw_os_error(code)).is_ours();
        assert!(ours(libc::EMFILE));
        assert!(!ours(libc::ECONNREFUSED));
        assert!(!Failure::Closed(Phase::Head).is_ours());
    }

    #[test]
    fn a_timeout_names_what_was_waited_for() {
        let failure = Failure::TimedOut { after: Duration::from_secs(2), phase: Phase::Head };
        assert_eq!(failure.to_string(), "timed out after 2s waiting for the response head");
    }
}
