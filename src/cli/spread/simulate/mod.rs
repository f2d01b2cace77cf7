//! `kofn spread --simulate`: a crowd of resolvers, played against the pool.
//!
//! ```text
//! Subject ──┐
//!           ├─► Scenario ──simulate──► Report ──► print, JSON, SVG
//! flags ────┘             progress bar
//! ```

mod figure;
mod json;
mod print;

use std::net::IpAddr;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use super::subject::Subject;
use crate::cli::Failure;
use crate::pool::Kind;
use crate::simulate::{self, Audience, Change, Event, Mix, Report, Scenario};

/// A crowd of resolvers, played against the pool.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Simulation")]
#[group(skip)]
pub(super) struct Simulation {
    /// Play a crowd of resolvers against the pool, second by second
    #[arg(long, conflicts_with = "assert_worst")]
    pub(super) simulate: bool,
    /// Resolvers in the crowd
    #[arg(long, value_name = "COUNT", requires = "simulate", default_value_t = 100_000)]
    resolvers: u32,
    /// How long it is played
    #[arg(long, value_name = "COUNT", requires = "simulate", default_value_t = 30)]
    minutes: u32,
    /// Shares of the kinds of clients; what is not named is 0
    #[arg(long, value_parser = mix, requires = "simulate", default_value = "lowest=0.2,highest=0.1,first=0.2,any=0.5")]
    mix: Mix,
    /// The share of resolvers that keep answers beyond their TTL, for up to a day
    #[arg(long, value_name = "SHARE", requires = "simulate", default_value_t = 0.5)]
    stretch: f64,
    /// How uneven resolvers are: of R the r-th has (R/r)^EXPONENT clients
    #[arg(long, value_name = "EXPONENT", requires = "simulate", default_value_t = 1.0)]
    zipf: f64,
    /// Mean time between two questions of one client
    #[arg(long, value_name = "TIME", value_parser = seconds, requires = "simulate", default_value = "30s")]
    pause: u32,
    /// Time over which the resolvers arrive
    #[arg(long, value_name = "TIME", value_parser = seconds, requires = "simulate", default_value = "1m")]
    ramp: u32,
    /// Time from a death to the first answer without the dead: `fall` times `interval` of the pool's check
    #[arg(long, value_name = "TIME", value_parser = seconds, requires = "simulate", default_value = "10s")]
    detection: u32,
    /// A member dies, as in 192.0.2.7@5m; may be given again, as the other events
    #[arg(long, value_name = "ADDRESS@TIME", value_parser = moment, requires = "simulate")]
    kill: Vec<(IpAddr, u32)>,
    /// A member leaves new answers and lives on
    #[arg(long, value_name = "ADDRESS@TIME", value_parser = moment, requires = "simulate")]
    drain: Vec<(IpAddr, u32)>,
    /// A member joins, or comes back
    #[arg(long, value_name = "ADDRESS@TIME", value_parser = moment, requires = "simulate")]
    add: Vec<(IpAddr, u32)>,
    /// Another seed draws another crowd
    #[arg(long, requires = "simulate", default_value_t = 1)]
    seed: u64,
}

/// A simulation that was played.
struct Played {
    scenario: Scenario,
    report: Report,
}

impl Simulation {
    /// Plays the crowd against the pool and tells what came of it.
    pub(super) fn run(&self, subject: Subject, svg: Option<&Path>, json: bool) -> Result<(), Failure> {
        let scenario = self.scenario(subject);
        // Drawn on a terminal's stderr only: indicatif looks.
        let bar = ProgressBar::new(self.minutes.into()).with_style(style());
        let report = simulate::run(&scenario, |minutes| bar.set_position(minutes.into()));
        bar.finish_and_clear();
        let played = Played { scenario, report: report.map_err(Failure::usage)? };
        if let Some(file) = svg {
            let written = std::fs::write(file, figure::svg(&played));
            written.map_err(|error| Failure::cannot_create(format!("{}: {error}", file.display())))?;
        }
        match json {
            true => crate::cli::print_json(&json::Told::of(&played)),
            false => crate::cli::print_all(&mut anstream::stdout(), print::text(&played).as_bytes()),
        }
    }

    fn scenario(&self, subject: Subject) -> Scenario {
        Scenario {
            members: subject.members,
            policy: subject.policy,
            audience: Audience {
                resolvers: self.resolvers,
                zipf: self.zipf,
                stretch: self.stretch,
                mix: self.mix,
                pause: self.pause.into(),
                ramp: self.ramp,
            },
            events: self.events(),
            minutes: self.minutes,
            detection: self.detection,
            seed: self.seed,
        }
    }

    fn events(&self) -> Vec<Event> {
        let lists = [(Change::Kill, &self.kill), (Change::Drain, &self.drain), (Change::Add, &self.add)];
        let of = |(change, list): (Change, &Vec<(IpAddr, u32)>)| {
            list.iter().map(|(address, at)| Event { at: *at, address: *address, change }).collect::<Vec<_>>()
        };
        let mut events: Vec<Event> = lists.into_iter().flat_map(of).collect();
        events.sort_by_key(|event| event.at);
        events
    }
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{bar:40} minute {pos} of {len}, {eta} left");
    style.expect("a template of known keys")
}

fn mix(text: &str) -> Result<Mix, String> {
    let mut shares = [0.0; 4];
    for part in text.split(',') {
        let (name, share) = part.split_once('=').ok_or(MIX)?;
        let kind = Kind::ALL.iter().position(|kind| kind.name() == name.trim()).ok_or(MIX)?;
        shares[kind] = share.trim().parse().map_err(|_| MIX)?;
    }
    Mix::new(shares).ok_or_else(|| MIX.to_owned())
}

fn moment(text: &str) -> Result<(IpAddr, u32), String> {
    let moment = text.rsplit_once('@').and_then(|(address, at)| Some((address.parse().ok()?, seconds(at).ok()?)));
    moment.ok_or_else(|| "an address and a time, such as 192.0.2.7@90s, would be right".to_owned())
}

/// Reads `90`, `90s`, `5m` or `2h`.
fn seconds(text: &str) -> Result<u32, String> {
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3_600),
        _ => (text, 1),
    };
    let seconds = number.parse().ok().and_then(|number: u32| number.checked_mul(unit));
    seconds.ok_or_else(|| "a time such as 90s, 5m or 2h would be right".to_owned())
}

const MIX: &str = "shares of lowest, highest, first and any, such as first=0.5,any=0.5, would be right";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_mixes_are_read() {
        assert_eq!(moment("192.0.2.7@90s"), Ok(("192.0.2.7".parse().expect("an address"), 90)));
        assert_eq!(moment("2001:db8::7@5m"), Ok(("2001:db8::7".parse().expect("an address"), 300)));
        assert_eq!([seconds("7"), seconds("2h")], [Ok(7), Ok(7_200)]);
        for wrong in ["192.0.2.7", "@5", "192.0.2.7@", "192.0.2.7@-1", "192.0.2.7@99999999h", "x@5", "192.0.2.7@5d"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
        assert_eq!(mix("any=3, lowest=1").map(|mix| mix.shares()), Ok([0.25, 0.0, 0.0, 0.75]));
        for wrong in ["", "any", "any=x", "some=1", "any=0", "any=-1", "any=1,"] {
            assert!(mix(wrong).is_err(), "{wrong}");
        }
    }
}
