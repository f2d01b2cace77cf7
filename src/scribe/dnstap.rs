//! Exchanges as dnstap has them (dnstap.info, dnstap.proto): AUTH_QUERY when a message comes, AUTH_RESPONSE with its reply.

use std::net::IpAddr;

use prost::Message as _;

use crate::metrics::Transport;
use crate::snapshot::Snapshot;
use crate::tap::Exchange;
use crate::wire::{LowerName, Query, Type};

/// The envelope.
#[derive(Clone, PartialEq, prost::Message)]
struct Dnstap {
    #[prost(bytes = "vec", optional, tag = "1")]
    identity: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    version: Option<Vec<u8>>,
    #[prost(message, optional, tag = "14")]
    message: Option<Message>,
    #[prost(int32, required, tag = "15")]
    kind: i32,
}

/// One DNS message, with all that is known of its way.
#[derive(Clone, PartialEq, prost::Message)]
struct Message {
    #[prost(int32, required, tag = "1")]
    kind: i32,
    #[prost(int32, optional, tag = "2")]
    socket_family: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    socket_protocol: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    query_address: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    response_address: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "6")]
    query_port: Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    response_port: Option<u32>,
    #[prost(uint64, optional, tag = "8")]
    query_time_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "9")]
    query_time_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "10")]
    query_message: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "11")]
    query_zone: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "12")]
    response_time_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "13")]
    response_time_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "14")]
    response_message: Option<Vec<u8>>,
}

const MESSAGE: i32 = 1;
const AUTH_QUERY: i32 = 1;
const AUTH_RESPONSE: i32 = 2;

/// Makes frames of exchanges, in memory that it keeps.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    envelope: Dnstap,
    name: LowerName,
    frames: [Vec<u8>; 2],
}

impl Encoder {
    /// Says who it is from now on.
    pub(super) fn identify(&mut self, identity: &str, version: &str) {
        for (field, text) in [(&mut self.envelope.identity, identity), (&mut self.envelope.version, version)] {
            if field.as_deref() != Some(text.as_bytes()) {
                *field = Some(text.into());
            }
        }
        self.envelope.kind = MESSAGE;
    }

    /// The frames of one exchange: of the query, of the reply, as far as they are wanted.
    pub(super) fn frames(
        &mut self,
        exchange: &Exchange<'_>,
        snapshot: &Snapshot,
        (queries, responses): (bool, bool),
    ) -> impl Iterator<Item = &[u8]> {
        let Self { envelope, name, frames } = self;
        let mut message = common(exchange);
        message.query_zone = zone(exchange.query, snapshot, name);
        let mut count = 0;
        let mut encode = |message: &Message| {
            envelope.message = Some(message.clone());
            let frame = &mut frames[count];
            frame.clear();
            envelope.encode(frame).expect("a vector has room");
            count += 1;
        };
        if queries {
            encode(&Message { kind: AUTH_QUERY, query_message: Some(exchange.query.into()), ..message.clone() });
        }
        if let Some(reply) = exchange.reply.filter(|_| responses) {
            let replied = exchange.asked + exchange.took;
            message.response_time_sec = Some(replied.as_secs());
            message.response_time_nsec = Some(replied.subsec_nanos());
            encode(&Message { kind: AUTH_RESPONSE, response_message: Some(reply.into()), ..message });
        }
        frames[..count].iter().map(Vec::as_slice)
    }
}

/// What the query and the reply have in common.
fn common(exchange: &Exchange<'_>) -> Message {
    let (client, local) = (exchange.client, exchange.local);
    Message {
        socket_family: Some(if client.is_ipv4() { 1 } else { 2 }),
        socket_protocol: Some(protocol(exchange.transport)),
        query_address: Some(octets(client.ip())),
        response_address: Some(octets(local.ip())),
        query_port: Some(client.port().into()),
        response_port: Some(local.port().into()),
        query_time_sec: Some(exchange.asked.as_secs()),
        query_time_nsec: Some(exchange.asked.subsec_nanos()),
        ..Message::default()
    }
}

/// The apex of the zone that answers, where there is one.
fn zone(query: &[u8], snapshot: &Snapshot, name: &mut LowerName) -> Option<Vec<u8>> {
    let question = Query::new(query).ok()?.question(name).ok()?;
    let zones = snapshot.zones();
    let mut served = zones.find(name)?;
    if question.qtype == Type::DS && served.apex_labels() == Some(name.labels()) {
        served = zones.find_above(name).unwrap_or(served);
    }
    Some(served.zone.as_ref()?.apex().as_bytes().to_vec())
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// SocketProtocol.
fn protocol(transport: Transport) -> i32 {
    match transport {
        Transport::Udp => 1,
        Transport::Tcp => 2,
        Transport::Tls => 3,
        Transport::Https => 4,
        Transport::Quic => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::config::Settings;
    use crate::metrics::Outcome;
    use crate::snapshot::{Facts, Publisher};
    use crate::tap::Purposes;

    fn exchange<'m>(query: &'m [u8], reply: Option<&'m [u8]>) -> Exchange<'m> {
        Exchange {
            purposes: Purposes { dnstap: true, log: false },
            transport: Transport::Quic,
            outcome: Outcome::Refused,
            client: "[2001:db8::7]:4711".parse().expect("an address"),
            local: "[2001:db8::53]:853".parse().expect("an address"),
            asked: Duration::new(1_700_000_000, 999_999_999),
            took: Duration::from_nanos(2),
            query,
            reply,
        }
    }

    #[test]
    fn both_messages_are_told_with_their_times_and_ways() {
        let snapshot = Publisher::new(Arc::new(Settings::default()), Facts::default()).reader().load();
        let mut encoder = Encoder::default();
        encoder.identify("ns1", "kofn 1");
        let exchange = exchange(b"a query", Some(b"a reply"));
        let frames: Vec<_> = encoder.frames(&exchange, &snapshot, (true, true)).map(<[u8]>::to_vec).collect();
        let [query, reply] = [0, 1].map(|at: usize| Dnstap::decode(&frames[at][..]).expect("dnstap"));
        assert_eq!((query.identity.as_deref(), query.version.as_deref()), (Some(&b"ns1"[..]), Some(&b"kofn 1"[..])));
        assert_eq!((query.kind, reply.kind), (MESSAGE, MESSAGE));
        let (query, reply) = (query.message.expect("a message"), reply.message.expect("a message"));
        assert_eq!((query.kind, query.query_message.as_deref()), (AUTH_QUERY, Some(&b"a query"[..])));
        assert_eq!((query.response_message, query.response_time_sec), (None, None));
        assert_eq!((reply.kind, reply.response_message.as_deref()), (AUTH_RESPONSE, Some(&b"a reply"[..])));
        assert_eq!((reply.query_time_sec, reply.query_time_nsec), (Some(1_700_000_000), Some(999_999_999)));
        assert_eq!((reply.response_time_sec, reply.response_time_nsec), (Some(1_700_000_001), Some(1)));
        assert_eq!((reply.socket_family, reply.socket_protocol), (Some(2), Some(7)));
        assert_eq!((reply.query_port, reply.response_port), (Some(4711), Some(853)));
        assert_eq!(reply.response_address.expect("an address").len(), 16);
    }

    #[test]
    fn only_what_is_wanted_and_what_there_is_is_told() {
        let snapshot = Publisher::new(Arc::new(Settings::default()), Facts::default()).reader().load();
        let mut encoder = Encoder::default();
        let mut count = |exchange: &Exchange<'_>, wanted| encoder.frames(exchange, &snapshot, wanted).count();
        assert_eq!(count(&exchange(b"q", Some(b"r")), (true, false)), 1);
        assert_eq!(count(&exchange(b"q", Some(b"r")), (false, true)), 1);
        assert_eq!(count(&exchange(b"q", None), (true, true)), 1);
        assert_eq!(count(&exchange(b"q", None), (false, true)), 0);
    }
}
