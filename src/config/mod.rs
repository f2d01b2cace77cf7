//! Layer 1: the configuration files. TOML becomes typed, valid values, or a list of all that is wrong with it.
//!
//! ```text
//! kofn.toml ───────┐              ┌─► Settings     the server
//!                  ├─► keys ──────┤
//! zones/NAME.toml ─┘  (reader)    └─► ZonePolicy   the pools and checks of a zone
//!                         └─► faults, each with file, line, column, key, what was found and what would be right
//! ```
//!
//! Each key is stated once (`reader::Key`): name, default, meaning, and the function that reads it. What is not
//! stated is refused. Nothing after this module checks a value again.
//!
//! Not here: whether a policy fits its zone (`snapshot`), and when files are read again (`reload`).

mod alert;
mod catalog;
mod check;
mod dnstap;
mod door;
mod drains;
mod encrypted;
mod fault;
mod named;
mod policy;
mod pool;
mod primary;
mod query;
mod query_log;
mod rate_limit;
mod reader;
mod reference;
mod sandbox;
mod secret;
mod settings;
mod transfer;
mod trust;
mod value;

pub use alert::{Alert, AlertKind};
pub use catalog::Catalog;
pub use check::{Asked, Check, CheckKind, DnsCheck, ExecCheck, HttpCheck, StatusRanges, TcpCheck};
pub use dnstap::Dnstap;
pub use door::Door;
pub use drains::{read_drains, read_duration};
pub use encrypted::Encrypted;
pub use fault::{Fault, Place, Severity};
pub use named::named_files;
pub use policy::{PoolConfig, ZonePolicy};
pub use pool::PoolTransfer;
pub use primary::{Primary, PrimaryTls};
pub use query_log::QueryLog;
pub use rate_limit::{RateLimit, Rates};
pub use reference::{KeyReference, TableReference, reference};
pub use sandbox::{Sandbox, SandboxMode};
pub use secret::{CookieSecret, Cookies, TsigAlgorithm, TsigKey};
pub use settings::{Identity, Limits, Settings, Udp};
pub use transfer::{Grant, Peer, Transfer};
pub use trust::{Authorities, AuthoritiesError, Trust};

use std::fs;
use std::path::Path;

use fault::Faults;
use reader::{Keys, Section};
use toml::de::DeTable;

use crate::reach;

/// Reads a file of text; why it could not be read is a fault of the whole file.
fn read_file(path: &Path) -> Result<String, Vec<Fault>> {
    fs::read_to_string(path).map_err(|error| {
        let place = Place { file: path.to_owned(), line: 0, column: 0, key: String::new() };
        let expected = reach::remedy(path, &error, "a file of text that can be read");
        vec![Fault { severity: Severity::Error, ..place.warning(error.to_string(), expected) }]
    })
}

/// Opens `text` as a table of `keys`; what `read` makes of it is kept, beside the warnings, if there was no error.
///
/// While the text is no TOML, only that is told: the rest would be guesses.
fn read_table<T>(
    text: &str,
    path: &Path,
    keys: &'static Keys,
    read: impl FnOnce(&Section<'_>) -> T,
) -> Result<(T, Vec<Fault>), Vec<Fault>> {
    let faults = Faults::new(path, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let found = error.message().trim().replace('\n', ", ");
        faults.error("", error.span().unwrap_or_default(), found, "text that is TOML".to_owned());
    }
    if !errors.is_empty() {
        return Err(faults.finish().expect_err("an error was told"));
    }
    let value = read(&Section::root(&document, &faults, keys));
    faults.finish().map(|warnings| (value, warnings))
}
