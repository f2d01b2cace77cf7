//! Which files a zone file is going to include, seen without reading it: cheap enough to ask of each of 100,000.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The files that stand behind `$INCLUDE` in as much of the file at `path` as fits into `head`, in their order. They need not
/// exist, and may be too many: text in parentheses or quotes may look like a directive.
///
/// # Errors
/// When the file cannot be read.
pub fn included(path: &Path, head: &mut [u8]) -> io::Result<Vec<PathBuf>> {
    // Whoever opens a pipe would wait for its other end.
    let mut file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let octets = file.read(head)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(names(&head[..octets]).map(|name| folder.join(OsStr::from_bytes(name))).collect())
}

fn names(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|octet| *octet == b'\n').filter_map(|line| {
        let (word, rest) = line.split_at_checked(DIRECTIVE.len()).filter(|_| line[0] == b'$')?;
        let rest = rest.strip_prefix(b" ").or_else(|| rest.strip_prefix(b"\t"))?.trim_ascii_start();
        let (rest, end): (_, fn(&u8) -> bool) = match rest.strip_prefix(b"\"") {
            Some(quoted) => (quoted, |octet| *octet == b'"'),
            None => (rest, |octet| octet.is_ascii_whitespace() || *octet == b';'),
        };
        let name = rest.split(end).next().filter(|name| !name.is_empty())?;
        word.eq_ignore_ascii_case(DIRECTIVE).then_some(name)
    })
}

const DIRECTIVE: &[u8] = b"$INCLUDE";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_found_where_they_begin_a_line() {
        let text = "$TTL 1\n$INCLUDE a.inc\n$include\t\"b c\" sub ; d\n $INCLUDE no\n; $INCLUDE no\n$INCLUDES no\n$INCLUDE\n\
                    $INCLUDE  /e;f\r\n$";
        let found: Vec<_> = names(text.as_bytes()).map(String::from_utf8_lossy).collect();
        assert_eq!(found, ["a.inc", "b c", "/e"]);
    }

    #[test]
    fn names_start_at_the_folder_of_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.zone");
        std::fs::write(&file, "$INCLUDE sub/a.inc\n$INCLUDE /b.inc").expect("a file");
        let found = |head: &mut [u8]| included(&file, head).expect("text");
        assert_eq!(found(&mut [0; 100]), [folder.path().join("sub/a.inc"), "/b.inc".into()]);
        assert_eq!(found(&mut [0; 20]), [folder.path().join("sub/a.inc")], "no more than fits");
        assert!(included(&folder.path().join("gone"), &mut []).is_err());
    }
}
