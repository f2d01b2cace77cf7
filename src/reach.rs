//! Layer 0: which files the sandbox has left to the process, so that a refusal can say who refuses.
//!
//! ```text
//! privileges ──limit_to──► what was let through ◄──remedy── whoever cannot read a file
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
struct Within(HashSet<(u64, u64)>);

/// Notes that from now on nothing is read but what these are or hold. What is not there counts for nothing.
pub fn limit_to<'a>(paths: impl IntoIterator<Item = &'a Path>) {
    // Of two sandboxes in one process the first holds.
    let _ = WITHIN.set(Within::of(paths));
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
    WITHIN.get().filter(|_| error.kind() == io::ErrorKind::PermissionDenied)?.closes(path)
}

impl Within {
    fn of<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        Self(paths.into_iter().filter_map(identity).collect())
    }

    fn closes(&self, path: &Path) -> Option<PathBuf> {
        // Of a path that cannot be followed the permissions of a folder are to blame: no sandbox hides where files are.
        let real = path.canonicalize().ok()?;
        let is_open = real.ancestors().filter_map(identity).any(|identity| self.0.contains(&identity));
        let folder = if real.is_dir() { None } else { real.parent().filter(|folder| folder.parent().is_some()) };
        (!is_open).then(|| folder.unwrap_or(&real).to_owned())
    }
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
        let within = Within::of([inside.as_path(), Path::new("/nonexistent")]);
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
}
