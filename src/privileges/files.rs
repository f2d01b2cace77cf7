//! Which files and ports are left to the process: a Landlock ruleset.
//!
//! ```text
//! read    the folder of kofn.toml, the zones and the folder above them, what these lead to elsewhere, certificates,
//!         [sandbox] read; /etc, /usr, /proc/self
//! write   the state folder, the folders of the query log and of dnstap, [sandbox] write, /dev/null; /tmp where commands are run
//! run     what may be read, where commands are run
//! ports   no TCP port is listened on any more; signals and abstract sockets do not leave the process and its children
//! ```
//!
//! A rule holds for a folder as it is now, wherever its name leads later. So the folder above the zones is in it: whoever
//! replaces the zones by renaming a folder does that inside.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use crate::config::Settings;
use crate::reach;

/// What the process works with.
#[derive(Debug, Default)]
pub struct Files {
    /// Files and folders to read.
    pub read: Vec<PathBuf>,
    /// Files and folders to write.
    pub write: Vec<PathBuf>,
    /// Whether commands are run.
    pub commands: bool,
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

impl Files {
    /// What these settings, read from `file`, take.
    pub fn of(settings: &Settings, file: &Path, commands: bool) -> Self {
        let mut read = vec![folder_of(file), settings.zones.clone(), folder_of(&settings.zones)];
        for certificate in &settings.encrypted.certificates {
            read.extend([certificate.clone(), folder_of(certificate)]);
        }
        if let Some(program) = settings.alert.command.as_ref().and_then(|command| command.first()) {
            read.push(folder_of(Path::new(program)));
        }
        read.extend(settings.sandbox.read.iter().cloned());
        let mut write = vec![settings.state.clone()];
        write.extend(settings.sandbox.write.iter().cloned());
        // They are begun anew when somebody moves them away.
        write.extend(
            [&settings.dnstap.file, &settings.query_log.file].into_iter().flatten().map(|file| folder_of(file)),
        );
        if commands {
            write.extend(TEMPORARY.map(PathBuf::from));
        }
        Self { read, write, commands }
    }

    /// Closes everything else to the process, and to all that it starts.
    pub(super) fn enforce(&self) -> Result<Enforcement, RulesetError> {
        let all = AccessFs::from_all(VETTED);
        let mut read = AccessFs::ReadFile | AccessFs::ReadDir;
        if self.commands {
            read |= AccessFs::Execute;
        }
        let ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
        let mut ruleset = ruleset.handle_access(all)?.handle_access(AccessNet::BindTcp)?.scope(Scope::Signal)?;
        if !is_told_in_the_abstract() {
            ruleset = ruleset.scope(Scope::AbstractUnixSocket)?;
        }
        // A connection of our own may be bound to an address of ours first, and to whatever port is free.
        let mut created = ruleset.create()?.add_rule(NetPort::new(0, AccessNet::BindTcp))?;
        let system = SYSTEM.iter().map(Path::new);
        for path in system.chain(self.read.iter().map(PathBuf::as_path)) {
            // What is not there needs no rule, and a file of its own is none to list.
            let Ok(place) = PathFd::new(path) else { continue };
            let access = if path.is_dir() { read } else { read & AccessFs::from_file(VETTED) };
            created = created.add_rule(PathBeneath::new(place, access))?;
        }
        for path in self.write.iter().map(PathBuf::as_path).chain(DEVICES.map(Path::new)) {
            let Ok(place) = PathFd::new(path) else { continue };
            let mut access = if path.is_dir() { all } else { all & AccessFs::from_file(VETTED) };
            if !self.commands {
                access.remove(AccessFs::Execute);
            }
            created = created.add_rule(PathBeneath::new(place, access))?;
        }
        let enforcement = match created.restrict_self()?.ruleset {
            RulesetStatus::FullyEnforced => Enforcement::Whole,
            RulesetStatus::PartiallyEnforced => Enforcement::Partly,
            RulesetStatus::NotEnforced => Enforcement::Off,
        };
        if enforcement != Enforcement::Off {
            let own = self.read.iter().chain(&self.write).map(PathBuf::as_path);
            reach::limit_to(SYSTEM.iter().chain(&DEVICES).map(Path::new).chain(own));
        }
        Ok(enforcement)
    }
}

/// The folder that a path lies in, where its links lead.
fn folder_of(path: &Path) -> PathBuf {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether the service manager listens where only processes outside are.
fn is_told_in_the_abstract() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some_and(|path| path.as_encoded_bytes().starts_with(b"@"))
}

/// The newest set of rules that this was tried with: a newer kernel refuses no more than that.
const VETTED: ABI = ABI::V6;
/// What programs read wherever they are: the resolver's files, the roots of TLS, time zones, the C library's modules; and what
/// the kernel says of ourselves.
const SYSTEM: &[&str] = &[
    "/etc",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/opt",
    "/nix/store",
    "/run/systemd/resolve",
    "/proc/self",
    "/proc/meminfo",
    "/sys/fs/cgroup",
    "/sys/devices/system/cpu",
    "/dev/urandom",
];
/// Where commands put what they need for a moment.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];
/// What is written into and kept nowhere.
const DEVICES: [&str; 1] = ["/dev/null"];
