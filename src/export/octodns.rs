//! octoDNS: the YAML that its YamlProvider reads, pools as dynamic records with their check, weights and tiers.

use std::collections::BTreeMap;

use super::set::{Set, note_transfer};
use super::yaml::Yaml;
use super::{Exported, Subject};
use crate::config::{Check, CheckKind};
use crate::pool::Spread;
use crate::wire::{Name, Type};

/// The zone as YAML.
pub fn to_octodns(subject: &Subject<'_>) -> Exported {
    let mut exported = Exported::default();
    let mut owners: BTreeMap<String, Vec<(String, Yaml)>> = BTreeMap::new();
    for set in subject.sets(&mut exported) {
        let place = format!("{} {}", set.owner, set.rtype);
        if set.rtype == Type::SOA {
            exported.note(&place, "octoDNS has no SOA records; whoever serves the zone makes one");
            continue;
        }
        match record(&set, &mut exported) {
            Some(record) => {
                let owner = relative(&set.owner, subject);
                owners.entry(owner).or_default().push((set.rtype.to_string(), record));
            }
            None => exported.note(&place, "octoDNS has no records of this type; left out"),
        }
    }
    note_transfer(&mut exported, subject, subject.zone);
    let entry = |(owner, mut records): (String, Vec<(String, Yaml)>)| {
        records.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut records: Vec<Yaml> = records.into_iter().map(|(_, record)| record).collect();
        let value = if records.len() == 1 { records.remove(0) } else { Yaml::List(records) };
        (owner, value)
    };
    let document = Yaml::Map(owners.into_iter().map(entry).collect()).document();
    exported.file(format!("{}.yaml", subject.stem), document);
    exported
}

/// Without the name of the zone; empty for that name itself.
fn relative(owner: &Name, subject: &Subject<'_>) -> String {
    let (owner, apex) = (owner.to_string(), subject.zone.apex().to_string());
    let suffix = if apex == "." { apex } else { format!(".{apex}") };
    owner.strip_suffix(&suffix).unwrap_or_default().to_owned()
}

fn record(set: &Set<'_>, exported: &mut Exported) -> Option<Yaml> {
    let mut entries =
        vec![("type".to_owned(), Yaml::text(set.rtype.to_string())), ("ttl".to_owned(), Yaml::Number(set.ttl.into()))];
    if set.pool.is_some() {
        set.note_idle(exported);
        entries.extend(dynamic(set, exported));
        let values = set.members().iter().map(|(address, _)| Yaml::text(address.to_string())).collect();
        entries.push(("values".to_owned(), Yaml::List(values)));
        return Some(Yaml::Map(entries));
    }
    let values: Option<Vec<Yaml>> = set.values().iter().map(|text| value(set, text, exported)).collect();
    let mut values = values?;
    let is_single = values.len() == 1;
    entries.push(match is_single {
        true => ("value".to_owned(), values.remove(0)),
        false => ("values".to_owned(), Yaml::List(values)),
    });
    Some(Yaml::Map(entries))
}

/// One record, by the names that octoDNS gives to its fields.
fn value(set: &Set<'_>, text: &str, exported: &mut Exported) -> Option<Yaml> {
    let fields = fields(text);
    let names: &[&str] = match set.rtype {
        Type::A | Type::AAAA | Type::NS | Type::CNAME | Type::DNAME | Type::PTR | Type::OPENPGPKEY => {
            return Some(Yaml::text(text));
        }
        Type::TXT => return Some(Yaml::Text(joined(set, &fields, exported))),
        Type::LOC => return location(&fields),
        Type::HTTPS | Type::SVCB => return Some(service(&fields)),
        Type::MX => &["preference", "exchange"],
        Type::SRV => &["priority", "weight", "port", "target"],
        Type::CAA => &["flags", "tag", "value"],
        Type::NAPTR => &["order", "preference", "flags", "service", "regexp", "replacement"],
        Type::SSHFP => &["algorithm", "fingerprint_type", "fingerprint"],
        Type::TLSA => &["certificate_usage", "selector", "matching_type", "certificate_association_data"],
        Type::DS => &["key_tag", "algorithm", "digest_type", "digest"],
        Type::URI => &["priority", "weight", "target"],
        _ => return None,
    };
    let entries = names.iter().zip(&fields).map(|(name, field)| {
        let is_word =
            field.quoted || matches!(*name, "digest" | "fingerprint" | "certificate_association_data" | "tag");
        let number = field.text.parse().ok().filter(|_| !is_word).map(Yaml::Number);
        ((*name).to_owned(), number.unwrap_or_else(|| Yaml::text(&field.text)))
    });
    (fields.len() == names.len()).then(|| Yaml::Map(entries.collect()))
}

/// A word of a record's text.
struct Field {
    text: String,
    quoted: bool,
}

/// The words of a record's text; in those that were quoted `\"` and `\\` are what they stand for.
fn fields(text: &str) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(first) = characters.next() {
        let mut field = Field { text: String::new(), quoted: first == '"' };
        if first == ' ' {
            continue;
        }
        if !field.quoted {
            field.text.push(first);
        }
        while let Some(next) = characters.next() {
            match next {
                '"' if field.quoted => break,
                ' ' if !field.quoted => break,
                '\\' if field.quoted && characters.peek().is_some_and(|after| matches!(after, '"' | '\\')) => {
                    field.text.extend(characters.next());
                }
                '"' => {
                    // A quoted value behind `key=`, as parameters have it.
                    field.text.extend(characters.by_ref().take_while(|after| *after != '"'));
                }
                next => field.text.push(next),
            }
        }
        fields.push(field);
    }
    fields
}

/// The strings of a TXT record as one; octoDNS cuts it again every 255 octets.
fn joined(set: &Set<'_>, fields: &[Field], exported: &mut Exported) -> String {
    const CUT: usize = 255;
    let is_cut_elsewhere = fields.iter().rev().skip(1).any(|field| field.text.len() != CUT);
    if is_cut_elsewhere {
        exported.note(&format!("{} TXT", set.owner), "the strings of a record are joined to one");
    }
    let text: String = fields.iter().map(|field| field.text.as_str()).collect();
    if fields.iter().any(|field| field.text.contains('\\')) {
        exported
            .note(&format!("{} TXT", set.owner), "octets that are no printable ASCII are written \\DDD; look at them");
    }
    text.replace(';', "\\;")
}

/// `52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m`.
fn location(fields: &[Field]) -> Option<Yaml> {
    let texts: Vec<&str> = fields.iter().map(|field| field.text.trim_end_matches('m')).collect();
    let [lat, lat_m, lat_s, lat_d, long, long_m, long_s, long_d, altitude, size, horizontal, vertical] = texts[..]
    else {
        return None;
    };
    let number = |text: &str| text.parse().ok().map(Yaml::Number);
    let decimal = |text: &str| text.parse().ok().map(Yaml::Decimal);
    Some(Yaml::map([
        ("altitude", decimal(altitude)?),
        ("lat_degrees", number(lat)?),
        ("lat_direction", Yaml::text(lat_d)),
        ("lat_minutes", number(lat_m)?),
        ("lat_seconds", decimal(lat_s)?),
        ("long_degrees", number(long)?),
        ("long_direction", Yaml::text(long_d)),
        ("long_minutes", number(long_m)?),
        ("long_seconds", decimal(long_s)?),
        ("precision_horz", decimal(horizontal)?),
        ("precision_vert", decimal(vertical)?),
        ("size", decimal(size)?),
    ]))
}

/// `1 svc.a.test. alpn=h2,h3 port=8443`.
fn service(fields: &[Field]) -> Yaml {
    let parameters = fields.iter().skip(2).map(|field| {
        let (key, text) = field.text.split_once('=').unwrap_or((&field.text, ""));
        let value = match key {
            "alpn" | "ipv4hint" | "ipv6hint" | "mandatory" => Yaml::List(text.split(',').map(Yaml::text).collect()),
            "port" => text.parse().map_or_else(|_| Yaml::text(text), Yaml::Number),
            _ => Yaml::text(text),
        };
        (key.to_owned(), value)
    });
    let text = |at: usize| fields.get(at).map(|field| field.text.clone()).unwrap_or_default();
    let mut entries = vec![
        ("svcpriority".to_owned(), text(0).parse().map_or_else(|_| Yaml::text(text(0)), Yaml::Number)),
        ("targetname".to_owned(), Yaml::text(text(1))),
    ];
    let parameters: Vec<_> = parameters.collect();
    if !parameters.is_empty() {
        entries.push(("svcparams".to_owned(), Yaml::Map(parameters)));
    }
    Yaml::Map(entries)
}

/// What makes a record dynamic: its tiers as pools, each of which falls back to the next, and its check.
fn dynamic(set: &Set<'_>, exported: &mut Exported) -> Vec<(String, Yaml)> {
    let Some(pool) = set.pool else { return Vec::new() };
    let (members, tiers) = (set.members(), set.tiers());
    let name = |at: usize| if tiers.len() == 1 { "members".to_owned() } else { format!("tier-{}", at + 1) };
    let pools = tiers.iter().enumerate().map(|(at, tier)| {
        let values = tier.iter().map(|address| {
            let weight = members.iter().find(|(member, _)| member == address).map_or(1.0, |(_, weight)| *weight);
            let mut value = vec![("value".to_owned(), Yaml::text(address.to_string()))];
            // A weight among others; of one alone octoDNS wants none but 1.
            if set.is_weighted() && tier.len() > 1 {
                value.push(("weight".to_owned(), Yaml::Number(scaled(weight, &members))));
            }
            Yaml::Map(value)
        });
        let mut entries = vec![("values".to_owned(), Yaml::List(values.collect()))];
        if at + 1 < tiers.len() {
            entries.push(("fallback".to_owned(), Yaml::text(name(at + 1))));
        }
        (name(at), Yaml::Map(entries))
    });
    let rules = Yaml::List(vec![Yaml::map([("pool", Yaml::text(name(0)))])]);
    let dynamic = Yaml::map([("pools", Yaml::Map(pools.collect())), ("rules", rules)]);
    if pool.policy.spread == Spread::Affinity {
        exported.note(&set.owner, "spread = \"affinity\" is left out");
    }
    if set.hand() != 1 {
        exported
            .note(&set.owner, format!("octoDNS does not say how many members are in an answer; here {}", set.hand()));
    }
    let mut entries = vec![("dynamic".to_owned(), dynamic)];
    if let Some(check) = &pool.check {
        match health_check(check) {
            Some(check) => entries.push(("octodns".to_owned(), Yaml::map([("healthcheck", check)]))),
            None => exported.note(
                &format!("{} check {}", set.owner, check.name),
                "octoDNS has no checks of this type; whoever serves the record asks by its own default",
            ),
        }
    }
    entries
}

/// A whole number from 1 to 100 in the proportion of the weight.
fn scaled(weight: f64, members: &[(std::net::IpAddr, f64)]) -> i64 {
    const HEAVIEST: f64 = 100.0;
    let heaviest = members.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
    let is_whole =
        |scale: f64| members.iter().all(|(_, weight)| ((weight * scale).round() - weight * scale).abs() < 1e-9);
    let whole = (1..=100).map(f64::from).find(|scale| is_whole(*scale) && heaviest * scale <= HEAVIEST);
    (weight * whole.unwrap_or(HEAVIEST / heaviest)).round().max(1.0) as i64
}

fn health_check(check: &Check) -> Option<Yaml> {
    match &check.kind {
        CheckKind::Tcp(tcp) => {
            Some(Yaml::map([("protocol", Yaml::text("TCP")), ("port", Yaml::Number(tcp.port.into()))]))
        }
        CheckKind::Http(http) => Some(Yaml::map([
            ("protocol", Yaml::text(if http.tls.is_some() { "HTTPS" } else { "HTTP" })),
            ("port", Yaml::Number(http.port.into())),
            ("path", Yaml::text(&http.path)),
            ("host", Yaml::text(http.server_name().trim_end_matches('.'))),
        ])),
        CheckKind::Dns(_) | CheckKind::Exec(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{notes, read};
    use super::*;

    #[test]
    fn records_and_pools_are_yaml() {
        let (zone, policy) = read(
            "www A 192.0.2.1\nwww A 192.0.2.2\nwww A 192.0.2.3\nwww TXT \"v=1; \\\"q\\\"\"\nm MX 10 ns1\ns HTTPS 1 . alpn=h2,h3 port=8443\n\
             l LOC 52 22 23 N 4 53 32 E -2m\nd DS 1 8 2 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF\nd NS ns1\nx HINFO a b\n",
            "[check.up]\ntype = \"https\"\npath = \"/up\"\n[pool.www]\ncheck = \"up\"\nweights = { \"192.0.2.1\" = 0.5 }\n\
             tiers = [[\"192.0.2.1\", \"192.0.2.2\"]]\n",
        );
        let exported = to_octodns(&Subject { stem: "a.test", zone: &zone, policy: &policy });
        assert_eq!(exported.files[0].name, "a.test.yaml");
        let text = &exported.files[0].text;
        for part in [
            "---\n\"\":\n  ttl: 300\n  type: NS\n  value: ns1.a.test.\n",
            "m:\n  ttl: 300\n  type: MX\n  value:\n    exchange: ns1.a.test.\n    preference: 10\n",
            "    svcparams:\n      alpn:\n      - h2\n      - h3\n      port: 8443\n    svcpriority: 1\n    targetname: '.'\n",
            "    lat_degrees: 52\n    lat_direction: \"N\"\n",
            "      tier-1:\n        fallback: tier-2\n        values:\n        - value: \"192.0.2.1\"\n          weight: 1\n        - value: \"192.0.2.2\"\n          weight: 2\n",
            "    healthcheck:\n      host: www.a.test\n      path: /up\n      port: 443\n      protocol: HTTPS\n",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert_eq!(
            notes(&exported),
            [
                "a.test. SOA: octoDNS has no SOA records; whoever serves the zone makes one",
                "www.a.test.: octoDNS does not say how many members are in an answer; here 2",
                "x.a.test. HINFO: octoDNS has no records of this type; left out",
            ]
        );
    }
}
