//! The primaries of a zone: where it is asked for, how the messages are signed, and whether they go by TLS.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::reader::{Item, Section, keys};
use super::transfer::key_name;
use super::trust::{Authorities, Trust};
use super::value::{boolean, dns_address, list, parse_address, path, text};
use crate::wire::Name;

/// A nameserver that a zone is transferred from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Where it is asked.
    pub addr: SocketAddr,
    /// The TSIG key that messages are signed with, both ways.
    pub key: Option<Name>,
    /// How it is asked by TLS (RFC 9103); `None` for plain TCP and UDP.
    pub tls: Option<PrimaryTls>,
}

/// Transfers over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryTls {
    /// What its certificate must be for: a name, or its address.
    pub name: String,
    /// Who may have made the certificate.
    pub trust: Trust,
}

keys! {
    PRIMARY "`from` of [transfer] and [catalog]" {
        ADDR: SocketAddr = "addr", primary_address, "",
            "The primary; without a port it means 53, and 853 with `tls`. Always needed.";
        KEY: Name = "key", key_name, "",
            "The TSIG key, `[key.NAME]` in kofn.toml, that messages are signed with, both ways.";
        TLS: bool = "tls", boolean, "false",
            "Whether the primary is asked by TLS alone (RFC 9103).";
        NAME: String = "name", text::<255>, "",
            "The name that its certificate must be for; without it, its address.";
        CA: PathBuf = "ca", path, "",
            "A file of PEM certificates of whom its certificate must come from; without it, an authority that the system trusts.";
        VERIFY: bool = "verify", boolean, "true",
            "Whether its certificate is looked at; with false everybody on the way can be the primary.";
    }
}

/// A list of primaries.
pub(super) fn primaries(item: &Item<'_>) -> Option<Vec<Primary>> {
    list(item, "a list of addresses, or of tables such as { addr = \"192.0.2.1\", key = \"provider\" }", |item| {
        match item.section(&PRIMARY) {
            None => dns_address(item).map(|addr| Primary { addr, key: None, tls: None }),
            Some(section) => primary(&section),
        }
    })
}

fn primary(section: &Section<'_>) -> Option<Primary> {
    let (written, key, tls) = (section.required(&ADDR), section.written(&KEY), section.value(&TLS));
    let (name, ca, verify) = (section.written(&NAME), section.written(&CA), section.value(&VERIFY));
    if !tls {
        for other in [NAME.name, CA.name, VERIFY.name] {
            if let Some(item) = section.item(other) {
                item.warn("the key has no effect without TLS", "`tls = true` beside it");
            }
        }
        return written.map(|addr| Primary { addr, key, tls: None });
    }
    if cfg!(not(feature = "encrypted")) {
        return section.whole().wrong_as("this kofn is built without TLS", "one with the feature `encrypted`");
    }
    let trust = match (verify, ca) {
        (false, _) => Trust::Anyone,
        (true, None) => Trust::System,
        (true, Some(file)) => match Authorities::load(&file) {
            Ok(authorities) => Trust::Authorities(authorities),
            Err(error) => {
                let item = section.item(CA.name).unwrap_or_else(|| section.whole());
                return item.wrong_as(&error, error.remedy("a file of PEM certificates"));
            }
        },
    };
    let has_port = section.item(ADDR.name).and_then(|item| item.as_str()).is_some_and(has_port);
    let addr = written.map(|addr| if has_port { addr } else { SocketAddr::new(addr.ip(), TLS_PORT) })?;
    let name = name.unwrap_or_else(|| addr.ip().to_string());
    Some(Primary { addr, key, tls: Some(PrimaryTls { name, trust }) })
}

/// One address in a table of its own, where the port may wait for `tls`.
fn primary_address(item: &Item<'_>) -> Option<SocketAddr> {
    dns_address(item)
}

/// Whether an address that reads has a port written.
fn has_port(text: &str) -> bool {
    text.parse::<SocketAddr>().is_ok() || (parse_address(text).is_some() && text.matches(':').count() == 1)
}

/// DNS over TLS (RFC 7858 section 3.1), which transfers share (RFC 9103 section 7).
const TLS_PORT: u16 = 853;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Fault, ZonePolicy};
    use super::*;

    fn parse(from: &str) -> Result<(Vec<Primary>, Vec<String>), Vec<String>> {
        let apex = Name::from_text(b"example.test").unwrap();
        let text = format!("[transfer]\nfrom = {from}\n");
        let strings = |list: Vec<Fault>| list.iter().map(Fault::to_string).collect::<Vec<_>>();
        match ZonePolicy::parse(&text, Path::new("z.toml"), apex.borrow()) {
            Ok(policy) => Ok((policy.transfer.from, strings(policy.warnings))),
            Err(list) => Err(strings(list)),
        }
    }

    #[test]
    fn a_primary_is_an_address_or_a_table() {
        let key = Name::from_text(b"provider").unwrap();
        let (from, warnings) = parse("[\"192.0.2.1\", { addr = \"[::1]:5300\", key = \"provider\" }]").unwrap();
        assert_eq!(from[0], Primary { addr: "192.0.2.1:53".parse().unwrap(), key: None, tls: None });
        assert_eq!(from[1], Primary { addr: "[::1]:5300".parse().unwrap(), key: Some(key), tls: None });
        assert_eq!(warnings, [""; 0]);
    }

    #[cfg(feature = "encrypted")]
    #[test]
    fn tls_has_its_own_port_and_believes_the_system_by_default() {
        let (from, _) = parse("[{ addr = \"192.0.2.1\", tls = true }, { addr = \"192.0.2.1:53\", tls = true, name = \"ns.test\", verify = false }]").unwrap();
        assert_eq!(from[0].addr, "192.0.2.1:853".parse().unwrap());
        assert_eq!(from[0].tls, Some(PrimaryTls { name: "192.0.2.1".to_owned(), trust: Trust::System }));
        assert_eq!(from[1].addr, "192.0.2.1:53".parse().unwrap());
        assert_eq!(from[1].tls, Some(PrimaryTls { name: "ns.test".to_owned(), trust: Trust::Anyone }));
    }

    #[test]
    fn what_tls_alone_needs_is_warned_of_without_it() {
        let (_, warnings) = parse("[{ addr = \"192.0.2.1\", name = \"ns.test\" }]").unwrap();
        assert_eq!(
            warnings,
            ["z.toml:2:38: transfer.from[0].name: the key has no effect without TLS; `tls = true` beside it"]
        );
        let faults = parse("[\"here\", { adr = \"::1\" }, { addr = \"::1\", tls = true, ca = \"gone\" }]").unwrap_err();
        assert_eq!(faults.len(), 4, "{faults:?}");
    }
}
