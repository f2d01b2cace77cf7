//! The manual holds what it says: links lead somewhere, examples are taken, every alert has an entry in the runbook, and the
//! table of RFCs names all that the code names, with tests that exist. (Commands are tried in `src/cli/manual.rs`.)

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use kofn::config::{Fault, Settings, ZonePolicy, read_drains};
use kofn::wire::Name;

use crate::harness::Scratch;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// README.md and every page of docs/, by their paths.
fn pages() -> Vec<(String, String)> {
    let mut paths = vec!["README.md".to_owned()];
    for entry in fs::read_dir(root().join("docs")).expect("docs") {
        let name = entry.expect("a page").file_name().into_string().expect("a name in UTF-8");
        if name.ends_with(".md") {
            paths.push(format!("docs/{name}"));
        }
    }
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// The lines outside of fences.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        !fenced && !is_fence
    })
}

/// The fenced blocks, each with the word behind its fence.
fn blocks(text: &str) -> Vec<(&str, String)> {
    let (mut blocks, mut open): (Vec<(&str, String)>, bool) = (Vec::new(), false);
    for line in text.lines() {
        match line.trim_start().strip_prefix("```") {
            Some(word) if !open => {
                blocks.push((word.trim(), String::new()));
                open = true;
            }
            Some(_) => open = false,
            None if open => {
                let (_, block) = blocks.last_mut().expect("it is open");
                *block += line;
                block.push('\n');
            }
            None => {}
        }
    }
    blocks
}

/// The anchors that a page has, as the places where it is read make them of headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for heading in prose(text).filter(|line| line.starts_with('#')) {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let names = std::iter::once(slug.clone()).chain((1..).map(|number| format!("{slug}-{number}")));
        let free =
            names.into_iter().find(|name| !anchors.contains(name)).expect("there are more numbers than headings");
        anchors.insert(free);
    }
    anchors
}

/// The targets of links, each with the page that has it.
fn links() -> Vec<(String, String)> {
    let mut links = Vec::new();
    for (page, text) in pages() {
        for part in prose(&text).flat_map(|line| line.split("](").skip(1)) {
            let target = part.split(')').next().unwrap_or_default();
            links.push((page.clone(), target.to_owned()));
        }
    }
    links
}

#[test]
fn every_link_leads_somewhere() {
    let links = links();
    assert!(links.len() > 60, "{}", links.len());
    let mut broken = Vec::new();
    for (page, target) in links.iter().filter(|(_, target)| !target.contains("://")) {
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let folder = Path::new(page).parent().unwrap_or(Path::new(""));
        let file: PathBuf = if path.is_empty() { page.into() } else { folder.join(path) };
        if !root().join(&file).exists() {
            broken.push(format!("{page}: {target}: no such file"));
        } else if !anchor.is_empty() && !anchors(&read(&file.to_string_lossy())).contains(anchor) {
            broken.push(format!("{page}: {target}: no such heading"));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_page_is_on_the_map() {
    let map = read("docs/README.md");
    let missing: Vec<String> = pages()
        .into_iter()
        .filter_map(|(path, _)| path.strip_prefix("docs/").map(str::to_owned))
        .filter(|name| name != "README.md" && !map.contains(&format!("]({name})")))
        .collect();
    assert!(missing.is_empty(), "docs/README.md does not name {missing:?}");
}

/// A block is kofn.toml, a policy or drains.toml, as its first line or its tables say.
#[test]
fn every_toml_block_is_taken() {
    let apex = Name::from_text(b"example.test").expect("a name");
    let mut faulty = Vec::new();
    let mut tried = 0;
    for (page, text) in pages() {
        for (_, block) in blocks(&text).into_iter().filter(|(word, _)| *word == "toml") {
            let tables = ["[check.", "[pool.", "[transfer]", "[catalog]"];
            let is_policy = block.lines().any(|line| tables.iter().any(|table| line.starts_with(table)));
            let file = match block.lines().next().unwrap_or_default() {
                first if first.starts_with("# zones/") => "zones/example.test.toml",
                first if first.starts_with("# state/drains.toml") => "state/drains.toml",
                _ if is_policy => "zones/example.test.toml",
                _ => "kofn.toml",
            };
            let (text, place) = (block.as_str(), Path::new(file));
            let faults = match file {
                "kofn.toml" => Settings::parse(text, place).err(),
                "state/drains.toml" => read_drains(text, place).err(),
                _ => ZonePolicy::parse(text, place, apex.borrow()).err(),
            };
            // A part of a policy may use a check that stands elsewhere on the page, and files that an example names are not here.
            let is_elsewhere = |fault: &&Fault| {
                let text = fault.to_string();
                text.contains("a [check.NAME] in this file") || text.contains("No such file")
            };
            faulty.extend(
                faults
                    .iter()
                    .flatten()
                    .filter(|fault| !is_elsewhere(fault))
                    .map(|fault| format!("{page}: {fault}\n{text}")),
            );
            tried += 1;
        }
    }
    assert!(faulty.is_empty(), "{}", faulty.join("\n"));
    assert!(tried > 15, "{tried}");
}

/// A block that begins with `; zones/NAME.zone` is that zone.
#[test]
fn every_whole_zone_loads() {
    let scratch = Scratch::new();
    let mut tried = 0;
    for (page, text) in pages() {
        for (_, block) in blocks(&text) {
            let Some(file) = block.strip_prefix("; zones/").and_then(|rest| rest.split_whitespace().next()) else {
                continue;
            };
            tried += 1;
            let path = format!("{tried}/{file}");
            scratch.write(&path, &block);
            let check = scratch.kofn(&["check", &path]);
            assert_eq!(check.code, 0, "{page}: {check:?}");
        }
    }
    assert!(tried > 1, "{tried}");
}

/// The kinds of `[alert] on`, and the names of the rules for Prometheus.
#[test]
fn the_runbook_has_an_entry_for_each_alert_and_for_nothing_else() {
    let runbook = read("docs/runbook.md");
    let section = runbook.split("\n## ").find(|section| section.starts_with("Alerts")).expect("a section on alerts");
    let entries: BTreeSet<String> = section
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .flat_map(|heading| heading.split(", "))
        .map(str::to_owned)
        .collect();
    let alerts = read("docs/alerts.md");
    let mut wanted: BTreeSet<String> = alerts
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(kind, _)| kind.to_owned())
        .collect();
    let kinds = read("src/config/alert.rs");
    assert!(wanted.len() >= 6 && wanted.iter().all(|kind| kinds.contains(&format!("\"{kind}\""))), "{wanted:?}");
    let mut folders = vec![root().join("examples")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml") {
                let text = fs::read_to_string(path).expect("a file");
                let names =
                    text.lines().filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("alert: "));
                wanted.extend(names.map(str::to_owned));
            }
        }
    }
    let missing: Vec<&String> = wanted.difference(&entries).collect();
    assert!(missing.is_empty(), "docs/runbook.md has no heading for {missing:?}");
    let stray: Vec<&String> = entries.difference(&wanted).collect();
    assert!(stray.is_empty(), "docs/runbook.md has headings for {stray:?}, and nobody is alerted of them");
}

/// The numbers in text such as `RFC 1035`.
fn cited(text: &str) -> BTreeSet<u32> {
    let parts = text.split("RFC").skip(1);
    let digits = parts.filter_map(|part| {
        let digits: String =
            part.trim_start_matches([' ', '\u{a0}']).chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    digits.collect()
}

fn sources(folder: &Path, texts: &mut Vec<String>) {
    for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()) {
        if path.is_dir() {
            sources(&path, texts);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            texts.push(fs::read_to_string(path).expect("a source"));
        }
    }
}

#[test]
fn the_table_of_rfcs_has_all_and_names_tests_that_exist() {
    let table = read("docs/rfcs.md");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| [RFC "))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let listed: BTreeSet<u32> = rows.iter().flat_map(|row| cited(row[0])).collect();
    let mut texts = Vec::new();
    sources(&root().join("src"), &mut texts);
    texts.extend(pages().into_iter().map(|(_, text)| text));
    let used: BTreeSet<u32> = texts.iter().flat_map(|text| cited(text)).collect();
    let missing: Vec<u32> = used.difference(&listed).copied().collect();
    assert!(missing.is_empty(), "docs/rfcs.md lacks {missing:?}");
    for row in rows {
        let [rfc, _, shown] = row[..] else { panic!("three columns in {row:?}") };
        let number = cited(rfc).into_iter().next().expect("a number");
        assert!(rfc.contains(&format!("rfc{number}")), "{rfc} links to another one");
        let tests: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "{rfc} has no test");
        for test in tests {
            let (file, name) = test.split_once("::").unwrap_or((test, ""));
            assert!(read(file).contains(&format!("fn {name}")) || name.is_empty(), "{rfc}: {test} is not there");
        }
    }
}

#[test]
fn the_changelog_has_this_version() {
    let changelog = read("docs/changelog.md");
    assert!(changelog.contains(concat!("\n## ", env!("CARGO_PKG_VERSION"))), "{changelog}");
}
