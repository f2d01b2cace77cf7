//! How a client takes what it is sent: hickory's stream writes by itself, and does not say how far it has come.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::server::stream::Stream;

/// What is known of a client; one thread writes and reads it.
#[derive(Default)]
pub(super) struct Pace {
    taken: AtomicU64,
    is_behind: AtomicBool,
}

impl Pace {
    /// Octets that have been taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// Whether there is more for the client than it takes.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind.load(Relaxed)
    }

    fn note(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(octets)) => self.taken.store(self.taken() + *octets as u64, Relaxed),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.is_behind.store(true, Relaxed),
        }
    }
}

/// A stream whose pace is watched.
pub(super) struct Paced {
    stream: Stream,
    pace: Arc<Pace>,
}

impl Paced {
    pub(super) fn new(stream: Stream) -> (Self, Arc<Pace>) {
        let pace = Arc::<Pace>::default();
        (Self { stream, pace: Arc::clone(&pace) }, pace)
    }
}

impl AsyncRead for Paced {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // It is read when all is written.
        self.pace.is_behind.store(false, Relaxed);
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Paced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, octets);
        self.pace.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, octets);
        self.pace.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
