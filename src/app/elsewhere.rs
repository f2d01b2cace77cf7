//! What the settings and the zones lead to outside of their own folders, looked for once, before the sandbox closes the rest.
//!
//! ```text
//! kofn.toml, policies ─ ca, secret_file, command … ─┐
//! zone files ─ $INCLUDE, and what that includes ────┼─► each link on the way ─► the folders that these lie in
//! links in the folders of zones and certificates ───┘
//! ```
//!
//! A hundred thousand zones must not hold up the start: the types of files come with their names, only links are followed, at
//! two system calls each, and zone files are opened only where there are not that many, and no further than their heads. What
//! is overlooked, and what comes later, is refused with words that say by whom (`reach`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{Settings, named_files};
use crate::reload::{POLICY_ENDING, ZONE_ENDING};
use crate::zone::text;

/// What was found.
#[derive(Debug)]
pub(super) struct Elsewhere {
    /// Folders that are read, and files whose folder is the root.
    pub(super) read: BTreeSet<PathBuf>,
    /// Whether a policy has a check that runs a command. A word too many costs nothing but a right that is not used.
    pub(super) commands: bool,
    /// The folders that were seen, as they were named.
    seen: BTreeSet<PathBuf>,
    included: BTreeSet<PathBuf>,
    /// Room for the head of a zone file; none where zone files are too many to be opened.
    head: Box<[u8]>,
}

impl Elsewhere {
    /// Looks at what these settings, read from `file`, name.
    pub(super) fn of(settings: &Settings, file: &Path) -> Self {
        let is_few = fs::read_dir(&settings.zones).is_ok_and(|entries| entries.take(OPENED + 1).count() <= OPENED);
        let head = vec![0; if is_few { HEAD } else { 0 }].into();
        let (read, seen, included) = Default::default();
        let mut found = Self { read, commands: false, seen, included, head };
        found.follow(file);
        found.named(file, &fs::read_to_string(file).unwrap_or_default());
        found.seen.insert(settings.zones.clone());
        each(&settings.zones, |path, is_link| found.of_zones(path, is_link));
        for certificate in &settings.encrypted.certificates {
            found.follow(certificate);
            each(certificate, |path, is_link| {
                if is_link {
                    found.follow(path);
                }
            });
        }
        found
    }

    /// Something in the zones folder.
    fn of_zones(&mut self, path: &Path, is_link: bool) {
        let is = |ending| path.extension().is_some_and(|extension| extension == ending);
        if is_link {
            self.follow(path);
        }
        if is(ZONE_ENDING) && !self.head.is_empty() {
            self.includes(path);
        } else if is(POLICY_ENDING) {
            // Who reads it later says what is wrong with it.
            let text = fs::read_to_string(path).unwrap_or_default();
            self.commands |= text.contains("exec");
            self.named(path, &text);
        }
    }

    /// What the text of a policy or of kofn.toml names.
    fn named(&mut self, file: &Path, text: &str) {
        named_files(text, folder_of(file)).iter().for_each(|path| self.follow(path));
    }

    /// What a zone file includes, and what that includes.
    fn includes(&mut self, file: &Path) {
        for path in text::included(file, &mut self.head).unwrap_or_default() {
            if self.included.len() < OPENED && self.included.insert(path.clone()) {
                self.follow(&path);
                self.includes(&path);
            }
        }
    }

    /// Takes what a path leads to: a folder itself; of a file the folder that it lies in and, where there are links on the
    /// way, theirs. Whoever replaces the file or one of the links does that inside.
    fn follow(&mut self, path: &Path) {
        let mut ways = vec![path.to_owned()];
        while let Some(target) = ways.last().and_then(|path| Some(folder_of(path).join(fs::read_link(path).ok()?))) {
            if ways.len() > LINKS {
                return;
            }
            ways.push(target);
        }
        let is_of_zone = path.extension().is_some_and(|ending| ending == ZONE_ENDING || ending == POLICY_ENDING);
        if let Some(folder) = ways.pop_if(|last| !is_of_zone && last.is_dir()) {
            self.read.extend(folder.canonicalize());
            return;
        }
        ways.iter().for_each(|way| self.folder_of(way));
    }

    fn folder_of(&mut self, path: &Path) {
        let folder = folder_of(path);
        if self.seen.contains(folder) {
            return;
        }
        match folder.canonicalize() {
            // Nobody means all files.
            Ok(real) if real.parent().is_none() => drop(self.read.insert(path.to_owned())),
            Ok(real) => {
                self.read.insert(real);
                self.seen.insert(folder.to_owned());
            }
            // What is not there now is not let through later.
            Err(_) => {}
        }
    }
}

/// What lies in a folder that is not hidden, and whether it is a link.
fn each(folder: &Path, mut take: impl FnMut(&Path, bool)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            take(&entry.path(), is_link);
        }
    }
}

/// The folder that a path names its file in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// As many as the kernel follows.
const LINKS: usize = 40;
/// Octets of a zone file that are looked at: includes stand at its head, as a rule, and whole zones may be large.
const HEAD: usize = 64 << 10;
/// In a folder with more files than this no zone file is opened; and so many are opened at most that others include.
const OPENED: usize = 10_000;
