//! The log of queries: lines that come together and are appended to a file, or to standard error.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tracing::warn;

use super::file::Growing;
use super::line::Line;
use crate::config::QueryLog;
use crate::reach;
use crate::tap::Exchange;

/// Lines are written when so many octets have come together, or nothing more comes.
const WRITE: usize = 64 << 10;
/// How long it is until a file that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Lines, and where they go.
#[derive(Debug, Default)]
pub(super) struct Log {
    config: QueryLog,
    file: Option<(PathBuf, Growing)>,
    buffer: Vec<u8>,
    lines: u64,
    /// Lines that could not be written.
    lost: u64,
    failed: Option<Instant>,
    told: bool,
}

impl Log {
    /// Opens the file that is wanted, and lets go of one that is not, or was moved away.
    pub(super) fn follow(&mut self, config: &QueryLog) {
        if self.config != *config {
            self.config = config.clone();
        }
        let wanted = config.file.as_ref().filter(|_| config.sample > 0.0);
        let is_gone = |(path, file): &mut (PathBuf, Growing)| Some(&*path) != wanted || file.is_gone();
        if self.file.as_mut().is_some_and(is_gone) {
            self.write_out();
            self.file = None;
        }
        let Some(path) = wanted.filter(|_| self.file.is_none()) else { return };
        if self.failed.is_some_and(|failed| failed.elapsed() < RETRY) {
            return;
        }
        match Growing::open(path) {
            Ok(file) => {
                self.file = Some((path.clone(), file));
                (self.failed, self.told) = (None, false);
            }
            Err(error) => {
                let path = path.clone();
                self.fail(&path, &error);
            }
        }
    }

    pub(super) fn write(&mut self, exchange: &Exchange<'_>) {
        let line = Line::of(exchange, self.config.networks);
        let written = match self.config.json {
            true => serde_json::to_writer(&mut self.buffer, &line).map_err(io::Error::from),
            false => write!(self.buffer, "{line}"),
        };
        written.expect("a vector takes everything");
        self.buffer.push(b'\n');
        self.lines += 1;
        if self.buffer.len() >= WRITE {
            self.write_out();
        }
    }

    /// Writes what has come together; says how many lines were lost since the last time.
    pub(super) fn flush(&mut self) -> u64 {
        self.write_out();
        std::mem::take(&mut self.lost)
    }

    fn write_out(&mut self) {
        if self.lines == 0 {
            return;
        }
        let written = match (&mut self.file, &self.config.file) {
            (Some((_, file)), _) => file.append(&self.buffer),
            (None, Some(_)) => Err(io::ErrorKind::NotFound.into()),
            (None, None) => io::stderr().lock().write_all(&self.buffer),
        };
        self.buffer.clear();
        let lines = std::mem::take(&mut self.lines);
        if let Err(error) = written {
            self.lost += lines;
            if let Some((path, _)) = &self.file {
                let path = path.clone();
                self.fail(&path, &error);
            }
        }
    }

    fn fail(&mut self, path: &std::path::Path, error: &io::Error) {
        self.failed = Some(Instant::now());
        if !std::mem::replace(&mut self.told, true) {
            let remedy = reach::remedy_to_write(path, error);
            warn!("the log of queries is lost until {} takes it: {error}{remedy}", path.display());
        }
    }
}
