//! Certificates and their keys from PEM files (RFC 7468), paired by the key itself: whatever the files are called.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::prelude::X509Certificate;

use crate::reach;

/// A certificate chain with its key.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    /// The DNS names that the certificate is for, in lower case.
    pub(super) names: Vec<String>,
    /// Where the certificate stands.
    pub(super) file: PathBuf,
    pub(super) ends: Timestamp,
}

impl Pair {
    /// What tells it from others: the chain, and where it stands.
    pub(super) fn identity(&self) -> (&[CertificateDer<'static>], &Path) {
        (&self.key.cert, &self.file)
    }
}

/// What some files hold.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In the order of the files.
    pub(super) pairs: Vec<Pair>,
    /// Those that are over, or have not begun.
    pub(super) untimely: Vec<Pair>,
    pub(super) faults: Vec<CertificateFault>,
}

/// What is wrong with a file of certificates or keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct CertificateFault {
    /// The file.
    pub file: PathBuf,
    /// What was found there, and what would be right.
    pub problem: String,
}

/// One file's octets, or why there are none.
pub(super) type Text = (PathBuf, Result<Vec<u8>, String>);

/// Reads every file of `paths`, of which folders stand for what is in them.
pub(super) fn read(paths: &[PathBuf]) -> Vec<Text> {
    let mut texts = Vec::new();
    for path in paths {
        match files(path) {
            Ok(files) => texts.extend(files.into_iter().map(|file| {
                let octets = fs::read(&file).map_err(|error| words(&file, &error));
                (file, octets)
            })),
            Err(error) => texts.push((path.clone(), Err(words(path, &error)))),
        }
    }
    texts
}

/// Root has read them at the start, perhaps; whoever renews them is to know what has changed since.
fn words(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let user = "the user that the server runs as may not read it; one that it may";
            reach::remedy(path, error, user).into_owned()
        }
        _ => error.to_string(),
    }
}

/// Pairs what the files hold, as it is at the time `now`.
pub(super) fn pair(texts: &[Text], now: Timestamp) -> Found {
    let mut found = Found::default();
    let (mut chains, mut keys) = (Vec::new(), Vec::new());
    for (file, octets) in texts {
        let sections = octets.as_deref().map_err(Clone::clone).and_then(sections);
        match sections {
            Ok((chain, mut own)) => {
                keys.append(&mut own);
                if !chain.is_empty() {
                    chains.push((file, chain));
                }
            }
            Err(problem) => found.fault(file, problem),
        }
    }
    // `cert.pem` beside `fullchain.pem`: of chains with the same first certificate the longest is served.
    chains.sort_by_key(|(_, chain)| std::cmp::Reverse(chain.len()));
    let mut first_seen: Vec<CertificateDer<'static>> = Vec::new();
    for (file, chain) in chains {
        if !first_seen.contains(&chain[0]) {
            first_seen.push(chain[0].clone());
            found.take(file, &chain, &keys, now);
        }
    }
    let place = |pair: &Pair| texts.iter().position(|(file, _)| *file == pair.file);
    found.pairs.sort_by_key(place);
    found
}

impl Found {
    fn take(&mut self, file: &Path, chain: &[CertificateDer<'static>], keys: &[Arc<dyn SigningKey>], now: Timestamp) {
        let Ok((_, certificate)) = parse_x509_certificate(&chain[0]) else {
            return self.fault(file, "what stands there as a certificate is none".into());
        };
        let validity = certificate.validity();
        let ends = Timestamp::from_second(validity.not_after.timestamp()).unwrap_or(Timestamp::MAX);
        let starts = Timestamp::from_second(validity.not_before.timestamp()).unwrap_or(Timestamp::MIN);
        let pairs = keys.iter().map(|key| CertifiedKey::new(chain.to_vec(), Arc::clone(key)));
        let Some(key) = pairs.into_iter().find(|pair| pair.keys_match().is_ok()) else {
            // A file of the chain alone, as certbot has it, is no fault: authorities keep their keys.
            if !certificate.is_ca() {
                self.fault(file, "the certificate has no key; its private key, here or in a file beside it".into());
            }
            return;
        };
        let pair = Pair { key: Arc::new(key), names: names(&certificate), file: file.to_owned(), ends };
        if ends < now {
            self.untimely.push(pair);
            self.fault(file, format!("the certificate ended at {ends}; a new one"));
        } else if starts > now {
            self.untimely.push(pair);
            self.fault(file, format!("the certificate begins at {starts} only; one that holds, or the right time"));
        } else {
            self.pairs.push(pair);
        }
    }

    fn fault(&mut self, file: &Path, problem: String) {
        self.faults.push(CertificateFault { file: file.to_owned(), problem });
    }
}

fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && file.is_file() {
            files.push(file);
        }
    }
    files.sort_unstable();
    Ok(files)
}

type Sections = (Vec<CertificateDer<'static>>, Vec<Arc<dyn SigningKey>>);

/// The certificates and the keys of one file; what else is in it is not ours.
fn sections(text: &[u8]) -> Result<Sections, String> {
    let (mut chain, mut keys) = (Vec::new(), Vec::new());
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        let (kind, der) = section.map_err(|_| "the PEM is broken or cut off; a file that is whole")?;
        let key = match kind {
            SectionKind::Certificate => {
                chain.push(CertificateDer::from(der));
                continue;
            }
            SectionKind::PrivateKey => PrivateKeyDer::Pkcs8(der.into()),
            SectionKind::RsaPrivateKey => PrivateKeyDer::Pkcs1(der.into()),
            SectionKind::EcPrivateKey => PrivateKeyDer::Sec1(der.into()),
            _ => continue,
        };
        let key = any_supported_type(&key);
        keys.push(key.map_err(|_| "a private key that is broken or of no kind that is served; RSA, ECDSA or Ed25519")?);
    }
    Ok((chain, keys))
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    names.collect()
}
