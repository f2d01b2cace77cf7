//! What is spoken over a connection that a door has taken.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::connection::Connection;
use super::desk::Desk;
#[cfg(feature = "encrypted")]
use super::encrypted::{Handshake, Https};
use super::stream::Stream;
use super::watch::Ends;

/// One way to speak DNS over a stream.
#[derive(Clone)]
pub(super) enum Service {
    /// Frames, for all to read.
    Plain,
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
            Self::Plain => Connection::new(stream, ends, desk, idle).serve().await,
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
