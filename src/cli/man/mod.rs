//! `kofn man`: the manual pages. Those of commands are made from the definition of the command line, those of files from
//! the keys that the readers know, so that neither can differ from the program.
//!
//! ```text
//! clap's Command ──commands──┐
//!                            ├──► Page ──► stdout, or NAME.SECTION in a folder
//! config::reference ──files──┘
//! ```

mod commands;
mod files;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use roff::{Inline, Roff, bold, roman};

use super::Failure;

/// Print a manual page, or write all of them to a folder
///
/// There is one for kofn, for each command (kofn-drain), for the settings (kofn.toml), and for zone files and policies
/// (kofn-zones). For example: kofn man kofn.toml | man -l -
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The page, such as kofn, kofn-drain, kofn.toml or kofn-zones
    #[arg(default_value = "kofn", conflicts_with = "folder")]
    page: String,
    /// Write every page into this folder, which is made where there is none, as NAME.SECTION
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// One page.
struct Page {
    name: String,
    section: &'static str,
    text: Vec<u8>,
}

impl Args {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let pages = pages().map_err(Failure::system)?;
        match &self.folder {
            Some(folder) => write(&pages, folder),
            None => self.print(&pages),
        }
    }

    fn print(&self, pages: &[Page]) -> Result<(), Failure> {
        let wanted = [self.page.clone(), format!("kofn-{}", self.page)];
        match pages.iter().find(|page| wanted.contains(&page.name)) {
            Some(page) => super::print_all(&mut io::stdout(), &page.text),
            None => {
                let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
                Err(Failure::usage(format!("{}: no such page; there are {}", self.page, names.join(", "))))
            }
        }
    }
}

fn write(pages: &[Page], folder: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, error: io::Error| Failure::cannot_create(format!("{}: {error}", path.display()));
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for Page { name, section, text } in pages {
        let file = folder.join(format!("{name}.{section}"));
        fs::write(&file, text).map_err(|error| failed(&file, error))?;
    }
    Ok(())
}

fn pages() -> io::Result<Vec<Page>> {
    let mut pages = commands::pages()?;
    pages.extend(files::pages()?);
    Ok(pages)
}

impl Page {
    /// A page with its title, its name and what it is, and `body`.
    fn new(name: &str, section: &'static str, what: &str, body: impl FnOnce(&mut Roff)) -> io::Result<Self> {
        let mut roff = Roff::new();
        roff.control("SH", ["NAME"]).text([roman(format!("{name} - {what}"))]);
        body(&mut roff);
        let mut text = title(name, section).into_bytes();
        roff.to_writer(&mut text)?;
        Ok(Self { name: name.to_owned(), section, text })
    }
}

/// The first line of a page. The date is left out: a page belongs to a version, which is named.
fn title(name: &str, section: &str) -> String {
    format!(
        ".TH \"{}\" \"{section}\" \"\" \"kofn {}\" \"kofn manual\"\n",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION")
    )
}

/// Text in which `what stands in backticks` is bold.
fn inline(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { bold(part) } else { roman(part) }).collect()
}

/// A paragraph under the tag `tag`.
fn tagged<'r>(roff: &'r mut Roff, tag: impl Into<Vec<Inline>>, text: &str) -> &'r mut Roff {
    roff.control("TP", []).text(tag).text(inline(text))
}

/// Lines as they stand.
fn literal(roff: &mut Roff, text: &str) {
    roff.control("PP", []).control("RS", ["4"]).control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []).control("RE", []);
}

/// The pages to read next, with their sections.
fn see_also(roff: &mut Roff, pages: &[(&str, &str)]) {
    let mut line = Vec::new();
    for (at, (name, section)) in pages.iter().enumerate() {
        line.extend([roman(if at == 0 { "" } else { ", " }), bold(*name), roman(format!("({section})"))]);
    }
    roff.control("SH", ["SEE ALSO"]).text(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_become_bold() {
        assert_eq!(inline("a `b` c"), [roman("a "), bold("b"), roman(" c")]);
    }

    #[test]
    fn every_page_has_its_name_and_no_markdown() {
        let pages = pages().expect("memory takes pages");
        assert!(pages.len() > 15, "{}", pages.len());
        for Page { name, section, text } in pages {
            let text = String::from_utf8(text).expect("pages are text");
            assert!(text.starts_with(&format!(".TH \"{}\"", name.to_uppercase())), "{text}");
            assert!(text.contains(&format!(".SH NAME\n{} \\- ", name.replace('-', "\\-"))), "{name}: {text}");
            assert!(!text.contains("](") && (section == "8" || !text.contains('`')), "{name}: {text}");
        }
    }
}
