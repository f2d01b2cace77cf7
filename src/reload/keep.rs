//! Files of the state folder, replaced whole: who reads one finds the old text or the new, never a part.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Readable by the user that the server runs as, like the control socket beside it.
const MODE: u32 = 0o600;

/// Puts `text` in the place of the file; of a link, of where it leads.
///
/// # Errors
/// When the folder or the file cannot be written; the old text stays then.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let new = beside(&path);
    let written = write(&new, text).and_then(|()| std::fs::rename(&new, &path));
    if written.is_err() {
        // It is of no use to anybody, and there may be no room for it.
        let _ = std::fs::remove_file(&new);
        return written;
    }
    // The rename is in the folder, which has to reach the disk as well.
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(MODE).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A name that neither a zone nor a drain list has, in the same folder, so that renaming it is one step.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_a_link_stays_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        replace(&file, "one").expect("a new file");
        symlink(&file, &link).expect("a link");
        replace(&link, "two").expect("the file behind it");
        assert_eq!(std::fs::read_to_string(&file).expect("the file"), "two");
        assert!(link.is_symlink());
        assert_eq!(std::fs::metadata(&file).expect("the file").permissions().mode() & 0o777, MODE);
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 2, "nothing is left over");
        assert!(replace(&folder.path().join("none/file"), "").is_err());
    }
}
