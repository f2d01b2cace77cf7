//! Zone text against itself and against an independent reader: what is printed reads back, and both readers make the
//! same octets of it.

use std::path::Path;

use domain::base::iana::Rtype;
use domain::base::rdata::ComposeRecordData;
use domain::rdata::ZoneRecordData;
use domain::zonefile::inplace::{Entry, Zonefile};
use kofn::wire::{Class, Name, NameRef, Type};
use kofn::zone::record_types::{KNOWN, Kind, fields};
use kofn::zone::text::{Limits, Loaded, print, print_rdata, read_bytes};
use kofn::zone::{Place, Record, check, rdata};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Text of RDATA as people write it; what it must become is the other reader's word.
const WRITTEN: &[(&str, &str)] = &[
    ("A", "192.0.2.1"),
    ("NS", "ns1"),
    ("SOA", "ns1 hostmaster 2024010101 3600 600 1209600 30"),
    ("CNAME", "www.example.org."),
    ("DNAME", "other.example."),
    ("PTR", "a\\.b.example."),
    ("HINFO", "\"an old\" vax"),
    ("MX", "10 Mail"),
    ("TXT", "plain \"with space\" \"\" \"quo\\\"te\" \\065\\066 \"semi;colon\""),
    ("RP", "mailbox.example. ."),
    ("AAAA", "2001:db8::1:0:0"),
    ("SRV", "1 2 443 target"),
    ("NAPTR", "100 50 \"s\" \"z3950+I2L+I2C\" \"\" _z3950._tcp.gatech.edu."),
    ("CAA", "128 issue \"ca.example; policy=ev\""),
    ("DS", "60485 5 1 ( 2BB183AF5F22588179A53B0A\n 98631FAD1A292118 )"),
    ("CDS", "0 0 0 00"),
    ("DNSKEY", "257 3 8 AwEAAQ=="),
    ("CDNSKEY", "0 3 0 AA=="),
    ("RRSIG", "A 5 3 86400 20030322173103 20030220173103 2642 example.com. oJB1W6WNGv+ldvQ3WDG0MQkg5IEhjRip8WTr"),
    ("NSEC", "host.example.com. A MX RRSIG NSEC TYPE1234"),
    ("NSEC3", "1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG"),
    ("NSEC3", "1 0 0 - 2VPTU5TIMAMQTTGL4LUU9KG21E0AOR3S"),
    ("NSEC3PARAM", "1 0 12 AABBCCDD"),
    ("TLSA", "3 1 1 d2abde240d7cd3ee6b4b28c54df034b9 7983a1d16e8a410e4561cb106618e971"),
    ("SSHFP", "2 1 123456789abcdef67890123456789abcdef67890"),
    ("SVCB", "16 foo.example.com. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1,192.0.2.2"),
    ("SVCB", "1 . port=53 key667=\"hello\\210qoo\""),
    ("HTTPS", "1 . ipv6hint=\"2001:db8::1,2001:db8::53:1\""),
    ("HTTPS", "0 svc"),
    (
        "ZONEMD",
        "2018031500 1 1 FEBE3D4CE2EC2FFA4BA99D46CD69D6D29711E55217057BEE7EB1A7B641A47BA7FED2DD5B97AE499FAFA4F22C6BD647DE",
    ),
    ("OPENPGPKEY", "AwEAAQ=="),
    ("TYPE65280", "\\# 3 abcdef"),
];

/// Types that the other reader does not know, with the octets that their RFCs ask for.
const BY_RFC: &[(&str, &str, &[u8])] = &[
    ("CNAME", "@", b"\x07example\x04test\x00"),
    ("TYPE1", "\\# 4 C000 0201", b"\xc0\x00\x02\x01"),
    ("TYPE1", "192.0.2.1", b"\xc0\x00\x02\x01"),
    ("SPF", "v=spf1", b"\x06v=spf1"),
    ("SMIMEA", "3 0 0 0a", b"\x03\x00\x00\x0a"),
    ("URI", "10 1 \"ftp://a\"", b"\x00\x0a\x00\x01ftp://a"),
    ("AFSDB", "1 h.", b"\x00\x01\x01h\x00"),
    ("KX", "1 h.", b"\x00\x01\x01h\x00"),
    ("LOC", "42 21 54 N 71 06 18 W -24m 30m", b"\x00\x33\x16\x13\x89\x17\x2d\xd0\x70\xbe\x15\xf0\x00\x98\x8d\x20"),
    ("LOC", "42 N 71 6 1.5 W 10 0 0.05 1234.56m", b"\x00\x00\x50\x15\x89\x03\x21\x00\x70\xbe\x56\x64\x00\x98\x9a\x68"),
    ("CERT", "PKIX 1 RSASHA256 AA==", b"\x00\x01\x00\x01\x08\x00"),
    ("CSYNC", "66 3 A NS AAAA", b"\x00\x00\x00\x42\x00\x03\x00\x04\x60\x00\x00\x08"),
    ("EUI48", "00-00-5e-00-53-2A", b"\x00\x00\x5e\x00\x53\x2a"),
    ("EUI64", "00-00-5e-ef-10-00-00-2a", b"\x00\x00\x5e\xef\x10\x00\x00\x2a"),
    ("APL", "1:192.168.32.0/21 !1:192.168.38.0/28", b"\x00\x01\x15\x03\xc0\xa8\x20\x00\x01\x1c\x83\xc0\xa8\x26"),
    ("APL", "2:ff00::/8", b"\x00\x02\x08\x01\xff"),
    ("DHCID", "AAIBY2/A", b"\x00\x02\x01\x63\x6f\xc0"),
    ("SVCB", "1 . alpn=\"f\\\\\\\\oo\\\\,bar,h2\"", b"\x00\x01\x00\x00\x01\x00\x0c\x08f\\oo,bar\x02h2"),
    (
        "SVCB",
        "1 . ech=\"AAA=\" key7=/q{?dns} ohttp",
        b"\x00\x01\x00\x00\x05\x00\x02\x00\x00\x00\x07\x00\x08/q{?dns}\x00\x08\x00\x00",
    ),
];

const ORIGIN: &str = "example.test";

#[test]
fn both_readers_agree_on_what_people_write() {
    for (rtype, text) in WRITTEN {
        let line = format!("x 300 IN {rtype} {text}\n");
        let theirs = read_by_domain(&line).unwrap_or_else(|| panic!("the other reader refuses {line}"));
        assert_eq!(read(&line), Ok(theirs), "{line}");
    }
}

#[test]
fn types_are_read_as_their_rfcs_say() {
    for (rtype, text, octets) in BY_RFC {
        assert_eq!(read(&format!("x 300 IN {rtype} {text}\n")), Ok(octets.to_vec()), "{rtype} {text}");
    }
}

#[test]
fn every_type_has_a_written_example() {
    let written = WRITTEN.iter().map(|(rtype, _)| *rtype).chain(BY_RFC.iter().map(|(rtype, ..)| *rtype));
    let written: Vec<Type> = written.filter_map(|rtype| Type::from_text(rtype.as_bytes())).collect();
    // Both have the form of another type: RRSIG and DNSKEY.
    let excused = [Type::SIG, Type::KEY];
    let missing: Vec<_> = KNOWN.iter().filter(|rtype| !written.contains(rtype) && !excused.contains(rtype)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_is_printed_reads_back() {
    let mut rng = StdRng::seed_from_u64(20);
    let mut compared = 0;
    for rtype in KNOWN.iter().copied().chain([Type(65280), Type::NULL]) {
        for _ in 0..200 {
            let octets = random_rdata(rtype, &mut rng);
            assert_eq!(rdata::validate(rtype, &octets), Ok(()), "{rtype} {octets:?}");
            let owner = random_name(&mut rng);
            let record = Record {
                owner: NameRef::from_valid(&owner),
                rtype,
                class: Class::IN,
                ttl: rng.random_range(0..=i32::MAX as u32),
                rdata: &octets,
                place: Place { file: 0, line: 1 },
            };
            let line = print(record).to_string();
            let loaded = read_bytes(line.as_bytes(), Path::new("z"), Some(&Name::root()), &Limits::default());
            let faults: Vec<_> = loaded.faults.iter().map(ToString::to_string).collect();
            assert!(faults.is_empty(), "{line}: {faults:?}");
            assert_eq!(loaded.records.at(0), record, "{line}");
            assert_eq!(loaded.records.at(0).owner.as_bytes(), owner, "{line}");
            if let Some(theirs) = read_by_domain(&format!("x 300 IN {rtype} {}\n", print_rdata(rtype, &octets))) {
                assert_eq!(theirs, octets, "{line}");
                compared += 1;
            }
        }
    }
    assert!(compared > 4_000, "the other reader refused too much: {compared} compared");
}

#[test]
fn no_octets_make_the_reader_or_the_printer_panic() {
    let mut rng = StdRng::seed_from_u64(7);
    let pieces: Vec<&[u8]> = vec![
        b"$INCLUDE ",
        b"$GENERATE 1-3 ",
        b"$ORIGIN ",
        b"$TTL ",
        b"\n",
        b"(",
        b")",
        b"\"",
        b"\\",
        b"\\#",
        b";",
        b" ",
        b"\r\n",
        b"@",
        b"$",
        b"${0,3,n}",
        b"a.",
        b"..",
        b"300 ",
        b"IN ",
        b"4 ",
        b"ff",
        b"\xff",
        b"\x00",
        b"1h",
        b"=",
        b",",
        b"-",
        b"AA==",
    ];
    for _ in 0..3_000 {
        let mut text = b"$TTL 1\n@ SOA a b 1 2 3 4 5\n".to_vec();
        for _ in 0..rng.random_range(1..16) {
            match rng.random_range(0..3) {
                0 => text.extend_from_slice(KNOWN[rng.random_range(0..KNOWN.len())].to_string().as_bytes()),
                1 => text.extend_from_slice(WRITTEN[rng.random_range(0..WRITTEN.len())].1.as_bytes()),
                _ => text.extend_from_slice(pieces[rng.random_range(0..pieces.len())]),
            }
            text.extend_from_slice(if rng.random() { b" " } else { b"" });
        }
        let limits = Limits { generated: 50, ..Limits::default() };
        let loaded = read_bytes(&text, Path::new("z"), None, &limits);
        for record in loaded.records.iter() {
            assert_eq!(rdata::validate(record.rtype, record.rdata), Ok(()), "{text:?}");
            let printed = format!("{}\n", print(record));
            let again = read_bytes(printed.as_bytes(), Path::new("z"), Some(&Name::root()), &limits);
            assert_eq!(again.records.iter().next().map(|again| again.rdata), Some(record.rdata), "{printed}");
        }
        let octets: Vec<u8> = (0..rng.random_range(0..40)).map(|_| rng.random_range(0..20)).collect();
        let rtype = KNOWN[rng.random_range(0..KNOWN.len())];
        let printed = print_rdata(rtype, &octets).to_string();
        if rdata::validate(rtype, &octets).is_ok() {
            assert_eq!(read(&format!("x 300 {rtype} {printed}\n")).as_ref(), Ok(&octets), "{rtype} {printed}");
        }
    }
}

#[test]
fn the_page_on_zone_files_is_true() {
    let page = include_str!("../../docs/zones.md");
    let blocks: Vec<&str> = page.split("```\n").skip(1).step_by(2).collect();
    let [example, generate, text_faults, zone_faults] = blocks[..] else { panic!("{} examples", blocks.len()) };
    assert_eq!(faults_of(example), "");

    let head = "$TTL 5\n@ SOA ns1 h 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.1\n";
    let made = loaded(&format!("{head}{generate}"));
    let made: Vec<String> = made.records.iter().skip(3).map(|record| print(record).to_string()).collect();
    assert_eq!(made.len(), 3 + 16 + 2);
    assert_eq!(made[0], "host01.example.test.\t5\tIN\tA\t192.0.2.1");
    assert_eq!(made[4], "0.1.x.example.test.\t5\tIN\tPTR\th16.example.test.");
    assert_eq!(made[20], "example.test.\t5\tIN\tMX\t11 mail2.example.test.");

    assert_eq!(faults_of(&format!("{head}www A 192.0.2\n@ MX 99999 a\nx A     ( 192.0.2.1\n")), text_faults);
    assert_eq!(faults_of(&format!("{head}www CNAME a\nwww A 192.0.2.2\n@ MX 1 mail\n")), zone_faults);

    let mut known: Vec<String> = KNOWN.iter().map(ToString::to_string).collect();
    known.sort_unstable();
    let section = page.split("## Record types\n").nth(1).and_then(|rest| rest.split("Any other").next());
    let mut listed: Vec<&str> = section.expect("the section on types").split_whitespace().collect();
    listed.sort_unstable();
    assert_eq!(listed, known);
}

fn loaded(text: &str) -> Loaded {
    let apex = Name::from_text(ORIGIN.as_bytes()).expect("a name");
    let mut loaded = read_bytes(text.as_bytes(), Path::new("example.test.zone"), Some(&apex), &Limits::default());
    if loaded.faults.errors() == 0 {
        check(&loaded.apex, &loaded.records, &loaded.files, &mut loaded.faults);
    }
    loaded
}

fn faults_of(text: &str) -> String {
    loaded(text).faults.iter().map(|fault| format!("{fault}\n")).collect()
}

fn read(line: &str) -> Result<Vec<u8>, Vec<String>> {
    let apex = Name::from_text(ORIGIN.as_bytes()).expect("a name");
    let loaded = read_bytes(line.as_bytes(), Path::new("z"), Some(&apex), &Limits::default());
    match loaded.records.iter().next() {
        Some(record) if loaded.faults.errors() == 0 => Ok(record.rdata.to_vec()),
        _ => Err(loaded.faults.iter().map(ToString::to_string).collect()),
    }
}

/// The RDATA that the `domain` crate makes of a line; `None` when it refuses it, or knows the type only as octets.
fn read_by_domain(line: &str) -> Option<Vec<u8>> {
    let mut file = Zonefile::from(line);
    file.set_origin(ORIGIN.parse().expect("a name"));
    let Entry::Record(record) = file.next_entry().ok()?? else { return None };
    if matches!(record.data(), ZoneRecordData::Unknown(_)) && record.rtype() < Rtype::from_int(65280) {
        return None;
    }
    let mut octets = Vec::new();
    record.data().compose_rdata(&mut octets).expect("room for octets");
    Some(octets)
}

fn random_rdata(rtype: Type, rng: &mut StdRng) -> Vec<u8> {
    let mut out = Vec::new();
    let mut digest = None;
    for field in fields(rtype) {
        match field.kind {
            Kind::DigestType(digests) => {
                out.push(rng.random_range(0..6));
                digest = digests.length(out[out.len() - 1]);
            }
            Kind::Hex => {
                let length = digest.unwrap_or(rng.random_range(1..80));
                out.extend(random_octets(length, rng));
            }
            kind => random_field(kind, rng, &mut out),
        }
    }
    out
}

fn random_field(kind: Kind, rng: &mut StdRng, out: &mut Vec<u8>) {
    match kind {
        Kind::U8 | Kind::Algorithm | Kind::DigestType(_) => out.extend(random_octets(1, rng)),
        Kind::U16 | Kind::Type | Kind::CertificateType => out.extend(random_octets(2, rng)),
        Kind::Ipv4 | Kind::U32 | Kind::Seconds | Kind::Moment => out.extend(random_octets(4, rng)),
        Kind::Ipv6 => out.extend(random_octets(16, rng)),
        Kind::Hyphenated(count) => out.extend(random_octets(count.into(), rng)),
        Kind::Name(_) => out.extend(random_name(rng)),
        Kind::String | Kind::Salt => random_string(0, rng, out),
        Kind::Hash => random_string(1, rng, out),
        Kind::Strings => (0..rng.random_range(1..5)).for_each(|_| random_string(0, rng, out)),
        Kind::Tag => out.extend_from_slice(b"\x05iodef"),
        Kind::Text | Kind::Octets => {
            let length = rng.random_range(0..300);
            out.extend(random_octets(length, rng));
        }
        Kind::Hex | Kind::Base64 => {
            let length = rng.random_range(1..300);
            out.extend(random_octets(length, rng));
        }
        Kind::Types => {
            for window in 0..rng.random_range(0..4) {
                let length = rng.random_range(1..=32);
                out.extend([window * 7, length as u8]);
                out.extend(random_octets(length - 1, rng));
                out.push(rng.random_range(1..=255));
            }
        }
        Kind::Prefixes => {
            for _ in 0..rng.random_range(0..4) {
                let (family, octets) = if rng.random() { (1, 4) } else { (2, 16) };
                let used = rng.random_range(1..=octets);
                let negated = if rng.random() { 0x80 } else { 0 };
                out.extend([0, family, rng.random_range(0..=octets * 8), negated | used]);
                out.extend(random_octets(usize::from(used) - 1, rng));
                out.push(rng.random_range(1..=255));
            }
        }
        Kind::Location => {
            out.push(0);
            (0..3).for_each(|_| out.push(rng.random_range(1..=9) << 4 | rng.random_range(0..=9)));
            for most in [90, 180] {
                let angle = rng.random_range(0..=most * 7_200_000u32);
                out.extend(((1u32 << 31) - most * 3_600_000 + angle).to_be_bytes());
            }
            out.extend(random_octets(4, rng));
        }
        Kind::Parameters => random_parameters(rng, out),
    }
}

fn random_parameters(rng: &mut StdRng, out: &mut Vec<u8>) {
    for key in [1u16, 3, 4, 5, 6, 7, 8, 100, 65534] {
        if rng.random() {
            continue;
        }
        let mut value = Vec::new();
        match key {
            1 => (0..rng.random_range(1..4)).for_each(|_| random_string(1, rng, &mut value)),
            3 => value = random_octets(2, rng),
            4 => value = random_octets(8, rng),
            6 => value = random_octets(32, rng),
            8 => {}
            _ => value = random_octets(9, rng),
        }
        out.extend(key.to_be_bytes());
        out.extend((value.len() as u16).to_be_bytes());
        out.extend(value);
    }
}

fn random_string(shortest: u8, rng: &mut StdRng, out: &mut Vec<u8>) {
    let longest = if rng.random() { 20 } else { 255 };
    let length = rng.random_range(shortest..=longest);
    out.push(length);
    out.extend(random_octets(length.into(), rng));
}

fn random_name(rng: &mut StdRng) -> Vec<u8> {
    let mut name = Vec::new();
    for _ in 0..rng.random_range(0..4) {
        let length = rng.random_range(1..=60);
        name.push(length);
        name.extend(random_octets(length.into(), rng));
    }
    name.push(0);
    name
}

fn random_octets(length: usize, rng: &mut StdRng) -> Vec<u8> {
    (0..length).map(|_| rng.random()).collect()
}
