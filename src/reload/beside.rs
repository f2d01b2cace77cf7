//! Files beside the zones, such as certificates, that are followed with them.

use std::fmt;
use std::path::PathBuf;

use super::fault::Fault;
use super::watch::Interest;
use crate::config::Settings;

/// Reads files and folders, and takes what is good of them; says what is wrong with them now.
pub type ReadFiles = Box<dyn FnMut(&[PathBuf]) -> Vec<Fault> + Send>;

/// What else is read when files change, by someone that this module does not know.
pub struct Beside {
    /// Which files, and folders of files, the settings name.
    pub paths: fn(&Settings) -> &[PathBuf],
    /// How they are read.
    pub read: ReadFiles,
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Beside")
    }
}

/// The same with what came of it.
#[derive(Debug, Default)]
pub(super) struct Read {
    beside: Option<Beside>,
    paths: Vec<PathBuf>,
    pub(super) faults: Vec<Fault>,
}

impl Read {
    pub(super) fn new(beside: Option<Beside>, settings: &Settings) -> Self {
        let mut read = Self { beside, ..Self::default() };
        read.follow(settings);
        read
    }

    /// Other settings may name other files.
    pub(super) fn follow(&mut self, settings: &Settings) {
        if let Some(beside) = &self.beside {
            self.paths = (beside.paths)(settings).to_vec();
        }
    }

    /// Reads the files. What is wrong and was not wrong before is handed to `tell`.
    pub(super) fn pass(&mut self, tell: impl Fn(&Fault)) {
        let Some(beside) = self.beside.as_mut().filter(|_| !self.paths.is_empty()) else { return };
        let faults = (beside.read)(&self.paths);
        faults.iter().filter(|fault| !self.faults.contains(fault)).for_each(tell);
        self.faults = faults;
    }

    pub(super) fn add_to(&self, interest: &mut Interest) {
        for path in &self.paths {
            if path.is_dir() { interest.add_folder(path) } else { interest.add_file(path) }
        }
    }
}
