//! In which state files were read, so that they are read again only when they have another.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::source::Source;
use super::watch::Interest;

/// File times may be as coarse as a tick of the kernel (10 ms at 100 Hz).
const TICK: Duration = Duration::from_millis(20);

/// The files of one zone as they were read.
#[derive(Debug)]
pub(super) struct Stamps {
    zone: Stamp,
    policy: Stamp,
    included: Box<[(PathBuf, Stamp)]>,
}

impl Stamps {
    /// The state of files that have been read since `start`, whether they exist or not.
    pub(super) fn read_since(source: &Source, included: &[PathBuf], start: SystemTime) -> Self {
        Self {
            zone: Stamp::read_since(&source.zone, start),
            policy: Stamp::read_since(&source.policy(), start),
            included: included.iter().map(|file| (file.clone(), Stamp::read_since(file, start))).collect(),
        }
    }

    /// Whether what was read then is sure to be what the files of `source` hold now.
    pub(super) fn hold(&self, source: &Source) -> bool {
        let included = || self.included.iter().all(|(file, stamp)| stamp.holds(file));
        self.zone.holds(&source.zone) && self.policy.holds(&source.policy()) && included()
    }

    /// All files that were read, whether they exist or not.
    pub(super) fn files(&self, source: &Source) -> Vec<PathBuf> {
        let included = self.included.iter().map(|(file, _)| file.clone());
        [source.zone.to_path_buf(), source.policy()].into_iter().chain(included).collect()
    }

    /// Adds where changes matter beside the folder of the zone file: where links lead, and what is included.
    pub(super) fn add_to(&self, source: &Source, interest: &mut Interest) {
        if self.zone.is_linked() {
            interest.add_file(&source.zone);
        }
        if self.policy.is_linked() {
            interest.add_file(&source.policy());
        }
        self.included.iter().for_each(|(file, _)| interest.add_file(file));
    }
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    file: Option<FileStamp>,
    /// Whether the file may have changed while it was read.
    fresh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileStamp {
    /// Whether it was found through a link.
    is_linked: bool,
    /// Device and inode.
    identity: (u64, u64),
    octets: u64,
    /// Nanoseconds.
    modified: i64,
    /// Times of modification can be set, as `rsync --times` does; this one cannot.
    changed: i64,
}

impl Stamp {
    /// The state of a file that has been read since `start`; a file that does not exist has one, too.
    pub(super) fn read_since(path: &Path, start: SystemTime) -> Self {
        let file = FileStamp::of(path);
        Self { file, fresh: file.is_some_and(|file| file.changed_at() + TICK >= start) }
    }

    /// Whether the file was found through a link.
    fn is_linked(&self) -> bool {
        self.file.is_some_and(|file| file.is_linked)
    }

    /// Whether what was read then is sure to be what the file holds now.
    pub(super) fn holds(&self, path: &Path) -> bool {
        !self.fresh && self.file == FileStamp::of(path)
    }
}

impl FileStamp {
    fn of(path: &Path) -> Option<Self> {
        let mut metadata = std::fs::symlink_metadata(path).ok()?;
        let is_linked = metadata.is_symlink();
        if is_linked {
            metadata = std::fs::metadata(path).ok()?;
        }
        Some(Self {
            is_linked,
            identity: (metadata.dev(), metadata.ino()),
            octets: metadata.size(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    fn changed_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.changed.try_into().unwrap_or(0))
    }
}

/// Since 1970. Times that do not fit, before 1678 or after 2262, come out as others, and each always as the same.
fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.wrapping_mul(1_000_000_000).wrapping_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_stamp_holds_only_for_the_state_that_was_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.zone");
        let in_seconds = |seconds| SystemTime::now() + Duration::from_secs(seconds);
        assert!(Stamp::read_since(&file, in_seconds(0)).holds(&file), "no file is a state, too");
        fs::write(&file, "1").expect("a file");
        let seen = Stamp::read_since(&file, in_seconds(60));
        assert!(seen.holds(&file));
        assert!(
            !Stamp::read_since(&file, SystemTime::now()).holds(&file),
            "it may have been written while it was read"
        );
        fs::write(&file, "12").expect("a write");
        assert!(!seen.holds(&file));
    }
}
