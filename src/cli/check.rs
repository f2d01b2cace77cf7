//! `kofn check`: whether zone files, policies and settings would be taken, and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::settings::Zones;
use super::{BAD, Failure, GOOD, WARN, counted};
use crate::reload::{self, Fault, Load, POLICY_ENDING, SETTINGS_FILE, SettingsSource, Severity, Source, ZONE_ENDING};
use crate::wire::Name;

/// Check zone files, policies and settings
///
/// Without FILES it checks kofn.toml and all that it names. Ends with 0 when a server would take everything, though there
/// may be warnings, and with 1 when it would not.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    zones: Zones,
    /// Zone files (NAME.zone, which brings its policy NAME.toml), policies, and kofn.toml
    files: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was found; the form of `--json`.
#[derive(Debug, Default, Serialize)]
struct Findings {
    errors: usize,
    warnings: usize,
    /// Faults beyond those that are listed.
    left_out: usize,
    zones: Vec<Checked>,
    faults: Vec<Fault>,
    /// The names of the keys, when the settings were looked at.
    #[serde(skip)]
    keys: Option<BTreeSet<Name>>,
}

#[derive(Debug, Serialize)]
struct Checked {
    name: String,
    file: PathBuf,
    /// Whether a server would take it.
    good: bool,
    serial: Option<u32>,
    records: Option<usize>,
}

impl Args {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let mut findings = Findings::default();
        let sources = if self.files.is_empty() { self.everything(&mut findings)? } else { self.named(&mut findings)? };
        for load in reload::load_all(&sources) {
            findings.add_zone(load);
        }
        findings.errors = findings.faults.iter().filter(|fault| fault.severity == Severity::Error).count();
        findings.warnings = findings.faults.len() - findings.errors;
        if self.json {
            super::print_json(&findings)?;
        } else {
            super::print_all(&mut anstream::stdout(), findings.text().as_bytes())?;
        }
        Ok(if findings.errors > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// The settings, and the zones of their folder.
    fn everything(&self, findings: &mut Findings) -> Result<Vec<Source>, Failure> {
        let settings = self.zones.source();
        if let Some(file) = settings.named.iter().find(|file| !file.exists()) {
            return Err(no_such_file(file));
        }
        let Some(folder) = findings.add_settings(&settings) else { return Ok(Vec::new()) };
        let listing =
            reload::list(&folder).map_err(|error| Failure::no_input(format!("{}: {error}", folder.display())))?;
        findings.faults.extend(listing.faults);
        Ok(listing.sources.into_values().collect())
    }

    fn named(&self, findings: &mut Findings) -> Result<Vec<Source>, Failure> {
        let mut sources = BTreeMap::new();
        for file in &self.files {
            if !file.exists() {
                return Err(no_such_file(file));
            }
            if file.file_name().is_some_and(|name| name == SETTINGS_FILE) {
                findings.add_settings(&SettingsSource { named: Some(file.clone()), ..SettingsSource::default() });
                continue;
            }
            let is = |ending| file.extension().is_some_and(|extension| extension == ending);
            match Source::of(&file.with_extension(ZONE_ENDING)) {
                Ok(source) if is(POLICY_ENDING) || is(ZONE_ENDING) => drop(sources.insert(source.zone.clone(), source)),
                Ok(_) => {
                    let message = "found no ending that says what it is; NAME.zone, NAME.toml or kofn.toml";
                    findings.faults.push(Fault::whole(Severity::Error, file, message));
                }
                Err(message) => findings.faults.push(Fault::whole(Severity::Error, file, message)),
            }
        }
        Ok(sources.into_values().collect())
    }
}

fn no_such_file(file: &Path) -> Failure {
    Failure::no_input(format!("{}: there is no such file", file.display()))
}

impl Findings {
    fn add_zone(&mut self, load: Load) {
        let good = load.good.as_ref();
        // A policy that waits for its zone is no zone.
        if good.is_none_or(|good| !good.is_waiting()) {
            let zone = good.and_then(|good| good.zone.as_ref());
            self.zones.push(Checked {
                name: load.source.apex.to_string(),
                file: if zone.is_none() && good.is_some() {
                    load.source.policy()
                } else {
                    load.source.zone.to_path_buf()
                },
                good: good.is_some(),
                serial: zone.map(|zone| zone.serial().0),
                records: zone.map(|zone| zone.record_count()),
            });
        }
        self.faults.extend(load.faults);
        self.left_out += load.left_out;
        let Some((good, keys)) = load.good.zip(self.keys.as_ref()) else { return };
        let missing = good.policy.transfer.keys().into_iter().filter(|key| !keys.contains(*key));
        let fault = |key| {
            let message = format!("transfer: found no [key.\"{key}\"] in kofn.toml; a key for each that is named here");
            Fault::whole(Severity::Error, &load.source.policy(), message)
        };
        let faults: Vec<_> = missing.map(fault).collect();
        self.faults.extend(faults);
    }

    /// The folder of the zones, if the settings can be taken.
    fn add_settings(&mut self, source: &SettingsSource) -> Option<PathBuf> {
        match source.load() {
            Ok(settings) => {
                self.faults.extend(settings.warnings.iter().map(Fault::from));
                self.keys = Some(settings.keys.keys().cloned().collect());
                Some(settings.zones)
            }
            Err(faults) => {
                self.faults.extend(faults.iter().map(Fault::from));
                None
            }
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for fault in &self.faults {
            let (place, message) = (fault.place(), &fault.message);
            let _ = match fault.severity {
                Severity::Error => writeln!(text, "{BAD}{place}{BAD:#} {message}"),
                Severity::Warning => writeln!(text, "{WARN}{place} warning:{WARN:#} {message}"),
            };
        }
        if self.left_out > 0 {
            let _ = writeln!(text, "and {} more", self.left_out);
        }
        for zone in &self.zones {
            let _ = match (zone.serial, zone.records) {
                (Some(serial), Some(records)) => {
                    writeln!(text, "{GOOD}good{GOOD:#}: {} serial {serial}, {records} records", zone.name)
                }
                _ if zone.good => writeln!(text, "{GOOD}good{GOOD:#}: {} comes by transfer", zone.name),
                _ => writeln!(text, "{BAD}bad{BAD:#}: {} would not be taken", zone.name),
            };
        }
        let zones = counted(self.zones.len() as u64, "zone", "zones");
        let errors = counted(self.errors as u64, "error", "errors");
        let warnings = counted(self.warnings as u64, "warning", "warnings");
        let _ = writeln!(text, "{zones}, {errors}, {warnings}");
        text
    }
}
