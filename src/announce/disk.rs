//! Journals in the state folder: a file a zone, to which each change is appended.
//!
//! A tail that a crash tore off is cut away; what is not a journal is started anew, with a warning; when the disk is full,
//! the changes are in memory alone, and the next start knows less.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::hash::Hasher;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use siphasher::sip::SipHasher13;
use tracing::warn;

use super::entry::Entry;
use crate::snapshot::Remembered;
use crate::wire::Name;

/// What a journal starts with; another version is another format.
const MAGIC: &[u8] = b"kofn journal 1\n";
const EXTENSION: &str = "journal";

/// The journal file of one zone.
#[derive(Debug)]
pub(super) struct JournalFile {
    path: PathBuf,
    /// Octets that it has.
    octets: u64,
    /// The last write failed: the file is to be written anew, if it can be.
    broken: bool,
}

/// What was shown of each zone when its journal was last written.
pub fn remembered(folder: &Path) -> BTreeMap<Name, Remembered> {
    let Ok(files) = fs::read_dir(folder) else { return BTreeMap::new() };
    let paths = files.filter_map(|file| Some(file.ok()?.path()));
    let journals = paths.filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
    journals
        .filter_map(|path| {
            let last = read(&path).ok()?.0.pop()?;
            Some((last.apex, last.remembered))
        })
        .collect()
}

impl JournalFile {
    /// The file of a zone, and what stands in it.
    pub(super) fn open(folder: &Path, apex: &Name) -> (Self, Vec<Entry>) {
        let path = folder.join(file_name(apex));
        let (entries, octets, broken) = match read(&path) {
            Ok((entries, good, all)) => {
                if good < all {
                    warn!(zone = %apex, file = %path.display(), cut = all - good, "the end of the journal is torn off");
                }
                let cut = good == all || cut(&path, good).is_ok();
                (entries, good, !cut)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), 0, true),
            Err(error) => {
                warn!(zone = %apex, file = %path.display(), "the journal cannot be used and starts anew: {error}");
                (Vec::new(), 0, true)
            }
        };
        let entries = entries.into_iter().filter(|entry| entry.apex == *apex).collect();
        (Self { path, octets, broken }, entries)
    }

    /// Octets of the file.
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    /// Whether only writing it anew helps.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Appends an entry; it is on the disk when this returns.
    pub(super) fn append(&mut self, entry: &Entry) {
        let octets = entry.to_octets();
        let written = OpenOptions::new().append(true).open(&self.path).and_then(|mut file| {
            file.write_all(&octets)?;
            file.sync_data()
        });
        self.octets += octets.len() as u64;
        self.conclude(&written, &entry.apex);
    }

    /// Replaces the file by one with this entry alone.
    pub(super) fn rewrite(&mut self, entry: &Entry) {
        let octets = [MAGIC, &entry.to_octets()].concat();
        self.octets = octets.len() as u64;
        let written = self.replace(&octets);
        self.conclude(&written, &entry.apex);
    }

    /// Takes the file away.
    pub(super) fn remove(&self) {
        // What cannot be removed is seen to be of no use when it is read.
        let _ = fs::remove_file(&self.path);
    }

    fn replace(&self, octets: &[u8]) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let beside = self.path.with_extension("new");
        let mut file = private().open(&beside)?;
        file.write_all(octets)?;
        file.sync_data()?;
        fs::rename(&beside, &self.path)
    }

    fn conclude(&mut self, written: &io::Result<()>, apex: &Name) {
        if let Err(error) = written
            && !self.broken
        {
            let file = self.path.display();
            warn!(zone = %apex, %file, "the journal cannot be written: {error}; after a restart secondaries get the whole zone");
        }
        self.broken = written.is_err();
    }
}

/// The entries of a file, and how many of its octets are whole entries, of how many there are.
fn read(path: &Path) -> io::Result<(Vec<Entry>, u64, u64)> {
    let octets = fs::read(path)?;
    let Some(mut rest) = octets.strip_prefix(MAGIC) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is none, or of another version"));
    };
    let mut entries = Vec::new();
    while let Some((entry, behind)) = Entry::read(rest) {
        entries.push(entry);
        rest = behind;
    }
    let all = octets.len() as u64;
    Ok((entries, all - rest.len() as u64, all))
}

/// A new file that is its owner's alone, as everything in the state folder.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(0o600);
    options
}

fn cut(path: &Path, octets: u64) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.set_len(octets)
}

/// Names may be longer than file names, and hold any octet: what stands in front is for people.
fn file_name(apex: &Name) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(apex.to_lower().borrow().as_bytes());
    let text = apex.to_lower().to_string();
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let readable: String = text.trim_end_matches('.').chars().take(80).filter(plain).collect();
    format!("{readable}-{:016x}.{EXTENSION}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::entry;
    use super::*;
    use crate::zone::Serial;

    fn apex() -> Name {
        Name::from_text(b"example.test.").unwrap()
    }

    fn serials(entries: &[Entry]) -> Vec<u32> {
        entries.iter().map(|entry| entry.remembered.outbound.serial.0).collect()
    }

    #[test]
    fn a_torn_tail_is_cut_off_and_the_rest_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, entries) = JournalFile::open(&folder.path().join("journal"), &apex());
        assert!(entries.is_empty() && file.is_broken());
        file.rewrite(&entry(5));
        file.append(&entry(6));
        assert!(!file.is_broken());
        let path = file.path.clone();
        let whole = fs::read(&path).unwrap();
        assert_eq!(file.octets(), whole.len() as u64);
        for cut in [1, 40] {
            fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let (mut file, entries) = JournalFile::open(path.parent().unwrap(), &apex());
            assert_eq!(serials(&entries), [5]);
            file.append(&entry(6));
            assert_eq!(serials(&JournalFile::open(path.parent().unwrap(), &apex()).1), [5, 6]);
        }
        assert_eq!(remembered(path.parent().unwrap())[&apex()].outbound.serial, Serial(6));
    }

    #[test]
    fn what_is_no_journal_is_started_anew_and_a_disk_that_takes_nothing_is_survived() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file_name(&apex()));
        fs::write(&path, "something else").unwrap();
        let (mut file, entries) = JournalFile::open(folder.path(), &apex());
        assert!(entries.is_empty() && file.is_broken());
        file.rewrite(&entry(5));
        assert_eq!(serials(&JournalFile::open(folder.path(), &apex()).1), [5]);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        file.append(&entry(6));
        assert!(file.is_broken());
        file.rewrite(&entry(6));
        assert!(file.is_broken());
    }
}
