//! The state folder's copy of each zone that came by transfer: `zones/NAME.zone`, a master file, and `zones/NAME.toml`, which
//! says where it came from and when it was last known to be the newest.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire::Name;
use crate::zone::text::{Limits, print, read_bytes};
use crate::zone::{Records, Zone};

/// A zone may hold what is meant for few: its copy is its owner's alone, as everything in the state folder.
const MODE: u32 = 0o600;

/// What is known of a zone beside its data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Who sent it.
    pub primary: SocketAddr,
    /// The primary's serial.
    pub serial: u32,
    /// When it came.
    pub received: Timestamp,
    /// When a primary said last that there is nothing newer.
    pub checked: Timestamp,
    /// Under which label a catalog lists the zone, if one does.
    pub member: Option<String>,
}

/// A zone as it was kept.
#[derive(Debug)]
pub struct Kept {
    /// Its data.
    pub zone: Zone,
    /// What was known of it.
    pub note: Note,
}

/// The folder.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Below this state folder.
    pub fn below(state: &Path) -> Self {
        Self { folder: state.join("zones") }
    }

    /// The file of a zone, whether it exists or not.
    pub fn file(&self, apex: &Name) -> PathBuf {
        self.folder.join(format!("{}.zone", stem(apex)))
    }

    /// The zone as it was kept; `None` when there is none.
    ///
    /// # Errors
    /// With a sentence when what is there cannot be read.
    pub fn load(&self, apex: &Name) -> Result<Option<Kept>, String> {
        let (file, note) = (self.file(apex), self.note(apex));
        let told = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| told(&file, &error))?,
        };
        let loaded = read_bytes(&text, &file, Some(apex), &Limits::default());
        if let Some(fault) = loaded.faults.iter().next().filter(|_| loaded.faults.errors() > 0) {
            return Err(fault.to_string());
        }
        let zone = Zone::build(apex, &loaded.records).map_err(|error| told(&file, &error))?;
        let written = fs::read_to_string(&note).map_err(|error| told(&note, &error))?;
        let note: Note = toml::from_str(&written).map_err(|error| told(&note, &error))?;
        Ok(Some(Kept { zone, note }))
    }

    /// Keeps a zone. Whenever the system stops, the old one or the new one is there.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, apex: &Name, records: &Records, note: &Note) -> io::Result<()> {
        self.replace(&self.file(apex), true, |out| {
            let Note { primary, received, .. } = note;
            writeln!(out, "; {apex} as {primary} sent it, {received}")?;
            records.iter().try_for_each(|record| writeln!(out, "{}", print(record)))
        })?;
        self.save_note(apex, note)
    }

    /// Keeps what is known of a zone that has not changed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_note(&self, apex: &Name, note: &Note) -> io::Result<()> {
        let text = toml::to_string(note).map_err(io::Error::other)?;
        self.replace(&self.note(apex), false, |out| out.write_all(text.as_bytes()))
    }

    /// Forgets a zone.
    ///
    /// # Errors
    /// When a file that is there cannot be removed.
    pub fn remove(&self, apex: &Name) -> io::Result<()> {
        for path in [self.file(apex), self.note(apex)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn note(&self, apex: &Name) -> PathBuf {
        self.folder.join(format!("{}.toml", stem(apex)))
    }

    /// Writes beside the file, then puts it in its place. `durable` files are on the disk before that.
    fn replace(
        &self,
        path: &Path,
        durable: bool,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let beside = path.with_extension(match path.extension().is_some_and(|ending| ending == "zone") {
            true => "zone-new",
            false => "toml-new",
        });
        let mut out =
            BufWriter::new(OpenOptions::new().create(true).write(true).truncate(true).mode(MODE).open(&beside)?);
        write(&mut out)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        if durable {
            file.sync_data()?;
        }
        fs::rename(&beside, path)
    }
}

/// A name that the file system takes for any apex: as the zones folder has it, `%XX` for octets that cannot stand in it.
fn stem(apex: &Name) -> String {
    let text = apex.to_lower().to_string();
    let bare = text.strip_suffix('.').unwrap_or(&text);
    match bare {
        "" => return "root".to_owned(),
        "root" => return "%72oot".to_owned(),
        _ => {}
    }
    let mut stem = String::with_capacity(bare.len());
    for octet in bare.bytes() {
        match octet {
            b'/' | b'%' | b'\\' => {
                let _ = write!(stem, "%{octet:02x}");
            }
            _ => stem.push(char::from(octet)),
        }
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Note {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        Note { primary: "[::1]:53".parse().unwrap(), serial: 7, received: at, checked: at, member: None }
    }

    fn records(apex: &Name, serial: u32) -> Records {
        let text = format!("@ 60 SOA ns h {serial} 1 1 1 1\n@ 60 NS ns\nWWW 60 TXT \"a;b\"\n");
        read_bytes(text.as_bytes(), Path::new("z"), Some(apex), &Limits::default()).records
    }

    #[test]
    fn a_zone_is_kept_replaced_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::below(folder.path());
        for apex in ["example.test", ".", "root", "0/25.2.0.192.in-addr.arpa", "a\\.b.test", "x%41.test"] {
            let apex = Name::from_text(apex.as_bytes()).unwrap();
            assert!(store.load(&apex).unwrap().is_none());
            for serial in [7, 8] {
                let note = Note { serial, ..note() };
                store.save(&apex, &records(&apex, serial), &note).unwrap();
                let kept = store.load(&apex).unwrap().unwrap();
                assert_eq!((kept.note, kept.zone.serial().0, kept.zone.record_count()), (note, serial, 3));
            }
            assert_eq!(fs::read_dir(folder.path().join("zones")).unwrap().count(), 2, "{apex}");
            store.remove(&apex).unwrap();
            assert!(store.load(&apex).unwrap().is_none());
        }
    }

    #[test]
    fn what_is_broken_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::below(folder.path());
        let apex = Name::from_text(b"example.test").unwrap();
        store.save(&apex, &records(&apex, 7), &note()).unwrap();
        let whole = fs::read_to_string(store.file(&apex)).unwrap();
        fs::write(store.file(&apex), &whole[..whole.len() - 4]).unwrap();
        assert!(store.load(&apex).unwrap_err().contains("example.test.zone:"));
        fs::write(store.file(&apex), whole).unwrap();
        fs::write(store.note(&apex), "serial = 7\n").unwrap();
        assert!(store.load(&apex).unwrap_err().contains("example.test.toml: "));
    }
}
