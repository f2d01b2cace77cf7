//! Which files kofn.toml and policies name, seen in their text without reading it as TOML: cheap enough to ask of each of
//! 100,000 policies, and it works on text that has faults.

use std::path::{Path, PathBuf};

/// The files that keys of this text name, relative to `folder` as far as they are not absolute; in their order. They need not
/// exist, and may be too many: what a comment has looks like any other text.
pub fn named_files(text: &str, folder: &Path) -> Vec<PathBuf> {
    let values = text.match_indices('=').filter(|(at, _)| is_key(&text[..*at])).map(|(at, _)| &text[at + 1..]);
    values.filter_map(first_string).map(|path| folder.join(path)).collect()
}

fn is_key(before: &str) -> bool {
    let before = before.trim_end_matches([' ', '\t', '"', '\'']);
    let start = before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').map_or(0, |at| at + 1);
    KEYS.contains(&&before[start..])
}

/// The path that a value or the first element of it is. A program without a slash is looked for by the system, and is none.
fn first_string(value: &str) -> Option<&str> {
    let value = value.trim_start();
    let (value, is_program) = match value.strip_prefix('[') {
        Some(elements) => (elements.trim_start(), true),
        None => (value, false),
    };
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let path = value[1..].split(quote).next()?;
    (!path.is_empty() && (!is_program || path.contains('/'))).then_some(path)
}

/// All keys that name a file to be read or a program, but those of which `Settings` keep the path.
const KEYS: [&str; 5] = ["ca", "command", "previous_file", "secret_file", "webhook_ca"];

#[cfg(test)]
mod tests {
    use super::super::reference;
    use super::*;

    #[test]
    fn paths_are_found_behind_their_keys() {
        let text = "[check.web]\nca = \"/srv/ca.pem\"\nca-not = \"no\"\npath = \"/no\"\n[[x]]\nfrom = [{ addr = \"::1\", \
                    ca='b.pem' }]\n\"ca\"\t= \"c d.pem\"\n[check.own]\ntype = \"exec\"\ncommand = [\n  \"./alive.sh\", \
                    \"--quick\" ]\ncommand = [\"true\"]\nca = 7\nca = \"\"\nca =";
        let found = named_files(text, Path::new("zones"));
        let expected = ["/srv/ca.pem", "zones/b.pem", "zones/c d.pem", "zones/./alive.sh"];
        assert_eq!(found, expected.map(PathBuf::from));
    }

    #[test]
    fn no_key_that_takes_a_path_is_forgotten() {
        // Of these the settings keep the path, or it is nothing to read.
        const KEPT: [&str; 7] = ["zones", "state", "certificates", "socket", "file", "read", "write"];
        for table in reference().iter().filter(|table| !table.file.starts_with("state/")) {
            let is_path = |takes: &str| {
                ["a path,", "the path", "paths", "program", "certificates"].iter().any(|word| takes.contains(word))
            };
            for key in table.keys.iter().filter(|key| is_path(&key.takes)) {
                let is_known = KEYS.contains(&key.name) || KEPT.contains(&key.name);
                assert!(is_known, "{} {}: {}", table.header, key.name, key.takes);
            }
        }
    }
}
