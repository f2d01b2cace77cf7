//! What is spoken over a connection that a door has taken.

use std::cell::RefCell;
use std::rc::Rc;
#[cfg(feature = "portable")]
use std::sync::Arc;
use std::time::Duration;

#[cfg(any(feature = "encrypted", all(target_os = "linux", not(without_batch))))]
use super::connection::Connection;
use super::desk::Desk;
#[cfg(feature = "encrypted")]
use super::encrypted::{Handshake, Https};
#[cfg(feature = "portable")]
use super::hickory::{self, Adapter};
use super::stream::Stream;
use super::watch::Ends;

/// One way to speak DNS over a stream.
#[derive(Clone)]
pub(super) enum Service {
    /// Frames, for all to read.
    #[cfg(all(target_os = "linux", not(without_batch)))]
    Plain,
    /// The same, by hickory's streams.
    #[cfg(feature = "portable")]
    Portable(Arc<Adapter>),
    /// Frames inside TLS (RFC 7858).
    #[cfg(feature = "encrypted")]
    Tls(Handshake),
    /// Messages as HTTP has them (RFC 8484).
    #[cfg(feature = "encrypted")]
    Https(Https),
}

impl Service {
    /// Serves one connection to its end.
    pub(super) async fn serve(self, stream: Stream, ends: Ends, desk: Rc<RefCell<Desk>>, idle: Duration) {
        match self {
            #[cfg(all(target_os = "linux", not(without_batch)))]
            Self::Plain => Connection::new(stream, ends, desk, idle).serve().await,
            #[cfg(feature = "portable")]
            Self::Portable(adapter) => {
                // Its adapter has a desk of its own.
                drop(desk);
                hickory::converse(stream, ends, &adapter, idle).await;
            }
            #[cfg(feature = "encrypted")]
            Self::Tls(handshake) => {
                if let Some(stream) = handshake.accept(stream, &desk).await {
                    Connection::new(stream, ends, desk, idle).serve().await;
                }
            }
            #[cfg(feature = "encrypted")]
            Self::Https(https) => https.serve(stream, ends, desk, idle).await,
        }
    }
}
