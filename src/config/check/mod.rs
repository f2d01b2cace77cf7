//! `[check.NAME]`: how members are probed.
//!
//! ```text
//! [check.NAME] ──draft──► Draft ──resolve(owners of the pools that use it)──► Check { kind, asked, id }
//! ```
//!
//! Checks that ask the same by the same rules have the same id, and so share their probes.

mod asked;
mod draft;
mod value;

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

pub use asked::Asked;
pub(super) use draft::{CHECK, Draft, drafts};

use super::Trust;
use crate::health::{CheckId, Rules};
use crate::wire::{Name, Type};

/// One check, with everything that its probes need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// As the policy names it.
    pub name: Arc<str>,
    /// What is asked.
    pub kind: CheckKind,
    /// Whom it asks in place of a member.
    pub asked: Asked,
    /// The same for checks that ask the same by the same rules; it holds the rules.
    pub id: CheckId,
}

impl Check {
    /// How often it is asked, and how many results decide.
    pub fn rules(&self) -> &Rules {
        self.id.rules()
    }

    /// Whether its probes are processes of their own, which cost more than a socket.
    pub fn runs_a_command(&self) -> bool {
        matches!(self.kind, CheckKind::Exec(_))
    }

    /// The address that is asked about `member`.
    pub fn address_for(&self, member: IpAddr) -> IpAddr {
        self.asked.of(member)
    }
}

/// What a probe does. The type `none` is not here: a pool with such a check has no check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// Opens a TCP connection.
    Tcp(TcpCheck),
    /// Asks for a page by HTTP/1.1, over TLS or not.
    Http(HttpCheck),
    /// Asks a nameserver.
    Dns(DnsCheck),
    /// Runs a command.
    Exec(ExecCheck),
}

/// A port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpCheck {
    /// The port of the member.
    pub port: u16,
    /// Whether the connection stays open until the next probe.
    pub hold: bool,
}

/// A page, and what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    /// The port of the member.
    pub port: u16,
    /// Whose certificates are believed; `None` for a connection without TLS.
    pub tls: Option<Trust>,
    /// Path and query, from the slash on.
    pub path: String,
    /// What the `Host` header says.
    pub host: String,
    /// The status codes that pass.
    pub expect: StatusRanges,
    /// Text that the first 64 KiB of the body must hold.
    pub body: Option<String>,
    /// Whether the connection stays open until the next probe.
    pub hold: bool,
}

impl HttpCheck {
    /// The host without its port: the name that the certificate must be for.
    pub fn server_name(&self) -> &str {
        value::without_port(&self.host)
    }
}

/// A question, and the answer that is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsCheck {
    /// The port of the member.
    pub port: u16,
    /// The name.
    pub qname: Name,
    /// The type.
    pub qtype: Type,
    /// The RDATA, as a zone would hold it, that one record of the answer must have; `None` when any record will do.
    pub answer: Option<Arc<[u8]>>,
}

/// A command, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecCheck {
    /// The program; found along PATH when it has no slash.
    pub program: PathBuf,
    /// What follows it.
    pub arguments: Vec<String>,
    /// The owner of the first pool, by name, that uses the check.
    pub pool: String,
    /// The port of the member, if the check has one.
    pub port: Option<u16>,
}

/// HTTP status codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusRanges(Vec<RangeInclusive<u16>>);

impl StatusRanges {
    /// Whether `status` is one of them.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl From<Vec<RangeInclusive<u16>>> for StatusRanges {
    fn from(ranges: Vec<RangeInclusive<u16>>) -> Self {
        Self(ranges)
    }
}

impl fmt::Display for StatusRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match range.start() == range.end() {
                true => write!(f, "{comma}{}", range.start())?,
                false => write!(f, "{comma}{}-{}", range.start(), range.end())?,
            }
        }
        Ok(())
    }
}
