//! `kofn reload`: the running server reads its files again, now.

use std::net::IpAddr;

use hyper::Method;

use super::settings::State;
use super::{Failure, control, counted};
use crate::admin::api::{self, FORCED_RELOAD_PATH, RELOAD_PATH};

/// Have the running server read its files again
///
/// Changed files are followed without this. It waits until they are read and what is good is served, says what has changed
/// by that and what was not taken, and ends with 65 when anything was not. SIGHUP does the same without waiting.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    state: State,
    /// Take also what would empty a pool, or take away more than half of a pool, of a zone or of all zones
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let path = if self.force { FORCED_RELOAD_PATH } else { RELOAD_PATH };
        let reloaded: api::Reloaded = control::ask(&self.state.folder()?, Method::POST, path)?;
        if self.json {
            super::print_json(&reloaded)?;
        } else {
            print(&reloaded);
        }
        match reloaded.errors.len() {
            0 => Ok(()),
            count => {
                let errors = counted(count as u64, "error", "errors");
                Err(Failure::data(format!("{errors}; what was served before is still served")))
            }
        }
    }
}

fn print(reloaded: &api::Reloaded) {
    let (red, yellow) = (super::BAD, super::WARN);
    for change in &reloaded.changed {
        anstream::println!("{}", zone_line(change));
        for pool in &change.pools {
            anstream::println!("{}", pool_line(pool));
        }
    }
    for warning in &reloaded.warnings {
        anstream::println!("{yellow}warning{yellow:#}: {warning}");
    }
    for error in &reloaded.errors {
        anstream::println!("{red}error{red:#}: {error}");
    }
    anstream::println!("{} served", counted(reloaded.zones as u64, "zone", "zones"));
}

fn zone_line(change: &api::Change) -> String {
    let zone = &change.zone;
    match (change.before, change.after) {
        (None, None) => format!("{zone} not taken"),
        (None, Some(now)) => format!("{zone} added, serial {}, {}", now.serial, records(now.records)),
        (Some(before), None) => format!("{zone} removed, serial {}", before.serial),
        (Some(before), Some(now)) => {
            let serial = match before.serial == now.serial {
                true => format!("still {}", now.serial),
                false => format!("{} to {}", before.serial, now.serial),
            };
            let count = match before.records == now.records {
                true => records(now.records),
                false => format!("{} to {}", before.records, records(now.records)),
            };
            format!("{zone} changed, serial {serial}, {count}")
        }
    }
}

fn records(count: usize) -> String {
    counted(count as u64, "record", "records")
}

/// Who came with a plus, who went with a minus.
fn pool_line(change: &api::PoolChange) -> String {
    let marked = |mark: char, list: &[IpAddr]| -> String {
        let mut text: String = list.iter().take(MOST_NAMED).map(|address| format!(" {mark}{address}")).collect();
        if list.len() > MOST_NAMED {
            text.push_str(&format!(" and {} more", list.len() - MOST_NAMED));
        }
        text
    };
    let members = counted(change.members as u64, "member", "members");
    let (added, removed) = (marked('+', &change.added), marked('-', &change.removed));
    format!("  {} {}, {members}:{added}{removed}", change.pool, change.rtype)
}

/// Addresses that are named; of more the number is told, and `--json` has them all.
const MOST_NAMED: usize = 8;
