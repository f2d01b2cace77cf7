//! Layer 2: zones and their policies in the words of others. Data in, text out; `cli` reads and writes the files.
//!
//! ```text
//!                              ┌─ master ──► NAME.zone                 a plain master file, pools as RRsets
//! Subject { zone, policy } ────┼─ route53 ─► NAME.changes.json         change batches
//!                              │             NAME.health-checks.json   what they name
//!                              └─ octodns ─► NAME.yaml                 records, pools as dynamic ones
//! ```
//!
//! * What the other can say is said; what it cannot is a note with the name of the pool or record, never left out in
//!   silence.
//! * What Route 53 gets comes back by `import` as the same zone and policy, as far as it could be said.

mod master;
mod octodns;
mod route53;
mod set;
mod yaml;

pub use master::to_master;
pub use octodns::to_octodns;
pub use route53::to_route53;

use crate::config::ZonePolicy;
use crate::import::Note;
use crate::zone::Zone;

/// A zone that is to be said in other words.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What files are called: the name of the zone, without its final dot, as a file can have it.
    pub stem: &'a str,
    /// Its records.
    pub zone: &'a Zone,
    /// Its pools.
    pub policy: &'a ZonePolicy,
}

/// What it comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// The files.
    pub files: Vec<File>,
    /// What has no equal there.
    pub notes: Vec<Note>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, without a folder.
    pub name: String,
    /// What it holds.
    pub text: String,
}

impl Exported {
    fn file(&mut self, name: String, text: String) {
        self.files.push(File { name, text });
    }

    fn note(&mut self, place: &(impl ToString + ?Sized), message: impl Into<String>) {
        let note = Note { place: place.to_string(), message: message.into() };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

#[cfg(test)]
mod testing {
    use std::path::Path;

    use super::*;
    use crate::wire::Name;
    use crate::zone::text::{Limits, read_bytes};

    /// The zone a.test. of `records`, which follow SOA, NS and ns1, and its policy.
    pub(super) fn read(records: &str, policy: &str) -> (Zone, ZonePolicy) {
        let apex = Name::from_text(b"a.test").expect("a name");
        let text = format!("$TTL 300\n@ SOA ns1 host 7 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.53\n{records}");
        let loaded = read_bytes(text.as_bytes(), Path::new("a.test.zone"), Some(&apex), &Limits::default());
        let faults: Vec<String> = loaded.faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults, Vec::<String>::new());
        let policy = ZonePolicy::parse(policy, Path::new("a.test.toml"), apex.borrow()).expect("a policy");
        (Zone::build(&apex, &loaded.records).expect("a zone"), policy)
    }

    pub(super) fn notes(exported: &Exported) -> Vec<String> {
        exported.notes.iter().map(ToString::to_string).collect()
    }
}
