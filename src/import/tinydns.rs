//! tinydns: the data file (tinydns-data(8)).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Input;
use super::plan::{Plan, PoolPlan, absolute, address_type};

/// Seconds that tinydns gives to what says none.
const TTL: u32 = 86_400;
const TTL_NS: u32 = 259_200;
const TTL_SOA: u32 = 2_560;

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
    addresses: BTreeMap<String, Vec<IpAddr>>,
    written: BTreeSet<String>,
}

impl Line<'_> {
    fn field(&self, at: usize) -> &str {
        self.fields.get(at).copied().unwrap_or_default()
    }

    fn name(&self, at: usize) -> String {
        absolute(self.field(at), ".")
    }

    fn ttl(&self, at: usize, default: u32) -> u32 {
        self.field(at).parse().unwrap_or(default)
    }

    /// `x` under `owner` when it has no dot, as tinydns has it.
    fn server(&self, at: usize, kind: &str, owner: &str) -> String {
        match self.field(at) {
            "" => format!("{kind}.{owner}"),
            name if name.contains('.') => absolute(name, "."),
            name => format!("{name}.{kind}.{owner}"),
        }
    }
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
    }

    fn line(&mut self, kind: char, line: &Line<'_>) {
        match kind {
            '#' | '-' | 'Z' => {}
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
            '%' => self.plan.note(&line.place, "clients by location have no equal; the record is for everyone"),
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
        // Old files leave trailing octets out.
        let Ok(address) = text.parse::<Ipv4Addr>().map(IpAddr::V4) else {
            return self.plan.note(&line.place, format!("found \"{text}\"; an IPv4 address"));
        };
        self.keep(owner, address, ttl, line);
    }

    fn keep(&mut self, owner: &str, address: IpAddr, ttl: u32, line: &Line<'_>) {
        self.record(owner, ttl, &format!("{} {address}", address_type(address)), line);
        let known = self.addresses.entry(owner.to_owned()).or_default();
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
        if reverse {
            self.plan.note(&line.place, "the PTR record of an IPv6 address is not made");
        }
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
        for (owner, addresses) in self.addresses {
            let Some(apex) = self.plan.zone_of(&owner).filter(|_| addresses.len() > 1) else { continue };
            self.plan.zone(&apex).policy.pool.insert(owner, PoolPlan::default());
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
                    Z2.0.192.in-addr.arpa:ns.a.test:h.a.test:7\n3six.a.test:20010db8000000000000000000000001\n+out.test:192.0.2.4\n%xx:10\n";
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
        ] {
            assert!(zone.lines().any(|other| other == line), "{line} in\n{zone}");
        }
        assert!(plan.zones["2.0.192.in-addr.arpa."].text.contains("\n3.2.0.192.in-addr.arpa. 86400 PTR one.a.test.\n"));
        assert_eq!(plan.zones["a.test."].policy.pool.keys().collect::<Vec<_>>(), ["www.a.test."]);
        let places: Vec<_> = plan.notes.iter().map(|note| note.place.as_str()).collect();
        assert_eq!(places, ["data:12", "data:13"]);
    }
}
