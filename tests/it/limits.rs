//! What one network may take: replies by UDP, connections through each door, and who may ask at all.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Instant;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::harness::{DEADLINE, Scratch, Server, eventually, zone_text};

/// `www.example.test A`.
fn query(id: u16) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend(b"\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x04test\0\0\x01\0\x01");
    query
}

fn server(settings: &str) -> Server {
    let scratch = Scratch::new();
    scratch.write("zones/example.test.zone", &zone_text(1, "192.0.2.1"));
    scratch.write("kofn.toml", settings);
    Server::start(scratch)
}

fn outcome(server: &Server, name: &str) -> u64 {
    server.status()["queries"]["outcomes"][name].as_u64().unwrap_or(0)
}

#[test]
fn a_flood_from_many_networks_gets_each_its_rate_and_every_packet_is_counted() {
    const RATE: u64 = 20;
    const FLOOD: u16 = 300;
    const NETWORKS: u8 = 20;
    let text = format!("workers = 2\n[rate_limit]\nresponses = {}\nburst = 1\nratio = 0\nslip = 2\n", 2 * RATE);
    let server = server(&text);
    let began = Instant::now();
    // One socket a network has one port, which the kernel gives to one worker: half of the rate is its share.
    let sockets = (1..=NETWORKS).map(|network| {
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 9, network, 7), 0)).expect("an address of loopback");
        socket.connect(server.client.0).expect("the server");
        socket.set_nonblocking(true).expect("an option");
        socket
    });
    let sockets: Vec<UdpSocket> = sockets.collect();
    let mut replies = vec![[0u64; 2]; sockets.len()];
    let mut take = |sockets: &[UdpSocket]| {
        let mut buffer = [0; 512];
        for (socket, counts) in sockets.iter().zip(&mut replies) {
            while socket.recv(&mut buffer).is_ok() {
                // TC, and then no records.
                let truncated = buffer[2] & 2 != 0;
                assert_eq!(buffer[7], u8::from(!truncated));
                counts[usize::from(truncated)] += 1;
            }
        }
        replies.iter().flatten().sum::<u64>()
    };
    for id in 0..FLOOD {
        for socket in &sockets {
            socket.send(&query(id)).expect("sent");
        }
        take(&sockets);
    }
    let sent = u64::from(FLOOD) * u64::from(NETWORKS);
    let counted = |name| outcome(&server, name);
    eventually("every packet is counted", || {
        let all: u64 = ["answer", "slip", "drop_rate"].map(counted).iter().sum();
        (all == sent).then_some(())
    });
    let [answers, slips, drops] = ["answer", "slip", "drop_rate"].map(counted);
    eventually("every reply has come", || (take(&sockets) == answers + slips).then_some(()));
    // One second's worth at the start, and one for each second that has begun since.
    let most = RATE * (began.elapsed().as_secs() + 3);
    for [full, _] in replies {
        assert!((RATE..=most).contains(&full), "{full} replies where {RATE} to {most} are right");
    }
    assert!(drops.abs_diff(slips) <= u64::from(NETWORKS), "{slips} slips and {drops} drops");
    // By TCP nobody forges an address.
    for _ in 0..50 {
        assert_eq!(server.ask_tcp("www.example.test.", RecordType::A).answers.len(), 1);
    }
    let status = server.status();
    let received = status["queries"]["received"].as_u64().expect("a number");
    let outcomes = status["queries"]["outcomes"].as_object().expect("counts");
    assert_eq!(outcomes.values().filter_map(serde_json::Value::as_u64).sum::<u64>(), received);
}

#[test]
fn a_dry_run_limits_nobody_and_counts() {
    let server = server("workers = 1\n[rate_limit]\nerrors = 1\nburst = 1\nratio = 0\ndry_run = true\n");
    for _ in 0..30 {
        let reply = server.ask("www.elsewhere.test.", RecordType::A);
        assert_eq!(reply.metadata.response_code, ResponseCode::Refused);
        assert!(!reply.metadata.truncation);
    }
    assert_eq!((outcome(&server, "refused"), outcome(&server, "slip")), (30, 0));
    assert!(server.event("rate_exceeded") > 0.0);
}

#[test]
fn who_may_ask_is_followed_while_it_runs_and_explained() {
    let mut server = server("[query]\ndeny = [\"198.51.100.0/24\"]\n");
    let explain = |server: &Server, from: &str| server.kofn(&["explain", "www.example.test", "--from", from]).out;
    let told = explain(&server, "198.51.100.7");
    assert!(told.contains("refused, REFUSED"), "{told}");
    assert!(told.contains("198.51.100.7 may not ask: `deny` of [query] in kofn.toml has 198.51.100.0/24"), "{told}");
    assert_eq!(server.errors("www.example.test.", RecordType::A), (ResponseCode::NoError, vec![]));
    server.scratch.write("zones/example.test.toml", "[query]\nallow = [\"192.0.2.0/24\"]\n");
    eventually("the zone's list holds", || {
        (server.errors("www.example.test.", RecordType::A) == (ResponseCode::Refused, vec![18])).then_some(())
    });
    let told = explain(&server, "127.0.0.1");
    assert!(told.contains("127.0.0.1 may not ask: `allow` of [query] in the zone's policy does not have it"), "{told}");
    assert!(explain(&server, "192.0.2.7").contains("answer, NOERROR"));
    // The files alone say the same.
    let query = |from: &str| server.kofn(&["query", "www.example.test", "--from", from]).out;
    assert!(query("127.0.0.1").contains("extended error 18"), "{}", query("127.0.0.1"));
    assert!(query("192.0.2.7").contains("NOERROR"));
    assert!(query("198.51.100.7").contains("REFUSED"));
    server.scratch.write("zones/example.test.toml", "[query]\nalow = []\n");
    server.log_until(|line| line.contains("did you mean `allow`?"));
}

#[test]
fn connections_of_one_network_are_bounded_whoever_brings_them() {
    let server = server("proxy_protocol = [\"127.0.0.1\"]\n[limits]\ntcp_per_prefix = 2\n");
    let connect = |network: u8, host: u8| {
        let header =
            [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x21, 0x11, 0, 12, 192, 0, network, host, 127, 0, 0, 1, 9, 9, 0, 53]];
        let mut stream = TcpStream::connect(server.client.0).expect("a connection");
        stream.set_read_timeout(Some(DEADLINE)).expect("an option");
        let query = query(u16::from(host));
        let frame = [&(query.len() as u16).to_be_bytes()[..], &query].concat();
        // One that is closed at once may not even take it.
        let _ = stream.write_all(&[&header.concat()[..], &frame].concat());
        let answered = stream.read_exact(&mut [0; 2]).is_ok();
        (stream, answered)
    };
    let (one, other) = (connect(2, 1), connect(2, 2));
    assert!(one.1 && other.1);
    assert!(!connect(2, 3).1, "a third of 192.0.2.0/24");
    assert!(connect(3, 3).1, "one of another network");
    drop(one);
    eventually("a place that was given back is to be had again", || connect(2, 4).1.then_some(()));
    assert!(server.connections("tcp", "refused") >= 1.0);
}

#[test]
fn no_datagram_is_larger_than_is_safe_without_a_cookie() {
    let scratch = Scratch::new();
    let strings =
        "\"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\" ";
    let zone = format!("{}large TXT {}\n", zone_text(1, "192.0.2.1"), strings.repeat(25));
    scratch.write("zones/example.test.zone", &zone);
    scratch.write("kofn.toml", "[limits]\nudp_payload = 4096\n");
    let server = Server::start(scratch);
    let large = |cookie: &[u8]| {
        let question = b"\0\x01\0\0\0\x01\0\0\0\0\0\x01\x05large\x07example\x04test\0\0\x10\0\x01";
        ask_with(server.client.0, question, cookie)
    };
    let first = large(b"abcdefgh");
    assert!(first.len() <= 1232 && first[2] & 2 != 0, "{} octets", first.len());
    // The option stands last.
    let cookie = first[first.len() - 24..].to_vec();
    assert_eq!(&cookie[..8], b"abcdefgh");
    let full = large(&cookie);
    assert!(full.len() > 2500 && full[2] & 2 == 0, "{} octets", full.len());
    let mut forged = cookie;
    forged[23] ^= 1;
    assert!(large(&forged).len() <= 1232);
}

#[test]
fn differences_by_udp_are_bound_alike() {
    let scratch = Scratch::new();
    scratch.write("zones/example.test.zone", &zone_text(1, "192.0.2.1"));
    scratch.write("zones/example.test.toml", "[transfer]\nto = [\"127.0.0.1\"]\n");
    scratch.write("kofn.toml", "[limits]\nudp_payload = 4096\n");
    let server = Server::start(scratch);
    let added: String = (0..80).map(|host| format!("added{host} A 192.0.2.{host}\n")).collect();
    server.scratch.write("zones/example.test.zone", &format!("{}{added}", zone_text(2, "192.0.2.1")));
    // IXFR since serial 1: its SOA stands in the authority section.
    let mut since_1 = b"\0\x01\0\0\0\x01\0\0\0\x01\0\x01\x07example\x04test\0\0\xfb\0\x01".to_vec();
    since_1.extend(b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x16\0\0\0\0\0\x01");
    since_1.extend([0; 16]);
    let soa = b"\0\x01\0\0\0\x01\0\0\0\0\0\x01\x07example\x04test\0\0\x06\0\x01";
    let first = ask_with(server.client.0, soa, b"abcdefgh");
    let cookie = first[first.len() - 24..].to_vec();
    eventually("the difference in one datagram", || {
        let reply = ask_with(server.client.0, &since_1, &cookie);
        (reply.len() > 1500 && reply[3] & 15 == 0).then_some(())
    });
    // Without a cookie of ours only the new SOA goes by UDP, and the secondary comes by TCP (RFC 1995 section 2).
    let reply = ask_with(server.client.0, &since_1, b"abcdefgh");
    assert!(reply.len() < 200 && reply[7] == 1, "{} octets, {} records", reply.len(), reply[7]);
}

/// Sends what has room for an OPT record, with one for 4096 octets that carries a cookie, by UDP.
fn ask_with(server: SocketAddr, question: &[u8], cookie: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(DEADLINE)).expect("an option");
    let mut query = question.to_vec();
    query.extend(b"\0\0\x29\x10\0\0\0\0\0");
    query.extend((4 + cookie.len() as u16).to_be_bytes());
    query.extend([&[0, 10, 0, cookie.len() as u8], cookie].concat());
    socket.send_to(&query, server).expect("sent");
    let mut reply = vec![0; 65_535];
    let octets = socket.recv(&mut reply).expect("a reply");
    reply.truncate(octets);
    reply
}
