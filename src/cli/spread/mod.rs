//! `kofn spread`: what the hands of a pool do to its members, and that no others would do better.
//!
//! ```text
//! NAME, from the files ──┐
//!                        ├─► Subject ──► Report ──► print, JSON, SVG
//! --n --k --weights ─────┘   members,    figures,
//!                            policy      bound, octets
//!                              └── --simulate: a crowd is played against it
//! ```

mod figure;
mod octets;
mod print;
mod report;
mod simulate;
mod subject;

use std::path::PathBuf;

use clap::ValueEnum;

use self::report::Report;
use self::simulate::Simulation;
use self::subject::{Imagined, Subject};
use super::Failure;
use super::settings::Zones;
use crate::wire::Type;

/// Show what the hands of a pool do to its members
///
/// For clients that take the lowest address of an answer, the highest, the first or any: the overload of each member,
/// which is its share of the clients divided by its fair share, the worst of all, and the bound that no hands can beat.
/// The pool is read from the files, as `query` does it, or imagined with --n, --k and --weights. Backends are not asked:
/// all count as healthy.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    zones: Zones,
    /// The owner name of the pool, absolute with or without its final dot
    name: Option<String>,
    /// The family; without it A, or AAAA for a name without A
    #[arg(long = "type", value_name = "TYPE", ignore_case = true)]
    family: Option<Family>,
    #[command(flatten)]
    imagined: Imagined,
    /// End with 1 when the worst overload is above this
    #[arg(long, value_name = "OVERLOAD", conflicts_with = "simulate")]
    assert_worst: Option<f64>,
    /// Draw the overload of each member into this file, as SVG; of a simulation, the clients that each serves
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    simulation: Simulation,
}

/// The address families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Family {
    /// IPv4
    #[value(name = "A")]
    A,
    /// IPv6
    #[value(name = "AAAA")]
    Aaaa,
}

impl Args {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let subject = match &self.name {
            Some(name) => Subject::read(&self.zones, name, self.family)?,
            None if self.imagined.is_nothing() => {
                return Err(Failure::usage("a NAME is needed, or --n or --weights for a pool that need not exist"));
            }
            None => self.imagined.subject(self.family.unwrap_or(Family::A))?,
        };
        if self.simulation.simulate {
            return self.simulation.run(subject, self.svg.as_deref(), self.json);
        }
        let report = Report::of(&subject);
        if let Some(file) = &self.svg {
            let written = std::fs::write(file, figure::svg(&report));
            written.map_err(|error| Failure::cannot_create(format!("{}: {error}", file.display())))?;
        }
        if self.json {
            super::print_json(&report)?;
        } else {
            super::print_all(&mut anstream::stdout(), print::text(&report).as_bytes())?;
        }
        self.assert(&report)
    }

    fn assert(&self, report: &Report) -> Result<(), Failure> {
        match self.assert_worst {
            Some(most) if report.worst > most => Err(Failure::refuted(format!(
                "the worst overload is {:.3}, above the {most} of --assert-worst; {}",
                report.worst,
                // Hands are within some per cent of the bound: what is above it can only be had by another pool.
                if report.bound > most {
                    "no hands of these members do it: a smaller k, more members or more equal weights would"
                } else {
                    "spread = \"balanced\" without `together` and `apart` comes closest to it"
                }
            ))),
            _ => Ok(()),
        }
    }
}

impl Family {
    const fn rtype(self) -> Type {
        match self {
            Self::A => Type::A,
            Self::Aaaa => Type::AAAA,
        }
    }
}
