//! Whether records make a zone that can be served, and what their author should know.
//!
//! ```text
//! Records ─► Owners (who has what) ─┬─► records   one by one: class, strangers, twins, CNAME beside other data
//!                                   ├─► targets   NS, MX, SRV: do they lead to an address
//!                                   └─► occluded  what hides below a DNAME or a zone cut
//! ```
//!
//! An error is what named, as a primary in its default mode, refuses to load; a warning is what it says and loads.
//! What the zone leaves out in the end (strangers, twins) is left out by [`super::Zone::build`].
//!
//! Not here: whether signatures are valid.

mod occluded;
mod owners;
mod records;
mod targets;

use std::path::Path;
use std::sync::Arc;

use super::text::{Fault, Faults, Limits, Loaded, Severity, Spot, read_file};
use super::{Place, Records};
use crate::wire::Name;
use owners::Owners;

/// Reads a zone file and, when its text is without errors, checks the zone.
///
/// Without `apex` the first record must be the SOA, and its owner is the zone's name. `told` hears now and then how many
/// octets more of the file have been read.
pub fn load(path: &Path, apex: Option<&Name>, limits: &Limits, told: &dyn Fn(u64)) -> Loaded {
    let mut loaded = read_file(path, apex, limits, told);
    if loaded.faults.errors() == 0 {
        check(&loaded.apex, &loaded.records, &loaded.files, &mut loaded.faults);
    }
    loaded
}

/// Checks the records of the zone `apex` and adds what is wrong to `faults`.
///
/// # Panics
/// When a record's place names a file that `files` does not have.
pub fn check(apex: &Name, records: &Records, files: &[Arc<Path>], faults: &mut Faults) {
    let owners = Owners::of(records);
    let mut checker = Checker { apex, records, owners: &owners, files, faults };
    checker.records();
    checker.apex();
    checker.targets();
    checker.occluded();
}

struct Checker<'c> {
    apex: &'c Name,
    records: &'c Records,
    owners: &'c Owners<'c>,
    files: &'c [Arc<Path>],
    faults: &'c mut Faults,
}

impl Checker<'_> {
    fn tell(&mut self, severity: Severity, place: Place, found: String, expected: &'static str) {
        let file = Arc::clone(&self.files[usize::from(place.file)]);
        let spot = Spot { line: place.line, column: 0 };
        self.faults.push(Fault { severity, file, spot, found, expected: expected.into() });
    }

    fn error(&mut self, place: Place, found: String, expected: &'static str) {
        self.tell(Severity::Error, place, found, expected);
    }

    fn warn(&mut self, place: Place, found: String, expected: &'static str) {
        self.tell(Severity::Warning, place, found, expected);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::text::read_bytes;

    const HEAD: &str = "$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";

    fn faults_of(text: &str) -> Vec<String> {
        let apex = Name::from_text(b"e.test").unwrap();
        let mut loaded = read_bytes(text.as_bytes(), Path::new("z"), Some(&apex), &Limits::default());
        check(&loaded.apex, &loaded.records, &loaded.files, &mut loaded.faults);
        loaded.faults.iter().map(ToString::to_string).collect()
    }

    fn expect(text: &str, expected: &[&str]) {
        assert_eq!(faults_of(&format!("{HEAD}{text}")), expected, "{text}");
    }

    #[test]
    fn a_sound_zone_has_no_faults() {
        expect(
            "sub NS ns.sub\nsub NS ns\nns.sub A 192.0.2.2\nsub DS 1 8 9 AA\nw CNAME ns\n*.x A 192.0.2.1\n@ MX 10 y.x\n\
             @ MX 0 .\n_s._tcp SRV 1 1 1 ns\no NS a.example.org.\nd DNAME ns\n",
            &[],
        );
    }

    #[test]
    fn soa_and_nameservers_stand_at_the_apex() {
        let no_soa = ["z: no SOA at e.test.; one SOA record whose owner is the zone's name"];
        assert_eq!(faults_of("$TTL 5\n@ NS ns\nns A 192.0.2.1\n"), no_soa);
        let no_ns = ["z:1: no NS record at e.test.; the zone's nameservers"];
        assert_eq!(faults_of("@ 5 SOA ns h 1 2 3 4 5\n"), no_ns);
        expect(
            "b SOA ns h 1 2 3 4 5\n",
            &["z:5: SOA at b.e.test., not at the apex; one SOA record, at the zone's name"],
        );
        expect("@ SOA ns h 2 2 3 4 5\n", &["z:5: a second SOA at e.test.; one, as RFC 2181 section 10.1 has it"]);
        expect("@ SOA ns h 1 2 3 4 5\n", &["z:5: warning: SOA at e.test. stands twice; one of the two"]);
    }

    #[test]
    fn nothing_stands_beside_an_alias() {
        let beside = "z:6: CNAME and other data at x.e.test.; CNAME alone (RFC 1034 section 3.6.2)";
        expect("x A 192.0.2.1\nx CNAME ns\nx TXT a\n", &[beside]);
        expect("x CNAME ns\nx A 192.0.2.1\n", &[beside]);
        expect("x CNAME ns\nx CNAME y\n", &["z:6: a second CNAME at x.e.test.; one, as RFC 2181 section 10.1 has it"]);
        expect("x DNAME a.\nX DNAME b.\n", &["z:6: a second DNAME at X.e.test.; one, as RFC 6672 section 2.4 has it"]);
        let signature = "8 2 300 20300101000000 20200101000000 1 @ AAAA";
        expect(&format!("x CNAME ns\nx RRSIG CNAME {signature}\nx NSEC y CNAME\n"), &[]);
    }

    #[test]
    fn records_of_a_set_agree() {
        expect(
            "x 5 A 192.0.2.1\nx 6 A 192.0.2.2\n",
            &[
                "z:6: warning: TTL 6 at x.e.test. A, where the first record has 5; one TTL for the set, the lowest is used",
            ],
        );
        expect("x A 192.0.2.1\nX A 192.0.2.1\n", &["z:6: warning: A at X.e.test. stands twice; one of the two"]);
        expect("x MX 1 NS\nx MX 1 ns\nx MX 2 ns\n", &["z:6: warning: MX at x.e.test. stands twice; one of the two"]);
    }

    #[test]
    fn targets_lead_to_addresses() {
        let alias = "z:5: NS of e.test. is c.e.test., a CNAME; a name with an address (RFC 2181 section 10.3)";
        expect("@ NS c\nc CNAME ns\n", &[alias]);
        let lost = "z:5: NS of e.test. is c.e.test., which has no address here; A or AAAA records for it";
        expect("@ NS c\n", &[lost]);
        for (text, kind) in [("d NS c\n", "NS"), ("d MX 1 c\n", "MX"), ("d SRV 1 1 1 c\n", "SRV"), ("d NS c.d\n", "NS")]
        {
            let target = if text.contains("c.d") { "c.d" } else { "c" };
            let warning = format!(
                "z:5: warning: {kind} of d.e.test. is {target}.e.test., which has no address here; A or AAAA records for it"
            );
            expect(text, &[&warning]);
        }
        let mail =
            "z:5: warning: MX of d.e.test. is c.e.test., a CNAME; a name with an address (RFC 2181 section 10.3)";
        expect("d MX 1 c\nc CNAME ns\n", &[mail]);
    }

    #[test]
    fn common_slips_are_named() {
        let twice = "a dot at the end of the name, for it has the zone's name twice";
        expect(
            "m MX 1 ns.E.test\n",
            &[&format!("z:5: warning: MX of m.e.test. is ns.E.test.e.test., which has no address here; {twice}")],
        );
        let text = "$TTL 5\n@ SOA ns h@e.test. 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";
        let mailbox = "z:2: warning: mailbox h\\@e.test. of the SOA; a dot in the place of the `@`";
        assert_eq!(faults_of(text), [mailbox]);
    }

    #[test]
    fn what_is_hidden_is_told() {
        let below = "records that are reached";
        expect(
            "d DNAME a.\nx.y.d A 192.0.2.1\n",
            &[&format!("z:6: warning: x.y.d.e.test. is below the DNAME at d.e.test. and never answered; {below}")],
        );
        expect(
            "d NS ns\nx.d A 192.0.2.1\nx.d TXT a\nx.d TXT b\nd TXT a\nd DS 1 8 9 AA\n",
            &[
                "z:7: warning: TXT at x.d.e.test. is below the zone cut at d.e.test. and never answered; glue alone there",
                "z:9: warning: TXT at d.e.test. is at the zone cut at d.e.test. and never answered; NS and DS alone there",
            ],
        );
        expect(
            "@ DNAME a.\n",
            &["z:4: warning: ns.e.test. is below the DNAME at e.test. and never answered; records that are reached"],
        );
    }

    #[test]
    fn wildcards_are_no_cuts() {
        expect(
            "* NS ns\n",
            &["z:5: warning: NS at the wildcard *.e.test.; names that are delegated (RFC 4592 section 4.2)"],
        );
    }
}
