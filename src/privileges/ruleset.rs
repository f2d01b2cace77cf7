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

use super::{Enforcement, Files};
use crate::reach;

/// Closes everything else to the process, and to all that it starts.
pub(super) fn enforce(files: &Files) -> Result<Enforcement, RulesetError> {
    let all = AccessFs::from_all(VETTED);
    let mut read = AccessFs::ReadFile | AccessFs::ReadDir;
    if files.commands {
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
    for path in system.chain(files.read.iter().map(PathBuf::as_path)) {
        // What is not there needs no rule, and a file of its own is none to list.
        let Ok(place) = PathFd::new(path) else { continue };
        let access = if path.is_dir() { read } else { read & AccessFs::from_file(VETTED) };
        created = created.add_rule(PathBeneath::new(place, access))?;
    }
    for path in files.write.iter().map(PathBuf::as_path).chain(DEVICES.map(Path::new)) {
        let Ok(place) = PathFd::new(path) else { continue };
        let mut access = if path.is_dir() { all } else { all & AccessFs::from_file(VETTED) };
        if !files.commands {
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
        let read = SYSTEM.iter().map(Path::new).chain(files.read.iter().map(PathBuf::as_path));
        let write = DEVICES.iter().map(Path::new).chain(files.write.iter().map(PathBuf::as_path));
        reach::limit_to(read, write);
    }
    Ok(enforcement)
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
/// What is written into and kept nowhere.
const DEVICES: [&str; 1] = ["/dev/null"];
