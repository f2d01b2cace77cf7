//! Layer 4: what the service manager is told, by the protocol of sd_notify(3): systemd, and whatever else sets
//! `NOTIFY_SOCKET`. Without one nobody is told, and that is no fault.

use std::time::Duration;

use sd_notify::NotifyState::{self, MainPid, Ready, Reloading, Status, Stopping, Watchdog};
use tracing::warn;

/// Queries are answered, and this is what to show people.
pub fn ready(status: &str) {
    tell(&[Ready, Status(status)]);
}

/// The files are being read again; [`ready`] ends that.
pub fn reloading() {
    // The moment is what `Type=notify-reload` pairs the message with.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[Reloading, now, Status("reading all files again")]),
        Err(_) => tell(&[Reloading]),
    }
}

/// What has arrived is still answered, and then there is an end.
pub fn stopping() {
    tell(&[Stopping, Status("stopping: what has arrived is answered")]);
}

/// From now on another process is the service.
pub fn main_is(pid: u32) {
    tell(&[MainPid(pid)]);
}

/// All that has to live does.
pub fn alive() {
    tell(&[Watchdog]);
}

/// How often the service manager wants to hear [`alive`] at least, if it does.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!("the service manager is not told: {error}");
    }
}
