//! A collector that listens on a Unix socket.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::frames;

/// How long a collector may take for anything. Whoever is slower loses what comes meanwhile, and no worker waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// A stream that a collector has accepted.
#[derive(Debug)]
pub(super) struct Collector(UnixStream);

impl Collector {
    /// Connects, and agrees with the collector on what is sent.
    pub(super) fn connect(path: &Path) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // A collector that listens and takes nobody in would hold us up for ever otherwise.
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)?;
        socket.set_nonblocking(false)?;
        let mut stream = UnixStream::from(OwnedFd::from(socket));
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        frames::begin_with(&mut stream)?;
        Ok(Self(stream))
    }

    pub(super) fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.0.write_all(octets)
    }

    /// Says that nothing more comes, and waits until the collector has all of it.
    pub(super) fn end(mut self) -> io::Result<()> {
        frames::end_with(&mut self.0)
    }
}
