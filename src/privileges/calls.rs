//! Which system calls are denied to the process, and to every command that it runs: a seccomp filter.
//!
//! It names what neither a nameserver nor a check ever has to do, and not what they do: a filter of the other kind breaks with
//! the next release of the C library, and the commands of checks are anybody's programs. What is denied fails with EPERM.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter_all_threads,
};

type Rules = BTreeMap<libc::c_long, Vec<SeccompRule>>;

/// Denies them from now on; without `commands` also to run any.
pub(super) fn deny(commands: bool) -> Result<(), Error> {
    filters(commands)?.iter().try_for_each(|filter| apply_filter_all_threads(filter))
}

/// Whether no program that is run from here gains anything by its owner or its file's capabilities.
pub fn no_new_privileges() -> bool {
    rustix::thread::no_new_privs().unwrap_or_default()
}

fn filters(commands: bool) -> Result<[BpfProgram; 2], Error> {
    let mut denied: Rules = NEVER.iter().map(|call| (*call, Vec::new())).collect();
    if !commands {
        denied.extend([libc::SYS_execve, libc::SYS_execveat].map(|call| (call, Vec::new())));
    }
    let of_other_families = FAMILIES.map(is_other_than).into_iter().collect::<Result<_, _>>()?;
    denied.insert(libc::SYS_socket, vec![SeccompRule::new(of_other_families)?]);
    let into_namespaces = NAMESPACES.iter().map(|flag| clones_with(*flag)).collect::<Result<_, _>>()?;
    denied.insert(libc::SYS_clone, into_namespaces);
    // The flags of clone3 stand in memory, where no filter sees them. The C library then takes `clone`.
    let unknown = Rules::from([(libc::SYS_clone3, Vec::new())]);
    Ok([program(denied, libc::EPERM)?, program(unknown, libc::ENOSYS)?])
}

fn program(rules: Rules, error: libc::c_int) -> Result<BpfProgram, Error> {
    let architecture = std::env::consts::ARCH.try_into()?;
    let refuse = SeccompAction::Errno(error.unsigned_abs());
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture)?.try_into()?)
}

/// Of a socket.
fn is_other_than(family: libc::c_int) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, u64::from(family.unsigned_abs()))
}

fn clones_with(flag: libc::c_int) -> Result<SeccompRule, BackendError> {
    let flag = u64::from(flag.cast_unsigned());
    SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)?])
}

/// Families of sockets that are left: others are large pieces of kernel that nobody here needs.
const FAMILIES: [libc::c_int; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Namespaces: within a new one root's parts of the kernel can be reached.
const NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Looking into other processes, changing the system, and parts of the kernel in which faults are found.
const NEVER: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ustat,
];

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::process::Command;
    use std::thread;

    use socket2::{Domain, Type};

    use super::*;

    /// A filter is for good, so it goes over a thread that ends; what the thread starts inherits it.
    fn within(commands: bool, test: impl FnOnce() + Send + 'static) {
        let confined = move || {
            let filters = filters(commands).expect("an architecture with filters");
            filters.iter().for_each(|filter| seccompiler::apply_filter(filter).expect("a kernel with filters"));
            test();
        };
        thread::spawn(confined).join().expect("no panic");
    }

    #[test]
    fn what_no_server_does_is_denied_and_commands_run() {
        within(true, || {
            for arguments in [&["--user", "true"][..], &["--mount", "true"]] {
                let denied = Command::new("unshare").args(arguments).output().expect("util-linux");
                assert!(!denied.status.success(), "{arguments:?}");
                assert!(String::from_utf8_lossy(&denied.stderr).contains("not permitted"), "{denied:?}");
            }
            assert!(Command::new("true").status().expect("it runs").success());
            let packets = socket2::Socket::new(Domain::PACKET, Type::RAW, None).expect_err("raw packets");
            assert_eq!(packets.kind(), ErrorKind::PermissionDenied);
            socket2::Socket::new(Domain::IPV4, Type::DGRAM, None).expect("what a nameserver has");
            assert_eq!(thread::spawn(|| 7).join().expect("threads are made all the same"), 7);
        });
    }

    #[test]
    fn without_commands_nothing_is_run() {
        within(false, || {
            let denied = Command::new("true").status().expect_err("denied");
            assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
        });
    }
}
