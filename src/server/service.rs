//! What is spoken over a connection that a door has taken.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

#[cfg(any(feature = "encrypted", all(target_os = "linux", not(without_batch))))]
use super::connection::Connection;
use super::desk::Desk;
#[cfg(feature = "encrypted")]
use super::encrypted::{Handshake, Https};
#[cfg(feature = "portable")]
use super::hickory::{self, Adapter};
use super::limit::Limit;
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
    /// Whether a handshake comes first.
    pub(super) fn is_encrypted(&self) -> bool {
        match self {
            #[cfg(all(target_os = "linux", not(without_batch)))]
            Self::Plain => false,
            #[cfg(feature = "portable")]
            Self::Portable(_) => false,
            #[cfg(feature = "encrypted")]
            Self::Tls(_) | Self::Https(_) => true,
        }
    }

    /// Serves one connection to its end. With `inside`, a proxy says who the client is when the stream is encrypted, and the
    /// client is admitted by this limit then.
    pub(super) async fn serve(
        self,
        stream: Stream,
        ends: Ends,
        #[cfg_attr(not(feature = "encrypted"), expect(unused_variables, reason = "only the encrypted has an inside"))]
        inside: Option<Arc<Limit>>,
        desk: Rc<RefCell<Desk>>,
        idle: Duration,
    ) {
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
                if let Some((stream, ends, _place)) = handshake.accept(stream, ends, inside, &desk).await {
                    Connection::new(stream, ends, desk, idle).serve().await;
                }
            }
            #[cfg(feature = "encrypted")]
            Self::Https(https) => https.serve(stream, ends, inside, desk, idle).await,
        }
    }
}
