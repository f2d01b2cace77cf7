//! Nothing is allocated for a query: every allocation of the process is counted while a running server answers.
//!
//! A binary of its own, as the allocator is the whole program's and no other test may run beside it.
#![expect(unsafe_code, reason = "an allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use kofn::config::{Settings, ZonePolicy};
use kofn::metrics::{Event, Outcome, Registry, Totals, Transport};
use kofn::server::{Given, Handoff, bind};
use kofn::snapshot::{Facts, Publisher, ZoneSource};
use kofn::wire::{Name, Type};
use kofn::zone::{Zone, text};

#[global_allocator]
static ALLOCATOR: Counting = Counting;
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, and how often it was asked.
struct Counting;

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, SeqCst);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, SeqCst);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

const ZONE: &str = "\
$ORIGIN example.test.
$TTL 300
@ SOA ns1 hostmaster 1 3600 600 1209600 30
@ NS ns1
@ MX 10 mail
ns1 A 192.0.2.1
mail AAAA 2001:db8::1
www A 192.0.2.11
www A 192.0.2.12
www A 192.0.2.13
near A 192.0.2.21
near A 192.0.2.22
near A 192.0.2.23
alias CNAME www
*.wild TXT \"anything\"
sub NS ns.sub
ns.sub A 192.0.2.53
tree DNAME www
near AAAA 2001:db8::21
near AAAA 2001:db8::22
near AAAA 2001:db8::23
@ NSEC alias NS SOA MX RRSIG NSEC
@ RRSIG NSEC 13 2 300 20380101000000 20260101000000 1 @ AAAA
@ RRSIG SOA 13 2 300 20380101000000 20260101000000 1 @ AAAA
ns1 NSEC www A RRSIG NSEC
ns1 RRSIG NSEC 13 3 300 20380101000000 20260101000000 1 @ AAAA
ns1 RRSIG A 13 3 300 20380101000000 20260101000000 1 @ AAAA
big TXT BIG
";
/// Six of these are more than a datagram may be, with EDNS or without.
const STRING: [u8; 250] = [b'x'; 250];
const POLICY: &str = "[pool.www]\nk = 2\n[pool.near]\nk = 2\nspread = \"affinity\"\n";
/// Names and types: every step of the ladder of decisions.
const QUESTIONS: [(&str, Type, Outcome); 20] = [
    ("ns1.example.test.", Type::A, Outcome::Answer),
    ("NS1.Example.Test.", Type::A, Outcome::Answer),
    ("www.example.test.", Type::A, Outcome::Answer),
    ("near.example.test.", Type::A, Outcome::Answer),
    ("near.example.test.", Type::AAAA, Outcome::Answer),
    ("big.example.test.", Type::TXT, Outcome::Answer),
    ("example.test.", Type::MX, Outcome::Answer),
    ("example.test.", Type::NS, Outcome::Answer),
    ("example.test.", Type::SOA, Outcome::Answer),
    ("example.test.", Type::ANY, Outcome::Answer),
    ("alias.example.test.", Type::A, Outcome::Answer),
    ("a.b.wild.example.test.", Type::TXT, Outcome::Answer),
    ("x.tree.example.test.", Type::A, Outcome::NxDomain),
    ("ns1.example.test.", Type::AAAA, Outcome::NoData),
    ("www.example.test.", Type::MX, Outcome::NoData),
    ("nothing.example.test.", Type::A, Outcome::NxDomain),
    ("a.b.c.d.e.f.nothing.example.test.", Type::A, Outcome::NxDomain),
    ("_explain.near.example.test.", Type::TXT, Outcome::Answer),
    ("host.sub.example.test.", Type::A, Outcome::Referral),
    ("www.example.com.", Type::A, Outcome::Refused),
];
/// What stands behind the question: nothing; EDNS; DO; a cookie; a cookie that a server gave, NSID and DO; a client subnet
/// and NSID; a subnet of IPv6.
const EXTRAS: [&[u8]; 7] = [
    b"",
    b"\0\0\x29\x04\xd0\0\0\0\0\0\0",
    b"\0\0\x29\x04\xd0\0\0\x80\0\0\0",
    b"\0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x08\x01\x02\x03\x04\x05\x06\x07\x08",
    b"\0\0\x29\x04\xd0\0\0\x80\0\0\x20\0\x0a\0\x18\x01\x02\x03\x04\x05\x06\x07\x08\x01\0\0\0\x65\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08\0\x03\0\0",
    b"\0\0\x29\x04\xd0\0\0\0\0\0\x0f\0\x08\0\x07\0\x01\x18\0\xc0\0\x02\0\x03\0\0",
    b"\0\0\x29\x04\xd0\0\0\0\0\0\x0f\0\x08\0\x0b\0\x02\x38\0\x20\x01\x0d\xb8\0\0\0",
];
/// Rounds of all questions that are counted.
const ROUNDS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_query_allocates_nothing() {
    let totals = ask_all(|_| {});
    for wanted in [Outcome::Answer, Outcome::NoData, Outcome::NxDomain, Outcome::Referral, Outcome::Refused] {
        let asked = QUESTIONS.iter().filter(|(_, _, outcome)| *outcome == wanted).count();
        let times = (2 * (ROUNDS + 1) * EXTRAS.len() * asked) as u64;
        assert_eq!(totals.outcome(wanted), times, "{}", wanted.label());
    }
    let truncated = (ROUNDS + 1) * EXTRAS.len();
    assert_eq!(totals.event(Event::Truncated), truncated as u64, "what does not fit is asked once with each");
    assert_eq!(totals.event(Event::TapLost), 0);
    // Rates that are soon exceeded, lists of who may ask, and all of it written down.
    let totals = ask_all(|settings| {
        let text = "[query]\nallow = [\"127.0.0.1\"]\ndeny = [\"127.0.0.0/30\", \"192.0.2.0/24\"]\n\
                    [rate_limit]\nresponses = 50\nratio = 0\n";
        let read = Settings::parse(text, Path::new("kofn.toml")).expect("settings");
        (settings.query, settings.rate_limit) = (read.query, read.rate_limit);
        (settings.dnstap.sample, settings.query_log.sample) = (1.0, 0.1);
    });
    assert!(totals.outcome(Outcome::Slip) > 1000 && totals.event(Event::TapLost) > 1000);
}

/// Asks all questions in rounds, and holds that nothing is allocated for them, whatever `change` makes of the settings.
fn ask_all(change: impl FnOnce(&mut Settings)) -> Totals {
    let explain = vec!["127.0.0.0/8".parse().expect("a prefix")];
    let listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    let mut settings = Settings { workers: 1, listen, explain, ..Settings::default() };
    change(&mut settings);
    let bound = bind(&settings, &mut Given::default()).expect("a free port");
    let address = bound.addresses()[0];
    let publisher = Publisher::new(Arc::new(settings), Facts::default());
    publisher.replace_zones(vec![zone()]);
    assert!(publisher.reader().load().sprawls());
    let registry = Registry::default();
    let handoff = Handoff::to_nobody();
    let taps = Arc::clone(&handoff.taps);
    let running = bound.run(&publisher.reader(), &registry, handoff).expect("threads");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    udp.connect(address).expect("an address of loopback");
    udp.set_read_timeout(Some(PATIENCE)).expect("an option");
    let mut tcp = TcpStream::connect(address).expect("a connection");
    tcp.set_read_timeout(Some(PATIENCE)).expect("an option");
    let queries: Vec<_> = QUESTIONS.iter().flat_map(|question| EXTRAS.map(|extras| query(question, extras))).collect();
    let frames = queries.iter().flat_map(|query| [&(query.len() as u16).to_be_bytes()[..], query].concat());
    let frames: Vec<u8> = frames.collect();
    // What a worker makes once, such as its cursors, it makes in the first round.
    ask(&udp, &queries);
    ask_by_tcp(&mut tcp, &frames, queries.len());
    let mut scratch = Vec::with_capacity(1 << 17);
    let before = ALLOCATIONS.load(SeqCst);
    for round in 0..ROUNDS {
        ask(&udp, &queries);
        ask_by_tcp(&mut tcp, &frames, queries.len());
        // At first somebody reads along, and then the rings get full.
        if round < ROUNDS / 10 {
            taps.drain(&mut scratch, |_| {});
        }
    }
    assert_eq!(ALLOCATIONS.load(SeqCst) - before, 0, "in {} queries", 2 * ROUNDS * queries.len());
    drop(tcp);
    running.stop();
    let totals = registry.totals();
    let all = ((ROUNDS + 1) * queries.len()) as u64;
    assert_eq!((totals.received_by(Transport::Udp), totals.received_by(Transport::Tcp)), (all + garbage(), all));
    assert_eq!(totals.outcomes(), totals.received());
    totals
}

/// Datagrams that [`ask`] sends in all rounds beside the queries.
fn garbage() -> u64 {
    (ROUNDS + 1) as u64 * 2
}

/// Asks in bursts, so that batches have one query and many; between them comes what is no query.
fn ask(socket: &UdpSocket, queries: &[Vec<u8>]) {
    let mut reply = [0; 4096];
    socket.send(b"short").expect("sent");
    socket.send(&[0x80; 12]).expect("sent");
    for burst in queries.chunks(23) {
        for query in burst {
            socket.send(query).expect("sent");
        }
        for query in burst {
            assert!(socket.recv(&mut reply).expect("a reply") >= 12);
            assert_eq!(reply[..2], query[..2]);
        }
    }
}

fn ask_by_tcp(stream: &mut TcpStream, frames: &[u8], replies: usize) {
    let mut reply = [0; 4096];
    stream.write_all(frames).expect("sent");
    for _ in 0..replies {
        stream.read_exact(&mut reply[..2]).expect("a length");
        let length = usize::from(u16::from_be_bytes([reply[0], reply[1]]));
        stream.read_exact(&mut reply[..length]).expect("a reply");
    }
}

fn query((name, rtype, _): &(&str, Type, Outcome), extras: &[u8]) -> Vec<u8> {
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(!extras.is_empty())];
    query.extend(Name::from_text(name.as_bytes()).expect("a name").borrow().as_bytes());
    query.extend(rtype.0.to_be_bytes());
    query.extend([0, 1]);
    query.extend(extras);
    query
}

/// So many that workers look ahead to what a batch will be answered with.
fn many_names() -> String {
    (0..60_000).map(|number| format!("n{number} A 192.0.2.1\n")).collect()
}

fn zone() -> ZoneSource {
    let apex = Name::from_text(b"example.test.").expect("a name");
    let string = format!("\"{}\" ", String::from_utf8_lossy(&STRING));
    let zone = ZONE.replace("BIG", &string.repeat(6)) + &many_names();
    let loaded = text::read_bytes(zone.as_bytes(), Path::new("test.zone"), Some(&apex), &text::Limits::default());
    assert_eq!(loaded.faults.errors(), 0);
    let zone = Some(Arc::new(Zone::build(&apex, &loaded.records).expect("a zone")));
    let policy = ZonePolicy::parse(POLICY, Path::new("test.toml"), apex.borrow()).expect("a policy");
    ZoneSource { apex, zone, policy: Arc::new(policy) }
}
