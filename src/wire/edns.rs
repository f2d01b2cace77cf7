//! EDNS (RFC 6891): the OPT record of a query, and the octets of the one in the reply.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::response::Sink;
use super::{Rcode, Type};

/// What a query's OPT record asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edns<'m> {
    /// Octets of the largest UDP reply that the requestor takes; below 512 counts as 512 (RFC 6891 section 6.2.3).
    pub payload: u16,
    /// The EDNS version; only 0 exists.
    pub version: u8,
    /// DNSSEC OK (RFC 3225): the requestor wants signatures and proofs.
    pub dnssec_ok: bool,
    /// The name server identifier is asked for (RFC 5001).
    pub nsid: bool,
    /// The cookie sent (RFC 7873).
    pub cookie: Option<Cookie<'m>>,
    /// The client subnet sent (RFC 7871).
    pub subnet: Option<Subnet>,
    /// The idle timeout of a TCP connection is asked for (RFC 7828).
    pub keepalive: bool,
    /// The reply to an encrypted query is to be padded (RFC 7830).
    pub padding: bool,
}

/// A cookie of a query (RFC 7873 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie<'m> {
    /// The client's eight octets.
    pub client: [u8; 8],
    /// What the server is said to have given earlier: empty, or 8 to 32 octets.
    pub server: &'m [u8],
}

/// A client subnet of a query (RFC 7871 section 6), with the bits beyond the prefix at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The address, cut to the prefix.
    pub address: IpAddr,
    /// Bits of the prefix.
    pub prefix: u8,
}

/// The OPT record breaks its format: FORMERR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadOption;

const NSID: u16 = 3;
const SUBNET: u16 = 8;
const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;
const EXTENDED_ERROR: u16 = 15;

impl<'m> Edns<'m> {
    /// Reads the fixed part of an OPT record, which stands in CLASS and TTL, and its options.
    ///
    /// # Errors
    /// When an option overruns the RDATA, or a cookie or subnet has an illegal form.
    pub fn parse(class: u16, ttl: u32, rdata: &'m [u8]) -> Result<Self, BadOption> {
        let mut edns = Self {
            payload: class.max(512),
            version: (ttl >> 16) as u8,
            dnssec_ok: ttl & 0x8000 != 0,
            ..Self::default()
        };
        if edns.version != 0 {
            // What options of another version look like is not ours to say.
            return Ok(edns);
        }
        let mut rest = rdata;
        while !rest.is_empty() {
            let (head, tail) = rest.split_at_checked(4).ok_or(BadOption)?;
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let (value, after) = tail.split_at_checked(length).ok_or(BadOption)?;
            edns.take(u16::from_be_bytes([head[0], head[1]]), value)?;
            rest = after;
        }
        Ok(edns)
    }

    fn take(&mut self, code: u16, value: &'m [u8]) -> Result<(), BadOption> {
        match code {
            NSID => self.nsid = true,
            COOKIE if self.cookie.is_none() => self.cookie = Some(Cookie::parse(value)?),
            SUBNET if self.subnet.is_none() => self.subnet = Subnet::parse(value)?,
            KEEPALIVE => self.keepalive = true,
            PADDING => self.padding = true,
            _ => {}
        }
        Ok(())
    }
}

impl<'m> Cookie<'m> {
    fn parse(value: &'m [u8]) -> Result<Self, BadOption> {
        let (client, server) = value.split_first_chunk::<8>().ok_or(BadOption)?;
        if !server.is_empty() && !(8..=32).contains(&server.len()) {
            return Err(BadOption);
        }
        Ok(Self { client: *client, server })
    }
}

impl Subnet {
    /// `Ok(None)` for an address family that we do not know (RFC 7871 section 7.1.2 lets us ignore it).
    fn parse(value: &[u8]) -> Result<Option<Self>, BadOption> {
        let &[f1, f2, prefix, scope, ref octets @ ..] = value else { return Err(BadOption) };
        let width = match u16::from_be_bytes([f1, f2]) {
            1 => 32,
            2 => 128,
            _ => return Ok(None),
        };
        // Section 6: the scope of a query is 0, and the address has just the octets of its prefix, the rest of the last at zero.
        let spare = (8 - prefix % 8) % 8;
        let stray = octets.last().is_some_and(|last| last & ((1u16 << spare) - 1) as u8 != 0);
        if scope != 0 || prefix > width || octets.len() != usize::from(prefix.div_ceil(8)) || stray {
            return Err(BadOption);
        }
        let mut padded = [0; 16];
        padded[..octets.len()].copy_from_slice(octets);
        let address = match width {
            32 => IpAddr::V4(Ipv4Addr::new(padded[0], padded[1], padded[2], padded[3])),
            _ => IpAddr::V6(Ipv6Addr::from(padded)),
        };
        Ok(Some(Self { address, prefix }))
    }
}

/// What the OPT record of a reply carries.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplyEdns<'r> {
    /// Octets of the largest UDP query that we take.
    pub payload: u16,
    /// Echo of DNSSEC OK (RFC 3225 section 3).
    pub dnssec_ok: bool,
    /// The name server identifier, if asked for and configured.
    pub nsid: Option<&'r [u8]>,
    /// Client and server cookie, 24 octets.
    pub cookie: Option<[u8; 24]>,
    /// The subnet that was asked about, and for how many of its bits the answer holds.
    pub subnet: Option<(Subnet, u8)>,
    /// The idle timeout in units of 100 ms (RFC 7828 section 3.1).
    pub keepalive: Option<u16>,
    /// An extended error (RFC 8914).
    pub extended_error: Option<ExtendedError>,
    /// Fill the message up, so that its length tells nothing of what is in it (RFC 7830); only where it is encrypted.
    pub padding: bool,
}

/// Why an answer is what it is, for whoever debugs (RFC 8914 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedError {
    /// INFO-CODE.
    pub code: u16,
    /// EXTRA-TEXT, in UTF-8.
    pub text: &'static str,
}

impl ExtendedError {
    /// What the server has of the zone is too old to be served.
    pub const INVALID_DATA: Self = Self { code: 24, text: "the zone has expired" };
    /// The server has no data for the zone yet.
    pub const NOT_READY: Self = Self { code: 14, text: "" };
    /// The server holds no zone of which the name is part.
    pub const NOT_AUTHORITATIVE: Self = Self { code: 20, text: "" };
    /// The client may not ask this.
    pub const PROHIBITED: Self = Self { code: 18, text: "" };
    /// The query or type is not supported here.
    pub const NOT_SUPPORTED: Self = Self { code: 21, text: "" };
}

impl ReplyEdns<'_> {
    /// Octets that [`ReplyEdns::write`] needs. Padding takes what is left.
    pub fn octets(&self) -> usize {
        let mut octets = 11;
        octets += self.nsid.map_or(0, |nsid| 4 + nsid.len());
        octets += self.cookie.map_or(0, |cookie| 4 + cookie.len());
        octets += self.subnet.map_or(0, |(subnet, _)| 8 + usize::from(subnet.prefix.div_ceil(8)));
        octets += self.keepalive.map_or(0, |_| 6);
        octets + self.extended_error.map_or(0, |error| 6 + error.text.len())
    }

    /// Appends the OPT record. The caller has kept [`ReplyEdns::octets`] octets free.
    pub fn write(&self, rcode: Rcode, sink: &mut Sink<'_>) {
        let ([t1, t2], [p1, p2]) = (Type::OPT.0.to_be_bytes(), self.payload.to_be_bytes());
        let dnssec_ok = if self.dnssec_ok { 0x80 } else { 0 };
        sink.put(&[0, t1, t2, p1, p2, (rcode.0 >> 4) as u8, 0, dnssec_ok, 0, 0, 0]);
        let start = sink.len();
        if let Some(nsid) = self.nsid {
            put_option(sink, NSID, nsid);
        }
        if let Some(cookie) = &self.cookie {
            put_option(sink, COOKIE, cookie);
        }
        if let Some((subnet, scope)) = self.subnet {
            put_subnet(sink, subnet, scope);
        }
        if let Some(timeout) = self.keepalive {
            put_option(sink, KEEPALIVE, &timeout.to_be_bytes());
        }
        if let Some(error) = self.extended_error {
            sink.put_u16(EXTENDED_ERROR);
            sink.put_u16(2 + error.text.len() as u16);
            sink.put_u16(error.code);
            sink.put(error.text.as_bytes());
        }
        if self.padding {
            pad(sink);
        }
        sink.set_u16(start - 2, (sink.len() - start) as u16);
    }
}

#[inline]
fn put_option(sink: &mut Sink<'_>, code: u16, value: &[u8]) {
    let ([c1, c2], [l1, l2]) = (code.to_be_bytes(), (value.len() as u16).to_be_bytes());
    sink.put(&[c1, c2, l1, l2]);
    sink.put(value);
}

/// Fills the message up to a multiple of 468 octets (RFC 8467 section 4.1), or as far as there is room.
fn pad(sink: &mut Sink<'_>) {
    const BLOCK: usize = 468;
    let bare = sink.len() + 4;
    let Some(room) = sink.room().checked_sub(4) else { return };
    let padding = (bare.next_multiple_of(BLOCK) - bare).min(room);
    sink.put_u16(PADDING);
    sink.put_u16(padding as u16);
    sink.put(&[0; BLOCK][..padding]);
}

fn put_subnet(sink: &mut Sink<'_>, subnet: Subnet, scope: u8) {
    let octets = usize::from(subnet.prefix.div_ceil(8));
    sink.put_u16(SUBNET);
    sink.put_u16(4 + octets as u16);
    sink.put_u16(if subnet.address.is_ipv4() { 1 } else { 2 });
    sink.put(&[subnet.prefix, scope]);
    match subnet.address {
        IpAddr::V4(address) => sink.put(&address.octets()[..octets]),
        IpAddr::V6(address) => sink.put(&address.octets()[..octets]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let rdata =
            [&[0u8, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8][..], &[0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2], &[0, 3, 0, 0]]
                .concat();
        let edns = Edns::parse(400, 0x8000, &rdata).unwrap();
        assert_eq!(edns.payload, 512);
        assert!(edns.dnssec_ok && edns.nsid);
        assert_eq!(edns.cookie.unwrap().client, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(edns.subnet, Some(Subnet { address: "192.0.2.0".parse().unwrap(), prefix: 24 }));
    }

    #[test]
    fn illegal_options_are_refused() {
        let cases: [&[u8]; 8] = [
            &[0, 10, 0, 7, 1, 2, 3, 4, 5, 6, 7],
            &[0, 10, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9],
            &[0, 8, 0, 7, 0, 1, 23, 0, 192, 0, 3],
            &[0, 8, 0, 8, 0, 1, 24, 0, 192, 0, 2, 0],
            &[0, 8, 0, 7, 0, 1, 24, 1, 192, 0, 2],
            &[0, 8, 0, 9, 0, 1, 33, 0, 1, 1, 1, 1, 1],
            &[0, 3, 0, 1],
            &[0, 3, 0],
        ];
        for rdata in cases {
            assert_eq!(Edns::parse(1232, 0, rdata), Err(BadOption), "{rdata:?}");
        }
    }

    #[test]
    fn a_reply_is_as_long_as_promised() {
        let edns = ReplyEdns {
            payload: 1232,
            dnssec_ok: true,
            nsid: Some(b"one"),
            cookie: Some([7; 24]),
            subnet: Some((Subnet { address: "2001:db8::".parse().unwrap(), prefix: 33 }, 0)),
            keepalive: Some(300),
            extended_error: Some(ExtendedError { code: 20, text: "why" }),
            padding: false,
        };
        let mut buffer = [0; 256];
        let mut sink = Sink::new(&mut buffer);
        edns.write(Rcode::BADVERS, &mut sink);
        assert_eq!(sink.len(), edns.octets());
        assert_eq!(buffer[5], 1, "the upper bits of BADVERS");
    }

    #[test]
    fn a_padded_message_is_a_whole_number_of_blocks() {
        let edns = ReplyEdns { padding: true, ..ReplyEdns::default() };
        for (before, after) in [(12, 468), (453, 468), (454, 936), (1000, 1404), (1490, 1500)] {
            let mut buffer = [0; 1500];
            let mut sink = Sink::new(&mut buffer);
            sink.put(&vec![0; before - 11 * usize::from(before == 1490)]);
            edns.write(Rcode::NOERROR, &mut sink);
            assert_eq!(sink.len(), after, "{before}");
        }
    }
}
