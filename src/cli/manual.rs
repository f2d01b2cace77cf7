//! The commands in README.md and docs/ are tried on the definition of the command line: whatever they name exists.

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::Cli;

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md")];
    pages.extend(fs::read_dir(root.join("docs")).expect("docs").map(|entry| entry.expect("a page").path()));
    pages.retain(|page| page.extension().is_some_and(|ending| ending == "md"));
    pages
}

/// A command line: its words, and whether it is whole, or a mention that may leave out what it needs.
struct Mention {
    words: Vec<String>,
    whole: bool,
}

/// The lines of shell blocks and what stands in backticks, as far as kofn is what they run.
fn mentions(text: &str) -> Vec<Mention> {
    let (mut mentions, mut fence) = (Vec::new(), None);
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), fence) {
            (Some(word), None) => fence = Some(word.trim()),
            (Some(_), Some(_)) => fence = None,
            // A drawing is no command.
            (None, Some("")) if !line.is_ascii() => {}
            (None, Some("sh" | "console" | "")) => {
                mentions.extend(command(line.trim_start().trim_start_matches("$ "), true));
            }
            (None, Some(_)) => {}
            (None, None) => mentions.extend(line.split('`').skip(1).step_by(2).filter_map(|span| command(span, false))),
        }
    }
    mentions
}

/// The words of one command of kofn, up to what the shell does with it.
fn command(line: &str, whole: bool) -> Option<Mention> {
    let mut words: Vec<String> = vec![String::new()];
    let mut quote = None;
    for next in line.chars() {
        match next {
            '\'' | '"' if quote.is_none() => quote = Some(next),
            _ if quote == Some(next) => quote = None,
            '|' | '>' | '#' | ';' | '&' | '<' | '…' if quote.is_none() => break,
            ' ' if quote.is_none() => words.push(String::new()),
            next => words.last_mut().expect("there is one").push(next),
        }
    }
    words.retain(|word| !word.is_empty());
    let first = words.iter().position(|word| !matches!(word.as_str(), "sudo" | "exec") && !word.contains('='))?;
    let is_kofn = Path::new(&words[first]).file_name().is_some_and(|name| name == "kofn");
    (is_kofn && (words.len() > first + 1 || whole)).then(|| Mention { words: words.split_off(first), whole })
}

#[test]
fn every_command_of_the_manual_exists() {
    let (mut faulty, mut tried) = (Vec::new(), 0);
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for Mention { words, whole } in mentions(&text) {
            tried += 1;
            let Err(error) = Cli::command().try_get_matches_from(&words) else { continue };
            let is_placeholder =
                |word: &String| word.contains(['$', '[']) || (word.len() > 1 && *word == word.to_uppercase());
            let is_fine = match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
                ErrorKind::MissingRequiredArgument | ErrorKind::MissingSubcommand => !whole,
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::TooFewValues => !whole,
                ErrorKind::InvalidValue | ErrorKind::ValueValidation => words.iter().any(is_placeholder) || !whole,
                // A word that stands for another, as in `kofn man [PAGE]`.
                ErrorKind::InvalidSubcommand => words.get(1).is_some_and(is_placeholder),
                _ => false,
            };
            if !is_fine {
                faulty.push(format!("{}: {}: {}", page.display(), words.join(" "), error.kind()));
            }
        }
    }
    assert!(faulty.is_empty(), "{faulty:#?}");
    assert!(tried > 50, "{tried}");
}

#[test]
fn every_command_is_in_the_manual() {
    let text: String = pages().iter().map(|page| fs::read_to_string(page).expect("a page")).collect();
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        assert!(text.contains(&format!("kofn {name}")), "no page says what `kofn {name}` is for");
    }
}

#[test]
fn commands_are_found_where_they_stand() {
    let text = "Try `kofn status --json` or `kofn.toml`.\n```sh\nsudo -u x y\nA=b kofn drain 'a b' --wait | tee # why\n```\n```toml\nkofn x\n```\n";
    let found: Vec<String> = mentions(text).into_iter().map(|mention| mention.words.join("/")).collect();
    assert_eq!(found, ["kofn/status/--json", "kofn/drain/a b/--wait"]);
}
