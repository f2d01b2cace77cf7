//! Zones from primaries that lie, break off or have nothing: what is served stays, and what is wrong is said.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use hickory_proto::rr::RecordType;

use crate::harness::{Scratch, Server, eventually};

/// A primary that answers each question by `answer`: the type that was asked, to the messages that go back, without their
/// first four octets (ID and flags).
struct Primary(SocketAddr);

type Answer = Arc<Mutex<Box<dyn Fn(u16) -> Vec<Vec<u8>> + Send>>>;

const SOA: u16 = 6;

impl Primary {
    fn start(answer: &Answer) -> Self {
        // The same port by UDP and TCP; of a few tries one is free for both.
        let (tcp, udp) = (0..20)
            .find_map(|_| {
                let tcp = TcpListener::bind("127.0.0.1:0").ok()?;
                let udp = UdpSocket::bind(tcp.local_addr().ok()?).ok()?;
                Some((tcp, udp))
            })
            .expect("a port");
        let address = tcp.local_addr().expect("its address");
        let by_udp = Arc::clone(answer);
        thread::spawn(move || {
            let mut octets = [0; 512];
            while let Ok((length, from)) = udp.recv_from(&mut octets) {
                for message in reply(&octets[..length], &by_udp) {
                    // Who asked may be gone.
                    let _ = udp.send_to(&message, from);
                }
            }
        });
        let by_tcp = Arc::clone(answer);
        thread::spawn(move || {
            for mut stream in tcp.incoming().map_while(Result::ok) {
                let mut length = [0; 2];
                if stream.read_exact(&mut length).is_err() {
                    continue;
                }
                let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
                if stream.read_exact(&mut octets).is_err() {
                    continue;
                }
                for message in reply(&octets, &by_tcp) {
                    let framed = [&(message.len() as u16).to_be_bytes(), &message[..]].concat();
                    if stream.write_all(&framed).is_err() {
                        break;
                    }
                }
            }
        });
        Self(address)
    }
}

fn reply(query: &[u8], answer: &Answer) -> Vec<Vec<u8>> {
    let qtype = u16::from_be_bytes([query[query.len().min(24) - 4], query[query.len().min(24) - 3]]);
    let messages = answer.lock().expect("no test panics in it")(qtype);
    messages.into_iter().map(|rest| [&query[..2], &[0x84, 0], &rest[..]].concat()).collect()
}

/// What follows the flags of a message with these records; the question is `z.test. qtype`.
fn message(qtype: u16, records: &[Vec<u8>]) -> Vec<u8> {
    let mut octets = vec![0, 1, 0, records.len() as u8, 0, 0, 0, 0];
    octets.extend_from_slice(b"\x01z\x04test\0");
    octets.extend_from_slice(&qtype.to_be_bytes());
    octets.extend_from_slice(&[0, 1]);
    records.iter().for_each(|record| octets.extend_from_slice(record));
    octets
}

fn record(rtype: u16, rdata: &[u8]) -> Vec<u8> {
    let header = [&[0xc0, 12][..], &rtype.to_be_bytes(), &[0, 1, 0, 0, 0, 60]].concat();
    [&header[..], &(rdata.len() as u16).to_be_bytes(), rdata].concat()
}

fn soa(serial: u32) -> Vec<u8> {
    let timers = [serial, 1, 1, 600, 60].map(u32::to_be_bytes).concat();
    record(SOA, &[&[0, 0][..], &timers].concat())
}

fn ns() -> Vec<u8> {
    record(2, b"\x02ns\xc0\x0c")
}

fn a() -> Vec<u8> {
    record(1, &[192, 0, 2, 1])
}

/// A primary that has `serial` and means it.
fn honest(serial: u32) -> Box<dyn Fn(u16) -> Vec<Vec<u8>> + Send> {
    Box::new(move |qtype| match qtype {
        SOA => vec![message(qtype, &[soa(serial)])],
        _ => vec![message(qtype, &[soa(serial), ns(), a(), soa(serial)])],
    })
}

fn secondary(primary: &Primary) -> Server {
    let scratch = Scratch::new();
    scratch.write("kofn.toml", "[limits]\ntransfer_octets = 1_000_000\n");
    scratch.write("zones/z.test.toml", &format!("[transfer]\nfrom = [\"{}\"]\nrefresh_min = 1\n", primary.0));
    Server::start(scratch)
}

#[track_caller]
fn serves(server: &Server, what: &str) {
    eventually(what, || (!server.ask("z.test.", RecordType::A).answers.is_empty()).then_some(()));
}

#[test]
fn what_a_primary_breaks_changes_nothing_and_is_said() {
    let answer: Answer = Arc::new(Mutex::new(honest(5)));
    let primary = Primary::start(&answer);
    let mut server = secondary(&primary);
    serves(&server, "the honest zone is served");
    let lie = |transfer: Vec<Vec<u8>>| -> Box<dyn Fn(u16) -> Vec<Vec<u8>> + Send> {
        Box::new(move |qtype| if qtype == SOA { vec![message(qtype, &[soa(9)])] } else { transfer.clone() })
    };
    let of = |records: &[Vec<u8>]| vec![message(252, records)];
    for (lies, said) in [
        (lie(of(&[soa(9), ns(), a()])), "broke off"),
        (lie(of(&[soa(7), ns(), a(), soa(7)])), "serial 7 where 9 was due"),
        (lie(of(&[soa(9), ns(), a(), soa(8)])), "last SOA is not the first"),
        (lie(of(&[soa(9), a(), soa(9)])), "no NS at its apex"),
        (
            lie([of(&[soa(9), ns()]), vec![message(252, &vec![a(); 200]); 200]].concat()),
            "more than limits.transfer_octets",
        ),
        (honest(4), "its serial 4 is behind ours, 5"),
    ] {
        *answer.lock().expect("no test panics in it") = lies;
        server.log_until(|line| line.contains("no transfer") && line.contains(said));
        let zone = &server.kofn(&["transfer", "status", "z.test", "--json"]).json()["secondaries"][0];
        assert_eq!((zone["serial"].as_u64(), zone["state"].as_str()), (Some(5), Some("retrying")), "{said}");
        serves(&server, said);
    }
    let forced = server.kofn(&["transfer", "retry", "z.test", "--force"]);
    assert_eq!((forced.code, forced.out.as_str()), (0, "z.test. taken, serial 4 after serial 5\n"), "{forced:?}");
}

#[test]
fn a_whole_zone_in_answer_to_ixfr_counts_as_whole() {
    let answer: Answer = Arc::new(Mutex::new(honest(5)));
    let primary = Primary::start(&answer);
    let server = secondary(&primary);
    serves(&server, "the zone is served");
    *answer.lock().expect("no test panics in it") = honest(6);
    let taken = server.kofn(&["transfer", "retry", "z.test"]);
    assert_eq!(taken.code, 0, "{taken:?}");
    let zone = &server.kofn(&["transfer", "status", "z.test", "--json"]).json()["secondaries"][0];
    let counts = ["incremental", "whole"].map(|kind| zone[kind].as_u64());
    assert_eq!(counts, [Some(0), Some(2)], "{zone}");
}

#[test]
fn a_restart_serves_at_once_and_a_file_beside_from_is_a_fault() {
    let answer: Answer = Arc::new(Mutex::new(honest(5)));
    let primary = Primary::start(&answer);
    let server = secondary(&primary);
    serves(&server, "the zone is served");
    let note = server.scratch.path("state/zones/z.test.toml");
    eventually("the zone is kept", || note.exists().then_some(()));
    *answer.lock().expect("no test panics in it") = Box::new(|_| Vec::new());
    server.signal("TERM");
    let (status, scratch) = server.wait();
    assert!(status.success());
    let server = Server::start(scratch);
    assert_eq!(server.ask("z.test.", RecordType::A).answers.len(), 1, "what was kept is served from the first query");
    server.scratch.write("zones/z.test.zone", &crate::harness::zone_text(1, "192.0.2.9"));
    let checked = server.kofn(&["check"]);
    assert!(checked.code == 1 && checked.out.contains("the zone comes from primaries"), "{checked:?}");
}

#[test]
fn the_examples_of_the_manual_are_taken() {
    for example in ["hidden-primary", "overlay", "sub-zone"] {
        let config = format!("{}/examples/deploy/{example}/kofn.toml", env!("CARGO_MANIFEST_DIR"));
        let checked = Scratch::new().kofn(&["check", "--config", &config]);
        assert!(checked.code == 0 && checked.out.contains("1 zone, 0 errors, 0 warnings"), "{example}: {checked:?}");
    }
}
