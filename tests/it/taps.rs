//! Single queries and replies, as a collector and the log of queries have them. Real collectors are in `tests/interop/dnstap.py`.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use hickory_proto::rr::RecordType;

use super::harness::{DEADLINE, Scratch, Server, eventually, zone_text};

const ACCEPT: &[u8] = b"\0\0\0\0\0\0\0\x22\0\0\0\x01\0\0\0\x01\0\0\0\x16protobuf:dnstap.Dnstap";

fn scratch(settings: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.write("zones/example.test.zone", &zone_text(1, "192.0.2.1"));
    scratch.write("kofn.toml", settings);
    scratch
}

/// Takes the next server in, up to the start of its frames.
fn accept(listener: &UnixListener) -> UnixStream {
    let (mut stream, _) = listener.accept().expect("a server");
    stream.set_read_timeout(Some(DEADLINE)).expect("an option");
    // READY and START are as long as ACCEPT, and say 4 and 2 where it says 1.
    for kind in [4, 2] {
        let mut control = vec![0; ACCEPT.len()];
        stream.read_exact(&mut control).expect("a control frame");
        assert_eq!(control[11], kind);
        if kind == 4 {
            stream.write_all(ACCEPT).expect("sent");
        }
    }
    stream
}

/// The next frame; none when the stream is ended, which is answered as it should be.
fn frame(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("a length");
    if length == [0; 4] {
        let mut stop = [0; 8];
        stream.read_exact(&mut stop).expect("a control frame");
        assert_eq!(stop, *b"\0\0\0\x04\0\0\0\x03");
        stream.write_all(b"\0\0\0\0\0\0\0\x04\0\0\0\x05").expect("sent");
        return None;
    }
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).expect("a frame");
    Some(frame)
}

fn holds(frame: &[u8], octets: &[u8]) -> bool {
    frame.windows(octets.len()).any(|part| part == octets)
}

#[test]
fn a_collector_is_told_and_its_absence_holds_up_nobody() {
    let scratch = scratch("[identity]\nid = \"tapped\"\n[dnstap]\nsocket = \"tap.sock\"\n");
    let listener = UnixListener::bind(scratch.path("tap.sock")).expect("a socket");
    let server = Server::start(scratch);
    let mut stream = accept(&listener);
    let reply = server.ask("www.example.test.", RecordType::A);
    let id = reply.metadata.id.to_be_bytes();
    let (query, response) = (frame(&mut stream).expect("a frame"), frame(&mut stream).expect("a frame"));
    for (frame, flags) in [(&query, 0x00), (&response, 0x84)] {
        assert!(holds(frame, b"tapped") && holds(frame, b"\x03www\x07example\x04test\0\0\x01\0\x01"));
        assert!(holds(frame, &[id[0], id[1], flags]), "{frame:?}");
    }
    // A collector that has gone: queries are answered, and what would be told is counted as lost.
    drop(stream);
    eventually("what is lost is counted", || {
        server.ask("www.example.test.", RecordType::A);
        (server.event("tap_lost") > 0.0).then_some(())
    });
    // One that comes back.
    let mut stream = accept(&listener);
    let reply = server.ask("www.example.test.", RecordType::AAAA).metadata.id.to_be_bytes();
    while !holds(&frame(&mut stream).expect("a frame"), &[reply[0], reply[1], 0x84]) {}
    // It is switched off while the server runs, and the stream is ended in order.
    server.scratch.write("kofn.toml", "[dnstap]\nsocket = \"tap.sock\"\nsample = 0\n");
    while frame(&mut stream).is_some() {}
    assert_eq!(stream.read(&mut [0; 1]).expect("the end"), 0);
    listener.set_nonblocking(true).expect("an option");
    server.ask("www.example.test.", RecordType::A);
    assert_eq!(listener.accept().expect_err("nobody comes").kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_stream_is_ended_in_order_when_the_server_stops() {
    let scratch = scratch("[dnstap]\nsocket = \"tap.sock\"\nfile = \"tap.fstrm\"\nmessages = [\"response\"]\n");
    scratch.write("tap.fstrm", "of an earlier run");
    let listener = UnixListener::bind(scratch.path("tap.sock")).expect("a socket");
    let server = Server::start(scratch);
    let mut stream = accept(&listener);
    for _ in 0..10 {
        server.ask("www.example.test.", RecordType::A);
    }
    server.signal("TERM");
    let frames = std::iter::from_fn(|| frame(&mut stream)).count();
    let (status, scratch) = server.wait();
    assert!(status.success() && frames == 10, "{frames} frames");
    let file = fs::read(scratch.path("tap.fstrm")).expect("the file");
    assert_eq!((file[11], &file[file.len() - 12..]), (2, &b"\0\0\0\0\0\0\0\x04\0\0\0\x03"[..]));
    assert_eq!(fs::read(scratch.path("tap.fstrm.old")).expect("the file before"), b"of an earlier run");
}

#[test]
fn queries_are_logged_and_a_file_that_is_moved_away_is_begun_anew() {
    let scratch = scratch("[query_log]\nsample = 1\nfile = \"queries.log\"\nclient = \"network\"\n");
    let server = Server::start(scratch);
    let lines = |file: &str| -> Vec<String> {
        let text = fs::read_to_string(server.scratch.path(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    server.ask("www.example.test.", RecordType::A);
    server.ask_tcp("nothing.example.test.", RecordType::MX);
    eventually("two lines", || (lines("queries.log").len() == 2).then_some(()));
    for words in [
        " query client=127.0.0.0/24 transport=udp name=www.example.test. type=A outcome=answer rcode=NOERROR ",
        " query client=127.0.0.0/24 transport=tcp name=nothing.example.test. type=MX outcome=nxdomain rcode=NXDOMAIN ",
    ] {
        assert!(lines("queries.log").iter().any(|line| line.contains(words)), "{:#?}", lines("queries.log"));
    }
    fs::rename(server.scratch.path("queries.log"), server.scratch.path("moved.log")).expect("moved");
    server.signal("HUP");
    eventually("a new file", || server.scratch.path("queries.log").exists().then_some(()));
    server.ask("www.example.test.", RecordType::A);
    eventually("its line", || (lines("queries.log").len() == 1).then_some(()));
    assert_eq!(lines("moved.log").len(), 2);
    // Another form from now on.
    server.scratch.write("kofn.toml", "[query_log]\nsample = 1\nfile = \"queries.log\"\nformat = \"json\"\n");
    eventually("a line of JSON", || {
        server.ask("www.example.test.", RecordType::A);
        let line: serde_json::Value = serde_json::from_str(lines("queries.log").last()?).ok()?;
        assert_eq!((line["name"].as_str(), line["rcode"].as_str()), (Some("www.example.test."), Some("NOERROR")));
        line["client"].as_str().is_some_and(|client| client.starts_with("127.0.0.1:")).then_some(())
    });
}
