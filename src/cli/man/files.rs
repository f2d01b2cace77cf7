//! The pages of files: kofn.toml(5) and kofn-zones(5), of the keys that their readers know.

use std::io;

use roff::{Roff, bold, roman};

use super::{Page, inline, literal, see_also, tagged};
use crate::config::{TableReference, reference};
use crate::zone::record_types::KNOWN;

const SECTION: &str = "5";
const SETTINGS: &str = "kofn.toml";
const POLICY: &str = "zones/NAME.toml";
const DRAINS: &str = "state/drains.toml";

pub(super) fn pages() -> io::Result<Vec<Page>> {
    Ok(vec![settings()?, zones()?])
}

fn settings() -> io::Result<Page> {
    Page::new("kofn.toml", SECTION, "the settings of the nameserver kofn", |roff| {
        roff.control("SH", ["DESCRIPTION"]);
        paragraphs(
            roff,
            &[
                "The settings of `kofn`(8), as TOML. Every key has a default, and the file may be missing. It is read again \
                 when it changes; what takes a restart is said in the log, by `kofn status` and by `kofn reload`.",
                COMMON,
            ],
        );
        tables(roff, SETTINGS, "SH");
        roff.control("SH", ["EXAMPLE"]);
        paragraphs(roff, &["A server with addresses of both families, whose prober has somebody to ask about itself:"]);
        literal(
            roff,
            "listen = [\"192.0.2.53\", \"[2001:db8::53]\"]\nzones = \"/etc/kofn/zones\"\nstate = \"/var/lib/kofn\"\n\n\
             [health]\nwitnesses = [\"198.51.100.1:443\", \"203.0.113.1:443\"]",
        );
        see_also(roff, &[("kofn", "8"), ("kofn-zones", SECTION)]);
    })
}

fn zones() -> io::Result<Page> {
    Page::new("kofn-zones", SECTION, "zone files and policies of the nameserver kofn", |roff| {
        roff.control("SH", ["DESCRIPTION"]);
        paragraphs(
            roff,
            &[
                "`NAME.zone` in the folder of the zones is the zone NAME, and `NAME.toml` beside it its policy: which names \
                 are pools, how their members are dealt and checked, and where the zone is transferred to or from. The \
                 policy never repeats an address: the members of a pool are the A and AAAA records of its owner. A file that \
                 is put there adds its zone, one that is taken away ends it, and one that is written is served within a \
                 second. A file with an error changes nothing.",
                "In the name of the file `%` and two hexadecimal digits are an octet that a file name cannot hold; \
                 `root.zone` is the root.",
            ],
        );
        roff.control("SH", ["ZONE FILES"]);
        zone_text(roff);
        roff.control("SH", ["POLICIES"]);
        paragraphs(roff, &[COMMON]);
        tables(roff, POLICY, "SS");
        roff.control("SH", ["DRAINS"]);
        paragraphs(roff, &["`state/drains.toml`, in the folder of the state, may be edited while the server runs."]);
        tables(roff, DRAINS, "SS");
        roff.control("SH", ["EXAMPLE"]);
        paragraphs(roff, &["`zones/example.test.zone` and `zones/example.test.toml`:"]);
        literal(
            roff,
            "$TTL 5m\n@    SOA   ns1 hostmaster ( 1 1h 10m 2w 30 )\n     NS    ns1\nns1  A     192.0.2.53\nwww  A     192.0.2.1\n     \
             A     192.0.2.2\n     A     192.0.2.3",
        );
        literal(roff, "[check.web]\ntype = \"http\"\npath = \"/healthz\"\n\n[pool.www]\nk = 2\ncheck = \"web\"");
        see_also(roff, &[("kofn", "8"), ("kofn-check", "8"), ("kofn.toml", SECTION)]);
    })
}

/// What kofn.toml and policies have in common.
const COMMON: &str = "A path that is not absolute starts at the folder of the file that names it. A duration is text such as \
    `\"5s\"`, `\"500ms\"` or `\"1m30s\"`, or a whole number of seconds. An address without a port means port 53 unless it \
    is said otherwise. A prefix is an address, or an address and a length such as `192.0.2.0/24`. A key that is not \
    listed here is an error.";

/// Master files, in short.
fn zone_text(roff: &mut Roff) {
    paragraphs(
        roff,
        &[
            "Standard master files (RFC 1035 section 5), as BIND, NSD and Knot load them. TTLs may have the units `w`, `d`, \
           `h`, `m` and `s`. The TTL of a pool's records is a ceiling for the TTL that is served. The directives are",
        ],
    );
    for (directive, meaning) in [
        ("$ORIGIN NAME", "What relative names are relative to; at the start, the zone's name."),
        ("$TTL TTL", "The TTL of records that have none."),
        ("$INCLUDE FILE [ORIGIN]", "Reads FILE here; its path is relative to the file that includes it."),
        (
            "$GENERATE START-STOP[/STEP] OWNER [TTL] [CLASS] TYPE DATA",
            "One record for each number, which takes the place of `$` in OWNER and DATA; `${OFFSET,WIDTH,BASE}` changes how \
             it is written.",
        ),
    ] {
        tagged(roff, [bold(directive)], meaning);
    }
    let names: Vec<String> = KNOWN.iter().map(ToString::to_string).collect();
    let types = format!(
        "The types are {}. Any other is written as `TYPE` and its number, with its data as `\\#`, their length and that many \
         octets in hexadecimal (RFC 3597).",
        names.join(", ")
    );
    roff.control("PP", []).text(inline(&types));
}

fn paragraphs(roff: &mut Roff, paragraphs: &[&str]) {
    for (at, text) in paragraphs.iter().enumerate() {
        // A heading begins a paragraph by itself.
        if at > 0 {
            roff.control("PP", []);
        }
        roff.text(inline(text));
    }
}

/// The tables of one file, each under a heading of its own; those inside another stay under its heading.
fn tables(roff: &mut Roff, file: &str, heading: &str) {
    for TableReference { header, about, keys, .. } in reference().into_iter().filter(|table| table.file == file) {
        match header {
            "" => roff.control(heading, ["Keys above the first header"]),
            _ if header.starts_with('[') => roff.control(heading, [header]),
            _ => roff,
        };
        if header.starts_with('`') {
            roff.control("PP", []);
        }
        paragraphs(roff, &[about]);
        for key in keys {
            let mut tag = vec![bold(key.name)];
            if !key.default.is_empty() {
                tag.push(roman(format!(" (default {})", key.default)));
            }
            let takes = key.takes.trim_end_matches('.');
            tagged(roff, tag, &format!("{} Takes {takes}.", key.meaning));
        }
    }
}
