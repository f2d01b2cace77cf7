//! The two ends of a connection's stream: what is read and written without waiting, and what may end it from outside.

use std::io::{self, IoSlice, Read};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// A TCP stream as its connection has it.
pub(super) struct Stream {
    tcp: Arc<TcpStream>,
    /// What was read already and is read again first.
    ahead: Vec<u8>,
}

/// The same stream as its door has it: enough to end it by.
pub(super) struct Ending(Weak<TcpStream>);

impl Stream {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { tcp: Arc::new(stream), ahead: Vec::new() }
    }

    pub(super) fn ending(&self) -> Ending {
        Ending(Arc::downgrade(&self.tcp))
    }

    /// Has what was read too far read again.
    pub(super) fn put_back(&mut self, octets: &[u8]) {
        self.ahead.extend_from_slice(octets);
    }
}

impl Ending {
    /// Has the connection find its end after what has been received: the same end as if the client had sent no more.
    pub(super) fn end(&self) {
        if let Some(stream) = self.0.upgrade() {
            // It fails on a connection that the client has reset, which ends by itself.
            let _ = SockRef::from(&*stream).shutdown(Shutdown::Read);
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let octets = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..octets]);
            self.ahead.drain(..octets);
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            let room = buffer.initialize_unfilled();
            let (size, mut outcome) = (room.len(), Ok(0));
            // When less came than there was room for, the kernel has no more: saying `WouldBlock` to the runtime then saves
            // the call that would only find that out. The end of the stream wakes us all the same.
            let _ = self.tcp.try_io(Interest::READABLE, || {
                outcome = (&*SockRef::from(&*self.tcp)).read(room);
                match outcome {
                    Ok(octets) if octets == size => Ok(()),
                    _ => Err(io::ErrorKind::WouldBlock.into()),
                }
            });
            match outcome {
                Ok(octets) => {
                    buffer.advance(octets);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if is_transient(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp.poll_write_ready(cx))?;
            match self.tcp.try_write(octets) {
                Err(error) if is_transient(&error) => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// A length and its message are to leave together (RFC 7766 section 8).
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp.poll_write_ready(cx))?;
            match self.tcp.try_write_vectored(octets) {
                Err(error) if is_transient(&error) => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Nothing: the stream is closed when it is dropped, after its last octet as TCP has it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
