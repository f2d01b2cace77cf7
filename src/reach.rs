//! Layer 0: which files the sandbox has left to the process, so that a refusal can say who refuses.
//!
//! ```text
//! privileges ──limit_to──► what was let through ◄──remedy─────────── whoever cannot read a file
//!                                               ◄──remedy_to_write── whoever cannot write one
//! ```
//!
//! The kernel goes from a file up to the root and looks for a folder that was let through: by what it is, and not by what it
//! is called. So does this. A folder that came in the place of one of the same name is outside here, too.
//!
//! Not here: what is let through, and why (`privileges`, `app`).

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What was let through. A sandbox is for the whole process and for good, and so is this.
static WITHIN: OnceLock<Within> = OnceLock::new();

/// Files and folders, by device and inode.
#[derive(Debug)]
struct Within {
    read: HashSet<(u64, u64)>,
    write: HashSet<(u64, u64)>,
}

/// Notes that from now on nothing is read but what these are or hold, and nothing is written but what those of `write` are or
/// hold, which are read, too. What is not there counts for nothing.
pub fn limit_to<'a>(read: impl IntoIterator<Item = &'a Path>, write: impl IntoIterator<Item = &'a Path>) {
    // Of two sandboxes in one process the first holds.
    let _ = WITHIN.set(Within::of(read, write));
}

/// What would make `path` readable, where `error` came of reading it: a way past the sandbox when it was the sandbox, else
/// `otherwise`.
pub fn remedy(path: &Path, error: &io::Error, otherwise: impl Into<Cow<'static, str>>) -> Cow<'static, str> {
    closed(path, error).map_or_else(
        || otherwise.into(),
        |folder| {
            let folder = folder.display();
            format!("the sandbox keeps {folder} closed: `read` of [sandbox] with that folder, and a restart, open it")
                .into()
        },
    )
}

/// The folder that `path` really lies in, if the sandbox keeps it closed and `error` came of that.
pub fn closed(path: &Path, error: &io::Error) -> Option<PathBuf> {
    WITHIN.get().filter(|_| is_denied(error))?.closes(path)
}

/// What would make a file of the settings writable, where `error` came of writing it, to stand behind `error`: nothing, unless
/// it was the sandbox.
pub fn remedy_to_write(path: &Path, error: &io::Error) -> String {
    let closed = WITHIN.get().filter(|_| is_denied(error)).and_then(|within| within.closes_to_write(path));
    closed.map_or_else(String::new, |folder| {
        format!("; the sandbox keeps {} closed to writing: a restart with these settings opens it", folder.display())
    })
}

fn is_denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

impl Within {
    fn of<'a>(read: impl IntoIterator<Item = &'a Path>, write: impl IntoIterator<Item = &'a Path>) -> Self {
        let write: HashSet<_> = write.into_iter().filter_map(identity).collect();
        Self { read: read.into_iter().filter_map(identity).chain(write.iter().copied()).collect(), write }
    }

    fn closes(&self, path: &Path) -> Option<PathBuf> {
        // Of a path that cannot be followed the permissions of a folder are to blame: no sandbox hides where files are.
        let real = path.canonicalize().ok()?;
        let folder = if real.is_dir() { None } else { real.parent().filter(|folder| folder.parent().is_some()) };
        (!holds(&self.read, &real)).then(|| folder.unwrap_or(&real).to_owned())
    }

    fn closes_to_write(&self, path: &Path) -> Option<PathBuf> {
        let real = path.canonicalize().ok();
        let folder = real.as_deref().unwrap_or(path).parent()?.canonicalize().ok()?;
        let is_open = real.is_some_and(|real| holds(&self.write, &real)) || holds(&self.write, &folder);
        (!is_open).then_some(folder)
    }
}

/// Whether `real` is one of these, or lies in one.
fn holds(open: &HashSet<(u64, u64)>, real: &Path) -> bool {
    real.ancestors().filter_map(identity).any(|identity| open.contains(&identity))
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let known = fs::metadata(path).ok()?;
    Some((known.dev(), known.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_lies_outside_is_closed_whatever_it_is_called() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a folder");
        let [inside, outside] = ["inside", "outside"].map(|name| root.join(name));
        for folder in [&inside.join("sub"), &outside] {
            fs::create_dir_all(folder).expect("a folder");
            fs::write(folder.join("file"), "").expect("a file");
        }
        symlink(outside.join("file"), inside.join("link")).expect("a link");
        symlink(&inside, outside.join("back")).expect("a link");
        let within = Within::of([inside.as_path(), Path::new("/nonexistent")], []);
        assert_eq!(within.closes(&inside.join("sub/file")), None);
        assert_eq!(within.closes(&outside.join("back/sub/file")), None, "it lies inside");
        assert_eq!(within.closes(&outside.join("gone")), None, "nothing is there to be closed");
        assert_eq!(within.closes(&inside.join("link")), Some(outside.clone()));
        assert_eq!(within.closes(&outside), Some(outside.clone()), "a folder is named itself");
        fs::rename(&inside, root.join("old")).expect("another name");
        fs::create_dir(&inside).expect("a folder in its place");
        fs::write(inside.join("file"), "").expect("a file");
        assert_eq!(within.closes(&inside.join("file")), Some(inside), "another folder of that name");
        assert_eq!(within.closes(&root.join("old/sub/file")), None, "the folder of another name");
    }

    #[test]
    fn what_is_only_read_is_closed_to_who_writes() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a folder");
        let [read, write] = ["read", "write"].map(|name| root.join(name));
        for folder in [&read, &write.join("sub")] {
            fs::create_dir_all(folder).expect("a folder");
            fs::write(folder.join("file"), "").expect("a file");
        }
        symlink(read.join("file"), write.join("link")).expect("a link");
        let within = Within::of([read.as_path()], [write.as_path()]);
        assert_eq!(within.closes(&write.join("sub/file")), None, "what is written is read, too");
        for open in ["sub/file", "sub/new", "new"] {
            assert_eq!(within.closes_to_write(&write.join(open)), None, "{open}");
        }
        for closed in [read.join("file"), read.join("new"), write.join("link")] {
            assert_eq!(within.closes_to_write(&closed), Some(read.clone()), "{}", closed.display());
        }
        assert_eq!(within.closes_to_write(&root.join("gone/new")), None, "no sandbox keeps a folder from being there");
        let file = Within::of([], [write.join("sub/file").as_path()]);
        assert_eq!(file.closes_to_write(&write.join("sub/file")), None, "a file is let through itself");
    }
}
