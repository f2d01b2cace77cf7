//! Transcripts of `tests/scenarios/`: zones, policies, queries, and the replies they must get.
//!
//! A line at the margin says what follows, indented lines are its text:
//!
//! ```text
//! zone example.test.          a master file
//! policy example.test.        its policy
//! settings                    kofn.toml
//! drains                      drains.toml, from here on
//! ask www.example.test. A     a question, with words after it: do tcp size=N from=ADDRESS subnet=PREFIX nsid
//!                             cookie=HEX class=CH, and cookie=again for the one that the last reply gave
//!     NOERROR aa answer       rcode, flags that are set, how the reply is counted, the scope of a client subnet, and the
//!                             number of an extended error
//!     > www.example.test. …   answer, in any order; `authority:` and `additional:` begin the other sections
//! flood 100 NAME A            as often, by one worker: how many of the replies were counted as what
//! deal www.example.test. A    the same question until all hands have been dealt: each hand's share of the answers
//! probe 192.0.2.1 passes      what a probe finds: passes | fails: REASON | drains and …
//! probe 192.0.2.1 F P F       the same in a row, and the verdict after each
//! wait 5s                     the clock stands still otherwise
//! witnesses are silent        what they say when they are asked now: answer | are silent
//! status www.example.test.    the members of a pool as they stand, and when the next probe comes, but for jitter
//! probes                      who is probed, and by which check
//! ```
//!
//! Where an address is asked by several checks, `by CHECK` stands behind it; `all` stands for every address. Replies are decoded by hickory-proto, which shares no line with what wrote them.

#![expect(clippy::unwrap_used, reason = "a transcript that cannot be read is a failed test")]

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use hickory_proto::op::Message;
use hickory_proto::rr::{RData, Record};
use kofn::answer::{Client, Dealer, Outcome, answer};
use kofn::config::{Settings, ZonePolicy};
use kofn::metrics::Transport;
use kofn::snapshot::{Snapshot, ZoneSource};
use kofn::wire::{Class, Name, Type};
use kofn::zone::{Zone, text};

mod world;

use world::{World, counts, shares};

#[tokio::test(start_paused = true)]
async fn every_transcript_is_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("the folder of transcripts").map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 2, "only {files:?}");
    let mut differences = String::new();
    for file in &files {
        run(file, &mut differences).await;
    }
    assert!(differences.is_empty(), "\n{differences}");
}

async fn run(file: &Path, differences: &mut String) {
    let source = std::fs::read_to_string(file).unwrap();
    let (mut world, mut last_cookie) = (World::default(), Vec::new());
    for block in blocks(&source) {
        let (verb, words) = block.head.split_once(' ').unwrap_or((block.head, ""));
        let mut words = words.split_whitespace();
        let shown = match verb {
            "zone" | "policy" | "settings" => {
                configure(&mut world, &block, file);
                None
            }
            "ask" => Some(ask(&world.snapshot(), words, (&mut Dealer::new(1), world.seconds()), &mut last_cookie)),
            "flood" => {
                let times: usize = words.next().unwrap().parse().unwrap();
                let (snapshot, now) = (world.snapshot(), world.seconds());
                let dealer = world.dealer.get_or_insert_with(|| Dealer::new(1));
                let question = || block.head.split_whitespace().skip(2);
                let reply = |_| ask(&snapshot, question(), (&mut *dealer, now), &mut last_cookie);
                Some(counts((0..times).map(reply)))
            }
            "deal" => {
                let lap = world.lap(words.next().unwrap(), rtype(words.next().unwrap()));
                let (snapshot, mut dealer, now) = (world.snapshot(), Dealer::new(1), world.seconds());
                let question = || block.head.split_whitespace().skip(1);
                let reply = |_| hand(&ask(&snapshot, question(), (&mut dealer, now), &mut last_cookie));
                Some(shares((0..lap).map(reply)))
            }
            _ => world.step(&block).await,
        };
        let (shown, expected) = (shown.unwrap_or_default(), block.text.trim_end());
        if !matches!(verb, "zone" | "policy" | "settings" | "drains") && shown != normal(expected) {
            let at = format!("{}:{}: {}", file.display(), block.line, block.head);
            writeln!(differences, "{at}\n--- written\n{expected}\n--- replied\n{shown}\n").unwrap();
        }
    }
}

fn configure(world: &mut World, block: &Block<'_>, file: &Path) {
    match block.head.split_once(' ').unwrap_or((block.head, "")) {
        ("zone", apex) => {
            let apex = name(apex);
            let loaded = text::read_bytes(block.text.as_bytes(), file, Some(&apex), &text::Limits::default());
            assert_eq!(loaded.faults.errors(), 0, "{}: {:?}", file.display(), loaded.faults);
            let zone = Zone::build(&apex, &loaded.records).unwrap();
            world.sources.push(ZoneSource { apex, zone: Some(Arc::new(zone)), policy: Arc::default() });
        }
        ("policy", apex) => {
            let of = |source: &&mut ZoneSource| source.apex == name(apex);
            let source = world.sources.iter_mut().find(of).expect("the zone stands before its policy");
            let policy = ZonePolicy::parse(&block.text, file, source.apex.borrow());
            source.policy = Arc::new(policy.unwrap_or_else(|faults| panic!("{faults:?}")));
        }
        _ => world.settings = Settings::parse(&block.text, file).unwrap(),
    }
    world.edited = true;
}

struct Block<'a> {
    head: &'a str,
    line: usize,
    text: String,
}

fn blocks(source: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for (line, text) in source.lines().enumerate().filter(|(_, text)| !text.starts_with('#')) {
        if text.trim().is_empty() {
            continue;
        }
        match (text.strip_prefix("    "), blocks.last_mut()) {
            (Some(body), Some(block)) => block.text += &format!("{body}\n"),
            _ => blocks.push(Block { head: text, line: line + 1, text: String::new() }),
        }
    }
    blocks
}

fn ask<'a>(
    snapshot: &Snapshot,
    mut words: impl Iterator<Item = &'a str>,
    (dealer, now): (&mut Dealer, u32),
    last_cookie: &mut Vec<u8>,
) -> String {
    let (owner, rtype) = (name(words.next().unwrap()), rtype(words.next().unwrap()));
    let mut client = Client { address: IpAddr::from([192, 0, 2, 1]), transport: Transport::Udp, now };
    let (mut class, mut size, mut flags, mut options) = (Class::IN, None, 0u8, Vec::new());
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("do", _) => (flags, size) = (0x80, size.or(Some(1232))),
            ("tcp", _) => client.transport = Transport::Tcp,
            ("size", octets) => size = Some(octets.parse().unwrap()),
            ("from", address) => client.address = address.parse().unwrap(),
            ("class", text) => class = Class::from_text(text.as_bytes()).unwrap(),
            ("nsid", _) => options.extend([0, 3, 0, 0]),
            ("cookie", "again") => options.extend(option(10, last_cookie)),
            ("cookie", hex) => options.extend(option(10, &HEXLOWER.decode(hex.as_bytes()).unwrap())),
            ("subnet", prefix) => options.extend(subnet(prefix)),
            (other, _) => panic!("{other}?"),
        }
    }
    if !options.is_empty() {
        size = size.or(Some(1232));
    }
    let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(size.is_some())];
    message.extend_from_slice(owner.borrow().as_bytes());
    message.extend([rtype.0.to_be_bytes(), class.0.to_be_bytes()].concat());
    if let Some(size) = size {
        message.extend([0, 0, 41]);
        message.extend(u16::to_be_bytes(size));
        message.extend([0, 0, flags, 0]);
        message.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
        message.extend(options);
    }
    let mut buffer = vec![0; 65535];
    match answer(snapshot, &message, &client, dealer, &mut buffer) {
        Outcome::Reply { len, label, .. } => {
            let reply = Message::from_vec(&buffer[..len]).unwrap_or_else(|error| panic!("{owner} {rtype}: {error}"));
            let (mut scope, mut error) = (String::new(), String::new());
            for (code, option) in reply.edns.iter().flat_map(|edns| edns.options().as_ref()) {
                let octets = Vec::try_from(option).unwrap();
                match u16::from(*code) {
                    8 => scope = format!(" scope={}", octets[3]),
                    10 => *last_cookie = octets,
                    15 => error = format!(" error={}", u16::from_be_bytes([octets[0], octets[1]])),
                    _ => {}
                }
            }
            show(&reply, &format!("{}{scope}{error}", label.label()))
        }
        Outcome::Drop(label) => label.label().to_owned(),
        Outcome::Defer => "defer".to_owned(),
    }
}

fn option(code: u8, value: &[u8]) -> Vec<u8> {
    [&[0, code, 0, value.len() as u8], value].concat()
}

fn subnet(prefix: &str) -> Vec<u8> {
    let (address, len) = prefix.split_once('/').unwrap();
    let (address, len): (std::net::Ipv4Addr, u8) = (address.parse().unwrap(), len.parse().unwrap());
    let octets = &address.octets()[..usize::from(len.div_ceil(8))];
    option(8, &[&[0, 1, len, 0], octets].concat())
}

fn show(reply: &Message, label: &str) -> String {
    let metadata = &reply.metadata;
    let mut shown = format!("{:?}", metadata.response_code).to_uppercase();
    for (set, flag) in
        [(metadata.authoritative, "aa"), (metadata.truncation, "tc"), (metadata.recursion_available, "ra")]
    {
        if set {
            write!(shown, " {flag}").unwrap();
        }
    }
    writeln!(shown, " {label}").unwrap();
    let sections = [("", &reply.answers), ("authority:", &reply.authorities), ("additional:", &reply.additionals)];
    for (title, records) in sections {
        if !title.is_empty() && !records.is_empty() {
            writeln!(shown, "{title}").unwrap();
        }
        for line in lines(records) {
            writeln!(shown, "{line}").unwrap();
        }
    }
    normal(&shown)
}

fn lines(records: &[Record]) -> Vec<String> {
    let line = |record: &Record| match &record.data {
        // The types that hickory-proto does not know are shown by our own printer.
        RData::Unknown { code, rdata } => {
            let (owner, ttl, rtype) = (&record.name, record.ttl, Type(u16::from(*code)));
            format!("> {owner} {ttl} {} {rtype} {}", record.dns_class, text::print_rdata(rtype, &rdata.anything))
        }
        _ => format!("> {record}"),
    };
    records.iter().map(line).collect()
}

/// The addresses of a reply and their TTL.
fn hand(reply: &str) -> String {
    let records: Vec<Vec<&str>> =
        reply.lines().filter(|line| line.starts_with('>')).map(|line| line.split(' ').collect()).collect();
    let addresses: Vec<&str> = records.iter().map(|record| record[5]).collect();
    let ttl = records.first().map_or("-", |record| record[2]);
    format!("{} for {ttl}s", addresses.join(" "))
}

/// The lines with one space between words, and the records of each section sorted.
fn normal(text: &str) -> String {
    let mut sections: Vec<Vec<String>> = vec![Vec::new()];
    for line in text.lines() {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if !line.starts_with('>') {
            sections.push(vec![]);
        }
        sections.last_mut().unwrap().push(line);
    }
    for section in &mut sections {
        section.sort_by_key(|line| (line.starts_with('>'), line.clone()));
    }
    sections.concat().join("\n")
}

fn name(text: &str) -> Name {
    Name::from_text(text.as_bytes()).unwrap()
}

fn rtype(text: &str) -> Type {
    Type::from_text(text.as_bytes()).unwrap()
}
