//! What the engine defers: signed messages, transfers and NOTIFY. Keys are looked at here, and many messages sent.
//!
//! ```text
//! udp workers ─► bounded queue ─► one thread ─┐
//! connections ────────────────────────────────┴─► Clerk ─► reply │ transfer │ silence
//!                                                    └────► accepted NOTIFYs, by a bounded channel
//! ```
//!
//! None of it is on the way of ordinary queries: the UDP workers hand on and forget, and a connection waits for its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tracing::{debug, warn};

use crate::answer::{Client, Dealer, Outcome, answer, datagram_octets};
use crate::config::Grant;
use crate::metrics::{Outcome as Label, QueryType, Transport};
use crate::snapshot::{Reader, ServedZone, Snapshot};
use crate::tap::Taps;
use crate::transfer::journal::Journals;
use crate::transfer::notify::{Notified, bare_reply};
use crate::transfer::send::{Request, Sending, Wanted, decide};
use crate::transfer::tsig::{self, Rejection, Signer};
use crate::wire::{Class, LowerName, Name, Opcode, Query, Question, Rcode, Type};
use crate::zone::Serial;

/// What the doors need of others, and what others have of them.
#[derive(Clone, Debug)]
pub struct Handoff {
    /// Shows what is asked and answered.
    pub taps: Arc<Taps>,
    /// What has changed in each zone.
    pub journals: Arc<Journals>,
    /// Takes the NOTIFYs of primaries.
    pub notified: mpsc::Sender<Notified>,
    /// Whether this process is the only one that answers on its sockets.
    pub ours: watch::Receiver<bool>,
}

impl Handoff {
    /// Nothing has changed, and nobody is told: for doors that stand alone.
    pub fn to_nobody() -> Self {
        Self {
            taps: Arc::default(),
            journals: Arc::default(),
            notified: mpsc::channel(1).0,
            ours: watch::channel(true).1,
        }
    }
}

/// Answers what the engine defers.
pub(super) struct Clerk {
    reader: Reader,
    handoff: Handoff,
    transfers: Arc<Semaphore>,
    /// The second in which something was refused last, in seconds since 1970: the log has one line for each.
    told: AtomicU64,
}

/// What is to be done with a deferred message.
pub(super) enum Work {
    /// One message goes back.
    Reply(Vec<u8>, Label, QueryType),
    /// Several messages go back.
    Transfer(Box<Sending>, OwnedSemaphorePermit),
    /// Nothing goes back.
    Silence(Label),
}

/// A message whose signature holds, or that has none.
struct Message<'a> {
    octets: &'a [u8],
    question: Question,
    zone: Name,
    client: &'a Client,
    signer: Option<Signer>,
}

impl Clerk {
    pub(super) fn new(reader: Reader, handoff: Handoff, transfers: usize) -> Self {
        Self { reader, handoff, transfers: Arc::new(Semaphore::new(transfers)), told: AtomicU64::new(0) }
    }

    /// What answers a message that the engine has deferred: one with a header and a question.
    pub(super) fn take(&self, message: &[u8], peer: SocketAddr, transport: Transport) -> Work {
        let (snapshot, now) = (self.reader.load(), seconds());
        let opened = match tsig::open(message, &snapshot.settings.keys, now) {
            Ok(opened) => opened,
            Err(rejection) => return self.reject(rejection, peer),
        };
        let client = Client { address: peer.ip(), transport, now: now as u32 };
        let (mut name, octets) = (LowerName::default(), &opened.message[..]);
        let parsed = Query::new(octets).ok().and_then(|query| Some((query.opcode(), query.question(&mut name).ok()?)));
        let Some((opcode, question)) = parsed else {
            return Work::Reply(bare_reply(message, Rcode::FORMERR, false), Label::FormErr, QueryType::None);
        };
        let zone = name.name().to_name();
        let message = Message { octets, question, zone, client: &client, signer: opened.signer };
        match (opcode, question.qtype) {
            (Opcode::NOTIFY, Type::SOA) => self.notify(message, &snapshot),
            (Opcode::QUERY, Type::AXFR | Type::IXFR) if question.qclass == Class::IN => {
                self.transfer(message, &snapshot)
            }
            _ => ordinary(message, &snapshot),
        }
    }

    fn reject(&self, rejection: Rejection, peer: SocketAddr) -> Work {
        let Rejection { error, key, reply } = rejection;
        match error {
            Some(error) if self.may_tell() => {
                let key = key.map(|key| key.to_string()).unwrap_or_default();
                warn!(from = %peer.ip(), key, "a signed message was not accepted: {error}");
            }
            _ => {}
        }
        let label = if error.is_some() { Label::NotAuth } else { Label::FormErr };
        Work::Reply(reply, label, QueryType::None)
    }

    /// Passes a primary's NOTIFY on. When more come than are taken, this one is answered as if it had been the one before.
    fn notify(&self, message: Message<'_>, snapshot: &Snapshot) -> Work {
        let key = message.key();
        let served = snapshot.zones().exact(&message.lower());
        let address = message.client.address;
        if !served.is_some_and(|served| served.policy.transfer.is_primary(address, key.as_ref())) {
            return message.reply(Rcode::NOTAUTH, Label::NotAuth);
        }
        let query = Query::new(message.octets).ok();
        let serial = query.and_then(|query| query.soa_serial(&message.question)).map(Serial);
        let notified = Notified { zone: message.zone.clone(), from: address, serial };
        debug!(zone = %notified.zone, from = %address, "NOTIFY");
        // A full channel holds one of each zone that matters; refreshes come by themselves.
        let _ = self.handoff.notified.try_send(notified);
        message.reply_as_authority(Rcode::NOERROR, Label::NoData)
    }

    fn transfer(&self, message: Message<'_>, snapshot: &Snapshot) -> Work {
        let Some(request) = Request::read(message.octets) else {
            return message.reply(Rcode::FORMERR, Label::FormErr);
        };
        let Some(served) = snapshot.zones().exact(&message.lower()) else {
            return message.reply(Rcode::NOTAUTH, Label::NotAuth);
        };
        let udp = message.client.transport == Transport::Udp;
        let encrypted = message.client.transport.is_encrypted();
        let key = message.key();
        let granted = served.policy.transfer.grant(message.client.address, key.as_ref(), encrypted);
        let Some(grant) = granted.filter(|_| !udp || request.wanted != Wanted::Whole) else {
            if self.may_tell() {
                warn!(zone = %message.zone, from = %message.client.address, "a transfer was refused");
            }
            return message.reply(Rcode::REFUSED, Label::Refused);
        };
        self.send(message, request, (snapshot, served), grant)
    }

    fn send(
        &self,
        message: Message<'_>,
        request: Request,
        (snapshot, served): (&Snapshot, &ServedZone),
        grant: &Grant,
    ) -> Work {
        let Some(image) = served.image(grant.view) else {
            return message.reply(Rcode::SERVFAIL, Label::ServFail);
        };
        let journals = &self.handoff.journals;
        let content = decide(request.wanted, &image, |from, to| journals.since(&message.zone, grant.view, from, to));
        if message.client.transport == Transport::Udp {
            let limit = message.datagram(snapshot);
            let mut reply = Vec::new();
            let mut sending = Sending::datagram(request, content, &image, message.signer, limit);
            return match sending.next(&mut reply, seconds()) {
                Ok(_) => Work::Reply(reply, Label::Answer, QueryType::Transfer),
                Err(_) => Work::Silence(Label::DropLimit),
            };
        }
        match Arc::clone(&self.transfers).try_acquire_owned() {
            Ok(place) => Work::Transfer(Box::new(Sending::new(request, content, message.signer)), place),
            Err(_) => {
                if self.may_tell() {
                    warn!("as many transfers are under way as limits.transfers_out allows; the next ones are put off");
                }
                message.reply(Rcode::SERVFAIL, Label::ServFail)
            }
        }
    }

    /// Whether the log may have one more line of what strangers can cause.
    fn may_tell(&self) -> bool {
        let now = seconds();
        self.told.swap(now, Relaxed) != now
    }
}

impl Message<'_> {
    fn lower(&self) -> LowerName {
        LowerName::of(self.zone.borrow())
    }

    /// Octets of the largest datagram that the client may be sent.
    fn datagram(&self, snapshot: &Snapshot) -> usize {
        let extras = Query::new(self.octets).ok().and_then(|query| query.extras(&self.question).ok());
        datagram_octets(extras.and_then(|extras| extras.edns).as_ref(), self.client, snapshot)
    }

    fn key(&self) -> Option<Name> {
        self.signer.as_ref().map(|signer| signer.key().name().to_name())
    }

    fn reply(self, rcode: Rcode, label: Label) -> Work {
        let reply = bare_reply(self.octets, rcode, false);
        self.sign(reply, label)
    }

    fn reply_as_authority(self, rcode: Rcode, label: Label) -> Work {
        let reply = bare_reply(self.octets, rcode, true);
        self.sign(reply, label)
    }

    fn sign(self, mut reply: Vec<u8>, label: Label) -> Work {
        if let Some(mut signer) = self.signer {
            signer.sign(&mut reply, seconds());
        }
        Work::Reply(reply, label, QueryType::of(self.question.qtype.0))
    }
}

/// A signed message that is nothing special: what the engine says, signed.
fn ordinary(message: Message<'_>, snapshot: &Snapshot) -> Work {
    let signature = message.signer.as_ref().map_or(0, Signer::octets);
    let room = match message.client.transport {
        Transport::Udp => message.datagram(snapshot),
        _ => usize::from(u16::MAX),
    };
    // The signature takes its room from what the engine may use.
    let mut reply = vec![0; room.saturating_sub(signature).max(PLAIN_UDP)];
    let mut dealer = Dealer::unlimited(rand::random());
    match answer(snapshot, message.octets, message.client, &mut dealer, &mut reply) {
        Outcome::Reply { len, label, .. } => {
            reply.truncate(len);
            message.sign(reply, label)
        }
        Outcome::Drop(label) => Work::Silence(label),
        Outcome::Defer => message.reply(Rcode::REFUSED, Label::Refused),
    }
}

/// Seconds since 1970; a clock before it is wrong in any case, and then signatures are.
pub(super) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Octets of the largest UDP reply to a client without EDNS (RFC 1035 section 4.2.1), and the least that the engine takes.
const PLAIN_UDP: usize = 512;
