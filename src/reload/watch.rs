//! What changed on the disk, told once it has settled.
//!
//! Folders are watched, not files: an editor that renames a new file over the old one, `cp`, `rsync` and `git checkout`
//! then look alike. Events only say that it is time to look, and where to look first; a [`Stamp`](super::stamp::Stamp) says
//! what has changed, so that none is trusted or missed.

use std::collections::BTreeSet;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// Quiet for so long, a change is taken for whole: editors and `cp` leave gaps of a few milliseconds at most.
const SETTLE: Duration = Duration::from_millis(100);
/// A folder that is never quiet is read after so long, so that a change is served within a second of its write.
const PATIENCE: Duration = Duration::from_millis(500);
/// When more files than that are touched, it is no use to look at those before all others.
const FEW: usize = 1000;

/// What may change and matter. Paths are absolute, as events name them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Interest {
    /// Folders of which every file matters.
    folders: BTreeSet<PathBuf>,
    /// Files and folders of which no neighbour matters.
    files: BTreeSet<PathBuf>,
}

impl Interest {
    /// Every file of `folder` matters, and whether it exists.
    pub(super) fn add_folder(&mut self, folder: &Path) {
        self.add_file(folder);
        self.folders.extend(std::path::absolute(folder));
    }

    /// The file matters, whether it exists or not; of a link also where it leads.
    pub(super) fn add_file(&mut self, file: &Path) {
        self.files.extend(std::path::absolute(file));
        self.files.extend(file.canonicalize());
    }

    /// Whether whoever watches for this misses nothing of `other`.
    pub(super) fn covers(&self, other: &Self) -> bool {
        other.folders.is_subset(&self.folders) && other.files.is_subset(&self.files)
    }

    fn watched(&self) -> BTreeSet<&Path> {
        let parents = self.files.iter().filter_map(|file| file.parent());
        self.folders.iter().map(PathBuf::as_path).chain(parents).collect()
    }

    fn holds(&self, path: &Path) -> bool {
        self.files.contains(path) || path.parent().is_some_and(|parent| self.folders.contains(parent))
    }
}

/// The watch over some folders.
#[derive(Debug)]
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    signal: Arc<Notify>,
    heard: Arc<Mutex<Heard>>,
    folders: Vec<PathBuf>,
}

/// What the watcher's thread is told, and tells.
#[derive(Debug, Default)]
struct Heard {
    interest: Interest,
    touched: Touched,
}

/// Which files were touched, as far as is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Touched {
    /// These, by their absolute paths.
    Few(BTreeSet<PathBuf>),
    /// Many, or events were lost.
    Any,
}

impl Default for Touched {
    fn default() -> Self {
        Self::Few(BTreeSet::new())
    }
}

impl Watch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When the system gives no watcher.
    pub(super) fn new() -> notify::Result<Self> {
        let (signal, heard) = (Arc::new(Notify::new()), Arc::default());
        let (wakes, hears) = (Arc::clone(&signal), Arc::clone(&heard));
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if lock(&hears).hear(event.ok()) {
                wakes.notify_one();
            }
        })?;
        Ok(Self { watcher, signal, heard, folders: Vec::new() })
    }

    /// Watches for this and nothing else, each folder anew: one that was taken away and made again has lost its watch, and
    /// may have its old inode. Call it before looking at the files, so that what is missed meanwhile is seen then.
    /// A folder that does not exist is left for the next call.
    ///
    /// # Errors
    /// The folders that exist and yet cannot be watched, with the reason.
    pub(super) fn follow(&mut self, interest: &Interest) -> Vec<(PathBuf, notify::Error)> {
        interest.clone_into(&mut lock(&self.heard).interest);
        for folder in self.folders.drain(..) {
            // It fails when the folder is gone, and then there is nothing left to undo.
            let _ = self.watcher.unwatch(&folder);
        }
        let mut refused = Vec::new();
        for folder in interest.watched() {
            match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => self.folders.push(folder.to_owned()),
                Err(error) if folder.exists() => refused.push((folder.to_owned(), error)),
                Err(_) => {}
            }
        }
        refused
    }

    /// Has [`Watch::settled`] end as after a change: there was one that had not settled.
    pub(super) fn look_again(&self) {
        self.signal.notify_one();
    }

    /// Waits for a change, and then until it has settled; says what was touched since it was asked last.
    pub(super) async fn settled(&self) -> Touched {
        self.signal.notified().await;
        let limit = Instant::now() + PATIENCE;
        while Instant::now() < limit && timeout(SETTLE, self.signal.notified()).await.is_ok() {}
        mem::take(&mut lock(&self.heard).touched)
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Heard {
    /// Notes an event, of which there is none where events were lost; says whether it matters.
    fn hear(&mut self, event: Option<Event>) -> bool {
        let known = event.filter(|event| !event.need_rescan() && !event.paths.is_empty());
        let Some(event) = known else {
            self.touched = Touched::Any;
            return true;
        };
        // Opening and reading are also told, and our own reading must not wake us.
        if matches!(event.kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write)) {
            return false;
        }
        let interest = &self.interest;
        let mut wanted = event.paths.into_iter().filter(|path| interest.holds(path)).peekable();
        let matters = wanted.peek().is_some();
        if let Touched::Few(touched) = &mut self.touched {
            touched.extend(wanted);
            if touched.len() > FEW {
                self.touched = Touched::Any;
            }
        }
        matters
    }
}

/// Since when files have been found in the middle of a change, look after look.
#[derive(Debug, Default)]
pub(super) struct Motion(Option<Instant>);

impl Motion {
    /// Whether the files are better left alone for now: one of them was written a moment ago, so that whoever writes may not
    /// have ended. An empty file is a good policy, and half of a zone may be a good zone. What never rests is read all the same.
    pub(super) fn is_under_way(&mut self, files: &[PathBuf], now: SystemTime) -> bool {
        let moves = files.iter().any(|file| {
            let written = std::fs::metadata(file).and_then(|metadata| metadata.modified());
            // Later than now when the clock was set back; that is no reason to wait.
            written.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age < SETTLE))
        });
        let since = self.0.filter(|_| moves).unwrap_or_else(Instant::now);
        self.0 = moves.then_some(since);
        moves && since.elapsed() < PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    async fn wakes(watch: &Watch) -> bool {
        timeout(Duration::from_secs(5), watch.settled()).await.is_ok()
    }

    async fn rests(watch: &Watch) -> bool {
        timeout(SETTLE * 3, watch.settled()).await.is_err()
    }

    fn interest_in(folder: &Path) -> Interest {
        let mut interest = Interest::default();
        interest.add_folder(folder);
        interest
    }

    #[test]
    fn what_was_written_a_moment_ago_is_waited_for_and_not_for_ever() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = [folder.path().join("a.zone"), folder.path().join("a.toml")];
        fs::write(&files[1], "").expect("a file");
        let at = fs::metadata(&files[1]).and_then(|metadata| metadata.modified()).expect("a time");
        let mut motion = Motion::default();
        assert!(motion.is_under_way(&files, at + SETTLE / 2));
        assert!(!motion.is_under_way(&files, at + SETTLE), "it rests");
        assert!(!motion.is_under_way(&files, at - SETTLE), "its time is to come");
        assert!(motion.is_under_way(&files, at), "a new change");
        motion.0 = Instant::now().checked_sub(PATIENCE);
        assert!(!motion.is_under_way(&files, at), "it has been written again and again");
    }

    #[tokio::test]
    async fn each_way_to_change_a_file_is_told_and_reading_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.zone");
        fs::write(&file, "1").expect("a file");
        let mut watch = Watch::new().expect("a watch");
        assert!(watch.follow(&interest_in(folder.path())).is_empty());

        assert_eq!(fs::read(&file).expect("the file"), b"1");
        assert!(rests(&watch).await, "reading woke the watch");
        fs::write(&file, "2").expect("a write in place");
        assert!(wakes(&watch).await, "a write in place");
        fs::write(folder.path().join("new"), "3").expect("a new file");
        fs::rename(folder.path().join("new"), &file).expect("a rename over it");
        assert!(wakes(&watch).await, "a rename over it");
        fs::remove_file(&file).expect("a removal");
        assert!(wakes(&watch).await, "a removal");
    }

    #[tokio::test]
    async fn a_folder_made_anew_is_followed_again() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("zones");
        let wanted = interest_in(&folder);
        let mut watch = Watch::new().expect("a watch");
        assert!(watch.follow(&wanted).is_empty(), "a missing folder is no fault");
        for round in 0..2 {
            fs::create_dir(&folder).expect("the folder");
            assert!(wakes(&watch).await, "the folder came, round {round}");
            watch.follow(&wanted);
            fs::write(folder.join("a.zone"), "1").expect("a file");
            assert!(wakes(&watch).await, "a file in it, round {round}");
            fs::remove_dir_all(&folder).expect("its removal");
            assert!(wakes(&watch).await, "the folder went, round {round}");
        }
    }

    #[tokio::test]
    async fn of_a_file_its_neighbours_do_not_matter_but_where_a_link_leads() {
        let (folder, elsewhere) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("another"));
        let (link, target) = (folder.path().join("link"), elsewhere.path().join("target"));
        fs::write(&target, "1").expect("a file");
        std::os::unix::fs::symlink(&target, &link).expect("a link");
        let mut interest = Interest::default();
        interest.add_file(&link);
        let mut watch = Watch::new().expect("a watch");
        assert!(watch.follow(&interest).is_empty());
        fs::write(folder.path().join("server.log"), "a line").expect("a neighbour");
        fs::write(elsewhere.path().join("other"), "a line").expect("a neighbour of the target");
        assert!(rests(&watch).await, "a neighbour woke the watch");
        fs::write(&target, "2").expect("a write");
        assert!(wakes(&watch).await, "the target of the link");
        fs::remove_file(&link).expect("the link goes");
        assert!(wakes(&watch).await, "the link itself");
    }
}
