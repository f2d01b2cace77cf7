//! One message and what became of it, as octets of a ring.
//!
//! ```text
//! octets of the query, of the reply │ flags │ transport, outcome │ client, local │ asked, took ║ query ║ reply
//! ```

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::metrics::{Outcome, Transport};

/// What an exchange is wanted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purposes {
    /// For dnstap.
    pub dnstap: bool,
    /// For the log of queries.
    pub log: bool,
}

/// One message, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange<'m> {
    /// What it is wanted for.
    pub purposes: Purposes,
    /// How the message came.
    pub transport: Transport,
    /// What became of it.
    pub outcome: Outcome,
    /// Who asked.
    pub client: SocketAddr,
    /// Which address of ours was asked.
    pub local: SocketAddr,
    /// When the message was read, since 1970.
    pub asked: Duration,
    /// How long it was until the reply was there.
    pub took: Duration,
    /// The message.
    pub query: &'m [u8],
    /// The reply, if there is one; of a transfer none is kept.
    pub reply: Option<&'m [u8]>,
}

/// Octets before the query.
pub(super) const HEAD: usize = 60;

/// How long the query and the reply are.
pub(super) struct Lengths(u16, u16);

const DNSTAP: u8 = 1;
const LOG: u8 = 2;
const REPLY: u8 = 4;
const CLIENT_V6: u8 = 8;
const LOCAL_V6: u8 = 16;

impl Lengths {
    pub(super) fn of(head: &[u8; HEAD]) -> Self {
        Self(u16::from_be_bytes([head[0], head[1]]), u16::from_be_bytes([head[2], head[3]]))
    }

    pub(super) fn octets(&self) -> usize {
        usize::from(self.0) + usize::from(self.1)
    }
}

impl<'m> Exchange<'m> {
    /// What stands before the query. A message is never longer than its length can say.
    pub(super) fn head(&self) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..2].copy_from_slice(&(self.query.len() as u16).to_be_bytes());
        head[2..4].copy_from_slice(&(self.reply.map_or(0, <[u8]>::len) as u16).to_be_bytes());
        let flags = [
            (self.purposes.dnstap, DNSTAP),
            (self.purposes.log, LOG),
            (self.reply.is_some(), REPLY),
            (self.client.is_ipv6(), CLIENT_V6),
            (self.local.is_ipv6(), LOCAL_V6),
        ];
        head[4] = flags.into_iter().filter(|(set, _)| *set).map(|(_, flag)| flag).sum();
        head[5] = self.transport as u8;
        head[6] = self.outcome as u8;
        put_address(&mut head[8..26], self.client);
        put_address(&mut head[26..44], self.local);
        head[44..52].copy_from_slice(&self.asked.as_secs().to_be_bytes());
        head[52..56].copy_from_slice(&self.asked.subsec_nanos().to_be_bytes());
        let took = u32::try_from(self.took.as_nanos()).unwrap_or(u32::MAX);
        head[56..].copy_from_slice(&took.to_be_bytes());
        head
    }

    /// Reads what [`Exchange::head`], the query and the reply make together.
    pub(super) fn read(octets: &'m [u8]) -> Self {
        let (head, messages) = octets.split_first_chunk::<HEAD>().expect("an exchange has its head");
        let Lengths(query, _) = Lengths::of(head);
        let (query, reply) = messages.split_at(query.into());
        let number = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let seconds = u64::from(number(44)) << 32 | u64::from(number(48));
        let has = |flag| head[4] & flag != 0;
        Self {
            purposes: Purposes { dnstap: has(DNSTAP), log: has(LOG) },
            transport: Transport::ALL[usize::from(head[5])],
            outcome: Outcome::ALL[usize::from(head[6])],
            client: read_address(&head[8..26], has(CLIENT_V6)),
            local: read_address(&head[26..44], has(LOCAL_V6)),
            asked: Duration::new(seconds, number(52)),
            took: Duration::from_nanos(number(56).into()),
            query,
            reply: has(REPLY).then_some(reply),
        }
    }
}

/// An IPv4 address stands in the last four of sixteen octets; the port follows.
fn put_address(octets: &mut [u8], address: SocketAddr) {
    let ip = match address.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    octets[..16].copy_from_slice(&ip.octets());
    octets[16..].copy_from_slice(&address.port().to_be_bytes());
}

fn read_address(octets: &[u8], is_v6: bool) -> SocketAddr {
    let (ip, port) = octets.split_first_chunk::<16>().expect("an address and a port");
    let ip = Ipv6Addr::from(*ip);
    let ip = if is_v6 { IpAddr::V6(ip) } else { IpAddr::V6(ip).to_canonical() };
    SocketAddr::new(ip, u16::from_be_bytes([port[0], port[1]]))
}
