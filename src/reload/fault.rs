//! One form for the faults of zone files, policies and settings, for print and for JSON.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config;
use crate::zone::text;

/// How bad a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is not taken.
    Error,
    /// The file is taken, but its author should know.
    Warning,
}

/// What is wrong, and where. It prints as `file:line:column: what was found; what would be right`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Whether the file is taken nevertheless.
    pub severity: Severity,
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 for the file as a whole.
    pub line: u32,
    /// The column, from 1; 0 for the line as a whole.
    pub column: u32,
    /// What was found, and what would be right.
    pub message: String,
}

impl Fault {
    /// A fault of a file as a whole.
    pub fn whole(severity: Severity, file: &Path, message: impl fmt::Display) -> Self {
        Self { severity, file: file.to_owned(), line: 0, column: 0, message: message.to_string() }
    }

    /// Where it is: `file:line:column:`, as far as that is known.
    pub fn place(&self) -> String {
        let numbers = [self.line, self.column].into_iter().take_while(|number| *number > 0);
        numbers.fold(format!("{}:", self.file.display()), |place, number| format!("{place}{number}:"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place(), self.message)
    }
}

impl From<&text::Fault> for Fault {
    fn from(fault: &text::Fault) -> Self {
        let severity = match fault.severity {
            text::Severity::Error => Severity::Error,
            text::Severity::Warning => Severity::Warning,
        };
        Self {
            severity,
            file: fault.file.to_path_buf(),
            line: fault.spot.line,
            column: fault.spot.column,
            message: format!("{}; {}", fault.found, fault.expected),
        }
    }
}

impl From<&config::Fault> for Fault {
    fn from(fault: &config::Fault) -> Self {
        let severity = match fault.severity {
            config::Severity::Error => Severity::Error,
            config::Severity::Warning => Severity::Warning,
        };
        let key = if fault.key.is_empty() { String::new() } else { format!("{}: ", fault.key) };
        Self {
            severity,
            file: fault.file.clone(),
            line: fault.line,
            column: fault.column,
            message: format!("{key}{}; {}", fault.found, fault.expected),
        }
    }
}
