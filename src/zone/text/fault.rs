//! What is wrong with a zone file, and where.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// How bad a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The zone cannot be served as it stands.
    Error,
    /// The zone is served, but its author should know.
    Warning,
}

/// One fault. It prints as `file:line:column: what was found; what would be right`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whether the zone can be served nevertheless.
    pub severity: Severity,
    /// The file, as the path that led to it.
    pub file: Arc<Path>,
    /// Where in the file; line 0 where the fault is the whole file's.
    pub spot: Spot,
    /// What was found.
    pub found: String,
    /// What would be right.
    pub expected: Cow<'static, str>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spot { line, column } = self.spot;
        write!(f, "{}:", self.file.display())?;
        match (line, column) {
            (0, _) => f.write_str(" ")?,
            (_, 0) => write!(f, "{line}: ")?,
            _ => write!(f, "{line}:{column}: ")?,
        }
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        write!(f, "{}; {}", self.found, self.expected)
    }
}

/// A line and the column in it, both from 1; columns count octets. 0 says that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The line, from 1; 0 for the file as a whole.
    pub line: u32,
    /// The octet of the line, from 1; 0 for the line as a whole.
    pub column: u32,
}

/// The faults of a zone: the first of each severity are kept, all are counted.
#[derive(Clone, Debug)]
pub struct Faults {
    kept: Vec<Fault>,
    keep: usize,
    errors: usize,
    warnings: usize,
}

impl Faults {
    /// No faults yet; of each severity the first `keep` will be kept.
    pub fn new(keep: usize) -> Self {
        Self { kept: Vec::new(), keep, errors: 0, warnings: 0 }
    }

    /// How many errors there are, kept or not. The zone can be served when there are none.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// How many warnings there are, kept or not.
    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// The faults that were kept, in the order they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.kept.iter()
    }

    /// How many faults were counted but not kept.
    pub fn left_out(&self) -> usize {
        self.errors + self.warnings - self.kept.len()
    }

    /// Counts a fault, and keeps it if it is among the first of its severity.
    pub fn push(&mut self, fault: Fault) {
        let count = match fault.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count <= self.keep {
            self.kept.push(fault);
        }
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A fault of one entry before it is known which file the entry is in.
#[derive(Debug)]
pub(super) struct Blame {
    pub(super) spot: Spot,
    pub(super) found: String,
    pub(super) expected: Cow<'static, str>,
}

impl Blame {
    pub(super) fn new(spot: Spot, found: impl Into<String>, expected: impl Into<Cow<'static, str>>) -> Self {
        Self { spot, found: found.into(), expected: expected.into() }
    }
}

/// Octets of a zone file as a message shows them: between backticks, as master file text has them, and short.
pub(super) fn quote(octets: &[u8]) -> String {
    const LONGEST: usize = 40;
    let mut quoted = String::from("`");
    for octet in octets.iter().take(LONGEST) {
        match octet {
            b' '..=b'~' => quoted.push(char::from(*octet)),
            _ => quoted.push_str(&format!("\\{octet:03}")),
        }
    }
    quoted.push_str(if octets.len() > LONGEST { "…`" } else { "`" });
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_kept_and_all_are_counted() {
        let mut faults = Faults::new(2);
        for line in 1..=5 {
            for severity in [Severity::Warning, Severity::Error] {
                let file = Arc::from(Path::new("a.zone"));
                let spot = Spot { line, column: 3 };
                faults.push(Fault { severity, file, spot, found: "`x`".into(), expected: "a number".into() });
            }
        }
        assert_eq!((faults.errors(), faults.warnings(), faults.left_out()), (5, 5, 6));
        let texts: Vec<String> = faults.iter().take(2).map(ToString::to_string).collect();
        assert_eq!(texts, ["a.zone:1:3: warning: `x`; a number", "a.zone:1:3: `x`; a number"]);
    }

    #[test]
    fn what_is_quoted_is_printable_and_short() {
        assert_eq!(quote(b"a\"\x00\xff"), "`a\"\\000\\255`");
        assert_eq!(quote(&[b'a'; 60]).chars().count(), 43);
    }
}
