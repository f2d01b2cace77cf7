//! What the program takes of the system while it may, and what it gives up then: before there is a second thread.
//!
//! ```text
//! user? ─► sockets ─► processors ─► certificates ─► become the user ─► state folder ─► sandbox
//! ```

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::Socket;
use tracing::{info, warn};

use super::elsewhere::Elsewhere;
use super::estate::Inherited;
use super::{BuildError, certificates};
use crate::admin::{self, Control, api};
use crate::config::Settings;
use crate::handover::{self, Heir};
use crate::privileges::{self, Account, Files};
use crate::processor;
use crate::reload::SettingsSource;
use crate::server::{self, Bound};
use crate::supervisor;

/// The sockets, the state folder, and what is left of the privileges.
#[derive(Debug)]
pub struct Taken {
    pub(super) bound: Bound,
    pub(super) admin: Option<TcpListener>,
    pub(super) control: Control,
    pub(super) privileges: api::Privileges,
    /// Where the next process will ask.
    pub(super) giver: Socket,
    /// The process before this one waits here.
    pub(super) heir: Option<Heir>,
    /// Where its log goes.
    pub(super) log: Option<OwnedFd>,
    pub(super) watchdog: Option<Duration>,
}

impl Taken {
    /// Takes all of it; with `takeover` from the process that runs on the same state folder, as far as that has it. To be
    /// called while the process has one thread.
    ///
    /// # Errors
    /// With the first that cannot be had, or cannot be given up.
    pub fn take(source: &SettingsSource, settings: &Settings, takeover: bool) -> Result<Self, BuildError> {
        raise_file_limit(settings);
        let account = Account::wanted(settings.user.as_deref())?;
        let mut inherited = match takeover {
            true => Inherited::of_running(&settings.state)?,
            false => Inherited::of_service_manager(),
        };
        // Root makes nothing in the folder of somebody else.
        let control = match inherited.control(&settings.state).map_err(BuildError::State)? {
            None if account.is_none() => Some(Control::bind(&settings.state)?),
            inherited => inherited,
        };
        let mut given = inherited.given;
        let bound = server::bind(settings, &mut given)?;
        let listener = |address| given.listener(address).map_or_else(|| admin::listen(address), Ok);
        let admin = settings.admin.map(listener).transpose()?;
        for address in given.unclaimed() {
            warn!(%address, "a socket that was passed on is not in the settings, and is closed");
        }
        tell(settings, &bound, admin.as_ref());
        if let Err(error) = processor::stay_off(bound.processors()) {
            warn!("the processors of pinned workers are shared: {error}");
        }
        if let Some(account) = account {
            certificates::read_ahead(&bound, settings);
            account.own(&settings.state)?;
            account.become_it()?;
        }
        privileges::drop_capabilities()?;
        let control = control.map_or_else(|| Control::bind(&settings.state), Ok)?;
        let giver = inherited.giver.map_or_else(|| handover::listen(&settings.state), Ok).map_err(BuildError::State)?;
        let in_force = privileges::confine(&settings.sandbox, || files(settings, &source.file()))?;
        let privileges = api::Privileges {
            user: privileges::own_name(),
            no_new_privileges: privileges::no_new_privileges(),
            landlock: in_force.landlock.name().into(),
            seccomp: if in_force.seccomp { "enforced" } else { "off" }.into(),
            commands: in_force.commands,
        };
        let (heir, log) = (inherited.heir, inherited.log);
        let watchdog = inherited.watchdog.or_else(supervisor::watchdog);
        Ok(Self { bound, admin, control, privileges, giver, heir, log, watchdog })
    }
}

fn tell(settings: &Settings, bound: &Bound, admin: Option<&TcpListener>) {
    for address in bound.addresses() {
        info!(addr = %address, workers = settings.workers, "listening for DNS");
    }
    tell_receive_buffer(settings.udp.receive_buffer, bound.receive_buffer());
    #[cfg(feature = "encrypted")]
    for (transport, address) in bound.encrypted_addresses() {
        info!(addr = %address, "listening for DNS by {}", transport.label());
    }
    if let Some(address) = admin.and_then(|admin| admin.local_addr().ok()) {
        info!(%address, "status by HTTP");
    }
}

/// What is read, written and run from now on. Anything is run only for a check or an alert.
fn files(settings: &Settings, file: &Path) -> Files {
    let Elsewhere { read, commands, .. } = Elsewhere::of(settings, file);
    let mut files = Files::of(settings, file, commands || settings.alert.command.is_some());
    files.read.extend(read);
    files
}

/// Each connection and each probe under way takes a file descriptor. The soft limit is often 1024, for programs that use
/// `select`; this one does not, and takes what the hard limit gives.
fn raise_file_limit(settings: &Settings) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // If it is refused, the soft limit stays; whether that is enough is said below.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    let encrypted = &settings.encrypted;
    let streams = [&encrypted.tls, &encrypted.https].into_iter().filter(|door| !door.is_empty()).count();
    let connections = settings.limits.tcp_connections + streams * encrypted.connections;
    let needed = (connections + settings.limits.probes + FILES_BESIDE) as u64;
    if let Some(granted) = getrlimit(Resource::Nofile).current.filter(|granted| *granted < needed) {
        warn!(
            granted,
            needed,
            "limits.tcp_connections, tls.connections and limits.probes ask for more open files than the system grants"
        );
    }
}

/// A full buffer drops queries, so whoever runs a busy server must know how large it is.
fn tell_receive_buffer(asked: usize, granted: usize) {
    info!(asked, granted, "octets of queries that may wait for each worker at each address");
    if granted < asked {
        warn!("the system grants less than udp.receive_buffer; `sysctl -w net.core.rmem_max={asked}` would let it");
    }
}

/// Files open beside connections and probes: sockets that listen, zone files being read, the log.
const FILES_BESIDE: usize = 64;
