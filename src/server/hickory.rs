//! The portable door: UDP and TCP by what every system has, as streams of messages that hickory-server's crates make of
//! sockets. Each message goes to its [`RequestHandler`], which asks the engine.
//!
//! ```text
//! socket ─► UdpStream ─┐           ┌─ one question ─► Request ─► Adapter::handle_request ─┐
//!                      ├─► message ┤                                                      ├─► Engine
//! stream ─► TcpStream ─┘           └─ anything else ──────────────────────────────────────┘      │
//!           SerialMessage ◄────────────────── the reply, octet for octet ◄── Verbatim ◄──────────┘
//! ```
//!
//! * Connections are accepted by our own listener, with its limits and pauses, and handed to hickory as streams. Its own
//!   `Server` is not used: it reads a message with room for as many questions as the header claims, answers what it cannot
//!   read by itself and uncounted, and writes two lines to the log for each reply.
//! * hickory reads only what has one question, and nothing of what it reads decides about the reply: the engine has the
//!   octets as they came. A message that hickory cannot read is answered all the same.
//! * A reply is what the engine wrote. Encoded anew from records it would lose its signature and its length.
//!
//! Not here: the catalog and the zones that hickory-server also has.

mod pace;
mod tcp;
mod udp;

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use hickory_server::net::NetError;
use hickory_server::net::runtime::{Time, TokioTime};
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::op::{Header, HeaderCounts, Message, Metadata};
use hickory_server::proto::rr::Record;
use hickory_server::proto::serialize::binary::BinEncoder;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::{MessageResponse, MessageResponseBuilder};

use super::defer::Clerk;
use super::desk::{Desk, FRAME};
use super::engine::{Answered, Engine};
use super::reply::Reply;
use super::watch::Ends;
use crate::metrics::ConnectionEvent;
use crate::wire::HEADER;

pub(super) use tcp::converse;
pub(super) use udp::Worker;

/// Where one header says how many questions there are (RFC 1035 section 4.1.1).
const QDCOUNT: std::ops::Range<usize> = 4..6;

/// What stands for the address that was asked where nobody tells it.
const UNTOLD: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The engine as hickory asks it: of one transport, and shared by the sockets of one worker, so that nobody ever waits for
/// the lock.
pub(super) struct Adapter {
    desk: Mutex<Desk>,
    /// Octets of the largest reply.
    room: usize,
}

/// What the engine says to one message.
#[derive(Debug, Default, PartialEq, Eq)]
enum Said {
    Reply(Vec<u8>),
    #[default]
    Silence,
    /// It takes a clerk, as transfers do.
    Deferred,
}

/// Takes the engine's word as it is. hickory's own handles take records only.
#[derive(Clone)]
struct Verbatim {
    said: Arc<Mutex<Said>>,
    /// The address of ours that was asked, which hickory does not tell.
    local: SocketAddr,
}

impl Adapter {
    /// For replies of `room` octets at most, and no more than a frame holds.
    pub(super) fn new(engine: Engine, clerk: Arc<Clerk>, room: usize) -> Self {
        Self { desk: Mutex::new(Desk::new(engine, clerk)), room: room.min(FRAME - 2) }
    }

    /// What is said to a message, whether hickory can read it or not.
    async fn exchange(&self, message: &[u8], ends: Ends, protocol: Protocol) -> Said {
        let Some(request) = read(message, ends.client, protocol) else { return self.ask(message, ends) };
        let said = Verbatim { said: Arc::default(), local: ends.local };
        self.handle_request::<_, TokioTime>(&request, said.clone()).await;
        said.take()
    }

    /// Asks the engine, which counts.
    fn ask(&self, message: &[u8], ends: Ends) -> Said {
        let Desk { engine, output, .. } = &mut *self.desk();
        match engine.moment().answer(message, &ends.client, || ends.local, &mut output[..self.room]) {
            Answered::Reply(octets) => Said::Reply(output[..octets].to_vec()),
            Answered::Silence => Said::Silence,
            Answered::Deferred => Said::Deferred,
        }
    }

    /// Has a clerk answer what was deferred.
    fn reply_deferred(&self, message: &[u8], ends: Ends) -> Reply {
        self.desk().reply_deferred(message, ends)
    }

    fn event(&self, event: ConnectionEvent) {
        self.desk().event(event);
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The message as hickory reads it. Of one with more questions than one, or fewer, it would take more than the header to say
/// what is wrong with it; a panic of its reader costs the reading, and not the message.
fn read(message: &[u8], client: SocketAddr, protocol: Protocol) -> Option<Request> {
    if message.len() < HEADER || message[QDCOUNT] != [0, 1] {
        return None;
    }
    let octets = AssertUnwindSafe(message);
    catch_unwind(|| Request::from_bytes(octets.to_vec(), client, protocol)).ok()?.ok()
}

#[async_trait]
impl RequestHandler for Adapter {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut response: R) -> ResponseInfo {
        let handle: &mut dyn Any = &mut response;
        let verbatim = handle.downcast_mut::<Verbatim>().cloned();
        let local = verbatim.as_ref().map_or(UNTOLD, |verbatim| verbatim.local);
        let said = self.ask(request.as_slice(), Ends { client: request.src(), local });
        if let Some(verbatim) = verbatim {
            verbatim.put(said);
        } else if let Said::Reply(octets) = said
            && let Ok(info) = replay(&octets, request, response).await
        {
            return info;
        }
        // Nobody of ours reads it.
        Header { metadata: Metadata::response_from_request(&request.metadata), counts: HeaderCounts::default() }.into()
    }
}

/// Says a reply record by record, to a handle that takes nothing else.
async fn replay<R: ResponseHandler>(reply: &[u8], to: &Request, mut response: R) -> Result<ResponseInfo, NetError> {
    let Message { metadata, answers, authorities, additionals, edns, .. } = Message::from_vec(reply)?;
    let builder = MessageResponseBuilder::new(&to.queries, edns.as_ref());
    response.send_response(builder.build(metadata, &answers, &authorities, &[], &additionals)).await
}

impl Verbatim {
    fn put(&self, said: Said) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = said;
    }

    fn take(&self) -> Said {
        std::mem::take(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl ResponseHandler for Verbatim {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let mut octets = Vec::new();
        let info = response.destructive_emit(&mut BinEncoder::new(&mut octets))?;
        self.put(Said::Reply(octets));
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::UdpSocket as StdUdpSocket;

    use hickory_server::Server;
    use tokio::net::{TcpListener, UdpSocket};

    use super::super::defer::Handoff;
    use super::super::engine::Parts;
    use crate::config::Settings;
    use crate::metrics::{Outcome, Registry, Transport};
    use crate::snapshot::{Facts, Publisher};
    use crate::tap::Taps;

    const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);
    const ENDS: Ends = Ends { client: CLIENT, local: CLIENT };
    /// Nobody serves it.
    const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03WwW\x04test\0\0\x01\0\x01";

    fn adapter(registry: &Registry) -> Adapter {
        let publisher = Publisher::new(Arc::new(Settings::default()), Facts::default());
        let taps = Taps::default();
        let engine = Parts { reader: &publisher.reader(), registry, taps: &taps }.engine(Transport::Udp);
        Adapter::new(engine, Arc::new(Clerk::new(publisher.reader(), Handoff::to_nobody(), 1)), 1232)
    }

    #[tokio::test]
    async fn each_message_is_counted_once_whether_hickory_reads_it_or_not() {
        let registry = Registry::default();
        let adapter = adapter(&registry);
        let two_questions = [&QUERY[..5], &[2], &QUERY[6..], &QUERY[12..]].concat();
        let cut = &QUERY[..QUERY.len() - 3];
        for (message, rcode) in [(QUERY, 5), (&two_questions, 1), (cut, 1)] {
            match adapter.exchange(message, ENDS, Protocol::Udp).await {
                Said::Reply(reply) => assert_eq!((&reply[..2], reply[3] & 15), (&QUERY[..2], rcode)),
                said => panic!("{said:?}"),
            }
        }
        assert_eq!(adapter.exchange(b"short", ENDS, Protocol::Udp).await, Said::Silence);
        let totals = registry.totals();
        assert_eq!((totals.received(), totals.outcomes()), (4, 4));
        assert_eq!((totals.outcome(Outcome::Refused), totals.outcome(Outcome::FormErr)), (1, 2));
    }

    #[test]
    fn hickory_reads_what_has_one_question_and_nothing_else() {
        assert!(read(QUERY, CLIENT, Protocol::Udp).is_some());
        // So many questions that room for them would be taken before the first is read.
        let many = [&QUERY[..4], &[0xff, 0xff], &QUERY[6..]].concat();
        for message in [&many[..], &QUERY[..11], &QUERY[..20], b""] {
            assert!(read(message, CLIENT, Protocol::Udp).is_none());
        }
    }

    /// hickory's own server hands its own handle, which takes records: the reply means the same then.
    #[tokio::test]
    async fn a_handle_that_takes_records_gets_them() {
        let registry = Registry::default();
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("bound");
        let mut server = Server::new(adapter(&registry));
        server.register_socket(socket);
        server.register_listener(TcpListener::bind("127.0.0.1:0").await.expect("a free port"), DAY, 1);
        let edns = b"\0\0\x29\x04\xd0\0\0\0\0\0\0";
        let query = [&QUERY[..11], &[1], &QUERY[12..], edns].concat();
        let asked = query.clone();
        let reply = tokio::task::spawn_blocking(move || {
            let client = StdUdpSocket::bind("127.0.0.1:0").expect("a free port");
            client.set_read_timeout(Some(DAY)).expect("an option");
            client.send_to(&asked, address).expect("sent");
            let mut reply = [0; 512];
            let octets = client.recv(&mut reply).expect("a reply");
            reply[..octets].to_vec()
        });
        let reply = Message::from_vec(&reply.await.expect("a reply")).expect("a message");
        let Said::Reply(own) = adapter(&registry).exchange(&query, ENDS, Protocol::Udp).await else {
            panic!("a reply")
        };
        assert_eq!(reply, Message::from_vec(&own).expect("a message"));
        assert!(reply.edns.is_some());
        server.shutdown_gracefully().await.expect("its end");
    }

    const DAY: std::time::Duration = std::time::Duration::from_hours(24);
}
