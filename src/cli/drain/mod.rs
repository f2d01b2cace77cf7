//! `kofn drain` and `kofn undrain`: members out of new answers, and back.

mod print;
mod wait;

use std::path::Path;
use std::process::ExitCode;

use hyper::Method;

use super::settings::State;
use super::{Failure, control};
use crate::admin::api::{self, DRAIN_PATH, DRAINS_PATH, UNDRAIN_PATH};
use crate::config::read_duration;
use crate::net::Prefix;
use crate::wire::Name;

pub(super) use print::drains;

/// Take members out of new answers, and say when the last lawful copy of an old one is gone
///
/// It returns when they are in no hand any more; with --wait when they can be stopped. What is drained stays so over
/// restarts, in drains.toml of the state folder, which may be edited by hand. Without an address it lists what is drained.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    state: State,
    /// The member, or the prefix of some members
    #[arg(value_name = "ADDRESS|PREFIX", required_unless_present = "list")]
    addr: Option<Prefix>,
    #[command(flatten)]
    how: How,
    /// Wait until the last lawful copy is gone; end with 1 when they are undrained before that
    #[arg(long)]
    wait: bool,
    /// List what is drained, and what is gone from its zone while copies may live
    #[arg(long, conflicts_with_all = ["addr", "wait", "pool", "lasts", "reason", "force"])]
    list: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct How {
    /// In this pool alone
    #[arg(long, value_name = "NAME", value_parser = pool_name)]
    pool: Option<Name>,
    /// End the drain by itself after this time, such as 2h or 1h30m
    #[arg(long = "for", value_name = "DURATION", value_parser = lasts)]
    lasts: Option<String>,
    /// Why, for whoever looks
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Even if a pool has nobody left who is well, or no pool has such a member
    #[arg(long)]
    force: bool,
}

/// Hand members out again
///
/// It takes the address or the prefix as it was drained, and ends that drain in the pool that is named, else in all.
#[derive(Debug, clap::Args)]
pub(super) struct UndrainArgs {
    #[command(flatten)]
    state: State,
    /// The address or the prefix, as it was drained
    #[arg(value_name = "ADDRESS|PREFIX")]
    addr: Prefix,
    /// In this pool alone
    #[arg(long, value_name = "NAME", value_parser = pool_name)]
    pool: Option<Name>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let state = self.state.folder()?;
        let Some(addr) = self.addr else {
            show(&list(&state)?, self.json)?;
            return Ok(ExitCode::SUCCESS);
        };
        let target = Target { addr, pool: self.how.pool };
        let ask = api::DrainAsk {
            addr: addr.to_string(),
            pool: target.pool.as_ref().map(Name::to_string),
            lasts: self.how.lasts,
            reason: self.how.reason,
            force: self.how.force,
        };
        let drains: api::Drains = control::tell(&state, DRAIN_PATH, &ask)?;
        let drains = if self.wait { wait::until_gone(&state, &target, drains)? } else { drains };
        show(&target.of(drains), self.json)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl UndrainArgs {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let state = self.state.folder()?;
        let ask = api::UndrainAsk { addr: self.addr.to_string(), pool: self.pool.as_ref().map(Name::to_string) };
        let drains: api::Drains = control::tell(&state, UNDRAIN_PATH, &ask)?;
        if self.json {
            super::print_json(&drains)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Whom a command is about.
struct Target {
    addr: Prefix,
    pool: Option<Name>,
}

impl Target {
    fn is_member(&self, member: &api::DrainedMember) -> bool {
        let pool = self.pool.as_ref().map(Name::to_string);
        self.addr.contains(member.address) && pool.is_none_or(|pool| pool == member.pool)
    }

    fn is_drain(&self, drain: &api::Drain) -> bool {
        drain.addr == self.addr.to_string() && drain.pool == self.pool.as_ref().map(Name::to_string)
    }

    /// What a listing says of them.
    fn of(&self, drains: api::Drains) -> api::Drains {
        api::Drains {
            faults: drains.faults,
            drains: drains.drains.into_iter().filter(|drain| self.is_drain(drain)).collect(),
            members: drains.members.into_iter().filter(|member| self.is_member(member)).collect(),
        }
    }
}

fn list(state: &Path) -> Result<api::Drains, Failure> {
    control::ask(state, Method::GET, DRAINS_PATH)
}

fn show(listing: &api::Drains, json: bool) -> Result<(), Failure> {
    match json {
        true => super::print_json(listing),
        false => super::print_all(&mut anstream::stdout(), drains(listing, jiff::Timestamp::now()).as_bytes()),
    }
}

fn pool_name(text: &str) -> Result<Name, String> {
    Name::from_text(text.as_bytes()).map(|name| name.to_lower()).map_err(|error| error.to_string())
}

fn lasts(text: &str) -> Result<String, String> {
    match read_duration(text) {
        Some(lasts) if (1..=31_536_000).contains(&lasts.as_secs()) => Ok(text.to_owned()),
        _ => Err("a duration from 1s to 365d, such as 2h or 1h30m, would be right".to_owned()),
    }
}
