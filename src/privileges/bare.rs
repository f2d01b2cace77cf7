//! A system with neither Landlock nor seccomp: nothing is closed to the process.

use super::{Enforcement, Files};

/// Closes nothing.
pub(super) fn enforce(_files: &Files) -> Result<Enforcement, &'static str> {
    Ok(Enforcement::Off)
}

/// Denies nothing.
pub(super) fn deny(_commands: bool) -> Result<(), &'static str> {
    Err("this system has none")
}

/// The system does not have it.
pub fn no_new_privileges() -> bool {
    false
}
