//! Layer 3: giving up what only the start needs. Everything here happens on the first thread, before there is another: some
//! of it the kernel keeps for each thread, and those made later inherit it.
//!
//! ```text
//! sockets are bound, settings and their secrets are read
//!   └► become   the user: groups, ids, no capability in any set
//!        └► confine   no_new_privs ─► Landlock: files and ports ─► seccomp: system calls
//! ```
//!
//! * What is given up does not come back, neither here nor in a command that is run from here. So what a reload reads must be
//!   readable by the user, and what takes a socket takes a new process.
//! * Landlock says which files, seccomp which system calls. Either works without the other, on a kernel that lacks one.
//!
//! Not here: what is allowed by whom (the file system's own permissions).

#[cfg(not(target_os = "linux"))]
mod bare;
#[cfg(target_os = "linux")]
mod calls;
mod files;
#[cfg(target_os = "linux")]
mod ruleset;
mod user;

use tracing::{info, warn};

use crate::config::{Sandbox, SandboxMode};

#[cfg(not(target_os = "linux"))]
use bare::{deny, enforce};
#[cfg(target_os = "linux")]
use {calls::deny, ruleset::enforce};

#[cfg(not(target_os = "linux"))]
pub use bare::no_new_privileges;
#[cfg(target_os = "linux")]
pub use calls::no_new_privileges;
pub use files::Files;
pub use user::{Account, UserError, drop_capabilities, own_name};

/// Why the sandbox that is required cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel has none, or less than none.
    #[error("[sandbox] mode = \"required\": {0}")]
    Missing(String),
}

/// How much of a ruleset the kernel enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// All of it.
    Whole,
    /// What it knows of it.
    Partly,
    /// Nothing.
    Off,
}

impl Enforcement {
    /// The word for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whole => "enforced",
            Self::Partly => "partly",
            Self::Off => "off",
        }
    }
}

/// What the process may still do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Whether files are closed to it.
    pub landlock: Enforcement,
    /// Whether system calls are.
    pub seccomp: bool,
    /// Whether it may run commands.
    pub commands: bool,
}

/// Shuts the process in, as far as the settings say and the kernel can; `files` are asked for when it comes to that.
///
/// # Errors
/// When the sandbox is required and is not whole.
pub fn confine(sandbox: &Sandbox, files: impl FnOnce() -> Files) -> Result<InForce, SandboxError> {
    let mut in_force = InForce { landlock: Enforcement::Off, seccomp: false, commands: true };
    if sandbox.mode == SandboxMode::Off {
        info!("sandbox off, as [sandbox] says");
        return Ok(in_force);
    }
    let required = sandbox.mode == SandboxMode::Required;
    let missing = |what: String| match required {
        true => Err(SandboxError::Missing(what)),
        false => {
            warn!("sandbox: {what}; [sandbox] mode = \"off\" would not try");
            Ok(())
        }
    };
    let files = files();
    match enforce(&files) {
        Ok(Enforcement::Off) => missing("this system has no Landlock: files are not closed to the server".into())?,
        Ok(enforced) => in_force.landlock = enforced,
        Err(error) => missing(format!("Landlock: {error}"))?,
    }
    match deny(files.commands) {
        Ok(()) => (in_force.seccomp, in_force.commands) = (true, files.commands),
        Err(error) => missing(format!("seccomp: {error}"))?,
    }
    let InForce { landlock, seccomp, commands } = in_force;
    info!(landlock = landlock.name(), seccomp, commands, "sandbox in force");
    Ok(in_force)
}
