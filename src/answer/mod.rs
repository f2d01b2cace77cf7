//! Layer 2: the engine. One pure function from query octets to reply octets, behind every door.
//!
//! ```text
//! octets ─► header ─► question ─► OPT ─► class, opcode ─► zone ─► lookup ─► sections ─► rate ─► OPT ─► octets
//!            │           │         │          │             │       │
//!          silence    FORMERR   BADVERS   NOTIMP, CH      REFUSED   referral, CNAME, DNAME, wildcard,   slip, silence
//!                               BADCOOKIE                 SERVFAIL  NODATA, NXDOMAIN, hand
//! ```
//!
//! * No I/O, clock, lock or allocation: what the answer depends on is an argument, and scratch space is the [`Dealer`]'s.
//! * A reply by UDP equals the reply by TCP but for size: what does not fit is not sent in part, TC says that there is more.
//! * Every message has one [`Outcome`], and its label is what the caller counts.

mod additional;
mod chaos;
mod client;
mod cookie;
mod dealer;
mod defer;
mod denial;
mod explain;
mod foresight;
mod lookup;
mod rate;
mod reply;

pub use client::Client;
pub use dealer::Dealer;
pub use foresight::foresee;

use crate::config::Settings;
use crate::metrics::{Outcome as Label, QueryType, Transport};
use crate::snapshot::{ServedZone, Snapshot, Steps};
use crate::wire::{
    Class, Edns, ExtendedError, Extras, LowerName, Opcode, Query, Question, Rcode, ReplyEdns, Type, Unanswerable,
};
use dealer::Scratch;
use lookup::{Links, Lookup};
use rate::{Buckets, Verdict};
use reply::{Full, Reply};

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The first `len` octets of the buffer go back.
    Reply {
        /// Octets.
        len: usize,
        /// What the answer is.
        label: Label,
        /// What was asked for.
        qtype: QueryType,
        /// TC is set.
        truncated: bool,
        /// It would have been limited, were that not only tried.
        exceeded: bool,
    },
    /// Nothing goes back.
    Drop(Label),
    /// The message is signed, or asks for more than one reply can carry: somebody with keys and time answers and counts it.
    Defer,
}

/// Octets of the largest UDP reply to a client without EDNS (RFC 1035 section 4.2.1).
const PLAIN_UDP: u16 = 512;
/// Octets of the largest UDP reply to an address that may be forged: whoever is attacked through us gets no fragments, and
/// no more for each query than from any careful server.
const UNPROVEN_UDP: u16 = 1232;

/// Answers one message from `client` into `buffer`, which has at least 512 octets and at most the largest reply that the
/// transport carries.
pub fn answer(snapshot: &Snapshot, message: &[u8], client: &Client, dealer: &mut Dealer, buffer: &mut [u8]) -> Outcome {
    let query = match Query::new(message) {
        Ok(query) => query,
        Err(Unanswerable::Short) => return Outcome::Drop(Label::DropShort),
        Err(Unanswerable::Response) => return Outcome::Drop(Label::DropResponse),
    };
    let Dealer { steps, scratch, buckets } = dealer;
    steps.seat(snapshot.cells());
    let Scratch { question: name, links, names } = scratch;
    let question = query.question(name).ok();
    let extras = question.as_ref().and_then(|question| query.extras(question).ok());
    let edns = extras.as_ref().and_then(|extras| extras.edns.as_ref());
    if let (Some(question), Some(extras)) = (&question, &extras)
        && defer::is_due((&query, question), extras, name, client, snapshot)
    {
        return Outcome::Defer;
    }
    let proven = edns.is_some_and(|edns| edns.cookie.is_some() && is_proven(edns, client, snapshot));
    let limit = limit(client.transport, edns, proven, &snapshot.settings).min(buffer.len());
    let mut reply = Reply::begin(&query, question.as_ref(), name, names, &mut buffer[..limit]);
    let mut reply_edns = edns.map(|edns| answer_edns(edns, client, snapshot));
    reply.reserve(reply_edns.as_ref().map_or(0, ReplyEdns::octets));
    let early = early(&query, question.as_ref(), extras.as_ref(), (client, proven), snapshot, &mut reply);
    let mut label = match early {
        Some(label) => label,
        None => {
            let question = question.as_ref().expect("without a question the answer was FORMERR");
            let mut ask = Ask { snapshot, question, name, edns, client, steps, scope: 0 };
            let label = ask.run(links, &mut reply).unwrap_or_else(|Full| give_up(&mut reply));
            if let Some((_, scope)) = reply_edns.as_mut().and_then(|edns| edns.subnet.as_mut()) {
                *scope = ask.scope;
            }
            label
        }
    };
    let mut exceeded = false;
    if snapshot.settings.rate_limit.on && !proven {
        match restrain(buckets.as_mut(), snapshot, client, (message.len(), reply.octets()), label) {
            Verdict::Send => {}
            Verdict::Exceed => exceeded = true,
            Verdict::Slip => {
                reply.truncate();
                label = Label::Slip;
            }
            Verdict::Drop => return Outcome::Drop(Label::DropRate),
        }
    }
    if let Some(edns) = &mut reply_edns {
        edns.extended_error = reply.extended_error;
    }
    let truncated = reply.is_truncated();
    let qtype = question.map_or(QueryType::None, |question| QueryType::of(question.qtype.0));
    Outcome::Reply { len: reply.finish(reply_edns.as_ref()), label, qtype, truncated, exceeded }
}

/// What is to become of a reply where rates are limited. Out of the way of all queries where they are not.
#[cold]
#[inline(never)]
fn restrain(
    buckets: Option<&mut Buckets>,
    snapshot: &Snapshot,
    client: &Client,
    (asked, replied): (usize, usize),
    label: Label,
) -> Verdict {
    let (limit, workers) = (&snapshot.settings.rate_limit, snapshot.settings.workers);
    let verdict = match buckets {
        Some(buckets) if client.transport == Transport::Udp && replied > limit.ratio * asked => {
            buckets.judge(limit, workers, client, label)
        }
        _ => Verdict::Send,
    };
    if limit.dry_run && verdict != Verdict::Send { Verdict::Exceed } else { verdict }
}

/// What can be said before any zone is looked at; `None` when the question is to be answered. Without `extras` the message
/// breaks the format.
#[inline]
fn early(
    query: &Query<'_>,
    question: Option<&Question>,
    extras: Option<&Extras<'_>>,
    (client, proven): (&Client, bool),
    snapshot: &Snapshot,
    reply: &mut Reply<'_, '_>,
) -> Option<Label> {
    let (rcode, label) = match (query.opcode(), extras) {
        // From our primaries it was deferred; others have no business here, whatever the zone.
        (Opcode::QUERY, Some(extras)) => match &extras.edns {
            Some(edns) if edns.version != 0 => (Rcode::BADVERS, Label::BadVers),
            Some(edns) if !proven && must_prove(edns, client, &snapshot.settings) => {
                (Rcode::BADCOOKIE, Label::BadCookie)
            }
            _ => return None,
        },
        (Opcode::NOTIFY, Some(_)) => (Rcode::NOTAUTH, Label::NotAuth),
        (Opcode::UPDATE, _) if question.is_some() => (Rcode::REFUSED, Label::Refused),
        (Opcode::QUERY | Opcode::NOTIFY | Opcode::UPDATE, None) => (Rcode::FORMERR, Label::FormErr),
        _ => (Rcode::NOTIMP, Label::NotImp),
    };
    reply.rcode = rcode;
    Some(label)
}

/// Whether the client has to send a cookie of ours: it sends cookies, over a transport on which addresses can be forged
/// (RFC 7873 section 5.2.3).
fn must_prove(edns: &Edns<'_>, client: &Client, settings: &Settings) -> bool {
    settings.cookies.require && client.transport == Transport::Udp && edns.cookie.is_some()
}

/// Whether the client has shown that its address is its own. Looked at only where something depends on it.
#[inline(never)]
fn is_proven(edns: &Edns<'_>, client: &Client, snapshot: &Snapshot) -> bool {
    let settings = &snapshot.settings;
    let large = edns.payload.min(settings.limits.udp_payload) > UNPROVEN_UDP;
    let matters = large || settings.rate_limit.on || settings.cookies.require;
    matters && client.transport == Transport::Udp && cookie::is_proven(edns, client, snapshot)
}

/// One question that is to be answered.
struct Ask<'a, 'm> {
    snapshot: &'a Snapshot,
    question: &'a Question,
    name: &'a LowerName,
    edns: Option<&'a Edns<'m>>,
    client: &'a Client,
    steps: &'a Steps,
    scope: u8,
}

impl Ask<'_, '_> {
    fn run(&mut self, links: &mut Links, reply: &mut Reply<'_, '_>) -> Result<Label, Full> {
        let qtype = self.question.qtype;
        let welcome = self.snapshot.settings.query.allows(self.client.address);
        match self.question.qclass {
            Class::IN => {}
            _ if !welcome => return Ok(refuse(reply, ExtendedError::PROHIBITED)),
            Class::CH => return chaos::answer(&self.snapshot.settings.identity, self.name, self.question, reply),
            _ => return Ok(refuse(reply, ExtendedError::NOT_SUPPORTED)),
        }
        match qtype {
            Type::AXFR | Type::IXFR => return Ok(refuse(reply, ExtendedError::PROHIBITED)),
            // Obsolete questions for mail, and a number that no type has (RFC 6895 section 3.1).
            Type(0) | Type::MAILB | Type::MAILA => {
                reply.rcode = Rcode::NOTIMP;
                return Ok(Label::NotImp);
            }
            _ => {}
        }
        let zones = self.snapshot.zones();
        let mut served = zones.find(self.name);
        if qtype == Type::DS && served.is_some_and(|served| served.apex_labels() == Some(self.name.labels())) {
            // DS stands above the cut (RFC 4035 section 3.1.4.1); alone, the zone below says that it has none.
            served = zones.find_above(self.name).or(served);
        }
        let Some(served) = served else {
            let why = if welcome { ExtendedError::NOT_AUTHORITATIVE } else { ExtendedError::PROHIBITED };
            return Ok(refuse(reply, why));
        };
        let allowed = welcome && served.policy.query.allows(self.client.address);
        if !allowed && !self.is_for_transfer(served) {
            return Ok(refuse(reply, ExtendedError::PROHIBITED));
        }
        let Some(zone) = &served.zone else {
            reply.rcode = Rcode::SERVFAIL;
            reply.extended_error =
                Some(if served.expired { ExtendedError::INVALID_DATA } else { ExtendedError::NOT_READY });
            return Ok(Label::ServFail);
        };
        let dnssec = self.edns.is_some_and(|edns| edns.dnssec_ok);
        let mut lookup = Lookup::new(self.snapshot, (served, zone), qtype, dnssec, self.client, self.steps);
        lookup.subnet = self.edns.and_then(|edns| edns.subnet);
        let label = lookup.run(links, reply);
        self.scope = lookup.scope;
        label
    }

    /// Whether a secondary looks for a new serial: who may have the whole zone may ask for that, whoever else may ask.
    fn is_for_transfer(&self, served: &ServedZone) -> bool {
        self.question.qtype == Type::SOA
            && served.apex_labels() == Some(self.name.labels())
            && served.policy.transfer.to.iter().any(|grant| grant.net.contains(self.client.address))
    }
}

fn refuse(reply: &mut Reply<'_, '_>, why: ExtendedError) -> Label {
    reply.rcode = Rcode::REFUSED;
    reply.extended_error = Some(why);
    Label::Refused
}

/// The reply does not fit: TC, and what the header says of the rest.
fn give_up(reply: &mut Reply<'_, '_>) -> Label {
    reply.truncate();
    match reply.rcode {
        Rcode::NXDOMAIN => Label::NxDomain,
        _ if !reply.authoritative => Label::Referral,
        _ => Label::Answer,
    }
}

/// Octets of the largest datagram that a client may be sent that came with these options.
pub fn datagram_octets(edns: Option<&Edns<'_>>, client: &Client, snapshot: &Snapshot) -> usize {
    let proven = edns.is_some_and(|edns| is_proven(edns, client, snapshot));
    limit(Transport::Udp, edns, proven, &snapshot.settings)
}

fn limit(transport: Transport, edns: Option<&Edns<'_>>, proven: bool, settings: &Settings) -> usize {
    match transport {
        Transport::Udp => {
            let most = if proven { settings.limits.udp_payload } else { settings.limits.udp_payload.min(UNPROVEN_UDP) };
            usize::from(edns.map_or(PLAIN_UDP, |edns| edns.payload.min(most)))
        }
        Transport::Tcp | Transport::Tls | Transport::Https | Transport::Quic => usize::from(u16::MAX),
    }
}

fn answer_edns<'s>(edns: &Edns<'_>, client: &Client, snapshot: &'s Snapshot) -> ReplyEdns<'s> {
    let settings = &snapshot.settings;
    // Whether it was asked for or not (RFC 7830 section 4): lengths tell of both kinds of client.
    let padding = client.transport.is_encrypted();
    if edns.version != 0 {
        // RFC 6891 section 6.1.3: options of a version that we do not know were not read.
        return ReplyEdns { payload: settings.limits.udp_payload, padding, ..ReplyEdns::default() };
    }
    let secret = &snapshot.cookie_secret.0;
    ReplyEdns {
        payload: settings.limits.udp_payload,
        dnssec_ok: edns.dnssec_ok,
        nsid: settings.identity.nsid.as_deref().filter(|_| edns.nsid).map(str::as_bytes),
        cookie: edns.cookie.map(|cookie| cookie::reply(cookie.client, client.address, client.now, secret)),
        subnet: edns.subnet.map(|subnet| (subnet, 0)),
        // HTTP and QUIC have time-outs of their own (RFC 9250 section 5.5.2).
        keepalive: match client.transport {
            Transport::Tcp if edns.keepalive => Some(settings.limits.tcp_idle),
            Transport::Tls if edns.keepalive => Some(settings.encrypted.idle),
            _ => None,
        }
        .map(|idle| u16::try_from(idle.as_millis() / 100).unwrap_or(u16::MAX)),
        extended_error: None,
        padding,
    }
}
