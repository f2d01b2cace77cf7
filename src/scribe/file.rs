//! A file that others may move away while it is written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often it is looked whether the file is still where it was.
const LOOK: Duration = Duration::from_millis(500);
/// Who may read it: addresses of clients are nobody else's business.
const MODE: u32 = 0o640;

/// A file that is appended to.
#[derive(Debug)]
pub(super) struct Growing {
    path: PathBuf,
    file: File,
    /// Octets that were written whole.
    octets: u64,
    looked: Instant,
}

impl Growing {
    /// Opens the file at `path`, or makes it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(MODE).open(path)?;
        let octets = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, octets, looked: Instant::now() })
    }

    /// Makes the file at `path`, for one writer alone; what is there already is moved aside, to a name that ends in `.old`.
    ///
    /// # Errors
    /// Also while another process writes it: one that is at its end, and still has something to say.
    pub(super) fn anew(path: &Path) -> io::Result<Self> {
        let there = Self::open(path)?;
        there.file.try_lock()?;
        if there.octets == 0 {
            return Ok(there);
        }
        let mut aside = path.as_os_str().to_owned();
        aside.push(".old");
        fs::rename(path, aside)?;
        let new = Self::open(path)?;
        new.file.try_lock()?;
        Ok(new)
    }

    /// Appends all or nothing: half a frame would spoil what comes behind it.
    pub(super) fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        match self.file.write_all(octets) {
            Ok(()) => {
                self.octets += octets.len() as u64;
                Ok(())
            }
            Err(error) => {
                // A disk that is full lets go of what it has taken.
                let _ = self.file.set_len(self.octets);
                Err(error)
            }
        }
    }

    /// Whether somebody has moved it away; looked at now and then.
    pub(super) fn is_gone(&mut self) -> bool {
        if self.looked.elapsed() < LOOK {
            return false;
        }
        self.looked = Instant::now();
        let place = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let there = fs::metadata(&self.path).map(place).ok();
        there != self.file.metadata().map(place).ok()
    }
}

impl Write for Growing {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.append(octets).map(|()| octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &Path) -> String {
        fs::read_to_string(path).expect("a file")
    }

    #[test]
    fn what_is_there_is_moved_aside_unless_somebody_writes_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, aside) = (folder.path().join("tap"), folder.path().join("tap.old"));
        let mut first = Growing::anew(&path).expect("a new file");
        first.append(b"first").expect("room");
        assert_eq!(Growing::anew(&path).expect_err("it is written").kind(), io::ErrorKind::WouldBlock);
        assert_eq!(text(&path), "first");
        drop(first);
        Growing::anew(&path).expect("a new file").append(b"second").expect("room");
        assert_eq!((text(&path).as_str(), text(&aside).as_str()), ("second", "first"));
        // A file for lines is gone on with.
        Growing::open(&path).expect("the same file").append(b", third").expect("room");
        assert_eq!(text(&path), "second, third");
    }

    #[test]
    fn a_file_that_is_moved_away_or_replaced_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let looked = |file: &mut Growing| {
            file.looked -= LOOK;
            file.is_gone()
        };
        let mut file = Growing::open(&path).expect("a new file");
        assert!(!looked(&mut file));
        fs::rename(&path, folder.path().join("log.1")).expect("moved");
        assert!(!file.is_gone(), "it is not looked at each time");
        assert!(looked(&mut file));
        fs::write(&path, "another").expect("a file");
        assert!(looked(&mut file));
    }

    #[test]
    fn nothing_is_half_written() {
        let Ok(mut full) = Growing::open(Path::new("/dev/full")) else { return };
        assert_eq!(full.append(b"frame").expect_err("no room").kind(), io::ErrorKind::StorageFull);
        assert_eq!(full.octets, 0);
    }
}
