//! Where a command finds settings, zones and state.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Failure;
use crate::config::{Fault, Settings};
use crate::reload::{Overrides, SettingsSource};

/// The settings file.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Config {
    /// The settings; without this, kofn.toml where it exists, else every default
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// The zones folder.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Zones {
    #[command(flatten)]
    config: Config,
    /// The folder of zone files, instead of the settings'
    #[arg(long, value_name = "FOLDER")]
    zones: Option<PathBuf>,
}

/// The state folder, where the running server has its control socket.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct State {
    #[command(flatten)]
    config: Config,
    /// The state folder of the server, instead of the settings'
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
}

impl Config {
    pub(super) fn source(&self, overrides: Overrides) -> SettingsSource {
        SettingsSource { named: self.config.clone(), overrides }
    }
}

impl Zones {
    pub(super) fn source(&self) -> SettingsSource {
        self.config.source(Overrides { zones: self.zones.clone(), ..Overrides::default() })
    }

    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        load(&self.source())
    }
}

impl State {
    pub(super) fn folder(&self) -> Result<PathBuf, Failure> {
        match &self.state {
            // A command that names its server must not stumble over settings that it does not need.
            Some(folder) => Ok(folder.clone()),
            None => load(&self.config.source(Overrides::default())).map(|settings| settings.state),
        }
    }
}

/// The settings, or all their faults as one failure.
pub(super) fn load(source: &SettingsSource) -> Result<Settings, Failure> {
    if source.named.as_ref().is_some_and(|file| !file.exists()) {
        return Err(Failure::no_input(format!("{}: there is no such file", source.file().display())));
    }
    source.load().map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
        Failure::settings(lines.join("\n       "))
    })
}

/// Reads an address with a port, or `off`.
pub(super) fn address_or_off(text: &str) -> Result<AddressOrOff, String> {
    match text {
        "off" => Ok(AddressOrOff(None)),
        _ => text
            .parse()
            .map(|address| AddressOrOff(Some(address)))
            .map_err(|_| "an address with a port, such as 127.0.0.1:8053, or off would be right".to_owned()),
    }
}

/// The value of `--admin`. A type of its own, because clap takes an `Option` for a flag that may be missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct AddressOrOff(pub(super) Option<SocketAddr>);
