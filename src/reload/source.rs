//! The zones folder: which files are zones, and what the name of a file says about its apex.
//!
//! ```text
//! example.test.zone                    example.test.
//! 0%2F25.2.0.192.in-addr.arpa.zone     0/25.2.0.192.in-addr.arpa.   %XX is an octet that a file name cannot hold
//! root.zone                            .
//! ```
//!
//! Files that start with a dot or do not end in `.zone` are not zones: editors leave such beside what they edit.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fault::{Fault, Severity};
use crate::wire::Name;

/// The ending of a zone file; the policy beside it ends in [`POLICY_ENDING`].
pub const ZONE_ENDING: &str = "zone";
/// The ending of a zone's policy.
pub const POLICY_ENDING: &str = "toml";

const ROOT: &str = "root";

/// The files of one zone. Clones share them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// What the file name says.
    pub apex: Name,
    /// The zone file.
    pub zone: Arc<Path>,
}

impl Source {
    /// The zone of a file, by its name alone.
    ///
    /// # Errors
    /// With a sentence when the name is no zone's.
    pub fn of(zone: &Path) -> Result<Self, String> {
        let stem = zone.file_stem().and_then(|stem| stem.to_str());
        let stem = stem.ok_or("the file name is not UTF-8; such octets are written %XX")?;
        let apex = apex(stem).map_err(|fault| {
            format!("the file name is no name of a zone ({fault}); such as example.test.zone would be right")
        })?;
        Ok(Self { apex, zone: zone.into() })
    }

    /// The policy beside the zone file, which need not exist.
    pub fn policy(&self) -> PathBuf {
        self.zone.with_extension(POLICY_ENDING)
    }

    /// What is said of a policy that lies in its folder alone.
    pub fn orphan_warning(&self) -> Fault {
        let zone = self.zone.display();
        let message = format!(
            "a policy without its zone; {zone} would have the records, or `from` in [transfer] their primaries, unless a \
             catalog lists the zone"
        );
        Fault::whole(Severity::Warning, &self.policy(), message)
    }
}

/// What the zones folder holds.
#[derive(Debug, Default)]
pub struct Listing {
    /// The zones in order of their names, and the policies that have no zone beside them.
    pub sources: BTreeMap<Name, Source>,
    /// Files that cannot be zones though they end as zones do.
    pub faults: Vec<Fault>,
}

/// Lists the zones folder.
///
/// # Errors
/// When the folder cannot be read.
pub fn list(folder: &Path) -> io::Result<Listing> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let (entry, path) = entry.map(|entry| (entry.file_type(), entry.path()))?;
        // Of a link it matters what it leads to; the type of anything else comes with its name.
        let is_folder =
            entry.map_or_else(|_| path.is_dir(), |kind| kind.is_dir() || kind.is_symlink() && path.is_dir());
        if !is_folder && !is_hidden(&path) {
            found.push(path);
        }
    }
    // Of two files for one apex, such as a%2Eb.zone beside a.b.zone, it must be the same each time that wins.
    found.sort_unstable_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    let mut listing = Listing::default();
    for path in &found {
        let is = |ending| path.extension().is_some_and(|extension| extension == ending);
        let is_orphan = is(POLICY_ENDING) && !path.with_extension(ZONE_ENDING).exists();
        if !is(ZONE_ENDING) && !is_orphan {
            continue;
        }
        match Source::of(&path.with_extension(ZONE_ENDING)) {
            Err(fault) => listing.faults.push(Fault::whole(Severity::Error, path, fault)),
            Ok(source) => listing.add(source),
        }
    }
    Ok(listing)
}

impl Listing {
    fn add(&mut self, source: Source) {
        match self.sources.get(&source.apex) {
            Some(first) => {
                let message = format!("{} is read from {}; one file a zone", source.apex, first.zone.display());
                self.faults.push(Fault::whole(Severity::Error, &source.zone, message));
            }
            None => drop(self.sources.insert(source.apex.clone(), source)),
        }
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// The apex that a file name without its ending stands for.
fn apex(stem: &str) -> Result<Name, String> {
    if stem == ROOT {
        return Ok(Name::root());
    }
    let mut text = String::new();
    let mut parts = stem.split('%');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let octet = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let octet = octet.ok_or_else(|| format!("%{part} is not % and two hexadecimal digits"))?;
        let _ = write!(text, "\\{octet:03}{}", &part[2..]);
    }
    Name::from_text(text.as_bytes()).map(|name| name.to_lower()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apex_of(file: &str) -> String {
        Source::of(Path::new(file)).map_or_else(|fault| fault, |source| source.apex.to_string())
    }

    #[test]
    fn a_file_name_says_its_apex() {
        assert_eq!(apex_of("zones/example.test.zone"), "example.test.");
        assert_eq!(apex_of("Example.TEST.zone"), "example.test.");
        assert_eq!(apex_of("root.zone"), ".");
        assert_eq!(apex_of("%72oot.zone"), "root.");
        assert_eq!(apex_of("0%2F25.2.0.192.in-addr.arpa.zone"), "0/25.2.0.192.in-addr.arpa.");
        assert_eq!(apex_of("a%2eb.test.zone"), "a\\.b.test.");
    }

    #[test]
    fn names_that_are_none_are_told() {
        assert!(apex_of("a..b.zone").contains("empty label"), "{}", apex_of("a..b.zone"));
        assert!(apex_of("a%2.zone").contains("%2 is not"), "{}", apex_of("a%2.zone"));
    }

    #[test]
    fn a_folder_is_listed_without_what_editors_leave() {
        let folder = tempfile::tempdir().expect("a folder");
        for file in
            ["b.test.zone", "a.test.zone", "a.test.toml", ".a.test.zone.swp", ".b.zone", "a.test.zone~", "x.toml"]
        {
            std::fs::write(folder.path().join(file), "").expect("a file");
        }
        std::fs::write(folder.path().join("a..b.zone"), "").expect("a file");
        let listing = list(folder.path()).expect("a listing");
        let names: Vec<_> = listing.sources.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["a.test.", "b.test.", "x."], "x.toml may name primaries");
        let faults: Vec<_> = listing.faults.iter().map(|fault| (fault.severity, fault.file.clone())).collect();
        let at = |file| folder.path().join(file);
        assert_eq!(faults, [(Severity::Error, at("a..b.zone"))]);
    }
}
