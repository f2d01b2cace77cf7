//! The reference of all keys, made of their own descriptions: what the manual prints is what the readers accept.

use std::fmt::Write;

use super::alert::ALERT;
use super::catalog::CATALOG;
use super::check::CHECK;
use super::drains::DRAIN;
use super::encrypted::TLS;
use super::policy::ROOT;
use super::pool::POOL;
use super::primary::PRIMARY;
use super::reader::{Described, Keys};
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
    let settings = [&SETTINGS, &TLS, &ADMIN, &ALERT, &LIMITS, &UDP, &HEALTH, &IDENTITY, &COOKIES, &TSIG]
        .map(|keys| table("kofn.toml", keys));
    let policy =
        [&ROOT, &CHECK, &POOL, &TRANSFER, &GRANT, &PEER, &PRIMARY, &CATALOG].map(|keys| table("zones/NAME.toml", keys));
    let drains = [table("state/drains.toml", &DRAIN)];
    settings.into_iter().chain(policy).chain(drains).filter(|table| !table.keys.is_empty()).collect()
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

fn table(file: &'static str, keys: &Keys) -> TableReference {
    let key = |key: &&dyn Described| KeyReference {
        name: key.name(),
        takes: key.form(),
        default: key.default(),
        meaning: key.meaning(),
    };
    TableReference { file, header: keys.header, keys: keys.keys.iter().map(key).collect() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Fault, Settings, ZonePolicy};
    use super::*;
    use crate::config::read_drains;
    use crate::wire::Name;

    const MANUAL: &str = include_str!("../../docs/configuration.md");

    #[test]
    fn every_default_is_read_by_its_own_key() {
        let all = [
            &SETTINGS, &TLS, &ADMIN, &ALERT, &LIMITS, &UDP, &HEALTH, &IDENTITY, &COOKIES, &TSIG, &CHECK, &POOL,
            &TRANSFER, &GRANT, &PEER, &PRIMARY, &CATALOG,
        ];
        for keys in all {
            for key in keys.keys {
                assert!(key.default_reads(), "{} {}", keys.header, key.name());
                assert!(!key.form().is_empty(), "{} {} does not say what it takes", keys.header, key.name());
            }
        }
    }

    #[test]
    fn the_manual_has_every_table_as_the_readers_have_it() {
        for table in reference() {
            let text = table.markdown();
            assert!(MANUAL.contains(&text), "docs/configuration.md must have for {}:\n{text}", table.header);
        }
    }

    #[test]
    fn the_manual_has_no_key_that_the_readers_lack() {
        let tables = reference();
        let mut known: Vec<&str> = tables.iter().flat_map(|table| &table.keys).map(|key| key.name).collect();
        let rows = MANUAL.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let mut described: Vec<&str> = rows.map(|(key, _)| key).collect();
        known.sort_unstable();
        described.sort_unstable();
        assert_eq!(described, known);
    }

    #[test]
    fn the_examples_of_the_manual_are_valid() {
        let apex = Name::from_text(b"example.test").unwrap();
        let mut examples = 0;
        for block in MANUAL.split("```toml\n").skip(1) {
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
