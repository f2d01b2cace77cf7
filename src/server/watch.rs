//! What a worker shows of its messages to those who write them down, if anybody wants it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::config::Settings;
use crate::metrics::{Counters, Event, Outcome, Transport};
use crate::tap::{Exchange, Shares, Tap};

/// When a message was read: by the clock on the wall, and by one that never goes back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    since_1970: Duration,
    instant: Instant,
}

/// The two ends of the way of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// Who asks; not the proxy between us, if there is one.
    pub(super) client: SocketAddr,
    /// The address of ours that was asked.
    pub(super) local: SocketAddr,
}

/// What is wanted of the messages.
#[inline]
pub(super) fn shares(settings: &Settings) -> Shares {
    Shares { dnstap: settings.dnstap.sample, log: settings.query_log.sample }
}

impl Begun {
    pub(super) fn now() -> Self {
        // A clock before 1970 is wrong in any case.
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { since_1970, instant: Instant::now() }
    }
}

/// Shows a message and its reply, if it is one of the shares that are wanted. What finds no room is counted. Out of the way
/// of all messages while nothing is wanted.
#[cold]
#[inline(never)]
pub(super) fn show(
    tap: &mut Tap,
    (shares, begun, counters): (Shares, Begun, &Arc<Counters>),
    (transport, outcome): (Transport, Outcome),
    ends: Ends,
    (query, reply): (&[u8], Option<&[u8]>),
) {
    let Some(purposes) = tap.choose(shares) else { return };
    let Ends { client, local } = ends;
    let (asked, took) = (begun.since_1970, begun.instant.elapsed());
    let exchange = Exchange { purposes, transport, outcome, client, local, asked, took, query, reply };
    if tap.put(&exchange).is_err() {
        counters.event(Event::TapLost, 1);
    }
}
