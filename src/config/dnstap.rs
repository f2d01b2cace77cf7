//! `[dnstap]`: where every query and reply is told of in the form of dnstap.info.

use std::path::PathBuf;

use super::reader::{Item, Section, keys};
use super::value::{list, path, share, text, word};

/// What is told by dnstap, and where.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dnstap {
    /// The socket of a collector.
    pub socket: Option<PathBuf>,
    /// A file.
    pub file: Option<PathBuf>,
    /// The share of the messages that are told of, from 0 to 1; 0 if there is nowhere to.
    pub sample: f64,
    /// Whether queries are told of.
    pub queries: bool,
    /// Whether replies are told of.
    pub responses: bool,
    /// Who says it.
    pub identity: Option<String>,
    /// What program says it.
    pub version: Option<String>,
}

keys! {
    DNSTAP "[dnstap]" {
        SOCKET: PathBuf = "socket", path, "",
            "The Unix socket on which a collector listens. While it is gone, what would be told is lost and counted.";
        FILE: PathBuf = "file", path, "",
            "A file of Frame Streams. One that is there at the start is renamed to end in `.old`; one that is moved away is begun anew.";
        SAMPLE: f64 = "sample", share, "1",
            "The share of the messages that are told of, from 0 to 1, at random.";
        MESSAGES: Vec<bool> = "messages", messages, "[\"query\", \"response\"]",
            "What is told of: AUTH_QUERY, AUTH_RESPONSE, or both.";
        NAME: String = "identity", text::<255>, "",
            "Who says it. Without it, `id` of [identity], or else the name of the machine.";
        VERSION: String = "version", text::<255>, "",
            "What program says it. Without it, kofn and its version.";
    }
}

pub(super) fn read(section: &Section<'_>) -> Dnstap {
    let (socket, file) = (section.written(&SOCKET), section.written(&FILE));
    let sample = section.value(&SAMPLE);
    let messages = section.value(&MESSAGES);
    Dnstap {
        sample: if socket.is_some() || file.is_some() { sample } else { 0.0 },
        socket,
        file,
        queries: messages.contains(&false),
        responses: messages.contains(&true),
        identity: section.written(&NAME),
        version: section.written(&VERSION),
    }
}

/// For each word, whether it means the replies.
fn messages(item: &Item<'_>) -> Option<Vec<bool>> {
    let expected = "a list of at least one word, such as [\"query\", \"response\"]";
    let words = list(item, expected, |item| word(item, &[("query", false), ("response", true)]))?;
    if words.is_empty() { item.wrong(expected) } else { Some(words) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Fault, Settings};
    use super::*;

    fn parse(keys: &str) -> Result<Dnstap, Vec<String>> {
        let settings = Settings::parse(&format!("[dnstap]\n{keys}"), Path::new("/etc/kofn.toml"));
        settings.map(|settings| settings.dnstap).map_err(|list| list.iter().map(Fault::to_string).collect())
    }

    #[test]
    fn nothing_is_told_without_a_place_to() {
        assert_eq!(parse("sample = 0.5").unwrap().sample, 0.0);
        let told = parse("socket = \"/run/tap\"\nfile = \"tap\"\nsample = 0.5\nmessages = [\"response\"]").unwrap();
        assert_eq!((told.sample, told.queries, told.responses), (0.5, false, true));
        assert_eq!((told.socket, told.file), (Some("/run/tap".into()), Some("/etc/tap".into())));
    }

    #[test]
    fn each_fault_has_its_place() {
        assert_eq!(
            parse("sample = 2\nmessages = []").expect_err("faults"),
            [
                "/etc/kofn.toml:2:10: dnstap.sample: found 2; a share from 0 to 1",
                "/etc/kofn.toml:3:12: dnstap.messages: found a list; a list of at least one word, such as \
                 [\"query\", \"response\"]",
            ]
        );
    }
}
