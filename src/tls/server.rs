//! The certificates that the encrypted doors show, exchanged while they are open.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::pairs::{CertificateFault, Pair, pair, read};

/// The certificates that are shown, by the name that the client asks for.
#[derive(Debug)]
pub struct Certificates {
    shown: ArcSwap<Vec<Pair>>,
    /// One key for the tickets of all doors and threads: a session may be resumed wherever the client comes in again.
    tickets: Arc<dyn ProducesTickets>,
}

/// One certificate that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The DNS names that it is for.
    pub names: Vec<String>,
    /// The file that it was read from.
    pub file: PathBuf,
    /// When it ends.
    pub ends: Timestamp,
}

/// What a look at the files came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// What is wrong with the files now.
    pub faults: Vec<CertificateFault>,
    /// Whether other certificates are shown than before.
    pub changed: bool,
}

impl Default for Certificates {
    /// None at all: handshakes fail until there are some.
    fn default() -> Self {
        Self { shown: ArcSwap::default(), tickets: ring::Ticketer::new().expect("the system has randomness") }
    }
}

impl Certificates {
    /// Reads the files, and folders of files, at `paths`. What is good is shown from the next handshake on. While something is
    /// wrong with the files, a certificate that was shown stays for every name that the good ones lack.
    pub fn refresh(&self, paths: &[PathBuf], now: Timestamp) -> Refreshed {
        let mut found = pair(&read(paths), now);
        if let (true, true, Some(path)) = (found.pairs.is_empty(), found.faults.is_empty(), paths.first()) {
            let problem = "there is no certificate; a PEM file of it, and of its private key".into();
            found.faults.push(CertificateFault { file: path.clone(), problem });
        }
        let (mut shown, old) = (found.pairs, self.shown.load());
        if !found.faults.is_empty() {
            // An old certificate goes before one that is over, even if it is over itself: it has at least been good.
            for pair in old.iter().chain(&found.untimely) {
                let is_new = |name: &String| !shown.iter().any(|other: &Pair| other.names.contains(name));
                if pair.names.iter().any(is_new) || shown.is_empty() {
                    shown.push(pair.clone());
                }
            }
        }
        // A file that is read while it is written changes nothing yet.
        let changed = !shown.iter().map(Pair::identity).eq(old.iter().map(Pair::identity));
        self.shown.store(Arc::new(shown));
        Refreshed { faults: found.faults, changed }
    }

    /// What is shown now.
    pub fn list(&self) -> Vec<Certificate> {
        let certificate =
            |pair: &Pair| Certificate { names: pair.names.clone(), file: pair.file.clone(), ends: pair.ends };
        self.shown.load().iter().map(certificate).collect()
    }

    /// TLS 1.3 for a door that speaks `protocol` (RFC 7301). Nothing older: every client that speaks DNS over TLS has had
    /// 1.3 for years, and transfers may not use less (RFC 9103 section 8.1).
    pub fn server_config(self: &Arc<Self>, protocol: &[u8]) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .expect("ring speaks TLS 1.3")
            .with_no_client_auth();
        let mut config = builder.with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![protocol.to_vec()];
        config.ticketer = Arc::clone(&self.tickets);
        config.send_tls13_tickets = 1;
        Arc::new(config)
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown.load();
        let usable = || shown.iter().filter(|pair| pair.key.key.choose_scheme(schemes).is_some());
        let name = name.map(str::to_ascii_lowercase);
        // Of several for one name: the one whose signature is cheap, then the one that holds longest.
        let best = name.and_then(|name| {
            usable().filter(|pair| pair.is_for(&name)).max_by_key(|pair| (pair.is_cheap(), pair.ends))
        });
        // Who asks for no name, or for one that we lack, may not care for names at all (RFC 9539 section 4.6.3).
        best.or_else(|| usable().next()).map(|pair| Arc::clone(&pair.key))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(client_hello.server_name(), client_hello.signature_schemes())
    }
}

impl Pair {
    /// Whether the certificate is for `name`, itself or by a wildcard in place of the first label (RFC 9525 section 6.3).
    fn is_for(&self, name: &str) -> bool {
        let above = name.split_once('.').map(|(_, above)| above);
        self.names.iter().any(|own| own == name || own.strip_prefix("*.").is_some_and(|rest| above == Some(rest)))
    }

    fn is_cheap(&self) -> bool {
        self.key.key.algorithm() != SignatureAlgorithm::RSA
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use rcgen::{CertificateParams, KeyPair};
    use tempfile::TempDir;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const SCHEMES: [SignatureScheme; 1] = [SignatureScheme::ECDSA_NISTP256_SHA256];

    /// A certificate for `names` that ended or ends `days` from now, and its key, both as PEM.
    fn certificate(names: &[&str], days: i32) -> (String, String) {
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.not_before = (SystemTime::now() - 1000 * DAY).into();
        let end = SystemTime::now() - 999 * DAY + DAY * u32::try_from(999 + days).unwrap();
        params.not_after = end.into();
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn write(folder: &Path, name: &str, (certificate, key): &(String, String)) {
        fs::write(folder.join(format!("{name}.pem")), certificate).unwrap();
        fs::write(folder.join(format!("{name}.key")), key).unwrap();
    }

    fn folder() -> (TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let paths = vec![folder.path().to_owned()];
        (folder, paths)
    }

    fn refresh(certificates: &Certificates, paths: &[PathBuf]) -> Vec<String> {
        certificates.refresh(paths, Timestamp::now()).faults.iter().map(ToString::to_string).collect()
    }

    /// The first name of what a client gets that asks for `name`.
    fn shown_for(certificates: &Certificates, name: Option<&str>) -> Option<String> {
        let key = certificates.choose(name, &SCHEMES)?;
        let shown = certificates.shown.load();
        shown.iter().find(|pair| Arc::ptr_eq(&pair.key, &key)).map(|pair| pair.names[0].clone())
    }

    #[test]
    fn a_client_gets_the_certificate_of_the_name_it_asks_for() {
        let (folder, paths) = folder();
        write(folder.path(), "a", &certificate(&["ns1.example.test"], 9));
        write(folder.path(), "b", &certificate(&["*.example.org", "Example.Org"], 9));
        fs::write(folder.path().join("README"), "not of ours").unwrap();
        let certificates = Certificates::default();
        assert!(shown_for(&certificates, None).is_none());
        assert!(refresh(&certificates, &paths).is_empty());
        for (asked, shown) in [
            (None, "ns1.example.test"),
            (Some("NS1.example.test"), "ns1.example.test"),
            (Some("a.example.org"), "*.example.org"),
            (Some("example.org"), "*.example.org"),
            (Some("a.b.example.org"), "ns1.example.test"),
            (Some("stranger.test"), "ns1.example.test"),
        ] {
            assert_eq!(shown_for(&certificates, asked).as_deref(), Some(shown), "{asked:?}");
        }
        let rsa_only = [SignatureScheme::RSA_PSS_SHA256];
        assert!(certificates.choose(None, &rsa_only).is_none(), "no signature that the client would understand");
    }

    #[test]
    fn one_file_may_hold_it_all_and_chains_need_no_key() {
        let (folder, _) = folder();
        let (leaf, key) = certificate(&["a.test"], 9);
        let (authority, _) = {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            (params.self_signed(&key).unwrap().pem(), key)
        };
        fs::write(folder.path().join("cert.pem"), &leaf).unwrap();
        fs::write(folder.path().join("chain.pem"), &authority).unwrap();
        fs::write(folder.path().join("fullchain.pem"), format!("{leaf}{authority}")).unwrap();
        fs::write(folder.path().join("privkey.pem"), &key).unwrap();
        let certificates = Certificates::default();
        assert!(refresh(&certificates, &[folder.path().to_owned()]).is_empty());
        assert_eq!(certificates.list().len(), 1);
        assert_eq!(certificates.list()[0].file, folder.path().join("fullchain.pem"));
        let all = folder.path().join("all.pem");
        fs::write(&all, format!("{key}{leaf}{authority}")).unwrap();
        assert!(refresh(&certificates, std::slice::from_ref(&all)).is_empty());
        assert_eq!(certificates.list()[0].file, all);
    }

    #[test]
    fn a_bad_new_certificate_keeps_the_old_one_and_says_so() {
        let (folder, paths) = folder();
        let (good, other) = (certificate(&["a.test"], 9), certificate(&["b.test"], 9));
        write(folder.path(), "a", &good);
        write(folder.path(), "b", &other);
        let certificates = Certificates::default();
        assert!(refresh(&certificates, &paths).is_empty());
        let first = certificates.list();

        let pem = folder.path().join("a.pem");
        let cut = &good.0[..good.0.len() / 2];
        let ended = certificate(&["a.test"], -2).0;
        for (bad, problem) in
            [(cut, "a file that is whole"), (&certificate(&["a.test"], 9).0, "has no key"), (&ended, "has no key")]
        {
            fs::write(&pem, bad).unwrap();
            let faults = refresh(&certificates, &paths);
            assert!(faults.iter().any(|fault| fault.starts_with(pem.to_str().unwrap()) && fault.contains(problem)));
            assert_eq!(shown_for(&certificates, Some("a.test")).as_deref(), Some("a.test"));
            assert_eq!(certificates.list().len(), 2);
            assert!(first.iter().all(|certificate| certificates.list().contains(certificate)), "{problem}");
        }
        // The other goes on being exchanged, and the old one goes when the new one is good.
        let longer = certificate(&["b.test"], 90);
        write(folder.path(), "b", &longer);
        refresh(&certificates, &paths);
        assert!(certificates.list()[0].ends > first[1].ends);
        write(folder.path(), "a", &certificate(&["a.test"], 80));
        assert!(refresh(&certificates, &paths).is_empty());
        assert_eq!(certificates.list().len(), 2);
        assert!(certificates.list()[0].ends > first[0].ends);
    }

    #[test]
    fn one_that_has_ended_is_shown_only_where_there_is_no_other() {
        let (folder, paths) = folder();
        write(folder.path(), "a", &certificate(&["a.test"], -3));
        let certificates = Certificates::default();
        let faults = refresh(&certificates, &paths);
        assert!(faults[0].contains("a.pem: the certificate ended at "), "{faults:?}");
        assert_eq!(certificates.list().len(), 1);
        write(folder.path(), "a", &certificate(&["a.test"], 3));
        assert!(refresh(&certificates, &paths).is_empty());
        let good = certificates.list();
        write(folder.path(), "a", &certificate(&["a.test"], -1));
        assert_eq!(refresh(&certificates, &paths).len(), 1);
        assert_eq!(certificates.list(), good);
    }

    #[test]
    fn a_folder_that_was_emptied_takes_nothing_away() {
        let (folder, paths) = folder();
        write(folder.path(), "a", &certificate(&["a.test"], 3));
        let certificates = Certificates::default();
        assert!(refresh(&certificates, &paths).is_empty());
        fs::remove_file(folder.path().join("a.pem")).unwrap();
        let refreshed = certificates.refresh(&paths, Timestamp::now());
        assert!(refreshed.faults[0].problem.contains("there is no certificate"));
        assert!(!refreshed.changed, "the same is shown");
        assert_eq!(certificates.list().len(), 1);
        write(folder.path(), "b", &certificate(&["b.test"], 9));
        assert!(certificates.refresh(&paths, Timestamp::now()).changed);
    }

    #[test]
    fn what_cannot_be_read_is_a_fault_with_its_file() {
        let certificates = Certificates::default();
        let missing = PathBuf::from("/nonexistent/a.pem");
        let refreshed = certificates.refresh(std::slice::from_ref(&missing), Timestamp::now());
        assert!(!refreshed.changed);
        assert_eq!(refreshed.faults[0].file, missing);
        let (folder, paths) = folder();
        fs::write(folder.path().join("key.pem"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
            .unwrap();
        assert!(refresh(&certificates, &paths)[0].contains("RSA, ECDSA or Ed25519"));
    }
}
