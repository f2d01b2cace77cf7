//! What is sent, read by the reader of transfers.

use std::path::Path;
use std::sync::Arc;

use super::super::tsig::{Key, Signer};
use super::super::{Intake, Question, Received, apply};
use super::*;
use crate::config::{TsigAlgorithm, TsigKey};
use crate::wire::{Name, Type};
use crate::zone::{Difference, Record, Records, Serial, Zone, text};

fn image(serial: u32, records: &str) -> Image {
    let source = format!("$TTL 60\n@ SOA ns host {serial} 1 1 1 30\n@ NS ns.elsewhere.\n{records}\n");
    let loaded = text::read_bytes(source.as_bytes(), Path::new("zone"), Some(&apex()), &text::Limits::default());
    assert_eq!(loaded.faults.errors(), 0, "{:?}", loaded.faults);
    Image::of(Arc::new(Zone::build(&apex(), &loaded.records).unwrap()))
}

fn apex() -> Name {
    Name::from_text(b"test.").unwrap()
}

fn request(qtype: u8) -> Request {
    let mut message = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04TEST\0\0".to_vec();
    message.extend([qtype, 0, 1]);
    if qtype == 251 {
        message[9] = 1;
        message.extend(b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x18\xc0\x0c\xc0\x0c\0\0\0\x01");
        message.extend([0; 16]);
    }
    Request::read(&message).expect("a request")
}

fn send(mut sending: Sending) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    loop {
        let mut message = Vec::new();
        let remainder = sending.next(&mut message, 1_700_000_000).expect("all records are small");
        messages.push(message);
        if remainder == Remainder::Nothing {
            return messages;
        }
    }
}

fn receive(messages: &[Vec<u8>], qtype: Type, ours: Option<u32>) -> Received {
    let question = Question { id: 0x1234, apex: apex(), qtype };
    let mut intake = Intake::new(question, ours.map(Serial), 1 << 30);
    let ends: Vec<bool> = messages.iter().map(|message| intake.take(message).expect("taken")).collect();
    assert_eq!(ends.iter().filter(|end| **end).count(), 1, "{ends:?}");
    intake.finish().expect("whole")
}

fn lines(records: &Records) -> Vec<String> {
    let line = |record: Record<'_>| format!("{} {} {} {:?}", record.owner, record.ttl, record.rtype, record.rdata);
    let mut lines: Vec<_> = records.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn a_large_zone_arrives_whole_in_messages_near_64_kib() {
    let records: String = (0..9000).fold(String::new(), |text, n| {
        text + &format!("host-{n}.sub A 192.0.2.1\nhost-{n}.sub MX {n} mail.host-{n}.sub\n*.w{n} TXT \"{n}\"\n")
    });
    let image = image(7, &records);
    let messages = send(Sending::new(request(252), Content::whole(image.clone()), None));
    assert!(messages.len() > 5 && messages.iter().rev().skip(1).all(|message| message.len() > 65_400));
    assert!(messages.iter().skip(1).all(|message| message[5] == 0), "one question is enough");
    let Received::Whole(received) = receive(&messages, Type::AXFR, None) else { panic!("the zone") };
    assert_eq!(lines(&received), lines(&image.zone().to_records()));
    let octets: usize = messages.iter().map(Vec::len).sum();
    assert!(octets < image.zone().octets(), "names are compressed");
}

#[test]
fn a_difference_arrives_and_makes_the_new_zone() {
    let (old, new) = (image(1, "a A 192.0.2.1\nb A 192.0.2.2"), image(3, "b A 192.0.2.2\nc A 192.0.2.3"));
    let difference = Arc::new(Difference::between(&old, &new));
    let messages = send(Sending::new(request(251), Content::difference(&new, difference), None));
    let Received::Changes(deltas, soa) = receive(&messages, Type::IXFR, Some(1)) else { panic!("changes") };
    assert_eq!((deltas[0].from, deltas[0].to), (Serial(1), Serial(3)));
    let records = apply(old.zone(), &deltas, &soa).expect("it fits");
    assert_eq!(lines(&records), lines(&new.zone().to_records()));
}

#[test]
fn who_is_up_to_date_gets_one_record() {
    let image = image(1, "");
    let messages = send(Sending::new(request(251), Content::soa(&image), None));
    assert!(matches!(receive(&messages, Type::IXFR, Some(1)), Received::UpToDate(Serial(1))));
}

#[test]
fn a_datagram_holds_a_small_difference_or_says_to_ask_by_tcp() {
    let old = image(1, "");
    for (limit, changes) in [(512, true), (200, false)] {
        let new = image(2, "a A 192.0.2.1");
        let content = Content::difference(&new, Arc::new(Difference::between(&old, &new)));
        let messages = send(Sending::datagram(request(251), content, &new, None, limit));
        assert!(messages.len() == 1 && messages[0].len() <= limit);
        assert_eq!(messages[0][7] > 1, changes);
    }
}

#[test]
fn every_message_is_signed_and_fits() {
    let records: String = (0..4000).fold(String::new(), |text, n| text + &format!("h{n} TXT \"{n:040}\"\n"));
    let key = TsigKey { algorithm: TsigAlgorithm::HmacSha512, secret: [7; 32].into() };
    let keys = [(Name::from_text(b"key.").unwrap(), key)].into();
    let mut asking = Signer::new(Key::find(&keys, &Name::from_text(b"key.").unwrap()).unwrap());
    let mut message = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x04test\0\0\xfc\0\x01".to_vec();
    asking.sign(&mut message, 1_700_000_000);
    let opened = super::super::tsig::open(&message, &keys, 1_700_000_000).expect("believed");
    let request = Request::read(&opened.message).unwrap();
    let mut verifier = asking.into_verifier();
    let messages = send(Sending::new(request, Content::whole(image(7, &records)), opened.signer));
    assert!(messages.len() > 2);
    for message in &messages {
        assert!(message.len() <= LARGEST);
        verifier.verify(message, 1_700_000_100).expect("signed");
    }
    assert!(verifier.is_complete());
    receive(&messages, Type::AXFR, None);
}
