//! A fault of a configuration file: where it is, what was found, and what would be right.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What a fault does to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing of the file is used.
    Error,
    /// The file is used; what the fault names has no effect, or hardly the one that was meant.
    Warning,
}

/// One fault, printed as `file:line:column: key: what was found; what would be right`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it was named.
    pub file: PathBuf,
    /// From 1; 0 when the whole file is meant.
    pub line: u32,
    /// In characters, from 1; 0 when the whole file is meant.
    pub column: u32,
    /// The dotted path of the key, such as `check.web.interval`; empty when the text is no TOML at all.
    pub key: String,
    /// What was found.
    pub found: String,
    /// What would be right.
    pub expected: String,
    /// Whether the file can still be used.
    pub severity: Severity,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}; {}", self.found, self.expected)
    }
}

impl std::error::Error for Fault {}

/// Where something stands, kept by what may turn out wrong only beside other files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: PathBuf,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// The dotted path of the key.
    pub key: String,
}

impl Place {
    /// A warning about what stands here.
    pub fn warning(&self, found: impl Into<String>, expected: impl Into<String>) -> Fault {
        let Self { file, line, column, key } = self.clone();
        Fault { file, line, column, key, found: found.into(), expected: expected.into(), severity: Severity::Warning }
    }
}

/// The text of one file and the faults found in it so far.
pub(super) struct Faults<'a> {
    file: &'a Path,
    text: &'a str,
    list: RefCell<Vec<Fault>>,
}

impl<'a> Faults<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        Self { file, text, list: RefCell::default() }
    }

    pub(super) fn file(&self) -> &'a Path {
        self.file
    }

    pub(super) fn place(&self, key: &str, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |start| start.chars().count()) + 1;
        let (line, column) = (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX));
        Place { file: self.file.to_owned(), line, column, key: key.to_owned() }
    }

    pub(super) fn error(&self, key: &str, span: Range<usize>, found: String, expected: String) {
        let fault = Fault { severity: Severity::Error, ..self.place(key, span).warning(found, expected) };
        self.list.borrow_mut().push(fault);
    }

    pub(super) fn warn(&self, key: &str, span: Range<usize>, found: String, expected: String) {
        self.list.borrow_mut().push(self.place(key, span).warning(found, expected));
    }

    /// Text of the file.
    pub(super) fn quote(&self, span: Range<usize>) -> &'a str {
        self.text.get(span).unwrap_or_default()
    }

    /// The warnings when the file can be used, all faults when it cannot; in the order of the text, and each once, though
    /// some keys are read twice.
    pub(super) fn finish(self) -> Result<Vec<Fault>, Vec<Fault>> {
        let mut faults = self.list.into_inner();
        faults.sort_by_key(|fault| (fault.line, fault.column));
        faults.dedup();
        if faults.iter().any(|fault| fault.severity == Severity::Error) { Err(faults) } else { Ok(faults) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters() {
        let faults = Faults::new(Path::new("a.toml"), "k = 1\nüü = \"x\"\n");
        for (offset, line, column) in [(0, 1, 1), (4, 1, 5), (6, 2, 1), (13, 2, 6), (999, 3, 1)] {
            let place = faults.place("k", offset..offset);
            assert_eq!((place.line, place.column), (line, column), "{offset}");
        }
    }

    #[test]
    fn a_fault_names_its_place_its_key_and_the_remedy() {
        let faults = Faults::new(Path::new("a.toml"), "x\nk = 1\n");
        faults.warn("k", 2..3, "found".to_owned(), "right".to_owned());
        faults.error("", 0..1, "`x`".to_owned(), "a key".to_owned());
        let list = faults.finish().expect_err("one is an error");
        let shown: Vec<_> = list.iter().map(Fault::to_string).collect();
        assert_eq!(shown, ["a.toml:1:1: `x`; a key", "a.toml:2:1: k: found; right"]);
    }
}
