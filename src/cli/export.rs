//! `kofn export`: zones and policies in the words of others.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;

use super::settings::Zones;
use super::{Failure, WARN};
use crate::export::{self, Exported, Subject};
use crate::import::Note;
use crate::reload::{self, Load, Source};
use crate::wire::Name;

/// Write zones as plain zone files, for Route 53 or for octoDNS
///
/// They are read from the files; no server is needed. What has no equal there is noted on stderr. Without --out one file
/// is printed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    zones: Zones,
    /// For whom
    to: Form,
    /// The zones; without any, all of the folder
    names: Vec<String>,
    /// The folder to write to; it is made where there is none
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Write over files that exist
    #[arg(long, requires = "out")]
    force: bool,
    /// route53: write SOA and NS of the zone too, of which a hosted zone has its own
    #[arg(long)]
    apex: bool,
    /// Print what was written, and the notes, as JSON
    #[arg(long, requires = "out")]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Form {
    /// Plain master files, pools as RRsets of all their members
    Zone,
    /// Change batches for `aws route53 change-resource-record-sets`, and health checks
    Route53,
    /// YAML for octoDNS, pools as dynamic records
    Octodns,
}

/// The form of `--json`.
#[derive(Debug, Serialize)]
struct Written {
    files: Vec<PathBuf>,
    notes: Vec<Note>,
}

impl Args {
    pub(super) fn run(&self) -> Result<(), Failure> {
        if self.apex && self.to != Form::Route53 {
            return Err(Failure::usage("--apex is for route53 alone; the others have SOA and NS, or can have none"));
        }
        let mut exported = Exported::default();
        for load in self.loads()? {
            let zone = self.export(&load)?;
            exported.files.extend(zone.files);
            exported.notes.extend(zone.notes);
        }
        let Some(folder) = &self.out else { return print(&exported) };
        let files = write(&exported, folder, self.force)?;
        if self.json {
            return super::print_json(&Written { files, notes: exported.notes });
        }
        tell(&exported.notes);
        let lines: String = files.iter().map(|file| format!("{} made\n", file.display())).collect();
        super::print_all(&mut io::stdout(), lines.as_bytes())
    }

    /// The zones that were named, or all.
    fn loads(&self) -> Result<Vec<Load>, Failure> {
        let folder = self.zones.settings()?.zones;
        let listing =
            reload::list(&folder).map_err(|error| Failure::no_input(format!("{}: {error}", folder.display())))?;
        let mut sources: Vec<Source> = Vec::new();
        for text in &self.names {
            let name = Name::from_text(text.as_bytes()).map_err(|error| Failure::usage(format!("{text}: {error}")))?;
            let source = listing.sources.get(&name);
            let source =
                source.ok_or_else(|| Failure::usage(format!("{name}: no zone file in {}", folder.display())))?;
            sources.push(source.clone());
        }
        if self.names.is_empty() {
            sources.extend(listing.sources.into_values());
        }
        if sources.is_empty() {
            return Err(Failure::data(format!("{}: found no zone", folder.display())));
        }
        Ok(reload::load_all(&sources))
    }

    fn export(&self, load: &Load) -> Result<Exported, Failure> {
        let Some(good) = &load.good else {
            let lines: Vec<String> = load.errors().map(ToString::to_string).collect();
            return Err(Failure::data(lines.join("\n       ")));
        };
        let Some(zone) = &good.zone else {
            let place = load.source.apex.to_string();
            let message = "left out: its records are not in the folder; they come by transfer, or from a catalog";
            return Ok(Exported { files: Vec::new(), notes: vec![Note { place, message: message.to_owned() }] });
        };
        let stem =
            load.source.zone.file_stem().and_then(|stem| stem.to_str()).expect("a zone's file has a name in UTF-8");
        let subject = Subject { stem, zone, policy: &good.policy };
        Ok(match self.to {
            Form::Zone => export::to_master(&subject),
            Form::Route53 => export::to_route53(&subject, self.apex),
            Form::Octodns => export::to_octodns(&subject),
        })
    }
}

fn tell(notes: &[Note]) {
    for note in notes {
        anstream::eprintln!("{WARN}note{WARN:#}: {note}");
    }
}

fn print(exported: &Exported) -> Result<(), Failure> {
    match &exported.files[..] {
        [] => {
            tell(&exported.notes);
            Err(Failure::data("found no zone whose records are in the folder"))
        }
        [file] => {
            tell(&exported.notes);
            super::print_all(&mut io::stdout(), file.text.as_bytes())
        }
        files => {
            let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
            Err(Failure::usage(format!("more than one file, {}; --out says where to write them", names.join(", "))))
        }
    }
}

/// Nothing is written when a file exists, unless that is asked for.
fn write(exported: &Exported, folder: &Path, force: bool) -> Result<Vec<PathBuf>, Failure> {
    let files: Vec<PathBuf> = exported.files.iter().map(|file| folder.join(&file.name)).collect();
    if let Some(file) = files.iter().find(|file| file.exists() && !force) {
        let message = format!("{} exists; --out names another folder, or --force writes over it", file.display());
        return Err(Failure::cannot_create(message));
    }
    let failed = |path: &Path, error: io::Error| Failure::cannot_create(format!("{}: {error}", path.display()));
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for (path, file) in files.iter().zip(&exported.files) {
        let written = File::create(path).and_then(|mut output| output.write_all(file.text.as_bytes()));
        written.map_err(|error| failed(path, error))?;
    }
    Ok(files)
}
