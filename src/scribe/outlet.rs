//! Where frames go.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::file::Growing;
use super::frames;
use super::socket::Collector;
use crate::reach;

/// Frames are written when so many octets have come together, or nothing more comes.
const WRITE: usize = 64 << 10;
/// How long it is until what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// One place that frames go to, be it there or not.
pub(super) struct Outlet {
    target: Target,
    /// Frames that are not written yet, and how many.
    buffer: Vec<u8>,
    count: u64,
    /// When it failed last.
    failed: Option<Instant>,
    /// Whether the log says that it fails.
    told: bool,
}

enum Target {
    Socket(PathBuf, Option<Collector>),
    File(PathBuf, Option<Growing>),
}

impl Outlet {
    pub(super) fn socket(path: PathBuf) -> Self {
        Self::new(Target::Socket(path, None))
    }

    pub(super) fn file(path: PathBuf) -> Self {
        Self::new(Target::File(path, None))
    }

    fn new(target: Target) -> Self {
        Self { target, buffer: Vec::new(), count: 0, failed: None, told: false }
    }

    /// Whether it is one of those that are wanted.
    pub(super) fn is_at(&self, socket: Option<&Path>, file: Option<&Path>) -> bool {
        match &self.target {
            Target::Socket(path, _) => Some(path.as_path()) == socket,
            Target::File(path, _) => Some(path.as_path()) == file,
        }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.target, &other.target) {
            (Target::Socket(path, _), Target::Socket(other, _)) | (Target::File(path, _), Target::File(other, _)) => {
                path == other
            }
            _ => false,
        }
    }

    /// Begins what is not there, if it is time to; lets go of a file that was moved away.
    pub(super) fn look(&mut self) {
        if let Target::File(_, file) = &mut self.target
            && file.as_mut().is_some_and(Growing::is_gone)
        {
            self.end();
        }
        if self.is_open() || self.failed.is_some_and(|failed| failed.elapsed() < RETRY) {
            return;
        }
        let begun = match &mut self.target {
            Target::Socket(path, collector) => Collector::connect(path).map(|new| *collector = Some(new)),
            Target::File(path, file) => Growing::anew(path).and_then(|mut new| {
                frames::begin(&mut new)?;
                *file = Some(new);
                Ok(())
            }),
        };
        match begun {
            Ok(()) => {
                info!("dnstap goes to {}", self.path().display());
                (self.failed, self.told) = (None, false);
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Takes a frame; says how many were lost meanwhile.
    pub(super) fn put(&mut self, frame: &[u8]) -> u64 {
        frames::put(&mut self.buffer, frame);
        self.count += 1;
        if self.buffer.len() >= WRITE { self.flush() } else { 0 }
    }

    /// Writes what has come together; says how many frames were lost.
    pub(super) fn flush(&mut self) -> u64 {
        if self.count == 0 {
            return 0;
        }
        let written = match &mut self.target {
            Target::Socket(_, Some(collector)) => collector.send(&self.buffer),
            Target::File(_, Some(file)) => file.append(&self.buffer),
            _ => Err(std::io::ErrorKind::NotConnected.into()),
        };
        self.buffer.clear();
        let count = std::mem::take(&mut self.count);
        match written {
            Ok(()) => {
                self.told = false;
                0
            }
            Err(error) => {
                if self.is_open() {
                    // A collector that took half a frame takes no more; a file has forgotten its half.
                    if let Target::Socket(_, collector) = &mut self.target {
                        *collector = None;
                    }
                    self.fail(&error);
                }
                count
            }
        }
    }

    /// Ends the stream in order.
    pub(super) fn end(&mut self) {
        let _ = self.flush();
        // What cannot be ended in order is ended anyway.
        let _ = match &mut self.target {
            Target::Socket(_, collector) => collector.take().map(Collector::end),
            Target::File(_, file) => file.take().map(|mut file| frames::end(&mut file)),
        };
    }

    fn is_open(&self) -> bool {
        match &self.target {
            Target::Socket(_, collector) => collector.is_some(),
            Target::File(_, file) => file.is_some(),
        }
    }

    fn fail(&mut self, error: &std::io::Error) {
        self.failed = Some(Instant::now());
        if !std::mem::replace(&mut self.told, true) {
            let remedy = match &self.target {
                Target::Socket(..) => String::new(),
                Target::File(path, _) => reach::remedy_to_write(path, error),
            };
            warn!("dnstap is lost until {} takes it: {error}{remedy}", self.path().display());
        }
    }

    fn path(&self) -> &Path {
        match &self.target {
            Target::Socket(path, _) | Target::File(path, _) => path,
        }
    }
}
