//! The PROXY protocol (versions 1 and 2): whoever stands in front of the server, and is trusted, says who the client is.
//!
//! From a trusted prefix the header is required, as a connection or datagram without one is not the proxy's; from anywhere
//! else it is no header but a broken query, so nobody can claim to be someone else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "encrypted")]
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::stream::Stream;
use crate::net::Prefix;

/// Begins version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Begins version 1, and the octets of its longest line.
const WORD: &[u8] = b"PROXY ";
const LINE: usize = 107;
/// Begins a TLS handshake (RFC 8446 section 5.1), and neither version of the header.
const HANDSHAKE: &[u8] = &[0x16];
/// Octets of the longest header that is read: addresses, and some hundred octets of what a proxy may add.
const LONGEST: usize = 2048;
/// How long a proxy may take for its header.
const PATIENCE: Duration = Duration::from_secs(3);

/// The prefixes that are trusted.
#[derive(Clone, Debug)]
pub(super) struct Trusted(Arc<[Prefix]>);

/// What the front of a stream or datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// A header of so many octets, and the client; none when the proxy speaks for itself.
    Header(usize, Option<SocketAddr>),
    /// A header may become of it.
    Partial,
}

/// There is no header, or a broken one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Trusted {
    pub(super) fn new(prefixes: &[Prefix]) -> Self {
        Self(prefixes.into())
    }

    pub(super) fn holds(&self, peer: SocketAddr) -> bool {
        self.0.iter().any(|prefix| prefix.contains(peer.ip()))
    }

    /// The message of a datagram from `peer`, and its client where that is somebody else.
    #[inline]
    pub(super) fn open<'d>(
        &self,
        datagram: &'d [u8],
        peer: &SocketAddr,
    ) -> Result<(&'d [u8], Option<SocketAddr>), Malformed> {
        if self.0.is_empty() || !self.holds(*peer) {
            return Ok((datagram, None));
        }
        match parse(datagram)? {
            Front::Header(octets, client) => Ok((&datagram[octets..], client)),
            Front::Partial => Err(Malformed),
        }
    }
}

/// Takes the header off a stream that `peer` has opened, and says who the client is. Where the stream is to be encrypted, the
/// proxy may also begin with the handshake, and send its header [inside](take_inside): `None`.
pub(super) async fn take(
    stream: &mut Stream,
    peer: SocketAddr,
    is_encrypted: bool,
) -> Result<Option<SocketAddr>, Malformed> {
    let mut held = Vec::with_capacity(256);
    let header = async {
        while held.len() < LONGEST {
            // The error, and the end, leave a part of a header for ever.
            if stream.read_buf(&mut held).await.unwrap_or(0) == 0 {
                return Err(Malformed);
            }
            if is_encrypted && held.starts_with(HANDSHAKE) {
                return Ok((0, None));
            }
            if let Front::Header(octets, client) = parse(&held)? {
                return Ok((octets, Some(client.unwrap_or(peer))));
            }
        }
        Err(Malformed)
    };
    let (octets, client) = timeout(PATIENCE, header).await.unwrap_or(Err(Malformed))?;
    stream.put_back(&held[octets..]);
    Ok(client)
}

/// The same inside of an encrypted stream, which begins with the header then. Nothing behind it is read.
#[cfg(feature = "encrypted")]
pub(super) async fn take_inside(
    stream: &mut (impl AsyncRead + Unpin),
    peer: SocketAddr,
) -> Result<SocketAddr, Malformed> {
    let mut held = Vec::with_capacity(256);
    let header = async {
        while held.len() < LONGEST {
            held.push(stream.read_u8().await.map_err(|_| Malformed)?);
            if let Front::Header(_, client) = parse(&held)? {
                return Ok(client.unwrap_or(peer));
            }
        }
        Err(Malformed)
    };
    timeout(PATIENCE, header).await.unwrap_or(Err(Malformed))
}

/// Reads the header that a proxy puts before everything else, of either version.
///
/// # Errors
/// When no header begins so.
pub fn parse(octets: &[u8]) -> Result<Front, Malformed> {
    if begins_alike(octets, SIGNATURE) {
        return version_2(octets);
    }
    if begins_alike(octets, WORD) {
        return version_1(octets);
    }
    Err(Malformed)
}

/// Whether the shorter one begins the longer one.
fn begins_alike(octets: &[u8], mark: &[u8]) -> bool {
    octets.iter().zip(mark).all(|(own, other)| own == other)
}

fn version_1(octets: &[u8]) -> Result<Front, Malformed> {
    let Some(end) = octets.windows(2).take(LINE - 1).position(|end| end == b"\r\n") else {
        return if octets.len() < LINE { Ok(Front::Partial) } else { Err(Malformed) };
    };
    let line = std::str::from_utf8(&octets[..end]).map_err(|_| Malformed)?;
    let mut words = line.split(' ').skip(1);
    let client = match words.next() {
        Some("UNKNOWN") => return Ok(Front::Header(end + 2, None)),
        Some(family @ ("TCP4" | "TCP6")) => {
            let [source, target, port, to] = [(); 4].map(|()| words.next().unwrap_or_default());
            let [source, target]: [IpAddr; 2] =
                [source.parse().map_err(|_| Malformed)?, target.parse().map_err(|_| Malformed)?];
            let [port, _]: [u16; 2] = [port.parse().map_err(|_| Malformed)?, to.parse().map_err(|_| Malformed)?];
            let is_v4 = family == "TCP4";
            if source.is_ipv4() != is_v4 || target.is_ipv4() != is_v4 || words.next().is_some() {
                return Err(Malformed);
            }
            SocketAddr::new(source.to_canonical(), port)
        }
        _ => return Err(Malformed),
    };
    Ok(Front::Header(end + 2, Some(client)))
}

fn version_2(octets: &[u8]) -> Result<Front, Malformed> {
    let Some((fixed, rest)) = octets.split_first_chunk::<16>() else { return Ok(Front::Partial) };
    let [command, family] = [fixed[12], fixed[13]];
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if command >> 4 != 2 || length > LONGEST - 16 {
        return Err(Malformed);
    }
    let Some(body) = rest.get(..length) else { return Ok(Front::Partial) };
    let client = match (command & 15, family >> 4) {
        // LOCAL: the proxy asks whether the server is alive. Or an address of another kind than ours.
        (0, _) | (1, 0 | 3) => None,
        (1, 1) => {
            let addresses = body.first_chunk::<12>().ok_or(Malformed)?;
            let [a, b, c, d, .., p1, p2, _, _] = *addresses;
            Some(SocketAddr::from((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([p1, p2]))))
        }
        (1, 2) => {
            let addresses = body.first_chunk::<36>().ok_or(Malformed)?;
            let source: [u8; 16] = *addresses.first_chunk().expect("16 of 36");
            let port = u16::from_be_bytes([addresses[32], addresses[33]]);
            // An IPv4 client of a proxy that listens on both: its own address is what lists and limits know.
            Some(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(source)).to_canonical(), port))
        }
        _ => return Err(Malformed),
    };
    Ok(Front::Header(16 + length, client))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header_2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        [&SIGNATURE[..], &[command, family], &(body.len() as u16).to_be_bytes(), body].concat()
    }

    #[test]
    fn the_client_is_read_of_both_versions() {
        let line = b"PROXY TCP4 192.0.2.1 203.0.113.5 4711 53\r\n\0\x0c";
        assert_eq!(parse(line), Ok(Front::Header(line.len() - 2, "192.0.2.1:4711".parse().ok())));
        let line = b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 53\r\n";
        assert_eq!(parse(line), Ok(Front::Header(line.len(), "[2001:db8::1]:4711".parse().ok())));
        assert_eq!(parse(b"PROXY UNKNOWN what ever\r\n"), Ok(Front::Header(25, None)));
        let body = [192, 0, 2, 1, 203, 0, 113, 5, 0x12, 0x67, 0, 53, 4, 0, 1, 9];
        let header = header_2(0x21, 0x12, &body);
        assert_eq!(parse(&header), Ok(Front::Header(header.len(), "192.0.2.1:4711".parse().ok())));
        let mut body = [0; 36];
        body[..4].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
        body[33] = 7;
        assert_eq!(parse(&header_2(0x21, 0x21, &body)), Ok(Front::Header(52, "[2001:db8::]:7".parse().ok())));
        body[..12].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
        body[12..16].copy_from_slice(&[192, 0, 2, 1]);
        assert_eq!(parse(&header_2(0x21, 0x21, &body)), Ok(Front::Header(52, "192.0.2.1:7".parse().ok())));
        assert_eq!(parse(&header_2(0x20, 0, b"")), Ok(Front::Header(16, None)));
    }

    #[test]
    fn what_is_cut_is_a_part_and_what_is_broken_is_refused() {
        let whole = header_2(0x21, 0x11, &[192, 0, 2, 1, 203, 0, 113, 5, 1, 2, 0, 53]);
        for octets in 0..whole.len() {
            assert_eq!(parse(&whole[..octets]), Ok(Front::Partial), "{octets}");
        }
        let line = b"PROXY TCP4 192.0.2.1 203.0.113.5 4711 53\r\n";
        for octets in 0..line.len() {
            assert_eq!(parse(&line[..octets]), Ok(Front::Partial), "{octets}");
        }
        let broken: [Vec<u8>; 9] = [
            b"\0\x1d\0\0".to_vec(),
            b"PROXY TCP4 192.0.2.1 203.0.113.5 4711\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 203.0.113.5 70000 53\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 2001:db8::2 1 53\r\n".to_vec(),
            [b"PROXY TCP4 ", &[b'1'; 120][..]].concat(),
            header_2(0x11, 0x11, &[0; 12]),
            header_2(0x22, 0x11, &[0; 12]),
            header_2(0x21, 0x11, &[0; 11]),
            header_2(0x21, 0x11, &[0; LONGEST]),
        ];
        for octets in broken {
            assert_eq!(parse(&octets), Err(Malformed), "{octets:?}");
        }
    }

    #[test]
    fn a_datagram_of_a_stranger_is_left_as_it_is() {
        let trusted = Trusted::new(&["192.0.2.0/24".parse().unwrap()]);
        let datagram = header_2(0x21, 0x12, &[198, 51, 100, 1, 203, 0, 113, 5, 0, 9, 0, 53]);
        let (proxy, stranger) = ("192.0.2.7:53".parse().unwrap(), "198.51.100.7:53".parse().unwrap());
        assert_eq!(trusted.open(&datagram, &proxy), Ok((&b""[..], Some("198.51.100.1:9".parse().unwrap()))));
        assert_eq!(trusted.open(&datagram, &stranger), Ok((&datagram[..], None)));
        assert_eq!(trusted.open(b"\0\0", &proxy), Err(Malformed));
        assert_eq!(Trusted::new(&[]).open(&datagram, &proxy), Ok((&datagram[..], None)));
    }
}
