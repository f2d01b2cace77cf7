//! What the engine leaves to others: it takes keys, channels or many messages. What can be refused by address alone is
//! refused by the engine, so that strangers cost what any query costs.

use super::Client;
use crate::metrics::Transport;
use crate::snapshot::Snapshot;
use crate::wire::{Class, Extras, LowerName, Opcode, Query, Question, Type};

/// Whether somebody else is to answer: a signed message, a transfer that the client may have, a NOTIFY from a primary.
#[inline]
pub(super) fn is_due(
    (query, question): (&Query<'_>, &Question),
    extras: &Extras<'_>,
    name: &LowerName,
    client: &Client,
    snapshot: &Snapshot,
) -> bool {
    if extras.edns.is_some_and(|edns| edns.version != 0) {
        return false;
    }
    if extras.tsig.is_some() {
        return true;
    }
    match (query.opcode(), question.qtype) {
        (Opcode::QUERY, qtype @ (Type::AXFR | Type::IXFR)) if question.qclass == Class::IN => {
            carries(qtype, client.transport) && {
                let served = snapshot.zones().exact(name);
                served.is_some_and(|served| {
                    served.policy.transfer.grant(client.address, None, client.transport.is_encrypted()).is_some()
                })
            }
        }
        (Opcode::NOTIFY, Type::SOA) => {
            let served = snapshot.zones().exact(name);
            served.is_some_and(|served| served.policy.transfer.is_primary(client.address, None))
        }
        _ => false,
    }
}

/// Whether a transfer can go this way: AXFR is many messages (RFC 5936 section 4.2), and HTTP carries one.
fn carries(qtype: Type, transport: Transport) -> bool {
    match transport {
        Transport::Tcp | Transport::Tls => true,
        Transport::Udp => qtype == Type::IXFR,
        Transport::Https | Transport::Quic => false,
    }
}
