//! Which files the process works with.

use std::path::{Path, PathBuf};

use crate::config::Settings;

/// What the process works with.
#[derive(Debug, Default)]
pub struct Files {
    /// Files and folders to read.
    pub read: Vec<PathBuf>,
    /// Files and folders to write.
    pub write: Vec<PathBuf>,
    /// Whether commands are run.
    pub commands: bool,
}

impl Files {
    /// What these settings, read from `file`, take.
    pub fn of(settings: &Settings, file: &Path, commands: bool) -> Self {
        let mut read = vec![folder_of(file), settings.zones.clone(), folder_of(&settings.zones)];
        for certificate in &settings.encrypted.certificates {
            read.extend([certificate.clone(), folder_of(certificate)]);
        }
        if let Some(program) = settings.alert.command.as_ref().and_then(|command| command.first()) {
            read.push(folder_of(Path::new(program)));
        }
        read.extend(settings.sandbox.read.iter().cloned());
        let mut write = vec![settings.state.clone()];
        write.extend(settings.sandbox.write.iter().cloned());
        // They are begun anew when somebody moves them away.
        write.extend(
            [&settings.dnstap.file, &settings.query_log.file].into_iter().flatten().map(|file| folder_of(file)),
        );
        if commands {
            write.extend(TEMPORARY.map(PathBuf::from));
        }
        Self { read, write, commands }
    }
}

/// The folder that a path lies in, where its links lead.
fn folder_of(path: &Path) -> PathBuf {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Where commands put what they need for a moment.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];
