//! The settings: a file that may be missing, and what the command line puts over it.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::{Fault, Settings};

/// The file that is read where none is named.
pub const SETTINGS_FILE: &str = "kofn.toml";

/// Where the settings come from.
#[derive(Clone, Debug, Default)]
pub struct SettingsSource {
    /// The file that was named; without one it is [`SETTINGS_FILE`], where it exists.
    pub named: Option<PathBuf>,
    /// What wins over the file.
    pub overrides: Overrides,
}

/// Settings of the command line.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Instead of `listen`, unless it is empty.
    pub listen: Vec<SocketAddr>,
    /// Instead of `zones`.
    pub zones: Option<PathBuf>,
    /// Instead of `state`.
    pub state: Option<PathBuf>,
    /// Instead of `user`.
    pub user: Option<String>,
    /// Instead of `admin.listen`; the inner `None` is `off`.
    pub admin: Option<Option<SocketAddr>>,
}

impl SettingsSource {
    /// The file, whether it exists or not.
    pub fn file(&self) -> PathBuf {
        self.named.clone().unwrap_or_else(|| SETTINGS_FILE.into())
    }

    /// Reads the file and puts the command line over it.
    ///
    /// # Errors
    /// Every fault of the file. Only a file that was named must exist.
    pub fn load(&self) -> Result<Settings, Vec<Fault>> {
        let file = self.file();
        let settings = match self.named.is_none() && !file.exists() {
            true => Settings::default(),
            false => Settings::load(&file)?,
        };
        Ok(self.overrides.over(settings))
    }
}

impl Overrides {
    fn over(&self, mut settings: Settings) -> Settings {
        if !self.listen.is_empty() {
            settings.listen.clone_from(&self.listen);
        }
        if let Some(zones) = &self.zones {
            settings.zones.clone_from(zones);
        }
        if let Some(state) = &self.state {
            settings.state.clone_from(state);
        }
        if self.user.is_some() {
            settings.user.clone_from(&self.user);
        }
        if let Some(admin) = self.admin {
            settings.admin = admin;
        }
        settings
    }
}

/// The keys whose new values take a restart, because a socket, a folder or a thread was made from the old ones.
pub(super) fn restart_keys(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let limits = (&old.limits, &new.limits);
    let differs = [
        ("listen", old.listen != new.listen),
        ("door", old.door != new.door),
        ("listen_tls", old.encrypted.tls != new.encrypted.tls),
        ("listen_https", old.encrypted.https != new.encrypted.https),
        ("listen_quic", old.encrypted.quic != new.encrypted.quic),
        ("proxy_protocol", old.proxy_protocol != new.proxy_protocol),
        ("tls.https_path", old.encrypted.https_path != new.encrypted.https_path),
        ("tls.connections", old.encrypted.connections != new.encrypted.connections),
        ("tls.per_prefix", old.encrypted.per_prefix != new.encrypted.per_prefix),
        ("tls.idle", old.encrypted.idle != new.encrypted.idle),
        ("tls.handshakes", old.encrypted.handshakes != new.encrypted.handshakes),
        ("tls.handshake_time", old.encrypted.handshake_time != new.encrypted.handshake_time),
        ("state", old.state != new.state),
        ("user", old.user != new.user),
        ("[sandbox]", old.sandbox != new.sandbox),
        ("workers", old.workers != new.workers),
        ("admin.listen", old.admin != new.admin),
        ("limits.udp_payload", limits.0.udp_payload < limits.1.udp_payload),
        ("limits.tcp_connections", limits.0.tcp_connections != limits.1.tcp_connections),
        ("limits.tcp_per_prefix", limits.0.tcp_per_prefix != limits.1.tcp_per_prefix),
        ("limits.tcp_idle", limits.0.tcp_idle != limits.1.tcp_idle),
        ("[udp]", old.udp != new.udp),
    ];
    differs.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::config::Door;

    #[test]
    fn what_takes_a_restart_is_named_here_and_in_the_manual() {
        let old = Settings::default();
        let mut new = old.clone();
        new.listen.clear();
        new.door = Door::Portable;
        new.proxy_protocol.push(IpAddr::V4(Ipv4Addr::LOCALHOST).into());
        new.encrypted.tls.extend(&old.listen);
        new.encrypted.https.extend(&old.listen);
        new.encrypted.quic.extend(&old.listen);
        new.encrypted.https_path.push('q');
        new.encrypted.connections += 1;
        new.encrypted.per_prefix += 1;
        new.encrypted.idle *= 2;
        new.encrypted.handshakes += 1;
        new.encrypted.handshake_time *= 2;
        new.state = "elsewhere".into();
        new.user = Some("kofn".into());
        new.sandbox.read.push("/srv".into());
        new.workers += 1;
        new.admin = None;
        new.limits.udp_payload += 1;
        new.limits.tcp_connections += 1;
        new.limits.tcp_per_prefix += 1;
        new.limits.tcp_idle *= 2;
        new.udp.pin = true;
        let keys = restart_keys(&old, &new);
        assert_eq!(keys.len(), 22, "{keys:?}");
        let manual = include_str!("../../docs/configuration.md");
        let sentence =
            manual.split("New values hold at once").nth(1).and_then(|rest| rest.split("take a restart").next());
        let sentence = sentence.expect("the sentence on restarts");
        for key in keys {
            assert!(sentence.contains(&format!("`{key}`")), "{key} is missing in: {sentence}");
        }
        new.limits.udp_payload = old.limits.udp_payload - 1;
        assert!(!restart_keys(&old, &new).contains(&"limits.udp_payload"), "less can be sent at once");
    }
}
