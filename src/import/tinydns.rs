//! tinydns: the data file (tinydns-data(8)).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Input;
use super::plan::{Plan, PoolPlan, absolute, address_type};

/// Seconds that tinydns gives to what says none.
const TTL: u32 = 86_400;
const TTL_NS: u32 = 259_200;
const TTL_SOA: u32 = 2_560;
/// The largest that a pool may have.
const LONGEST_TTL: u32 = 604_800;

/// One line, without its first character.
struct Line<'t> {
    fields: Vec<&'t str>,
    place: String,
}

/// Makes zones of a data file.
pub fn from_tinydns(inputs: &[Input]) -> Plan {
    let mut import = Import::default();
    for input in inputs {
        for (number, text) in input.text.lines().enumerate() {
            let place = format!("{}:{}", input.name, number + 1);
            let Some(kind) = text.chars().next().filter(char::is_ascii) else { continue };
            if matches!(kind, '.' | 'Z') {
                import.open(kind, &Line { fields: text[1..].trim_end().split(':').collect(), place });
            }
        }
    }
    for input in inputs {
        for (number, text) in input.text.lines().enumerate() {
            let place = format!("{}:{}", input.name, number + 1);
            let Some(kind) = text.chars().next() else { continue };
            let rest = text.get(kind.len_utf8()..).unwrap_or_default().trim_end();
            import.line(kind, &Line { fields: rest.split(':').collect(), place });
        }
    }
    import.finish()
}

#[derive(Default)]
struct Import {
    plan: Plan,
    opened: BTreeSet<String>,
    /// With the lowest TTL.
    addresses: BTreeMap<String, (Vec<IpAddr>, u32)>,
    written: BTreeSet<String>,
}

impl Line<'_> {
    fn field(&self, at: usize) -> &str {
        self.fields.get(at).copied().unwrap_or_default()
    }

    fn name(&self, at: usize) -> String {
        absolute(&decimal(self.field(at)), ".")
    }

    fn ttl(&self, at: usize, default: u32) -> u32 {
        self.field(at).parse().unwrap_or(default)
    }

    /// `x` under `owner` when it has no dot, as tinydns has it.
    fn server(&self, at: usize, kind: &str, owner: &str) -> String {
        match self.field(at) {
            "" => format!("{kind}.{owner}"),
            name if name.contains('.') => absolute(&decimal(name), "."),
            name => absolute(&decimal(name), &format!("{kind}.{owner}")),
        }
    }
}

/// Octets are octal in data files, and decimal in master files.
fn decimal(text: &str) -> String {
    let mut result = String::new();
    for octet in octets(text) {
        match octet {
            b'"' | b';' | b'(' | b')' | b'@' | b'$' | b'\\' => result += &format!("\\{}", char::from(octet)),
            b'!'..=b'~' => result.push(char::from(octet)),
            _ => result += &format!("\\{octet:03}"),
        }
    }
    result
}

/// Where a line of this kind has its timestamp, behind which its location stands.
fn timestamp_at(kind: char) -> Option<usize> {
    Some(match kind {
        '.' | '&' | ':' => 4,
        '=' | '+' | '\'' | '^' | 'C' | '3' | '6' => 3,
        '@' => 5,
        'S' => 7,
        'Z' => 9,
        _ => return None,
    })
}

impl Import {
    /// `.fqdn:ip:x:ttl` and `Zfqdn:mname:rname:ser:ref:ret:exp:min:ttl` begin zones.
    fn open(&mut self, kind: char, line: &Line<'_>) {
        let apex = line.name(0);
        if !self.opened.insert(apex.clone()) {
            return;
        }
        let number = |at: usize, default: u32| line.ttl(at, default);
        let (mname, rname, ttl) = match kind {
            '.' => (line.server(2, "ns", &apex), format!("hostmaster.{apex}"), TTL_SOA),
            _ => (line.name(1), line.name(2), line.ttl(8, TTL_SOA)),
        };
        let (serial, refresh, retry, expire, minimum) = match kind {
            '.' => (1, 16_384, 2_048, 1_048_576, 2_560),
            _ => (number(3, 1), number(4, 16_384), number(5, 2_048), number(6, 1_048_576), number(7, 2_560)),
        };
        let soa = format!("{apex} {ttl} SOA {mname} {rname} {serial} {refresh} {retry} {expire} {minimum}");
        self.plan.zone(&apex).line("; from tinydns");
        self.plan.zone(&apex).line(soa);
        if kind == '.' || line.field(3).is_empty() {
            self.plan.note(
                &line.place,
                format!("{apex}: the serial was the time of the data file; here it is 1, and yours to count up"),
            );
        }
    }

    fn line(&mut self, kind: char, line: &Line<'_>) {
        if let Some(at) = timestamp_at(kind) {
            if !line.field(at).is_empty() {
                let when = if line.field(at - 1) == "0" { "ended at a time" } else { "began at a time" };
                self.plan.note(&line.place, format!("the record {when}; here it is there always"));
            }
            if !line.field(at + 1).is_empty() {
                let location = line.field(at + 1);
                self.plan.note(
                    &line.place,
                    format!("the record was for clients at {location} alone; here it is for everyone"),
                );
            }
        }
        match kind {
            '#' | '-' | 'Z' => {}
            space if space.is_whitespace() => {}
            '.' | '&' => {
                let owner = line.name(0);
                let server = line.server(2, "ns", &owner);
                self.record(&owner, line.ttl(3, TTL_NS), &format!("NS {server}"), line);
                self.address(&server, line.field(1), line.ttl(3, TTL_NS), line);
            }
            '=' | '+' => {
                let owner = line.name(0);
                self.address(&owner, line.field(1), line.ttl(2, TTL), line);
                if kind == '=' {
                    self.reverse(&owner, line.field(1), line.ttl(2, TTL), line);
                }
            }
            '@' => {
                let owner = line.name(0);
                let server = line.server(2, "mx", &owner);
                self.record(&owner, line.ttl(4, TTL), &format!("MX {} {server}", line.ttl(3, 0)), line);
                self.address(&server, line.field(1), line.ttl(4, TTL), line);
            }
            '\'' => self.record(&line.name(0), line.ttl(2, TTL), &format!("TXT {}", strings(line.field(1))), line),
            '^' => self.record(&line.name(0), line.ttl(2, TTL), &format!("PTR {}", line.name(1)), line),
            'C' => self.record(&line.name(0), line.ttl(2, TTL), &format!("CNAME {}", line.name(1)), line),
            ':' => self.generic(line),
            '3' | '6' => self.address6(kind == '6', line),
            'S' => self.service(line),
            '%' => self.plan.note(&line.place, "locations of clients have no equal"),
            _ => self.plan.note(&line.place, format!("lines that begin with `{kind}` have no equal")),
        }
    }

    fn record(&mut self, owner: &str, ttl: u32, record: &str, line: &Line<'_>) {
        match self.plan.zone_of(owner) {
            Some(apex) => {
                let text = format!("{owner} {ttl} {record}");
                if self.written.insert(text.clone()) {
                    self.plan.zone(&apex).line(text);
                }
            }
            None => self.plan.note(&line.place, format!("{owner} is in no zone that the file begins")),
        }
    }

    fn address(&mut self, owner: &str, text: &str, ttl: u32, line: &Line<'_>) {
        if text.is_empty() {
            return;
        }
        let Ok(address) = text.parse::<Ipv4Addr>().map(IpAddr::V4) else {
            return self.plan.note(&line.place, format!("found \"{text}\"; an IPv4 address"));
        };
        self.keep(owner, address, ttl, line);
    }

    fn keep(&mut self, owner: &str, address: IpAddr, ttl: u32, line: &Line<'_>) {
        self.record(owner, ttl, &format!("{} {address}", address_type(address)), line);
        let (known, lowest) = self.addresses.entry(owner.to_owned()).or_insert((Vec::new(), ttl));
        *lowest = ttl.min(*lowest);
        if !known.contains(&address) {
            known.push(address);
        }
    }

    fn reverse(&mut self, owner: &str, text: &str, ttl: u32, line: &Line<'_>) {
        let Ok(address) = text.parse::<Ipv4Addr>() else { return };
        let [a, b, c, d] = address.octets();
        let reverse = format!("{d}.{c}.{b}.{a}.in-addr.arpa.");
        // Where the reverse zone is not ours, tinydns would not be asked for it either.
        if self.plan.zone_of(&reverse).is_some() {
            self.record(&reverse, ttl, &format!("PTR {owner}"), line);
        }
    }

    /// `3fqdn:ip6:ttl` and `6fqdn:ip6:ttl`, of a common patch: 32 hexadecimal digits.
    fn address6(&mut self, reverse: bool, line: &Line<'_>) {
        let Ok(bits) = u128::from_str_radix(line.field(1), 16) else {
            return self.plan.note(&line.place, format!("found \"{}\"; 32 hexadecimal digits", line.field(1)));
        };
        let owner = line.name(0);
        self.keep(&owner, IpAddr::V6(Ipv6Addr::from_bits(bits)), line.ttl(2, TTL), line);
        let digits: Vec<String> = (0..32).map(|digit| format!("{:x}.", bits >> (4 * digit) & 15)).collect();
        let name = format!("{}ip6.arpa.", digits.concat());
        if reverse && self.plan.zone_of(&name).is_some() {
            self.record(&name, line.ttl(2, TTL), &format!("PTR {owner}"), line);
        }
    }

    /// `Sfqdn:ip:x:port:priority:weight:ttl`, of a common patch.
    fn service(&mut self, line: &Line<'_>) {
        let owner = line.name(0);
        let server = line.server(2, "srv", &owner);
        let record = format!("SRV {} {} {} {server}", line.ttl(4, 0), line.ttl(5, 0), line.ttl(3, 0));
        self.record(&owner, line.ttl(6, TTL), &record, line);
        self.address(&server, line.field(1), line.ttl(6, TTL), line);
    }

    /// `:fqdn:n:rdata:ttl`, as RFC 3597 writes it.
    fn generic(&mut self, line: &Line<'_>) {
        let octets = octets(line.field(2));
        let digits: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        let record = format!("TYPE{} \\# {} {digits}", line.field(1), octets.len());
        self.record(&line.name(0), line.ttl(3, TTL), record.trim_end(), line);
    }

    /// Owners with more than one address were handed out by chance, eight at a time: they are pools.
    fn finish(mut self) -> Plan {
        const AT_ONCE: u16 = 8;
        for (owner, (addresses, ttl)) in self.addresses {
            let Some(apex) = self.plan.zone_of(&owner).filter(|_| addresses.len() > 1) else { continue };
            let pool = PoolPlan { k: Some(AT_ONCE), ttl: Some(ttl.min(LONGEST_TTL)), ..PoolPlan::default() };
            self.plan.zone(&apex).policy.pool.insert(owner, pool);
        }
        self.plan
    }
}

/// `\072` is an octet in octal, so that fields can hold colons.
fn octets(text: &str) -> Vec<u8> {
    let (mut octets, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let digits =
            (*first == b'\\').then(|| after.get(..3)).flatten().and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(octet) => {
                octets.push(octet);
                rest = &after[3..];
            }
            None => {
                octets.push(*first);
                rest = after;
            }
        }
    }
    octets
}

/// The strings of a TXT record, as zone files write them; tinydns cuts every 127 octets.
fn strings(text: &str) -> String {
    let octets = octets(text);
    let quoted = |chunk: &[u8]| {
        let escaped: String = chunk
            .iter()
            .map(|octet| match octet {
                b'"' | b'\\' => format!("\\{}", char::from(*octet)),
                b' '..=b'~' => char::from(*octet).to_string(),
                _ => format!("\\{octet:03}"),
            })
            .collect();
        format!("\"{escaped}\"")
    };
    let chunks: Vec<String> = octets.chunks(127).map(quoted).collect();
    if chunks.is_empty() { "\"\"".to_owned() } else { chunks.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_file_becomes_zones_and_pools() {
        let text = "# data\n.a.test:192.0.2.53:a\n+www.a.test:192.0.2.1:60\n+www.a.test:192.0.2.2:60\n=one.a.test:192.0.2.3\n\
                    @a.test::mx.b.test.:10\n'a.test:v=spf1\\072 x\nCc.a.test:www.a.test\n:t.a.test:99:\\003abc\n\
                    Z2.0.192.in-addr.arpa:ns.a.test:h.a.test:7\n3six.a.test:20010db8000000000000000000000001\n+out.test:192.0.2.4\n%xx:10\n\
                    +loc.a.test:192.0.2.9:60::xx\n+end.a.test:192.0.2.10:0:4000000038af1379\n'\\052.a.test:any\n\
                    S_sip._tcp.a.test::sip.a.test:5060:10:20\n+old.a.test:192.0.2\n-gone.a.test:192.0.2.1\n";
        let plan = from_tinydns(&[Input { name: "data".into(), apex: None, text: text.into() }]);
        let zone = &plan.zones["a.test."].text;
        for line in [
            "a.test. 2560 SOA a.ns.a.test. hostmaster.a.test. 1 16384 2048 1048576 2560",
            "a.test. 259200 NS a.ns.a.test.",
            "a.ns.a.test. 259200 A 192.0.2.53",
            "www.a.test. 60 A 192.0.2.2",
            "a.test. 86400 MX 10 mx.b.test.",
            "a.test. 86400 TXT \"v=spf1: x\"",
            "c.a.test. 86400 CNAME www.a.test.",
            "t.a.test. 86400 TYPE99 \\# 4 03616263",
            "six.a.test. 86400 AAAA 2001:db8::1",
            "*.a.test. 86400 TXT \"any\"",
            "_sip._tcp.a.test. 86400 SRV 10 20 5060 sip.a.test.",
        ] {
            assert!(zone.lines().any(|other| other == line), "{line} in\n{zone}");
        }
        assert!(plan.zones["2.0.192.in-addr.arpa."].text.contains("\n3.2.0.192.in-addr.arpa. 86400 PTR one.a.test.\n"));
        let pools = &plan.zones["a.test."].policy.pool;
        assert_eq!(pools.keys().collect::<Vec<_>>(), ["www.a.test."]);
        assert_eq!((pools["www.a.test."].k, pools["www.a.test."].ttl), (Some(8), Some(60)));
        let notes: Vec<_> = plan.notes.iter().map(ToString::to_string).collect();
        assert_eq!(
            notes,
            [
                "data:2: a.test.: the serial was the time of the data file; here it is 1, and yours to count up",
                "data:12: out.test. is in no zone that the file begins",
                "data:13: locations of clients have no equal",
                "data:14: the record was for clients at xx alone; here it is for everyone",
                "data:15: the record ended at a time; here it is there always",
                "data:18: found \"192.0.2\"; an IPv4 address",
            ]
        );
    }
}
