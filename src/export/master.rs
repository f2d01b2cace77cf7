//! Plain master files (RFC 1035 section 5) for servers that know no pools: each pool is the RRset of its members.

use std::fmt::Write;
use std::net::IpAddr;

use super::set::{address, keys_in_use, note_transfer};
use super::{Exported, Subject};
use crate::pool::Spread;
use crate::wire::Type;
use crate::zone::Record;
use crate::zone::text::print;

/// The zone as a master file that any nameserver loads.
pub fn to_master(subject: &Subject<'_>) -> Exported {
    let Subject { stem, zone, policy } = *subject;
    let mut exported = Exported::default();
    let mut text = String::new();
    for record in zone.to_records().iter() {
        let pool = policy.pools.get(&record.owner.to_name()).filter(|_| matches!(record.rtype, Type::A | Type::AAAA));
        let Some(pool) = pool else {
            writeln!(text, "{}", print(record)).expect("text takes text");
            continue;
        };
        let member: Option<IpAddr> = address(record.rdata);
        if member.is_some_and(|member| pool.policy.weight_of(member) == 0.0) {
            let member = member.map(|member| member.to_string()).unwrap_or_default();
            exported.note(&record.owner, format!("{member} has weight 0, and is left out"));
            continue;
        }
        let ttl = record.ttl.min(pool.policy.ttl);
        writeln!(text, "{}", print(Record { ttl, ..record })).expect("text takes text");
    }
    for (owner, pool) in &policy.pools {
        let keys = keys_in_use(pool);
        let hands = match pool.policy.spread {
            Spread::All => "",
            _ => ", not k of them",
        };
        let without = if keys.is_empty() { String::new() } else { format!("; {} left out", keys.join(", ")) };
        exported.note(owner, format!("every answer has all members{hands}, dead or alive{without}"));
    }
    note_transfer(&mut exported, subject, zone);
    exported.file(format!("{stem}.zone"), text);
    exported
}

#[cfg(test)]
mod tests {
    use super::super::testing::{notes, read};
    use super::*;

    #[test]
    fn pools_are_rrsets_of_their_members() {
        let (zone, policy) = read(
            "www 600 A 192.0.2.1\nwww 600 A 192.0.2.2\nwww 600 A 192.0.2.3\nm MX 10 www\nt TXT \"a \\\"b\" c\nx TYPE65280 \\# 2 abcd\n",
            "[check.web]\ntype = \"http\"\n[pool.www]\nttl = 20\ncheck = \"web\"\nweights = { \"192.0.2.3\" = 0 }\n[pool.gone]\nspread = \"all\"\n\
             [transfer]\nto = [\"192.0.2.9\"]\n",
        );
        let exported = to_master(&Subject { stem: "a.test", zone: &zone, policy: &policy });
        assert_eq!(exported.files[0].name, "a.test.zone");
        let text = &exported.files[0].text;
        assert!(text.starts_with("a.test.\t300\tIN\tSOA\tns1.a.test. host.a.test. 7 3600 600 86400 60\n"), "{text}");
        for line in [
            "www.a.test.\t20\tIN\tA\t192.0.2.1",
            "m.a.test.\t300\tIN\tMX\t10 www.a.test.",
            "t.a.test.\t300\tIN\tTXT\t\"a \\\"b\" \"c\"",
            "x.a.test.\t300\tIN\tTYPE65280\t\\# 2 ABCD",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
        assert!(!text.contains("192.0.2.3"), "{text}");
        assert_eq!(
            notes(&exported),
            [
                "www.a.test.: 192.0.2.3 has weight 0, and is left out",
                "gone.a.test.: every answer has all members, dead or alive",
                "www.a.test.: every answer has all members, not k of them, dead or alive; check, weights left out",
                "a.test.: [transfer] is left out: who may have the zone is said where it is served",
            ]
        );
    }
}
