//! What every topic uses: the real program in a scratch folder, questions to it, and backends that can be killed.
//!
//! ```text
//! Scratch (a folder, files) ──serve──► Server (process, its log, its address) ──ask──► Message, as hickory reads it
//!    └──kofn──► Output                                                      Farm (backends on 127.0.0.x) ◄──probes
//! ```
//!
//! Nothing sleeps: [`eventually`] asks a condition again until it holds, [`Server::log_until`] waits for a line, and both
//! give up after [`DEADLINE`] with what they saw.

mod farm;
mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

pub(crate) use farm::Farm;
pub(crate) use server::{Client, Server, addresses};
use tempfile::TempDir;

/// Much longer than anything takes on a machine that has other work to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A zone that has no fault, with one A record at `www`.
pub(crate) fn zone_text(serial: u32, www: &str) -> String {
    format!("$TTL 300\n@ SOA ns1 hostmaster {serial} 3600 600 86400 30\n@ NS ns1\nns1 A 127.0.0.1\nwww A {www}\n")
}

/// Asks until there is an answer, and returns it.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "never: {what}");
        // The pause between two looks at a condition that nobody announces.
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A folder that is gone after the test.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a scratch folder"))
    }

    /// With the zones, the policy and the folders of the project itself.
    pub(crate) fn with_shipped_zones() -> Self {
        let scratch = Self::new();
        for file in ["zones/example.test.zone", "zones/example.test.toml"] {
            let text =
                std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("a shipped zone");
            scratch.write(file, &text);
        }
        scratch
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().expect("a file in a folder")).expect("its folder");
        std::fs::write(path, text).expect("the file");
    }

    pub(crate) fn remove(&self, file: &str) {
        std::fs::remove_file(self.path(file)).expect("the file to remove");
    }

    /// Runs the program in the folder, to its end.
    pub(crate) fn kofn(&self, arguments: &[&str]) -> Run {
        let output = self.command(arguments).output().expect("the program runs");
        Run::from(&output)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kofn"));
        command.current_dir(self.0.path()).args(arguments).env_remove("KOFN_LOG");
        command
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<&Output> for Run {
    fn from(output: &Output) -> Self {
        Self {
            code: output.status.code().expect("an exit code"),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Run {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}
