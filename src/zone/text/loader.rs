//! Entries into records: owners, TTLs, classes and types, and the directives.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fault::{Blame, Fault, Faults, Severity, Spot, quote};
use super::rdata::read_rdata;
use super::scanner::{Scanner, Token};
use super::value::seconds;
use super::{Limits, Loaded};
use crate::processor;
use crate::reach;
use crate::wire::{Class, Name, NameRef, Type};
use crate::zone::octets::Octets;
use crate::zone::record_types::is_data;
use crate::zone::{Place, Record, Records};

pub(super) fn read_file(path: &Path, apex: Option<&Name>, limits: &Limits, told: &dyn Fn(u64)) -> Loaded {
    let mut loader = Loader { told, ..Loader::new(path, apex, limits) };
    match read_regular(path) {
        Ok(text) => {
            loader.open.push(path.to_owned());
            loader.read(&text, 0, loader.first_origin());
        }
        Err(error) => {
            let found = format!("a file that cannot be read: {error}");
            loader.fault(
                0,
                Severity::Error,
                Blame::new(WHOLE_FILE, found, reach::remedy(path, &error, "a readable zone file")),
            );
        }
    }
    loader.finish()
}

pub(super) fn read_bytes(text: &[u8], path: &Path, apex: Option<&Name>, limits: &Limits) -> Loaded {
    let mut loader = Loader::new(path, apex, limits);
    loader.read(text, 0, loader.first_origin());
    loader.finish()
}

pub(super) struct Loader<'l> {
    pub(super) limits: &'l Limits,
    apex: Option<Name>,
    records: Records,
    pub(super) files: Vec<Arc<Path>>,
    faults: Faults,
    /// Set by `$TTL`, or by an SOA without a TTL.
    pub(super) default_ttl: Option<u32>,
    /// The last TTL that was written out, for files without `$TTL`.
    last_ttl: Option<u32>,
    told_of_last_ttl: bool,
    /// The files that are being read, the included inside the including, to find circles. Where there are any, the first
    /// is the zone file as it was named.
    pub(super) open: Vec<PathBuf>,
    pub(super) includes: usize,
    pub(super) generated: u32,
    pub(super) rdata: Vec<u8>,
    /// Hears of progress in the zone file.
    told: &'l dyn Fn(u64),
}

/// One file while it is read.
pub(super) struct Source<'a> {
    pub(super) file: u16,
    pub(super) scanner: Scanner<'a>,
    pub(super) origin: Name,
    /// The current owner in wire form; empty before the first.
    owner: Vec<u8>,
    /// Whether the current owner belongs to the zone.
    in_zone: bool,
}

/// What stands between an owner and its RDATA.
pub(super) struct Head {
    ttl: Option<u32>,
    pub(super) rtype: Type,
    spot: Spot,
}

impl<'l> Loader<'l> {
    fn new(path: &Path, apex: Option<&Name>, limits: &'l Limits) -> Self {
        Self {
            limits,
            apex: apex.cloned(),
            records: Records::new(),
            files: vec![path.into()],
            faults: Faults::new(limits.faults),
            default_ttl: None,
            last_ttl: None,
            told_of_last_ttl: false,
            open: Vec::new(),
            includes: 0,
            generated: 0,
            rdata: Vec::new(),
            told: &|_| {},
        }
    }

    fn first_origin(&self) -> Name {
        self.apex.clone().unwrap_or_else(Name::root)
    }

    fn finish(self) -> Loaded {
        let apex = self.apex.unwrap_or_else(Name::root);
        Loaded { apex, records: self.records, files: self.files, faults: self.faults }
    }

    fn fault(&mut self, file: u16, severity: Severity, blame: Blame) {
        let Blame { spot, found, expected } = blame;
        let file = Arc::clone(&self.files[usize::from(file)]);
        self.faults.push(Fault { severity, file, spot, found, expected });
    }

    fn warn(&mut self, file: u16, spot: Spot, found: impl Into<String>, expected: &'static str) {
        self.fault(file, Severity::Warning, Blame::new(spot, found, expected));
    }

    pub(super) fn read(&mut self, text: &[u8], file: u16, origin: Name) {
        let text = match text.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) => {
                let spot = Spot { line: 1, column: 1 };
                self.fault(
                    file,
                    Severity::Error,
                    Blame::new(spot, "a byte order mark", "text that begins without one"),
                );
                rest
            }
            None => text,
        };
        let mut source = Source { file, scanner: Scanner::new(text), origin, owner: Vec::new(), in_zone: true };
        let mut told = 0;
        while !source.scanner.is_at_end() {
            processor::pause();
            let read = source.scanner.offset();
            if file == 0 && read >= told + TOLD {
                (self.told)((read - told) as u64);
                told = read;
            }
            let told = self.entry(&mut source).err().map(|blame| {
                let spot = blame.spot;
                self.fault(file, Severity::Error, blame);
                spot
            });
            if let Some(blame) = source.scanner.end_entry().filter(|blame| Some(blame.spot) != told) {
                self.fault(file, Severity::Error, blame);
            }
        }
        if file == 0 {
            (self.told)((text.len() - told) as u64);
        }
    }

    fn entry(&mut self, source: &mut Source<'_>) -> Result<(), Blame> {
        let blank = source.scanner.begins_blank();
        let Some(first) = source.scanner.next()? else {
            return Ok(());
        };
        if !blank && first.text.starts_with(b"$") && !first.quoted {
            return self.directive(first, source);
        }
        if blank && source.owner.is_empty() {
            return Err(Blame::new(first.spot, "a line without an owner, and none before it", "an owner at its start"));
        }
        if blank {
            source.scanner.unread(first);
        } else {
            self.owner(first, source)?;
        }
        let head = Head::read(&mut source.scanner).map_err(|blame| hint_at_indent(blame, first, blank))?;
        read_rdata(head.rtype, &mut source.scanner, source.origin.borrow(), &mut self.rdata)?;
        let owner = NameRef::from_valid(&source.owner);
        self.add(source.file, owner, source.in_zone, first.spot, &head)
    }

    fn owner(&mut self, token: Token<'_>, source: &mut Source<'_>) -> Result<(), Blame> {
        source.owner.clear();
        read_owner(token.text, token, source.origin.borrow(), &mut source.owner)
            .inspect_err(|_| source.owner.clear())?;
        source.in_zone = self.contains(NameRef::from_valid(&source.owner));
        Ok(())
    }

    pub(super) fn contains(&self, owner: NameRef<'_>) -> bool {
        self.apex.as_ref().is_none_or(|apex| owner.is_within(apex.borrow()))
    }

    /// Adds the record whose RDATA has just been read.
    pub(super) fn add(
        &mut self,
        file: u16,
        owner: NameRef<'_>,
        in_zone: bool,
        spot: Spot,
        head: &Head,
    ) -> Result<(), Blame> {
        let ttl = self.ttl(file, head)?;
        if self.apex.is_none() {
            self.take_apex(owner, head)?;
        }
        if !in_zone {
            let found = format!("{owner} is not within the zone {}", self.first_origin());
            self.warn(file, spot, found, "the record is left out");
            return Ok(());
        }
        let place = Place { file, line: spot.line };
        self.records.push(Record { owner, rtype: head.rtype, class: Class::IN, ttl, rdata: &self.rdata, place });
        Ok(())
    }

    /// The zone's name is the owner of its SOA, when nobody gave it.
    fn take_apex(&mut self, owner: NameRef<'_>, head: &Head) -> Result<(), Blame> {
        if head.rtype == Type::SOA {
            self.apex = Some(owner.to_name());
            return Ok(());
        }
        // Told once: everything is within the root.
        self.apex = Some(Name::root());
        let found = format!("{} as the first record of a zone whose name is not given", head.rtype);
        Err(Blame::new(head.spot, found, "the SOA"))
    }

    /// Which TTL a record has: its own, that of `$TTL`, the last one written (RFC 1035 section 5.1, RFC 2308 section 4).
    fn ttl(&mut self, file: u16, head: &Head) -> Result<u32, Blame> {
        if let Some(ttl) = head.ttl {
            let ttl = self.capped(file, head.spot, ttl);
            self.last_ttl = Some(ttl);
            return Ok(ttl);
        }
        if let Some(ttl) = self.default_ttl {
            return Ok(ttl);
        }
        if let Some(ttl) = self.last_ttl {
            if !self.told_of_last_ttl {
                self.told_of_last_ttl = true;
                self.warn(file, head.spot, format!("no TTL and no $TTL: the last one, {ttl}, is used"), "$TTL above");
            }
            return Ok(ttl);
        }
        let minimum = self.rdata.last_chunk().filter(|_| head.rtype == Type::SOA);
        let Some(minimum) = minimum else {
            return Err(Blame::new(head.spot, "a record without a TTL", "a TTL before the type, or $TTL above"));
        };
        let ttl = self.capped(file, head.spot, u32::from_be_bytes(*minimum));
        self.warn(file, head.spot, format!("no TTL and no $TTL: the SOA's minimum, {ttl}, is used"), "$TTL above");
        self.default_ttl = Some(ttl);
        Ok(ttl)
    }

    /// A TTL with its highest bit set counts as 0 (RFC 2181 section 8).
    pub(super) fn capped(&mut self, file: u16, spot: Spot, ttl: u32) -> u32 {
        if ttl <= i32::MAX as u32 {
            return ttl;
        }
        self.warn(file, spot, format!("a TTL of {ttl}, which counts as 0"), "at most 2147483647");
        0
    }
}

impl Head {
    /// TTL and class in either order, both optional, then the type.
    pub(super) fn read(scanner: &mut Scanner<'_>) -> Result<Self, Blame> {
        let (mut ttl, mut class) = (None, None);
        loop {
            let at_end = scanner.spot();
            let Some(token) = scanner.next()? else {
                return Err(Blame::new(at_end, "the end of the line where a type belongs", A_TYPE));
            };
            let text = if token.quoted { b"" } else { token.text };
            if ttl.is_none() && text.first().is_some_and(u8::is_ascii_digit) {
                let found = || Blame::new(token.spot, format!("{} as a TTL", quote(text)), "seconds such as 300 or 5m");
                ttl = Some(seconds(text).ok_or_else(found)?);
            } else if let Some(found) = Class::from_text(text).filter(|_| class.is_none()) {
                if found != Class::IN {
                    return Err(Blame::new(token.spot, format!("class {found}"), "IN"));
                }
                class = Some(found);
            } else {
                let rtype = Type::from_text(text).filter(|rtype| is_data(*rtype));
                let rtype =
                    rtype.ok_or_else(|| Blame::new(token.spot, format!("{} as a type", quote(token.text)), A_TYPE))?;
                return Ok(Self { ttl, rtype, spot: token.spot });
            }
        }
    }
}

/// Reads a name that begins an entry or is the argument of a directive.
pub(super) fn read_owner(text: &[u8], token: Token<'_>, origin: NameRef<'_>, out: &mut Vec<u8>) -> Result<(), Blame> {
    if text == b"@" && !token.quoted {
        out.extend_from_slice(origin.as_bytes());
        return Ok(());
    }
    if token.quoted {
        return Err(Blame::new(token.spot, format!("{} in quotes", quote(text)), "a domain name without quotes"));
    }
    Name::append_text_in(text, origin, out)
        .map_err(|error| Blame::new(token.spot, format!("{} as a name: {error}", quote(text)), "a domain name"))
}

/// A type where the owner stands means that the line should have been indented.
fn hint_at_indent(blame: Blame, first: Token<'_>, blank: bool) -> Blame {
    if blank || Type::from_text(first.text).or(Class::from_text(first.text).map(|class| Type(class.0))).is_none() {
        return blame;
    }
    let expected =
        format!("{}, and white space before {} if the owner is the one above", blame.expected, quote(first.text));
    Blame { expected: expected.into(), ..blame }
}

/// Reads a file whole, but nothing that could block or never end.
pub(super) fn read_regular(path: &Path) -> io::Result<Octets> {
    // Whoever opens a pipe would wait for its other end.
    let mut file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let known = file.metadata()?;
    if !known.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    // What is added to it meanwhile is a change, and read as such.
    let mut text = Octets::zeroed(known.len() as usize);
    let mut read = 0;
    while read < text.len() {
        match file.read(&mut text[read..]) {
            Ok(0) => text.truncate(read),
            Ok(octets) => read += octets,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(text)
}

/// Octets after which progress is told.
const TOLD: usize = 1 << 20;
const WHOLE_FILE: Spot = Spot { line: 0, column: 0 };
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const A_TYPE: &str = "a record type such as A or TYPE65280";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{print, read_bytes, read_file};
    use super::*;

    const HEAD: &str = "$TTL 5m\n@ SOA ns h 1 2 3 4 5\n";

    fn load(text: &[u8]) -> Loaded {
        let apex = Name::from_text(b"example.test").unwrap();
        read_bytes(text, Path::new("z"), Some(&apex), &Limits::default())
    }

    fn records(text: &str) -> Vec<String> {
        let loaded = load(format!("{HEAD}{text}").as_bytes());
        assert!(loaded.faults.iter().next().is_none(), "{text}: {:?}", faults(&loaded));
        loaded.records.iter().skip(1).map(|record| print(record).to_string().replace('\t', " ")).collect()
    }

    fn faults(loaded: &Loaded) -> Vec<String> {
        loaded.faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn owner_ttl_and_class_are_optional() {
        assert_eq!(
            records("a IN 60 A 192.0.2.1\n 1h30m in A 192.0.2.2\n\tAAAA ::1\r\n@ TYPE1 192.0.2.3"),
            [
                "a.example.test. 60 IN A 192.0.2.1",
                "a.example.test. 5400 IN A 192.0.2.2",
                "a.example.test. 300 IN AAAA ::1",
                "example.test. 300 IN A 192.0.2.3",
            ]
        );
    }

    #[test]
    fn origin_moves_relative_names_only() {
        assert_eq!(
            records("$ORIGIN sub\nMX MX 10 @\n$origin b.\n; nothing\n\nx.example.test. NS y\n"),
            ["MX.sub.example.test. 300 IN MX 10 sub.example.test.", "x.example.test. 300 IN NS y.b."]
        );
    }

    #[test]
    fn generate_makes_records() {
        assert_eq!(
            records("$GENERATE 1-3/2 h${0,2} 60 IN A 192.0.2.$\n$GENERATE 7-7 m MX \"${3} h$\"\n"),
            [
                "h01.example.test. 60 IN A 192.0.2.1",
                "h03.example.test. 60 IN A 192.0.2.3",
                "m.example.test. 300 IN MX 10 h7.example.test.",
            ]
        );
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let text = "a A 192.0.2\n$TTL x\nb.. A ::1\nc (\n MX 99999 d\n) \nd\ne CH TXT x\nf FOO x\ng A 192.0.2.1 x\n\
                    $FOO\nh \"i A\ni A \\# 3 010203\no OPT \\# 0\nA 192.0.2.1\nj MX 10\nk TXT \"\\256\"\nl NS ( a";
        let expected = [
            "z:3:5: `192.0.2` as the address of A; an IPv4 address such as 192.0.2.1",
            "z:4:6: `x` as the $TTL; seconds such as 3600 or 1h",
            "z:5:1: `b..` as a name: empty label; a domain name",
            "z:7:5: `99999` as the preference of MX; a number from 0 to 65535",
            "z:9:2: the end of the line where a type belongs; a record type such as A or TYPE65280",
            "z:10:3: class CH; IN",
            "z:11:3: `FOO` as a type; a record type such as A or TYPE65280",
            "z:12:15: `x` behind the address of A; the end of the line",
            "z:13:1: `$FOO` as a directive; $ORIGIN, $TTL, $INCLUDE or $GENERATE",
            "z:14:3: `\"i A` without a closing quote; `\"` before the line ends",
            "z:15:5: octets that are no A: the address is cut short or malformed; data of the type",
            "z:16:3: `OPT` as a type; a record type such as A or TYPE65280",
            "z:17:3: `192.0.2.1` as a TTL; seconds such as 300 or 5m, and white space before `A` if the owner is the one \
             above",
            "z:18:8: the end of the line where MX has its exchange; a domain name",
            "z:19:7: a broken escape in `\\256`; `\\DDD` with DDD from 000 to 255, or `\\` and a character",
            "z:20:6: `(` that is never closed; `)` after the last field of the record",
        ];
        let loaded = load(format!("{HEAD}{text}").as_bytes());
        let found = faults(&loaded);
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found, expected);
        }
        assert_eq!(found.len(), expected.len());
        assert_eq!(loaded.records.len(), 1);
    }

    #[test]
    fn ttls_come_from_where_bind_takes_them() {
        let ttls = |text: &str| {
            let loaded = load(text.as_bytes());
            let ttls: Vec<u32> = loaded.records.iter().map(|record| record.ttl).collect();
            (ttls, loaded.faults.errors(), loaded.faults.warnings())
        };
        assert_eq!(ttls("@ SOA a b 1 2 3 4 5\n@ NS c\n"), (vec![5, 5], 0, 1));
        assert_eq!(ttls("@ 9 SOA a b 1 2 3 4 5\n@ NS c\n@ 8 NS d\n@ NS e\n"), (vec![9, 9, 8, 8], 0, 1));
        assert_eq!(ttls("@ NS c\n@ SOA a b 1 2 3 4 5\n"), (vec![5], 1, 1));
        assert_eq!(ttls("@ 2147483648 SOA a b 1 2 3 4 5\n"), (vec![0], 0, 1));
    }

    #[test]
    fn strangers_are_left_out_with_a_warning() {
        let loaded = load(format!("{HEAD}www.example.org. A 192.0.2.1\n A 192.0.2.2\n").as_bytes());
        assert_eq!((loaded.records.len(), loaded.faults.errors(), loaded.faults.warnings()), (1, 0, 2));
    }

    #[test]
    fn the_apex_can_come_from_the_soa() {
        let read = |text: &[u8]| read_bytes(text, Path::new("z"), None, &Limits::default());
        let loaded = read(b"example.org. 5 SOA a b 1 2 3 4 5\nexample.test. A 192.0.2.1\n");
        assert_eq!((loaded.apex.to_string().as_str(), loaded.records.len()), ("example.org.", 1));
        assert_eq!(read(b"a. 5 A 192.0.2.1\na. A 192.0.2.2\n").faults.errors(), 1);
    }

    #[test]
    fn included_files_keep_to_themselves() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("main.zone", "$TTL 60\n@ SOA a b 1 2 3 4 5\nw A 192.0.2.1\n$INCLUDE sub/one o\n A 192.0.2.2\nv NS n\n");
        write("sub/one", "x A 192.0.2.3\n$ORIGIN q\n$INCLUDE \"two\"\n");
        write("sub/two", "y A 192.0.2\ny A 192.0.2.4\n$INCLUDE ../main.zone\n$INCLUDE none\n$INCLUDE .\n");
        let apex = Name::from_text(b"e.test").unwrap();
        let loaded = read_file(&folder.path().join("main.zone"), Some(&apex), &Limits::default(), &|_| {});
        let owners: Vec<String> = loaded.records.iter().map(|record| record.owner.to_string()).collect();
        assert_eq!(owners, ["e.test.", "w.e.test.", "x.o.e.test.", "y.q.o.e.test.", "w.e.test.", "v.e.test."]);
        assert_eq!(loaded.records.at(3).place, Place { file: 2, line: 2 });
        assert_eq!(loaded.files.len(), 5, "those that cannot be read among them");
        let places: Vec<_> = loaded.faults.iter().map(|fault| (fault.file.ends_with("two"), fault.spot.line)).collect();
        assert_eq!(places, [(true, 1), (true, 3), (true, 4), (true, 5)], "{:?}", faults(&loaded));
    }

    #[test]
    fn costs_are_bounded() {
        let limits = Limits { generated: 10, ..Limits::default() };
        let apex = Name::root();
        let loaded =
            read_bytes(b"$TTL 1\n$GENERATE 0-2147483647 a$ A 192.0.2.1\n", Path::new("z"), Some(&apex), &limits);
        assert_eq!((loaded.records.len(), loaded.faults.errors()), (10, 1));
        assert_eq!(load(b"$INCLUDE /etc/passwd\n").faults.errors(), 1);
        let missing = read_file(Path::new("/nonexistent/z"), None, &Limits::default(), &|_| {});
        assert_eq!(missing.faults.errors(), 1);
    }

    #[test]
    fn octets_need_not_be_text() {
        assert_eq!(load(b"\xef\xbb\xbf\xff\x00 \xfe\n\"\n(\x80").faults.errors(), 4);
        assert_eq!(load(b"").faults.errors(), 0);
    }
}
