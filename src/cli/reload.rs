//! `kofn reload`: the running server reads its files again, now.

use hyper::Method;

use super::settings::State;
use super::{Failure, control, counted};
use crate::admin::api::{self, RELOAD_PATH};

/// Have the running server read its files again
///
/// Changed files are followed without this. It waits until they are read and what is good is served, says what was not
/// taken, and ends with 65 when anything was not. SIGHUP does the same without waiting.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    state: State,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let reloaded: api::Reloaded = control::ask(&self.state.folder()?, Method::POST, RELOAD_PATH)?;
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
    for zone in &reloaded.changed {
        anstream::println!("{zone} taken");
    }
    for warning in &reloaded.warnings {
        anstream::println!("{yellow}warning{yellow:#}: {warning}");
    }
    for error in &reloaded.errors {
        anstream::println!("{red}error{red:#}: {error}");
    }
    anstream::println!("{} served", counted(reloaded.zones as u64, "zone", "zones"));
}
