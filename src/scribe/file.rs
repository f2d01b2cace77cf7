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

    /// Makes the file at `path`; what is there already is moved aside, to a name that ends in `.old`.
    pub(super) fn anew(path: &Path) -> io::Result<Self> {
        if fs::metadata(path).is_ok_and(|there| there.len() > 0) {
            let mut aside = path.as_os_str().to_owned();
            aside.push(".old");
            fs::rename(path, aside)?;
        }
        Self::open(path)
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
