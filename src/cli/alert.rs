//! `kofn alert`: whether those who would be told at three in the morning can be.

use super::settings::{self, Config};
use super::{BAD, Failure, GOOD};
use crate::alert;
use crate::app;
use crate::reload::Overrides;

/// Send a test to everyone whom [alert] of kofn.toml names
///
/// One attempt each, from this machine and as this user, without the server; ends with 69 when one of them fails.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: Config,
}

impl Args {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let settings = settings::load(&self.config.source(Overrides::default()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::system)?;
        let results = runtime.block_on(alert::test(&settings.alert, &app::server_name(&settings)));
        if results.is_empty() {
            return Err(Failure::settings("nobody would be told; [alert] of kofn.toml takes a command and a webhook"));
        }
        let mut failed = 0;
        for (recipient, result) in results {
            match result {
                Ok(()) => anstream::println!("{GOOD}delivered{GOOD:#} to the {recipient}"),
                Err(error) => {
                    failed += 1;
                    anstream::println!("{BAD}not delivered{BAD:#} to the {recipient}: {error}");
                }
            }
        }
        if failed == 0 { Ok(()) } else { Err(Failure::unavailable("somebody cannot be told")) }
    }
}
