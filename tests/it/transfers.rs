//! Zones that others take: whole, as differences, signed, and over a restart.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, SystemTime};

use kofn::config::{TsigAlgorithm, TsigKey};
use kofn::transfer::notify::bare_reply;
use kofn::transfer::tsig::{Key, Signer};
use kofn::transfer::{Intake, Question, Received};
use kofn::wire::{Name, Rcode, Type};
use kofn::zone::Serial;

use crate::harness::{Scratch, Server, eventually, zone_text};

const PATIENCE: Duration = Duration::from_secs(20);

fn apex() -> Name {
    Name::from_text(b"example.test.").expect("a name")
}

fn key() -> Key {
    let key = TsigKey { algorithm: TsigAlgorithm::HmacSha256, secret: (*b"0123456789abcdef").into() };
    let name = Name::from_text(b"k.").expect("a name");
    Key::new(&name, &key)
}

/// What carries UDP and TCP.
const DOORS: [&str; 2] = ["batch", "portable"];

fn scratch(door: &str, transfer: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.write("kofn.toml", &format!("door = \"{door}\"\n[key.k]\nsecret = \"MDEyMzQ1Njc4OWFiY2RlZg==\"\n"));
    scratch.write("zones/example.test.zone", &zone_text(1, "192.0.2.1"));
    scratch.write("zones/example.test.toml", &format!("[transfer]\n{transfer}\n"));
    scratch
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A query for the changes since a serial, or for all.
fn request(since: Option<u32>) -> (Question, Vec<u8>) {
    let question = Question { id: 77, apex: apex(), qtype: if since.is_some() { Type::IXFR } else { Type::AXFR } };
    let mut message = b"\0\x4d\0\0\0\x01\0\0\0\0\0\0".to_vec();
    message.extend_from_slice(apex().borrow().as_bytes());
    message.extend([question.qtype.0.to_be_bytes(), [0, 1]].concat());
    if let Some(serial) = since {
        message[9] = 1;
        message.extend(b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x16\0\0");
        message.extend(serial.to_be_bytes());
        message.extend([0; 16]);
    }
    (question, message)
}

/// Asks by TCP, for the changes since a serial or for all, and gives what came.
fn transfer(server: SocketAddr, since: Option<u32>, key: Option<Key>) -> Option<Received> {
    let (question, mut message) = request(since);
    let mut verifier = key.map(|key| {
        let mut signer = Signer::new(key);
        signer.sign(&mut message, seconds());
        signer.into_verifier()
    });
    let mut stream = TcpStream::connect(server).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    stream.write_all(&[&(message.len() as u16).to_be_bytes()[..], &message].concat()).expect("sent");
    let mut intake = Intake::new(question, since.map(Serial), 1 << 30);
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length).expect("a length");
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut message).expect("a message");
        if let Some(verifier) = &mut verifier {
            verifier.verify(&message, seconds()).expect("signed");
        }
        if intake.take(&message).ok()? {
            return Some(intake.finish().expect("whole"));
        }
    }
}

fn since(server: SocketAddr, serial: u32) -> Option<(usize, usize)> {
    match transfer(server, Some(serial), None)? {
        Received::Changes(deltas, _) => Some((deltas[0].deleted.len(), deltas[0].added.len())),
        _ => None,
    }
}

/// The same by UDP, where the difference is one datagram.
fn since_by_udp(server: SocketAddr, serial: u32) -> Option<Received> {
    let (question, message) = request(Some(serial));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(PATIENCE)).expect("an option");
    socket.send_to(&message, server).expect("sent");
    let mut reply = [0; 4096];
    let octets = socket.recv(&mut reply).expect("a reply");
    let mut intake = Intake::new(question, Some(Serial(serial)), 1 << 30);
    intake.take(&reply[..octets]).ok()?.then(|| intake.finish().expect("whole"))
}

#[test]
fn who_may_has_the_zone_and_who_may_not_has_nothing() {
    /// They take several messages.
    const MORE: usize = 10_000;
    for door in DOORS {
        let scratch = scratch(door, "to = [{ net = \"127.0.0.1\", key = \"k\" }]");
        let more: String = (0..MORE).map(|number| format!("n{number} A 192.0.2.1\n")).collect();
        scratch.write("zones/example.test.zone", &(zone_text(1, "192.0.2.1") + &more));
        let server = Server::start(scratch);
        assert!(transfer(server.client.0, None, None).is_none(), "without its key");
        let Some(Received::Whole(records)) = transfer(server.client.0, None, Some(key())) else {
            panic!("the zone, by the door {door}")
        };
        assert_eq!(records.len(), MORE + 4, "{door}");
    }
}

#[test]
fn a_change_is_a_difference_and_is_told_until_it_is_acknowledged() {
    for door in DOORS {
        let told = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        told.set_read_timeout(Some(PATIENCE)).expect("an option");
        let notify = told.local_addr().expect("bound");
        let settings = format!("to = [\"127.0.0.1\"]\nnotify = [\"{notify}\"]\nnotify_source = \"127.0.0.9\"");
        let server = Server::start(scratch(door, &settings));
        let mut buffer = [0; 512];
        let mut next = |answer: bool| {
            let (octets, from) = told.recv_from(&mut buffer).expect("a NOTIFY");
            assert_eq!(buffer[2] >> 3 & 15, 4, "the opcode");
            assert_eq!(from.ip().to_string(), "127.0.0.9", "notify_source");
            if answer {
                told.send_to(&bare_reply(&buffer[..octets], Rcode::NOERROR, true), from).expect("sent");
            }
            let numbers = octets - 20;
            u32::from_be_bytes([buffer[numbers], buffer[numbers + 1], buffer[numbers + 2], buffer[numbers + 3]])
        };
        assert_eq!(next(false), 1, "the start is told");
        assert_eq!(next(true), 1, "and told again");
        server.scratch.write("zones/example.test.zone", &zone_text(2, "192.0.2.2"));
        assert_eq!(next(true), 2);
        assert_eq!(since(server.client.0, 1), Some((1, 1)), "what was told is there to be had");
        assert!(matches!(since_by_udp(server.client.0, 1), Some(Received::Changes(..))), "and by UDP");

        server.signal("TERM");
        let (status, scratch) = server.wait();
        assert!(status.success());
        let server = Server::start(scratch);
        eventually("the journal is read", || since(server.client.0, 1).filter(|changes| *changes == (1, 1)));
    }
}
