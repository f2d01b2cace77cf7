//! `kofn import`: zones and policies of what another server was told.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;

use super::{BAD, Failure, WARN, counted};
use crate::import::{self, Input, Note, Plan};
use crate::reload::{self, Fault, Severity, Source};

/// Make zone and policy files of what another server was told
///
/// What has no equal is noted, and the files that were made are checked. Nothing that exists is written over.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose files they are
    from: Server,
    /// gdnsd: its folder, with `config` and `zones`. powerdns: zone files, as pdnsutil list-zone prints them, named
    /// NAME.zone. route53: the JSON of list-resource-record-sets and list-health-checks. tinydns: data files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The folder to write to; it is made where there is none
    #[arg(long, value_name = "FOLDER", default_value = "zones")]
    out: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Server {
    Gdnsd,
    Powerdns,
    Route53,
    Tinydns,
}

/// What was made; the form of `--json`.
#[derive(Debug, Serialize)]
struct Imported {
    files: Vec<PathBuf>,
    notes: Vec<Note>,
    /// What `kofn check` says of the files.
    faults: Vec<Fault>,
}

impl Args {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let inputs = self.inputs()?;
        let plan = match self.from {
            Server::Gdnsd => import::from_gdnsd(&inputs),
            Server::Powerdns => import::from_powerdns(&inputs),
            Server::Route53 => import::from_route53(&inputs),
            Server::Tinydns => import::from_tinydns(&inputs),
        };
        let sources = sources(&plan, &self.out)?;
        let files = write(&plan, &sources)?;
        let faults: Vec<Fault> = reload::load_all(&sources).into_iter().flat_map(|load| load.faults).collect();
        let errors = faults.iter().filter(|fault| fault.severity == Severity::Error).count();
        let imported = Imported { files, notes: plan.notes, faults };
        if self.json {
            super::print_json(&imported)?;
        } else {
            imported.print();
        }
        match (errors, imported.files.len()) {
            (0, 0) => Err(Failure::data("found no zone")),
            (0, _) => Ok(()),
            (errors, _) => {
                let errors = counted(errors as u64, "error", "errors");
                Err(Failure::data(format!("{errors} in the files that were made; mend them by hand")))
            }
        }
    }

    fn inputs(&self) -> Result<Vec<Input>, Failure> {
        let mut inputs = Vec::new();
        for file in &self.files {
            match self.from {
                Server::Gdnsd if file.is_dir() => inputs.extend(gdnsd_folder(file)?),
                Server::Gdnsd => inputs.push(read(file, zone_name(file).filter(|_| !file.ends_with("config")))?),
                Server::Powerdns => inputs.push(read(file, zone_name(file))?),
                Server::Route53 | Server::Tinydns => inputs.push(read(file, None)?),
            }
        }
        Ok(inputs)
    }
}

impl Imported {
    fn print(&self) {
        for file in &self.files {
            anstream::println!("{} made", file.display());
        }
        for note in &self.notes {
            anstream::println!("{WARN}note{WARN:#}: {note}");
        }
        for fault in &self.faults {
            match fault.severity {
                Severity::Error => anstream::println!("{BAD}error{BAD:#}: {fault}"),
                Severity::Warning => anstream::println!("{WARN}warning{WARN:#}: {fault}"),
            }
        }
    }
}

/// `config`, what lies beside it to be included, and every file of `zones`, whose names are those of the zones.
fn gdnsd_folder(folder: &Path) -> Result<Vec<Input>, Failure> {
    let (config, zones) = (folder.join("config"), folder.join("zones"));
    let mut inputs = vec![read(&config, None)?];
    let mut others = Vec::new();
    beside(folder, &zones, &mut others);
    others.retain(|file| *file != config);
    // Databases of places are no text, and nobody includes them.
    inputs.extend(others.iter().filter_map(|file| read(file, None).ok()));
    let entries = fs::read_dir(&zones).map_err(|error| cannot_read(&zones, error))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.is_file());
    files.sort();
    for file in files {
        // gdnsd writes the slash of a classless zone as `@`, and the root as ROOT_ZONE.
        let apex =
            zone_name(&file).map(|name| if name == "ROOT_ZONE." { ".".to_owned() } else { name.replace('@', "/") });
        inputs.push(read(&file, apex)?);
    }
    Ok(inputs)
}

/// All files in `folder` but those in `zones`.
fn beside(folder: &Path, zones: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    for path in entries.into_iter().filter(|path| path != zones) {
        match path.is_dir() {
            true => beside(&path, zones, files),
            false => files.push(path),
        }
    }
}

fn read(file: &Path, apex: Option<String>) -> Result<Input, Failure> {
    let text = fs::read_to_string(file).map_err(|error| cannot_read(file, error))?;
    Ok(Input { name: file.display().to_string(), apex, text })
}

fn cannot_read(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::no_input(format!("{}: {error}", path.display()))
}

/// The zone that the name of a file says, whether it ends in `.zone` or not.
fn zone_name(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?;
    let name = name.strip_suffix(".zone").unwrap_or(name).trim_end_matches('.');
    Some(if name == "root" { ".".to_owned() } else { format!("{name}.") })
}

/// Where each zone goes.
fn sources(plan: &Plan, folder: &Path) -> Result<Vec<Source>, Failure> {
    let source = |apex: &String| {
        let bare = apex.trim_end_matches('.').replace('/', "%2F");
        let name = if bare.is_empty() { "root" } else { &bare };
        let file = folder.join(format!("{name}.{}", reload::ZONE_ENDING));
        Source::of(&file).map_err(|message| Failure::data(format!("{apex}: {message}")))
    };
    plan.zones.keys().map(source).collect()
}

fn write(plan: &Plan, sources: &[Source]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = sources.iter().flat_map(|source| [source.zone.to_path_buf(), source.policy()]);
    if let Some(file) = files.find(|file| file.exists()) {
        let message = format!("{} exists; --out names another folder", file.display());
        return Err(Failure::cannot_create(message));
    }
    let mut made = Vec::new();
    for (zone, source) in plan.zones.values().zip(sources) {
        create(&source.zone, &zone.text)?;
        made.push(source.zone.to_path_buf());
        if let Some(policy) = zone.policy_text() {
            create(&source.policy(), &policy)?;
            made.push(source.policy());
        }
    }
    Ok(made)
}

fn create(file: &Path, text: &str) -> Result<(), Failure> {
    let made = || {
        file.parent().map_or(Ok(()), fs::create_dir_all)?;
        File::create_new(file)?.write_all(text.as_bytes())
    };
    made().map_err(|error: std::io::Error| Failure::cannot_create(format!("{}: {error}", file.display())))
}
