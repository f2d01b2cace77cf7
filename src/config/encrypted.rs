//! `[tls]` and the addresses of the encrypted doors.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::reader::{Item, Key, Section, keys};
use super::value::{duration, integer, list, path};

/// Where DNS is answered in secret, and by which certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encrypted {
    /// DNS over TLS (RFC 7858).
    pub tls: Vec<SocketAddr>,
    /// DNS over HTTPS (RFC 8484).
    pub https: Vec<SocketAddr>,
    /// DNS over QUIC (RFC 9250).
    pub quic: Vec<SocketAddr>,
    /// Files and folders of certificates and their keys; at least one if there is any address.
    pub certificates: Vec<PathBuf>,
    /// The path of queries by HTTPS, with its slash.
    pub https_path: String,
    /// Connections open at once through each door.
    pub connections: usize,
    /// Connections open at once through each door from one IPv4 /24 or IPv6 /56.
    pub per_prefix: usize,
    /// A connection without a query for this long is closed.
    pub idle: Duration,
    /// Handshakes under way at once through each door.
    pub handshakes: usize,
    /// A handshake that takes longer is given up.
    pub handshake_time: Duration,
}

impl Encrypted {
    /// Whether there is any encrypted door.
    pub fn is_open(&self) -> bool {
        [&self.tls, &self.https, &self.quic].into_iter().any(|addresses| !addresses.is_empty())
    }
}

keys! {
    TLS "[tls]" {
        CERTIFICATES: Vec<PathBuf> = "certificates", certificates, "",
            "Files and folders of certificates and private keys in PEM, whatever they are called; a key is paired with its \
             certificate by itself. They are read again when they change.";
        HTTPS_PATH: String = "https_path", https_path, "\"/dns-query\"",
            "The path of queries by HTTPS.";
        CONNECTIONS: usize = "connections", integer::<usize, 1, 1_000_000>, "1000",
            "Connections open at once through each encrypted door.";
        PER_PREFIX: usize = "per_prefix", integer::<usize, 1, 1_000_000>, "50",
            "Connections open at once through each encrypted door from one IPv4 /24 or IPv6 /56.";
        IDLE: Duration = "idle", duration::<100, 3_600_000>, "\"30s\"",
            "An encrypted connection without a query for this long is closed.";
        HANDSHAKES: usize = "handshakes", integer::<usize, 1, 1_000_000>, "200",
            "Handshakes under way at once through each encrypted door; a connection beyond them is closed.";
        HANDSHAKE_TIME: Duration = "handshake_time", duration::<100, 60_000>, "\"5s\"",
            "A handshake that takes longer is given up.";
    }
}

/// The addresses of one door; without a port they mean `PORT`.
pub(super) fn addresses<const PORT: u16>(item: &Item<'_>) -> Option<Vec<SocketAddr>> {
    list(item, "a list of addresses, with or without a port, such as [\"192.0.2.1\", \"[::1]:8853\"]", address::<PORT>)
}

fn address<const PORT: u16>(item: &Item<'_>) -> Option<SocketAddr> {
    let parse = |text: &str| {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let with_port = text.parse().ok();
        with_port.or_else(|| bare.parse().ok().map(|address: IpAddr| SocketAddr::new(address, PORT)))
    };
    let address = item.as_str().and_then(parse);
    address.or_else(|| item.wrong("an address with or without a port, such as \"192.0.2.1\" or \"[2001:db8::1]:8853\""))
}

/// Puts `[tls]` beside the addresses that the keys above the first header name.
pub(super) fn encrypted(root: &Section<'_>, doors: [&Key<Vec<SocketAddr>>; 3]) -> Encrypted {
    let section = root.table("tls", &TLS);
    let [tls, https, quic] = doors.map(|door| root.value(door));
    let certificates = section.written(&CERTIFICATES);
    for door in doors {
        let Some(item) = root.item(door.name).filter(|item| item.elements().is_some_and(|all| !all.is_empty())) else {
            continue;
        };
        if !cfg!(feature = "encrypted") {
            item.wrong_as::<()>("this program was built without TLS", "one that has the feature `encrypted`");
        } else if certificates.is_none() && section.item(CERTIFICATES.name).is_none() {
            item.wrong_as::<()>("there is no certificate for it", "`certificates` in [tls]");
        }
    }
    Encrypted {
        tls,
        https,
        quic,
        certificates: certificates.unwrap_or_default(),
        https_path: section.value(&HTTPS_PATH),
        connections: section.value(&CONNECTIONS),
        per_prefix: section.value(&PER_PREFIX),
        idle: section.value(&IDLE),
        handshakes: section.value(&HANDSHAKES),
        handshake_time: section.value(&HANDSHAKE_TIME),
    }
}

fn certificates(item: &Item<'_>) -> Option<Vec<PathBuf>> {
    let expected = "a list of at least one path of a file or folder, such as [\"certificates\"]";
    let paths = list(item, expected, path)?;
    if paths.is_empty() { item.wrong(expected) } else { Some(paths) }
}

fn https_path(item: &Item<'_>) -> Option<String> {
    let is_plain =
        |text: &&str| text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && !b"?#".contains(&b));
    match item.as_str().filter(is_plain) {
        Some(path) => Some(path.to_owned()),
        None => item.wrong("a path that begins with a slash, such as \"/dns-query\""),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Fault, Settings};

    fn faults(text: &str) -> Vec<String> {
        let faults = Settings::parse(text, Path::new("kofn.toml")).expect_err("faults");
        faults.iter().map(Fault::to_string).collect()
    }

    #[cfg(feature = "encrypted")]
    #[test]
    fn each_door_has_its_port() {
        let text = "listen_tls = [\"192.0.2.1\", \"[::1]:8853\"]\nlisten_https = [\"::1\"]\nlisten_quic = [\"192.0.2.1\"]\n\
                    [tls]\ncertificates = [\"tls\", \"/etc/ssl/a.pem\"]\nidle = \"20s\"\n";
        let encrypted = Settings::parse(text, Path::new("/etc/kofn/kofn.toml")).unwrap().encrypted;
        assert_eq!(encrypted.tls, ["192.0.2.1:853".parse().unwrap(), "[::1]:8853".parse().unwrap()]);
        assert_eq!(encrypted.https, ["[::1]:443".parse().unwrap()]);
        assert_eq!(encrypted.quic, ["192.0.2.1:853".parse().unwrap()]);
        assert_eq!(encrypted.certificates, [Path::new("/etc/kofn/tls"), Path::new("/etc/ssl/a.pem")]);
        assert_eq!(encrypted.idle.as_secs(), 20);
        assert!(encrypted.is_open() && !Settings::default().encrypted.is_open());
    }

    #[cfg(feature = "encrypted")]
    #[test]
    fn a_door_without_certificates_is_a_fault() {
        assert_eq!(
            faults("listen_tls = []\nlisten_https = [\"::1\"]\n[tls]\nhttps_path = \"dns\""),
            [
                "kofn.toml:2:16: listen_https: there is no certificate for it; `certificates` in [tls]",
                "kofn.toml:4:14: tls.https_path: found \"dns\"; a path that begins with a slash, such as \"/dns-query\"",
            ]
        );
    }

    #[cfg(not(feature = "encrypted"))]
    #[test]
    fn a_program_without_tls_says_so() {
        let text = "listen_quic = [\"::1\"]\n[tls]\ncertificates = [\"tls\"]";
        let expected =
            "kofn.toml:1:15: listen_quic: this program was built without TLS; one that has the feature `encrypted`";
        assert_eq!(faults(text), [expected]);
    }
}
