//! The shipped zones, served as README.md has it.

use std::collections::BTreeSet;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::harness::{Scratch, Server, addresses};

#[test]
fn the_shipped_pool_deals_three_of_eight() {
    let server = Server::start(Scratch::with_shipped_zones());
    let (mut members, mut orders) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..200 {
        let reply = server.ask("www.example.test.", RecordType::A);
        assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
        assert!(reply.metadata.authoritative);
        assert!(reply.answers.iter().all(|record| record.ttl == 10), "the pool's TTL: {:?}", reply.answers);
        let hand = addresses(&reply);
        let distinct: BTreeSet<_> = hand.iter().copied().collect();
        assert_eq!((hand.len(), distinct.len()), (3, 3), "{hand:?}");
        members.extend(distinct);
        orders.insert(hand);
    }
    assert_eq!(members.len(), 8, "all members are used");
    assert!(orders.len() > 8, "subset and order vary: {orders:?}");
}

#[test]
fn the_rest_of_the_shipped_zone_is_served_by_udp_and_tcp() {
    let server = Server::start(Scratch::with_shipped_zones());
    for (name, rtype, records) in [
        ("example.test.", RecordType::SOA, 1),
        ("example.test.", RecordType::NS, 2),
        ("example.test.", RecordType::CAA, 1),
        ("mail.example.test.", RecordType::AAAA, 1),
        ("node-4.example.test.", RecordType::A, 1),
        ("anything.wild.example.test.", RecordType::TXT, 1),
        // The alias and a hand of the pool; the DNAME, what it made, the alias and a hand.
        ("shop.example.test.", RecordType::A, 4),
        ("host.example.test.", RecordType::SSHFP, 1),
    ] {
        let (udp, tcp) = (server.ask(name, rtype), server.ask_tcp(name, rtype));
        assert_eq!(udp.answers.len(), records, "{name} {rtype}: {udp:?}");
        assert_eq!(tcp.answers.len(), records, "{name} {rtype}: {tcp:?}");
    }
    let refused = server.ask("www.example.net.", RecordType::A);
    assert_eq!(refused.metadata.response_code, ResponseCode::Refused);
    let unknown = server.ask("nobody.example.test.", RecordType::A);
    assert_eq!(unknown.metadata.response_code, ResponseCode::NXDomain);
    let referral = server.ask("x.lab.example.test.", RecordType::A);
    assert_eq!((referral.authorities.len(), referral.additionals.len()), (1, 1), "{referral:?}");
}

#[test]
fn it_starts_without_zones_and_with_a_broken_one() {
    let mut server = Server::start_unready(Scratch::new(), &[]);
    server.log_until(|line| line.contains("no zone to serve"));
    drop(server);

    let scratch = Scratch::with_shipped_zones();
    scratch.write("zones/broken.test.zone", "$TTL 60\n@ SOA ns1 hostmaster 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2\n");
    let mut server = Server::start_unready(scratch, &[]);
    server.log_until(|line| line.contains("zones/broken.test.zone:4:"));
    server.log_until(|line| line.contains("ready"));
    let broken = server.ask("www.broken.test.", RecordType::A);
    assert_eq!(broken.metadata.response_code, ResponseCode::ServFail, "configured, and without data");
    assert_eq!(server.resolve("www.example.test.", RecordType::A).len(), 3, "the others are served");
}

#[test]
fn one_server_a_state_folder_and_one_an_address() {
    let server = Server::start(Scratch::with_shipped_zones());
    let second = server.kofn(&["--listen", "127.0.0.1:0", "--admin", "off"]);
    assert_eq!(second.code, 69, "{second:?}");
    assert!(second.err.contains("another kofn runs on this state folder"), "{second:?}");
    let third = server.kofn(&["--listen", &server.client.0.to_string(), "--admin", "off", "--state", "other"]);
    assert_eq!(third.code, 69, "{third:?}");
    assert!(third.err.contains(&server.client.0.to_string()), "{third:?}");
}
