//! Queries that are broken in seeded ways: no crash, no reply that an independent decoder cannot read.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use kofn::answer::{Client, Dealer, Outcome, answer};
use kofn::config::{Settings, ZonePolicy};
use kofn::metrics::Transport;
use kofn::snapshot::{Facts, Publisher, Snapshot, ZoneSource};
use kofn::wire::{Name, NameRef};
use kofn::zone::{Zone, text};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// The zones of the fuzz target `query`: small, and rich in edge cases.
fn world() -> (Arc<Snapshot>, Vec<Name>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/zones");
    let mut names = Vec::new();
    let mut source = |apex: &str| {
        let apex = name(apex.as_bytes());
        let file = folder.join(format!("{}zone", apex.borrow()));
        let loaded = text::read_file(&file, Some(&apex), &text::Limits::default(), &|_| {});
        assert_eq!(loaded.faults.errors(), 0, "{:?}", loaded.faults);
        names.extend(loaded.records.iter().map(|record| record.owner.to_name()));
        let policy = std::fs::read_to_string(folder.join(format!("{}toml", apex.borrow()))).unwrap_or_default();
        let policy = ZonePolicy::parse(&policy, &file, apex.borrow()).expect("a legal policy");
        let zone = Zone::build(&apex, &loaded.records).expect("a zone");
        ZoneSource { apex, zone: Some(Arc::new(zone)), policy: Arc::new(policy) }
    };
    let sources = ["test.", "nsec.test.", "nsec3.test."].map(&mut source);
    let publisher = Publisher::new(Arc::new(Settings::default()), Facts::default());
    publisher.replace_zones(sources.to_vec());
    (publisher.reader().load(), names)
}

fn name(text: &[u8]) -> Name {
    Name::from_text(text).expect("a name")
}

#[test]
fn broken_queries_get_replies_that_decode() {
    let (snapshot, names) = world();
    let mut rng = SmallRng::seed_from_u64(20_261_120);
    let mut answered = 0;
    for _ in 0..12_000 {
        let owner = &names[rng.random_range(0..names.len())];
        let mut message = query(&mut rng, owner.borrow());
        for _ in 0..rng.random_range(0..4) {
            mutate(&mut rng, &mut message);
        }
        answered += usize::from(ask(&snapshot, &message));
    }
    assert!(answered > 1500, "only {answered} were answered");
}

fn ask(snapshot: &Snapshot, message: &[u8]) -> bool {
    let mut replies = [Transport::Udp, Transport::Tcp].map(|transport| {
        let client = Client { address: IpAddr::from([192, 0, 2, 1]), transport, now: 1_700_000_000 };
        let mut buffer = vec![0; 65535];
        match answer(snapshot, message, &client, &mut Dealer::new(7), &mut buffer) {
            Outcome::Reply { len, .. } => {
                let reply = Message::from_vec(&buffer[..len]);
                Some((len, reply.unwrap_or_else(|error| panic!("{error}: {message:02x?} {:02x?}", &buffer[..len]))))
            }
            Outcome::Drop(_) => None,
            Outcome::Defer => panic!("no transfers here, and nothing signed: {message:02x?}"),
        }
    });
    let [Some((udp_len, udp)), Some((_, tcp))] = &mut replies else {
        assert!(message.len() < 12 || message[2] & 0x80 != 0, "silence to {message:02x?}");
        return false;
    };
    assert!(*udp_len <= 1232);
    for reply in [&udp, &tcp] {
        assert_eq!(reply.metadata.message_type, MessageType::Response);
        assert_eq!(reply.metadata.id, u16::from_be_bytes([message[0], message[1]]));
    }
    if !udp.metadata.truncation {
        assert_eq!((&udp.answers, &udp.authorities), (&tcp.answers, &tcp.authorities), "{message:02x?}");
    }
    udp.metadata.response_code == ResponseCode::NoError
}

fn query(rng: &mut SmallRng, owner: NameRef<'_>) -> Vec<u8> {
    let types = [1u16, 2, 5, 6, 12, 15, 16, 28, 33, 35, 39, 43, 46, 47, 48, 50, 64, 65, 252, 255, 65280];
    let mut message = vec![rng.random(), rng.random(), 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    if rng.random_ratio(1, 3) {
        message.extend([1, rng.random()]);
    }
    message.extend_from_slice(owner.as_bytes());
    message.extend(types[rng.random_range(0..types.len())].to_be_bytes());
    message.extend([0, 1, 0, 0, 41, 16, 0, 0, 0, 0x80 * rng.random_range(0..2u8), 0, 0, 12, 0, 10, 0, 8]);
    message.extend(rng.random::<[u8; 8]>());
    message
}

fn mutate(rng: &mut SmallRng, message: &mut Vec<u8>) {
    if message.is_empty() {
        return;
    }
    let at = rng.random_range(0..message.len());
    match rng.random_range(0..7) {
        0 => message.truncate(at),
        1 => message[at] = rng.random(),
        2 => message[at] ^= 1 << rng.random_range(0..8),
        3 => message.insert(at, rng.random()),
        4 => drop(message.remove(at)),
        5 => message[at] = [0, 0x3f, 0x40, 0x80, 0xc0, 0xff][rng.random_range(0..6)],
        _ => message.extend_from_within(at..),
    }
}
