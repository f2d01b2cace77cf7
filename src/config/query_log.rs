//! `[query_log]`: a line for some of the queries.

use std::path::PathBuf;

use super::reader::{Item, Section, keys};
use super::value::{path, share, word};

/// Which queries are logged, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryLog {
    /// The share of the queries, from 0 to 1.
    pub sample: f64,
    /// A file; without one it is standard error.
    pub file: Option<PathBuf>,
    /// Whether a line is a JSON document.
    pub json: bool,
    /// Whether only the network of a client is told.
    pub networks: bool,
}

keys! {
    QUERY_LOG "[query_log]" {
        SAMPLE: f64 = "sample", share, "0",
            "The share of the queries that are logged, from 0 to 1, at random: 0.001 is one of a thousand.";
        FILE: PathBuf = "file", path, "",
            "Where the lines are appended. Without it they go to standard error, as the log does. A file that is moved away is begun anew.";
        FORMAT: bool = "format", format, "\"text\"",
            "How a line is written.";
        CLIENT: bool = "client", client, "\"address\"",
            "What is told of the client: its address and port, or only its /24 or /56. A client subnet (RFC 7871) is told alike.";
    }
}

pub(super) fn read(section: &Section<'_>) -> QueryLog {
    QueryLog {
        sample: section.value(&SAMPLE),
        file: section.written(&FILE),
        json: section.value(&FORMAT),
        networks: section.value(&CLIENT),
    }
}

fn format(item: &Item<'_>) -> Option<bool> {
    word(item, &[("text", false), ("json", true)])
}

fn client(item: &Item<'_>) -> Option<bool> {
    word(item, &[("address", false), ("network", true)])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Fault, Settings};
    use super::*;

    #[test]
    fn all_of_it_can_be_set_and_nothing_is_logged_by_default() {
        let text = "[query_log]\nsample = 0.001\nfile = \"q.log\"\nformat = \"json\"\nclient = \"network\"";
        let log = Settings::parse(text, Path::new("/etc/kofn.toml")).unwrap().query_log;
        let wanted = QueryLog { sample: 0.001, file: Some("/etc/q.log".into()), json: true, networks: true };
        assert_eq!(log, wanted);
        assert_eq!(Settings::default().query_log, QueryLog::default());
        let faults = Settings::parse("[query_log]\nformat = \"xml\"", Path::new("kofn.toml")).expect_err("a fault");
        let told: Vec<_> = faults.iter().map(Fault::to_string).collect();
        assert_eq!(told, ["kofn.toml:2:10: query_log.format: found \"xml\"; \"text\" or \"json\""]);
    }
}
