//! The import table of docs/architecture.md, executed: what it does not list is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Siblings of layer 3 talk through the snapshot and the app, never to each other.
const TASKS: [&str; 6] = ["announce", "server", "probe", "reload", "admin", "scribe"];
/// What knows no runtime: layers 0 and 1, and the simulation, whose clock is its own.
const DATA: [&str; 9] = ["wire", "net", "metrics", "tap", "health", "config", "zone", "pool", "simulate"];
/// Where hickory may stand: one file, and whole modules.
const HICKORY: [&str; 4] =
    ["src/server/hickory.rs", "src/server/hickory/tcp.rs", "src/server/hickory/udp.rs", "src/probe/dns.rs"];
const HICKORY_MODULES: [&str; 3] = ["transfer", "replicate", "cli"];
const UNSAFE: [&str; 2] = ["src/server/batch/", "src/residency.rs"];

#[test]
fn modules_import_only_what_the_table_lists() {
    let allowed = table();
    let mut refused = Vec::new();
    for source in sources() {
        let Some(module) = source.module() else { continue };
        let Some(may) = allowed.get(module) else {
            refused.push(format!("{}: module `{module}` is not in the table", source.path));
            continue;
        };
        for import in source.imports().into_iter().filter(|import| import != module && !may.contains(import)) {
            refused.push(format!("{}: `{module}` imports `{import}`", source.path));
        }
        if source.climbs_to_the_root() {
            refused.push(format!("{}: `super` reaches the crate's root; write `crate::`", source.path));
        }
    }
    assert!(refused.is_empty(), "not listed in docs/architecture.md:\n{}", refused.join("\n"));
}

#[test]
fn the_table_has_no_circle_and_no_edge_between_tasks() {
    let allowed = table();
    for task in TASKS {
        let siblings: Vec<_> = allowed[task].iter().filter(|module| TASKS.contains(&module.as_str())).collect();
        assert!(siblings.is_empty(), "{task} may import its siblings {siblings:?}");
    }
    let mut left = allowed;
    while !left.is_empty() {
        let leaf = left.keys().find(|module| left[*module].iter().all(|import| !left.contains_key(import))).cloned();
        let leaf = leaf.unwrap_or_else(|| panic!("a circle among {:?}", left.keys()));
        left.remove(&leaf);
    }
}

#[test]
fn runtime_hickory_and_unsafe_stay_where_they_belong() {
    let mut refused = Vec::new();
    for source in sources() {
        let names = |word: &str| source.code.lines().any(|line| has_word(line, word));
        if source.module().is_some_and(|module| DATA.contains(&module)) && names("tokio") {
            refused.push(format!("{}: tokio where no runtime is known", source.path));
        }
        let hickory = names("hickory_proto") || names("hickory_server");
        if hickory
            && !HICKORY.contains(&source.path.as_str())
            && !source.module().is_some_and(|module| HICKORY_MODULES.contains(&module))
        {
            refused.push(format!("{}: hickory", source.path));
        }
        if names("unsafe") && !UNSAFE.iter().any(|place| source.path.starts_with(place)) {
            refused.push(format!("{}: unsafe", source.path));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn imports_are_seen_in_every_form() {
    let source = Source {
        path: "src/zone/text/scan.rs".into(),
        code: code_of(
            "//! [`crate::admin`]\nuse crate::wire::Name;\nuse crate::{net, pool::Policy, health::{Table, Rules}};\n\
             fn f() -> crate::config::Settings {}\n// crate::server",
        ),
    };
    let seen: Vec<_> = source.imports().into_iter().collect();
    assert_eq!(seen, ["config", "health", "net", "pool", "wire"]);
    assert!(!source.climbs_to_the_root());
    let climber = Source { path: "src/zone/set.rs".into(), code: "use super::super::pool;".into() };
    assert!(climber.climbs_to_the_root());
}

#[test]
fn without_the_feature_encrypted_there_is_no_tls() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--no-default-features", "--edges", "normal", "--prefix", "none"])
        .current_dir(root())
        .output()
        .expect("cargo");
    let tree = String::from_utf8(tree.stdout).expect("text");
    assert!(tree.contains("hickory-proto"), "no tree: {tree}");
    for name in ["rustls", "quinn", "h2", "tokio-rustls"] {
        let linked = tree.lines().any(|line| line.split(' ').next() == Some(name));
        assert!(!linked, "{name} is linked without the feature");
    }
}

fn table() -> BTreeMap<String, BTreeSet<String>> {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md");
    let block = page.split("```imports").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of imports");
    let lines = block.lines().filter_map(|line| line.split_once("->"));
    lines
        .map(|(module, imports)| (module.trim().into(), imports.split_whitespace().map(Into::into).collect()))
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

struct Source {
    /// From the crate's root, with `/`.
    path: String,
    /// The text without its comments.
    code: String,
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let code = code_of(&std::fs::read_to_string(&path).expect("a source file"));
                found.push(Source { path: relative(&path), code });
            }
        }
    }
    assert!(found.len() > 5, "the sources were not found");
    found
}

fn relative(path: &Path) -> String {
    let parts = path.strip_prefix(root()).expect("below the root").iter();
    parts.map(|part| part.to_str().expect("an ASCII path")).collect::<Vec<_>>().join("/")
}

fn code_of(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

impl Source {
    /// The top module that the file belongs to; none for `lib.rs` and `main.rs`.
    fn module(&self) -> Option<&str> {
        let inner = self.path.strip_prefix("src/").expect("a source below src");
        let top = inner.split('/').next().expect("a first part").trim_end_matches(".rs");
        (top != "lib" && top != "main").then_some(top)
    }

    /// The top modules named by `crate::module` and by `crate::{module, …}`.
    fn imports(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for after in self.code.split("crate::").skip(1) {
            match after.strip_prefix('{') {
                Some(group) => found.extend(group_heads(group)),
                None => found.extend(head(after)),
            }
        }
        found
    }

    /// Whether a chain of `super` leaves the top module, by which an import would hide from the table.
    fn climbs_to_the_root(&self) -> bool {
        let depth = self.path.split('/').filter(|part| *part != "src" && *part != "mod.rs").count();
        let (body, tests) = self.code.split_once("#[cfg(test)]").unwrap_or((&self.code, ""));
        let climbs = |code: &str, depth: usize| code.contains(&"super::".repeat(depth));
        climbs(body, depth) || climbs(tests, depth + 1)
    }
}

/// The first name of each member of a `{…}` group, whose opening brace is already taken.
fn group_heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut at_start) = (Vec::new(), 1, true);
    for (index, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => at_start = true,
            _ if at_start && !character.is_whitespace() => {
                heads.extend(head(&group[index..]));
                at_start = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

/// The name at the start; what starts with a capital is an item of the crate's root, not a module.
fn head(text: &str) -> Option<String> {
    let end = text.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(text.len());
    text.starts_with(|first: char| first.is_ascii_lowercase()).then(|| text[..end].to_owned())
}

fn has_word(line: &str, word: &str) -> bool {
    let boundary = |character: Option<char>| !character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word)
        .any(|(at, _)| boundary(line[..at].chars().next_back()) && boundary(line[at + word.len()..].chars().next()))
}
