//! `[alert]`: who is told when something goes wrong, and when it is over.

use std::collections::BTreeSet;
use std::time::Duration;

use hyper::Uri;

use super::reader::{Item, Section, keys};
use super::trust::{Authorities, Trust};
use super::value::{duration, list, path, text, word};

/// Who is told of what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alert {
    /// The program that is run, and its arguments.
    pub command: Option<Vec<String>>,
    /// Where a JSON document is posted.
    pub webhook: Option<Uri>,
    /// Whose certificates the webhook may have.
    pub webhook_trust: Trust,
    /// Two deliveries are at least so far apart; what happens meanwhile goes with the next.
    pub every: Duration,
    /// What is told.
    pub on: BTreeSet<AlertKind>,
}

/// What may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertKind {
    /// A member of a pool is down.
    Down,
    /// So few members of a pool are healthy that all are handed out.
    Panic,
    /// The prober is not believed: its verdicts stand still.
    Frozen,
    /// A file that is not served as it stands.
    Fault,
    /// A zone that lags behind, here or at a secondary.
    Transfer,
    /// A certificate of an encrypted door that ends soon.
    Certificate,
}

impl AlertKind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Down, Self::Panic, Self::Frozen, Self::Fault, Self::Transfer, Self::Certificate];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Panic => "panic",
            Self::Frozen => "frozen",
            Self::Fault => "fault",
            Self::Transfer => "transfer",
            Self::Certificate => "certificate",
        }
    }
}

keys! {
    ALERT "[alert]" {
        COMMAND: Vec<String> = "command", words, "",
            "A program and its arguments, run without a shell for each delivery. It reads the JSON document from its \
             standard input, and `KOFN_ALERT` holds it in one line of text.";
        WEBHOOK: Uri = "webhook", url, "",
            "Where the JSON document is posted. Its `text` is what chat services show.";
        WEBHOOK_CA: Authorities = "webhook_ca", authorities, "",
            "Certificates in PEM that sign the webhook's; without it those count that the system trusts.";
        EVERY: Duration = "every", duration::<1_000, 86_400_000>, "\"10s\"",
            "How far two deliveries are apart at least. What happens meanwhile goes with the next.";
        ON: BTreeSet<AlertKind> = "on", kinds, "[\"down\", \"panic\", \"frozen\", \"fault\", \"transfer\", \"certificate\"]",
            "What is told.";
    }
}

pub(super) fn read(section: &Section<'_>) -> Alert {
    Alert {
        command: section.written(&COMMAND),
        webhook: section.written(&WEBHOOK),
        webhook_trust: section.written(&WEBHOOK_CA).map(Trust::Authorities).unwrap_or_default(),
        every: section.value(&EVERY),
        on: section.value(&ON),
    }
}

fn words(item: &Item<'_>) -> Option<Vec<String>> {
    let expected = "a list of a program and its arguments, such as [\"/usr/local/bin/page\", \"--team\", \"dns\"]";
    match list(item, expected, text::<4096>)? {
        words if words.is_empty() => item.wrong(expected),
        words => Some(words),
    }
}

fn url(item: &Item<'_>) -> Option<Uri> {
    let uri = item.as_str().and_then(|text| text.parse::<Uri>().ok());
    let fits = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    let Some(uri) = uri.filter(fits) else {
        return item.wrong("a URL, such as \"https://hooks.example.test/dns\"");
    };
    if uri.scheme_str() == Some("https") && !cfg!(feature = "encrypted") {
        return item
            .wrong_as("this kofn was built without TLS", "an http URL, or a build with the feature `encrypted`");
    }
    Some(uri)
}

fn authorities(item: &Item<'_>) -> Option<Authorities> {
    match Authorities::load(&path(item)?) {
        Ok(authorities) => Some(authorities),
        Err(error) => {
            let expected = error.remedy("a file of certificates in PEM, relative to this file or absolute");
            item.wrong_as(&error, expected)
        }
    }
}

fn kinds(item: &Item<'_>) -> Option<BTreeSet<AlertKind>> {
    let kind = |item: &Item<'_>| word(item, &AlertKind::ALL.map(|kind| (kind.name(), kind)));
    Some(list(item, "a list of words, such as [\"down\", \"panic\"]", kind)?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Fault, Settings};
    use super::*;

    fn parse(keys: &str) -> Result<Alert, Vec<String>> {
        let settings = Settings::parse(&format!("[alert]\n{keys}"), Path::new("kofn.toml"));
        settings.map(|settings| settings.alert).map_err(|list| list.iter().map(Fault::to_string).collect())
    }

    #[test]
    fn nobody_is_told_by_default_and_everything_would_be() {
        let alert = parse("").unwrap();
        assert_eq!((alert.command, alert.webhook, alert.every), (None, None, Duration::from_secs(10)));
        assert_eq!(alert.on, AlertKind::ALL.into());
    }

    #[test]
    fn all_of_it_can_be_set() {
        let alert = parse(
            "command = [\"page\", \"-v\"]\nwebhook = \"http://127.0.0.1:9/a?b\"\nevery = \"1m\"\non = [\"panic\", \"down\"]",
        )
        .unwrap();
        assert_eq!(alert.command.unwrap(), ["page", "-v"]);
        assert_eq!(alert.webhook.unwrap().to_string(), "http://127.0.0.1:9/a?b");
        assert_eq!((alert.every, alert.on), (Duration::from_secs(60), [AlertKind::Down, AlertKind::Panic].into()));
    }

    #[test]
    fn each_fault_has_its_place() {
        assert_eq!(
            parse("command = []\nwebhook = \"hooks.example.test\"\non = [\"dwon\"]").expect_err("faults"),
            [
                "kofn.toml:2:11: alert.command: found a list; a list of a program and its arguments, such as \
                 [\"/usr/local/bin/page\", \"--team\", \"dns\"]",
                "kofn.toml:3:11: alert.webhook: found \"hooks.example.test\"; a URL, such as \
                 \"https://hooks.example.test/dns\"",
                "kofn.toml:4:7: alert.on[0]: found \"dwon\"; \"down\", \"panic\", \"frozen\", \"fault\", \"transfer\" or \"certificate\"",
            ]
        );
    }
}
