//! Whose certificates are believed: the keys `ca` and `verify`.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use data_encoding::HEXLOWER;
use sha1::{Digest, Sha1};

use super::reader::Item;
use crate::reach;

/// Whose certificates a connection by TLS believes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Those that lead to a root of the system.
    #[default]
    System,
    /// Those that lead to one of these.
    Authorities(Authorities),
    /// Every one, whoever made it and whatever it says.
    Anyone,
}

/// Certificates that were read from a file.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Authorities {
    file: PathBuf,
    pem: Arc<str>,
}

/// Why a file gives no certificates.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// It cannot be read.
    #[error("{}: {error}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is something else.
    #[error("{} holds no certificate", .0.display())]
    Empty(PathBuf),
}

impl AuthoritiesError {
    /// What would be right: a way past the sandbox when it keeps the file closed, else `otherwise`.
    pub(super) fn remedy(&self, otherwise: &'static str) -> Cow<'static, str> {
        match self {
            Self::Read { file, error } => reach::remedy(file, error, otherwise),
            Self::Empty(_) => otherwise.into(),
        }
    }
}

impl Authorities {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or holds no certificate as PEM.
    pub fn load(path: &Path) -> Result<Self, AuthoritiesError> {
        let file = path.to_owned();
        match fs::read_to_string(path) {
            Ok(pem) if pem.contains("-----BEGIN CERTIFICATE-----") => Ok(Self { file, pem: pem.into() }),
            Ok(_) => Err(AuthoritiesError::Empty(file)),
            Err(error) => Err(AuthoritiesError::Read { file, error }),
        }
    }

    /// Where they were read.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The text of the file, which holds at least one certificate as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.file, f)
    }
}

/// Two that believe the same are written the same, and a file that has changed is written otherwise.
impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Authorities(authorities) => f.write_str(&HEXLOWER.encode(&Sha1::digest(authorities.pem.as_bytes()))),
            Self::Anyone => f.write_str("anyone"),
        }
    }
}

/// A file of certificates, read at once: one that cannot be used is a fault of the key, not of every later connection.
pub(super) fn authorities(item: &Item<'_>) -> Option<Authorities> {
    let expected = "the path of a file with certificates as PEM";
    let Some(path) = item.as_str().filter(|path| !path.is_empty()) else { return item.wrong(expected) };
    Authorities::load(&item.folder().join(path))
        .map_or_else(|error| item.wrong_as(&error, error.remedy(expected)), Some)
}
