//! gdnsd: the configuration's plugins, and the zone files with the DYNA and DYNC records that name them
//! (gdnsd.config(5), gdnsd.zonefile(5), gdnsd-plugin-*(8)).
//!
//! ```text
//! config, $include ──vscf──► Value ──resource──► Resource: members, weights, tiers ──┐
//! zones/NAME ──entries──► DYNA plugin!resource ───────────────────────────────────────┴─► pool
//!            └──► everything else as it stands
//! ```

mod check;
mod resource;
mod vscf;

use super::Input;
use super::entries::{Entry, entries, seconds};
use super::plan::{Plan, PoolPlan, absolute, address_type, weights};
use resource::Resource;
use vscf::Value;

/// Makes zones of a gdnsd configuration, the inputs without an apex, and its zone files.
pub fn from_gdnsd(inputs: &[Input]) -> Plan {
    let mut plan = Plan::default();
    let (zones, settings): (Vec<&Input>, Vec<&Input>) = inputs.iter().partition(|input| input.apex.is_some());
    let others: Vec<vscf::File<'_>> =
        settings.iter().skip(1).map(|input| (input.name.as_str(), input.text.as_str())).collect();
    let mut top = Value::Hash(Vec::new());
    // What is not the first is there to be included.
    if let Some(first) = settings.first() {
        match vscf::parse((&first.name, &first.text), &others) {
            Ok(value) => top = value,
            Err(error) => plan.note(error.place.clone(), error.to_string()),
        }
    }
    for input in zones {
        if let Some(apex) = &input.apex {
            Zone::new(&mut plan, &top, input, apex).read();
        }
    }
    plan
}

/// A zone file that is being read.
struct Zone<'a> {
    plan: &'a mut Plan,
    top: &'a Value,
    input: &'a Input,
    apex: &'a str,
    origin: String,
    owner: String,
    /// That of the last `$TTL`, for records that have none.
    ttl: Option<u32>,
}

impl<'a> Zone<'a> {
    fn new(plan: &'a mut Plan, top: &'a Value, input: &'a Input, apex: &'a str) -> Self {
        plan.zone(apex);
        let ttl = top.get("options").and_then(|options| options.number("zones_default_ttl"));
        Self { plan, top, input, apex, origin: apex.to_owned(), owner: apex.to_owned(), ttl }
    }

    fn read(&mut self) {
        let entries = entries(&self.input.text);
        let has_ttl = entries.iter().any(|entry| entry.directive().as_deref() == Some("$TTL"));
        if !has_ttl && let Some(ttl) = self.ttl.or(Some(DEFAULT_TTL)) {
            self.plan.zone(self.apex).line(format_args!("$TTL {ttl}"));
        }
        entries.iter().for_each(|entry| self.entry(entry));
    }

    fn entry(&mut self, entry: &Entry<'_>) {
        let place = format!("{}:{}", self.input.name, entry.line);
        match entry.directive().as_deref() {
            Some("$ORIGIN") => self.origin = self.absolute(entry.word(1)),
            Some("$TTL") => self.ttl = seconds(entry.word(1)),
            Some("$INCLUDE") => {
                self.plan.note(
                    &place,
                    format!("$INCLUDE {} stays; copy that file too, and look at its DYNA records", entry.word(1)),
                );
            }
            Some("$ADDR_LIMIT_A" | "$ADDR_LIMIT_AAAA") => {
                self.plan.note(&place, format!("{} has no equal; `k` of a pool says how many", entry.word(0)));
                return self.plan.zone(self.apex).line(entry.commented());
            }
            _ => {}
        }
        if entry.words.first().is_some_and(|word| !entry.continued && !word.text.starts_with('$')) {
            self.owner = self.absolute(entry.word(0));
        }
        match entry.type_at(&["DYNA", "DYNC"]) {
            Some(at) => self.dynamic(entry, at, &place),
            None => {
                let text = plain(entry, self.apex);
                self.plan.zone(self.apex).line(text);
            }
        }
    }

    fn absolute(&self, name: &str) -> String {
        absolute(&without_specials(name, self.apex), &self.origin)
    }

    /// `www 600/30 DYNA plugin!resource`; DYNC is the same, and may be a CNAME.
    fn dynamic(&mut self, entry: &Entry<'_>, at: usize, place: &str) {
        self.plan.zone(self.apex).line(entry.commented());
        let target = entry.word(at + 1);
        let words = entry.words.get(usize::from(!entry.continued)..at).unwrap_or_default();
        // gdnsd has the longest TTL, and behind a slash the shortest.
        let mut ttl = words.iter().map(|word| word.text.split('/').map(seconds).collect::<Vec<_>>());
        let ttl = ttl.rfind(|parts| parts[0].is_some()).unwrap_or_else(|| vec![self.ttl]);
        let (longest, shortest) = (ttl[0], ttl.get(1).copied().flatten());
        match resource::find(self.top, target) {
            Ok(resource) => self.pool(resource, (longest, shortest), place),
            Err(reason) => self.plan.note(place, format!("{} {target}: {reason}", entry.word(at))),
        }
    }

    fn pool(&mut self, resource: Resource, (ttl, ttl_min): (Option<u32>, Option<u32>), place: &str) {
        let owner = self.owner.clone();
        for note in &resource.notes {
            self.plan.note(place, format!("{owner}: {note}"));
        }
        for (address, _) in &resource.members {
            let ttl = ttl.map(|ttl| format!(" {ttl}")).unwrap_or_default();
            self.plan.zone(self.apex).line(format_args!("{owner}{ttl} {} {address}", address_type(*address)));
        }
        let check = check::of(self.plan, self.top, &resource.service_types, (self.apex, &owner), place);
        let (weights, rounded) = weights(&resource.members);
        if rounded {
            self.plan.note(place, format!("{owner}: weights are from 0.01 to 100 here, so the smallest are larger"));
        }
        let pool = PoolPlan {
            k: resource.k,
            ttl: ttl.map(|ttl| ttl.min(LONGEST_TTL)),
            ttl_min: ttl_min.filter(|least| ttl.is_some_and(|ttl| *least <= ttl)),
            spread: resource.spread,
            check,
            panic: resource.up_threshold,
            tiers: resource.tiers,
            weights,
        };
        if self.plan.zone(self.apex).policy.pool.insert(owner.clone(), pool).is_some() {
            self.plan.note(place, format!("{owner} has a second record of this kind; the last one is its policy"));
        }
    }
}

/// What gdnsd gives to records without a TTL.
const DEFAULT_TTL: u32 = 86_400;
/// The largest that a pool may have.
const LONGEST_TTL: u32 = 604_800;
/// Octets of one string.
const STRING: usize = 255;

/// An entry that master files of others have too, but for gdnsd's special names and its strings of any length.
fn plain(entry: &Entry<'_>, apex: &str) -> String {
    let mut text = entry.text.to_owned();
    for word in &entry.words {
        if !word.quoted && without_specials(&word.text, apex) != word.text {
            text = text.replacen(&word.text, &without_specials(&word.text, apex), 1);
        }
        if word.text.len() > STRING && entry.type_at(&["TXT"]).is_some() {
            let escaped =
                if word.quoted { word.text.replace('\\', "\\\\").replace('"', "\\\"") } else { word.text.clone() };
            let cut: Vec<String> = word.text.as_bytes().chunks(STRING).map(string).collect();
            text = text.replace(&format!("\"{escaped}\""), &cut.join(" ")).replace(&escaped, &cut.join(" "));
        }
    }
    text
}

fn string(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets).replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{text}\"")
}

/// `@Z` is the zone, `@F` where the file began, which is the same but in included files.
fn without_specials(name: &str, apex: &str) -> String {
    let special = ["@Z", "@F"].into_iter().find_map(|special| {
        let before = name.strip_suffix(special)?;
        (before.is_empty() || before.ends_with('.')).then(|| format!("{before}{apex}"))
    });
    special.unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        service_types => {
          web => { plugin => http_status, port => 8080, url_path => /check, vhost => www.a.test, interval => 5, down_thresh => 2, up_thresh => 4 }
          odd => { plugin => extmon, cmd => ["/bin/check it", "-H", "%%ITEM%%"], timeout => 3 }
          file => { plugin => extfile, file => f }
        }
        plugins => {
          multifo => { prod => { service_types => web, up_thresh => 0.4, one => 192.0.2.1, two => 192.0.2.2 }
                       list => { addrs_v4 => [ 192.0.2.11, 192.0.2.12 ], addrs_v6 => { up_thresh => 0.7, a => 2001:db8::1, b => 2001:db8::2 } } }
          weighted => {
            both => { multi = true, service_types => odd, addrs_v4 => { a => [ 192.0.2.3, 10 ], b => [ 192.0.2.4, 30 ] },
                      addrs_v6 => { a => [ 2001:db8::3, 1 ] } }
            sites => { service_types => file, one => { a => [ 192.0.2.21, 2 ], b => [ 192.0.2.22, 2 ] }, two => { c => [ 192.0.2.23, 500 ] } }
            names => { a => [ lb01.b.test., 99 ], b => [ lb02.b.test., 1 ] }
          }
          simplefo => { pair => { primary => 192.0.2.5, secondary => 192.0.2.6 } }
          metafo => { resources => { far => { datacenters => [ d1, d2 ], service_types => web,
                      dcmap => { d1 => %multifo!prod, d2 => [ 198.51.100.1, 198.51.100.2 ] } } } }
          geoip => { maps => { m => { datacenters => [ d1, d2 ] } }
                     resources => { geo => { map => m, dcmap => { d1 => 192.0.2.31, d2 => 192.0.2.32 } } } }
          static => { one => 192.0.2.7 }
        }"#;
    const ZONE: &str = "$TTL 600\n@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.9 ; kept\nwww 60/30 DYNA multifo!prod\n\
                        \tMX 10 ns1.@Z\nboth DYNA weighted!both\npair 5m DYNA simplefo!pair\ngeo DYNA geoip!geo\nc DYNC weighted!names\n\
                        far DYNA metafo!far\nd2 DYNA metafo!far/d2\nlist DYNA multifo!list\none DYNA static!one\nsites DYNA weighted!sites\n\
                        none DYNA x!y\ndyna CNAME www\n$ADDR_LIMIT_A 5\n";

    fn plan() -> Plan {
        let config = Input { name: "config".into(), apex: None, text: CONFIG.into() };
        let zone = Input { name: "zones/a.test".into(), apex: Some("a.test.".into()), text: ZONE.into() };
        from_gdnsd(&[config, zone])
    }

    #[test]
    fn plugins_become_pools_and_the_rest_stays_as_it_was() {
        let plan = plan();
        let zone = &plan.zones["a.test."];
        for text in [
            "ns1 A 192.0.2.9 ; kept\n; www 60/30 DYNA multifo!prod\nwww.a.test. 60 A 192.0.2.1\n",
            "\tMX 10 ns1.a.test.\n",
            "both.a.test. 600 AAAA 2001:db8::3\n",
            "dyna CNAME www\n; $ADDR_LIMIT_A 5\n",
        ] {
            assert!(zone.text.contains(text), "{text} in\n{}", zone.text);
        }
        let pool = |name: &str| &zone.policy.pool[&format!("{name}.a.test.")];
        let www = pool("www");
        assert_eq!((www.spread, www.panic, www.ttl, www.ttl_min), (Some("all"), Some(0.4), Some(60), Some(30)));
        let web = &zone.policy.check[www.check.as_deref().unwrap()];
        assert_eq!((web.kind, web.port, web.path.as_deref()), ("http", Some(8080), Some("/check")));
        assert_eq!((web.fall, web.rise, &web.expect[..]), (Some(2), Some(4), &[200][..]));
        let both = pool("both");
        assert_eq!((both.k, both.ttl, both.weights.len()), (Some(1), Some(600), 3));
        let odd = &zone.policy.check["odd"];
        assert_eq!(odd.command, ["/bin/sh", "-c", "exec '/bin/check it' '-H' \"$KOFN_ADDRESS\""]);
        assert_eq!((pool("pair").k, pool("pair").ttl, pool("pair").tiers.len()), (Some(1), Some(300), 2));
        assert_eq!((pool("far").spread, pool("far").tiers.len(), pool("far").tiers[1].len()), (Some("all"), 2, 2));
        assert!(zone.text.contains("d2.a.test. 600 A 198.51.100.2\n") && pool("d2").tiers.is_empty(), "{}", zone.text);
        assert_eq!((pool("list").panic, pool("one").k, pool("geo").tiers.len()), (Some(0.5), Some(1), 0));
        assert_eq!(pool("sites").weights.values().copied().collect::<Vec<_>>(), [0.4, 0.4, 100.0]);
    }

    #[test]
    fn what_has_no_equal_is_noted_with_its_line() {
        let notes: Vec<_> = plan().notes.iter().map(ToString::to_string).collect();
        let expected = [
            "zones/a.test:7: both.a.test.: several weighted addresses an answer; here 1, and `k` says otherwise",
            "zones/a.test:9: geo.a.test.: routing by place has no equal; the addresses of all places are one pool for everyone",
            "zones/a.test:10: DYNC weighted!names: it has no addresses; CNAMEs are not balanced, write the one that you want",
            "zones/a.test:13: list.a.test.: up_thresh differs by family; the first is kept",
            "zones/a.test:15: sites.a.test.: groups have no equal; all members are one pool, and `together` or `apart` by prefix may do",
            "zones/a.test:15: sites.a.test.: the service type file (extfile) has no equal; left out of the check",
            "zones/a.test:16: DYNA x!y: the plugin x has no equal; write the pool by hand",
            "zones/a.test:18: $ADDR_LIMIT_A has no equal; `k` of a pool says how many",
        ];
        for note in expected {
            assert!(notes.iter().any(|other| other == note), "{note} in\n{notes:#?}");
        }
    }

    #[test]
    fn special_names_and_long_strings_are_rewritten() {
        assert_eq!(without_specials("a.@Z", "b.test."), "a.b.test.");
        assert_eq!(without_specials("@Z", "b.test."), "b.test.");
        assert_eq!(without_specials("a@Z", "b.test."), "a@Z");
        let long = "x".repeat(300);
        let text = format!("t TXT \"{long}\" ; why");
        let cut = plain(&entries(&text)[0], "b.test.");
        assert_eq!(cut, format!("t TXT \"{}\" \"{}\" ; why", &long[..255], &long[255..]));
    }
}
