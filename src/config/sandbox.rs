//! What the server gives up once it has its sockets.

use std::path::PathBuf;

use super::reader::{Item, Section, keys};
use super::value::{list, path, text, word};

/// How the server shuts itself in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// Whether it does.
    pub mode: SandboxMode,
    /// What else may be read, and run by checks.
    pub read: Vec<PathBuf>,
    /// What else may be written, by checks and alerts.
    pub write: Vec<PathBuf>,
}

/// Whether the server shuts itself in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SandboxMode {
    /// As far as the kernel can.
    #[default]
    Auto,
    /// Not at all.
    Off,
    /// Or it does not start.
    Required,
}

keys! {
    SANDBOX "[sandbox]" {
        MODE: SandboxMode = "mode", mode, "\"auto\"",
            "Whether the server shuts itself in after it has its sockets: `auto` as far as the kernel can, `required` or it \
             does not start, `off` not at all.";
        READ: Vec<PathBuf> = "read", paths, "[]",
            "Files and folders that may be read, and whose programs checks and alerts may run, beside those that the settings name.";
        WRITE: Vec<PathBuf> = "write", paths, "[]",
            "Files and folders that may be written beside `state`, such as by the commands of checks.";
    }
}

pub(super) fn read(section: &Section<'_>) -> Sandbox {
    Sandbox { mode: section.value(&MODE), read: section.value(&READ), write: section.value(&WRITE) }
}

/// The name of a user.
pub(super) fn user(item: &Item<'_>) -> Option<String> {
    text::<32>(item)
}

fn mode(item: &Item<'_>) -> Option<SandboxMode> {
    word(item, &[("auto", SandboxMode::Auto), ("off", SandboxMode::Off), ("required", SandboxMode::Required)])
}

fn paths(item: &Item<'_>) -> Option<Vec<PathBuf>> {
    list(item, "a list of paths, such as [\"/srv/zones\"]", path)
}
