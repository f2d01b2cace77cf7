//! What passes from process to process: sockets, the state folder, and where the log goes.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use listenfd::ListenFd;
use socket2::Socket;
use tokio::sync::watch;
use tracing::{error, warn};

use super::BuildError;
use super::memory::Memory;
use crate::admin::Control;
use crate::handover::{self, Heir, Offer, Passed};
use crate::metrics::Transport;
use crate::processor;
use crate::reload::drains::DrainHandle;
use crate::server::{Bound, Given};

/// What this process has of the one before it, or of a service manager.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    pub(super) given: Given,
    pub(super) giver: Option<Socket>,
    pub(super) log: Option<OwnedFd>,
    pub(super) heir: Option<Heir>,
    pub(super) watchdog: Option<Duration>,
    listener: Option<OwnedFd>,
    lock: Option<OwnedFd>,
}

impl Inherited {
    /// Sockets that the service manager has opened (sd_listen_fds(3)). A name may say what one is for: `udp`, `tcp`, `tls`,
    /// `https` or `quic`. Without such a name its address and its type do.
    pub(super) fn of_service_manager() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let (mut names, mut inherited) = (names.split(':'), Self::default());
        let mut list = ListenFd::from_env();
        for index in 0..list.len() {
            let transport = transport(names.next().unwrap_or_default());
            let kinds = [libc::AF_INET, libc::AF_INET6].into_iter().flat_map(|family| KINDS.map(|kind| (family, kind)));
            let taken = kinds.into_iter().find_map(|(family, kind)| {
                list.take_custom::<OwnedFd>(index, family, kind, "a socket of the Internet").ok().flatten()
            });
            if taken.is_none_or(|descriptor| inherited.given.push(transport, descriptor).is_err()) {
                warn!("descriptor {index} of the service manager is no bound UDP or TCP socket, and not used");
            }
        }
        inherited
    }

    /// Everything that the process which runs on `state` has.
    pub(super) fn of_running(state: &Path) -> Result<Self, BuildError> {
        let (Offer { passed, watchdog }, heir) =
            handover::ask(state).map_err(|error| BuildError::NoPredecessor { state: state.to_owned(), error })?;
        let mut inherited = Self { heir: Some(heir), watchdog, ..Self::default() };
        for (name, descriptor) in passed {
            match name.as_str() {
                CONTROL => inherited.listener = Some(descriptor),
                LOCK => inherited.lock = Some(descriptor),
                GIVER => inherited.giver = Some(descriptor.into()),
                LOG => inherited.log = Some(descriptor),
                // What another version passes and this one does not know is closed.
                name => drop(inherited.given.push(transport(name), descriptor)),
            }
        }
        Ok(inherited)
    }

    /// The control socket and the state folder, if they were inherited.
    pub(super) fn control(&mut self, state: &Path) -> io::Result<Option<Control>> {
        let (Some(listener), Some(lock)) = (self.listener.take(), self.lock.take()) else { return Ok(None) };
        Control::inherit(state, listener, lock).map(Some)
    }
}

fn transport(name: &str) -> Option<Transport> {
    Transport::ALL.iter().copied().find(|transport| transport.label() == name)
}

/// What this process has for the next one.
#[derive(Debug)]
pub(super) struct Estate {
    passed: Vec<Passed>,
    watchdog: Option<Duration>,
}

impl Estate {
    /// Copies of all that was taken.
    pub(super) fn of(
        bound: &Bound,
        admin: Option<&TcpListener>,
        control: &Control,
        giver: &Socket,
        watchdog: Option<Duration>,
    ) -> io::Result<Self> {
        let mut passed: Vec<Passed> = Vec::new();
        for (transport, descriptor) in bound.copies()? {
            passed.push((transport.label().to_owned(), descriptor));
        }
        if let Some(admin) = admin {
            passed.push((ADMIN.into(), admin.try_clone()?.into()));
        }
        passed.push((CONTROL.into(), control.listener.try_clone()?.into()));
        passed.push((LOCK.into(), control.ownership.copy()?));
        passed.push((GIVER.into(), giver.try_clone()?.into()));
        Ok(Self { passed, watchdog })
    }

    /// Copies for the next process. The state folder is nobody's from now on: what is known is written before.
    pub(super) async fn lend(&self, custody: &Custody) -> io::Result<Offer> {
        custody.let_go().await;
        let copy = |(name, descriptor): &Passed| Ok((name.clone(), descriptor.try_clone()?));
        let mut passed = self.passed.iter().map(copy).collect::<io::Result<Vec<_>>>()?;
        // As it is now: the log of a process that has taken over goes where that of the one before went.
        passed.push((LOG.into(), io::stderr().as_fd().try_clone_to_owned()?));
        Ok(Offer { passed, watchdog: self.watchdog })
    }
}

/// Who writes in the state folder, and what.
pub(super) struct Custody {
    pub(super) ours: watch::Sender<bool>,
    pub(super) memory: Arc<Memory>,
    pub(super) drains: DrainHandle,
}

impl Custody {
    /// Writes what is to be known of, and no more.
    pub(super) async fn let_go(&self) {
        let memory = Arc::clone(&self.memory);
        if let Err(panic) = processor::aside(move || memory.keep()).await {
            error!("verdicts could not be written: {panic}");
        }
        // A server that is about to end has written it.
        let _ = self.drains.keep().await;
        self.ours.send_replace(false);
    }

    /// Writes again.
    pub(super) fn take(&self) {
        self.ours.send_replace(true);
    }
}

const KINDS: [libc::c_int; 2] = [libc::SOCK_DGRAM, libc::SOCK_STREAM];
/// Names of what is no socket of DNS.
const ADMIN: &str = "admin";
const CONTROL: &str = "control";
const LOCK: &str = "lock";
const GIVER: &str = "handover";
const LOG: &str = "log";
