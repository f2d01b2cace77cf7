//! `kofn transfer`: zones that come from other servers, and what servers that follow this one serve.

use comfy_table::{Cell, Color};
use hyper::Method;
use jiff::Timestamp;

use super::settings::State;
use super::status::age;
use super::table::table;
use super::{Failure, control};
use crate::admin::api::{RETRY_PATH, Retried, Secondary, TRANSFERS_PATH, Transfers, Watched};

/// Show zone transfers, or have a primary asked now
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Status(Status),
    Retry(Retry),
}

/// Show the zones that come from primaries, and the servers that are watched
#[derive(Debug, clap::Args)]
pub(super) struct Status {
    #[command(flatten)]
    state: State,
    /// Show this zone alone, with all that is known of it
    zone: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Ask the primaries of a zone now, and take what is newer
///
/// It waits until the zone is served, and ends with 69 when no primary gave it.
#[derive(Debug, clap::Args)]
pub(super) struct Retry {
    #[command(flatten)]
    state: State,
    /// The zone
    zone: String,
    /// Take the primary's zone even if its serial is not newer than what is here
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    pub(super) fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Status(arguments) => arguments.run(),
            Self::Retry(arguments) => arguments.run(),
        }
    }
}

impl Status {
    fn run(&self) -> Result<(), Failure> {
        let mut transfers: Transfers = control::ask(&self.state.folder()?, Method::GET, TRANSFERS_PATH)?;
        if let Some(zone) = &self.zone {
            let wanted = |name: &String| name.trim_end_matches('.').eq_ignore_ascii_case(zone.trim_end_matches('.'));
            transfers.secondaries.retain(|secondary| wanted(&secondary.zone));
            transfers.watched.retain(|watched| wanted(&watched.zone));
            if transfers.secondaries.is_empty() && transfers.watched.is_empty() {
                return Err(Failure::data(format!("{zone} is no secondary zone of the server, and is not watched")));
            }
        }
        if self.json {
            return super::print_json(&transfers);
        }
        let now = Timestamp::now();
        let mut text = tables(&transfers, now);
        if self.zone.is_some() {
            transfers.secondaries.iter().for_each(|secondary| text += &details(secondary, now));
        }
        super::print_all(&mut anstream::stdout(), text.as_bytes())
    }
}

impl Retry {
    fn run(&self) -> Result<(), Failure> {
        let path = format!("{RETRY_PATH}?zone={}&force={}", control::percent(&self.zone), self.force);
        let retried: Retried = control::ask(&self.state.folder()?, Method::POST, &path)?;
        if self.json {
            super::print_json(&retried)?;
        }
        match retried {
            Retried { error: Some(error), .. } => Err(Failure::unavailable(error)),
            _ if self.json => Ok(()),
            Retried { zone, before, after, .. } => {
                let shown =
                    |serial: Option<u32>| serial.map_or("nothing".to_owned(), |serial| format!("serial {serial}"));
                match before == after {
                    true => anstream::println!("{zone} has nothing newer than {}", shown(after)),
                    false => anstream::println!("{zone} taken, {} after {}", shown(after), shown(before)),
                }
                Ok(())
            }
        }
    }
}

/// The zones that come from primaries, and the servers that are watched.
pub(super) fn tables(transfers: &Transfers, now: Timestamp) -> String {
    secondaries(&transfers.secondaries, now) + &watched(&transfers.watched, now)
}

fn secondaries(secondaries: &[Secondary], now: Timestamp) -> String {
    if secondaries.is_empty() {
        return "no zone comes from primaries\n".to_owned();
    }
    let mut table = table(&["ZONE", "STATE", "SERIAL", "RECORDS", "PRIMARY", "CHECKED"]);
    for secondary in secondaries {
        let colour = match secondary.state.as_str() {
            "current" => Color::Green,
            "expired" => Color::Red,
            _ => Color::Yellow,
        };
        table.add_row([
            Cell::new(&secondary.zone),
            Cell::new(&secondary.state).fg(colour),
            Cell::new(secondary.serial.map_or("-".to_owned(), |serial| serial.to_string())),
            Cell::new(secondary.records),
            Cell::new(secondary.primary.map_or("-".to_owned(), |primary| primary.to_string())),
            Cell::new(secondary.checked.map_or("-".to_owned(), |checked| age(checked, now))),
        ]);
    }
    let mut text = format!("{}\n", table.trim_fmt());
    for secondary in secondaries {
        if let Some(error) = &secondary.error {
            text += &format!("  {bad}{}{bad:#}: {error}\n", secondary.zone, bad = super::BAD);
        }
    }
    text
}

/// What the table of all zones has no room for.
fn details(secondary: &Secondary, now: Timestamp) -> String {
    let primaries: Vec<String> = secondary.primaries.iter().map(ToString::to_string).collect();
    let until = |at: Option<Timestamp>| at.map_or("-".to_owned(), |at| format!("in {}", age(now, at)));
    let mut text = format!("primaries {}\n", primaries.join(", "));
    if let Some(received) = secondary.received {
        text += &format!("came {} ago\n", age(received, now));
    }
    text += &format!("next look {}, expires {}\n", until(secondary.next), until(secondary.expires));
    text += &format!(
        "transfers since the start: {} of differences, {} whole, {} failed\n",
        secondary.incremental, secondary.whole, secondary.failed
    );
    if let Some(catalog) = &secondary.catalog {
        text += &format!("listed by the catalog {catalog}\n");
    }
    for misfit in &secondary.misfits {
        text += &format!("  {warn}warning{warn:#}: {misfit}\n", warn = super::WARN);
    }
    text
}

fn watched(watched: &[Watched], now: Timestamp) -> String {
    if watched.is_empty() {
        return String::new();
    }
    let mut table = table(&["WATCHED", "ZONE", "OURS", "THEIRS", "LAG", "ANSWERED"]);
    for server in watched {
        let serial = |serial: Option<u32>| serial.map_or("-".to_owned(), |serial| serial.to_string());
        let lag = server.lag.map_or("unknown".to_owned(), |lag| format!("{lag:.0}s"));
        table.add_row([
            Cell::new(server.server),
            Cell::new(&server.zone),
            Cell::new(serial(server.ours)),
            Cell::new(serial(server.theirs)),
            Cell::new(lag).fg(if server.late { Color::Red } else { Color::Green }),
            Cell::new(server.answered.map_or("never".to_owned(), |at| age(at, now))),
        ]);
    }
    format!("\n{}\n", table.trim_fmt())
}
