//! The reference of all keys, made of their own descriptions: what the manual prints is what the readers accept.

use std::fmt::Write;

use super::alert::ALERT;
use super::catalog::CATALOG;
use super::check::CHECK;
use super::dnstap::DNSTAP;
use super::drains::DRAIN;
use super::encrypted::TLS;
use super::pool::POOL;
use super::primary::PRIMARY;
use super::query::QUERY;
use super::query_log::QUERY_LOG;
use super::rate_limit::RATE_LIMIT;
use super::reader::{Described, Keys};
use super::sandbox::SANDBOX;
use super::secret::{COOKIES, TSIG};
use super::settings::{ADMIN, HEALTH, IDENTITY, LIMITS, SETTINGS, UDP};
use super::transfer::{GRANT, PEER, TRANSFER};

/// The keys of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableReference {
    /// The file that the table stands in.
    pub file: &'static str,
    /// The header, such as `[check.NAME]`; empty for the keys above the first header.
    pub header: &'static str,
    /// What the table is for.
    pub about: &'static str,
    /// The keys, each with what it takes, its default and what it means.
    pub keys: Vec<KeyReference>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReference {
    /// The key.
    pub name: &'static str,
    /// What it takes.
    pub takes: String,
    /// As TOML; empty when there is none.
    pub default: &'static str,
    /// What it does, in a sentence or two.
    pub meaning: &'static str,
}

/// Every table of all files, in the order of the manual.
pub fn reference() -> Vec<TableReference> {
    let settings = [
        (&SETTINGS, "The server itself. These keys stand above the first header."),
        (&SANDBOX, "What the server gives up when it has its sockets."),
        (&TLS, "The encrypted doors: DNS over TLS, HTTPS and QUIC."),
        (&ADMIN, "The page, the metrics and the API."),
        (&ALERT, "Who is told when something goes wrong, and when it is over."),
        (&QUERY, "Who may ask, whatever the zone; others get REFUSED. The policy of a zone has such a table, too."),
        (&LIMITS, "How much of it there is at once."),
        (&RATE_LIMIT, "How many replies one network is sent by UDP. Nothing is limited by default."),
        (&DNSTAP, "Where messages are told of by dnstap. Without `socket` and `file` they are not."),
        (&QUERY_LOG, "A line for some of the queries."),
        (&UDP, "The defaults are meant to be left alone."),
        (&HEALTH, "What the prober is measured by."),
        (&IDENTITY, "Who asks what the server is learns nothing unless it stands here."),
        (&COOKIES, "DNS cookies (RFC 7873, RFC 9018)."),
        (&TSIG, "TSIG keys, one table for each. The name is that of the key at the peer. Secrets are never printed."),
    ];
    let policy = [
        (&CHECK, "How members are probed. Checks are named by the pools that use them."),
        (
            &POOL,
            "How the A and AAAA records of an owner are handed out. The owner is relative to the apex (`[pool.www]`), \
             absolute with a final dot (`[pool.\"www.example.test.\"]`), or the apex itself (`[pool.\"@\"]`).",
        ),
        (&QUERY, "Who may ask for names of the zone, of those whom `[query]` of kofn.toml lets ask."),
        (&TRANSFER, "How the zone travels, to other nameservers and from them."),
        (&GRANT, "An element of `to` is a prefix, or a table:"),
        (&PEER, "An element of `notify` is an address, or a table:"),
        (&PRIMARY, "An element of `from` is an address, or a table:"),
        (
            &CATALOG,
            "The zone is a list of zones (RFC 9432). With `[transfer] from` this server serves what it lists; without, \
             this server writes it, and it lists every zone that is served here.",
        ),
    ];
    let drains =
        [(&DRAIN, "Who is kept out of new answers, and since when; `kofn drain` and `kofn undrain` write it.")];
    let tables = [("kofn.toml", &settings[..]), ("zones/NAME.toml", &policy), ("state/drains.toml", &drains)];
    let tables =
        tables.into_iter().flat_map(|(file, tables)| tables.iter().map(move |(keys, about)| (file, keys, about)));
    tables.map(|(file, keys, about)| table(file, keys, about)).collect()
}

impl TableReference {
    /// The table as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::from("| key | takes | default | meaning |\n|---|---|---|---|\n");
        for KeyReference { name, takes, default, meaning } in &self.keys {
            let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
            let takes = takes.replace('|', "\\|");
            writeln!(text, "| `{name}` | {takes} | {default} | {meaning} |").expect("text takes text");
        }
        text
    }
}

fn table(file: &'static str, keys: &Keys, about: &'static str) -> TableReference {
    let key = |key: &&dyn Described| KeyReference {
        name: key.name(),
        takes: key.form(),
        default: key.default(),
        meaning: key.meaning(),
    };
    TableReference { file, header: keys.header, about, keys: keys.keys.iter().map(key).collect() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Fault, Settings, ZonePolicy};
    use super::*;
    use crate::config::read_drains;
    use crate::wire::Name;

    const MANUAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    const HEAD: &str = "| key | takes | default | meaning |\n";

    fn manual() -> String {
        std::fs::read_to_string(MANUAL).expect("the manual")
    }

    /// The manual with its tables as the readers have them, in their order; what stands between them is kept.
    fn written(manual: &str) -> String {
        let mut parts = manual.split(HEAD);
        let mut text = parts.next().unwrap_or_default().to_owned();
        let (parts, tables): (Vec<&str>, _) = (parts.collect(), reference());
        assert_eq!(parts.len(), tables.len(), "{MANUAL} has another number of tables than there are: {tables:#?}");
        for (part, table) in parts.into_iter().zip(tables) {
            let heading = text.lines().rev().find(|line| line.starts_with('#')).unwrap_or_default();
            let own = heading.trim_start_matches('#').trim();
            let belongs = !table.header.starts_with('[') || own == table.header;
            assert!(belongs, "the table of {} stands under {heading}", table.header);
            text += &table.markdown();
            text.extend(part.split_inclusive('\n').skip_while(|line| line.starts_with('|')));
        }
        text
    }

    #[test]
    fn every_default_is_read_by_its_own_key() {
        let all = [
            &SETTINGS,
            &SANDBOX,
            &TLS,
            &ADMIN,
            &ALERT,
            &QUERY,
            &LIMITS,
            &RATE_LIMIT,
            &DNSTAP,
            &QUERY_LOG,
            &UDP,
            &HEALTH,
            &IDENTITY,
            &COOKIES,
            &TSIG,
            &CHECK,
            &POOL,
            &TRANSFER,
            &GRANT,
            &PEER,
            &PRIMARY,
            &CATALOG,
        ];
        for keys in all {
            for key in keys.keys {
                assert!(key.default_reads(), "{} {}", keys.header, key.name());
                assert!(!key.form().is_empty(), "{} {} does not say what it takes", keys.header, key.name());
            }
        }
    }

    /// `KOFN_WRITE_MANUAL=1 cargo test --lib reference` writes the tables anew.
    #[test]
    fn the_tables_of_the_manual_are_those_of_the_readers() {
        let (now, right) = (manual(), written(&manual()));
        if std::env::var_os("KOFN_WRITE_MANUAL").is_some() {
            std::fs::write(MANUAL, right).expect("the manual can be written");
        } else {
            let other = now.lines().zip(right.lines()).find(|(now, right)| now != right);
            assert!(
                now == right,
                "KOFN_WRITE_MANUAL=1 cargo test --lib reference writes docs/configuration.md: {other:?}"
            );
        }
    }

    #[test]
    fn the_examples_of_the_manual_are_valid() {
        let apex = Name::from_text(b"example.test").unwrap();
        let mut examples = 0;
        for block in manual().split("```toml\n").skip(1) {
            let text = block.split("```").next().unwrap();
            let file = text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("the name of the file");
            let faults = match file {
                "kofn.toml" => Settings::parse(text, Path::new(file)).err(),
                "state/drains.toml" => read_drains(text, Path::new(file)).err(),
                _ => ZonePolicy::parse(text, Path::new(file), apex.borrow()).err(),
            };
            let faults: Vec<_> = faults.iter().flatten().map(Fault::to_string).collect();
            assert!(faults.is_empty(), "{faults:#?}");
            examples += 1;
        }
        assert!(examples >= 2);
    }
}
