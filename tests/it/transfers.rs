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

fn scratch(transfer: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.write("kofn.toml", "[key.k]\nsecret = \"MDEyMzQ1Njc4OWFiY2RlZg==\"\n");
    scratch.write("zones/example.test.zone", &zone_text(1, "192.0.2.1"));
    scratch.write("zones/example.test.toml", &format!("[transfer]\n{transfer}\n"));
    scratch
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()
}

/// Asks by TCP, for the changes since a serial or for all, and gives what came.
fn transfer(server: SocketAddr, since: Option<u32>, key: Option<Key>) -> Option<Received> {
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

#[test]
fn who_may_has_the_zone_and_who_may_not_has_nothing() {
    let server = Server::start(scratch("to = [{ net = \"127.0.0.1\", key = \"k\" }]"));
    assert!(transfer(server.client.0, None, None).is_none(), "without its key");
    let Some(Received::Whole(records)) = transfer(server.client.0, None, Some(key())) else { panic!("the zone") };
    assert!(records.len() > 3);
}

#[test]
fn a_change_is_a_difference_and_is_told_until_it_is_acknowledged() {
    let told = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    told.set_read_timeout(Some(PATIENCE)).expect("an option");
    let notify = told.local_addr().expect("bound");
    let settings = format!("to = [\"127.0.0.1\"]\nnotify = [\"{notify}\"]\nnotify_source = \"127.0.0.9\"");
    let server = Server::start(scratch(&settings));
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

    server.signal("TERM");
    let (status, scratch) = server.wait();
    assert!(status.success());
    let server = Server::start(scratch);
    eventually("the journal is read", || since(server.client.0, 1).filter(|changes| *changes == (1, 1)));
}
