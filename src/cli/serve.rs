//! `kofn serve`, or `kofn` alone: the server.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::settings::{AddressOrOff, Config, address_or_off};
use super::{Failure, settings};
use crate::app::{App, BuildError, Taken};
use crate::logging;
use crate::privileges::UserError;
use crate::reload::Overrides;

/// Serve the zones; the default
///
/// Zone files, policies and kofn.toml are followed while it runs. SIGHUP reads them all again, SIGTERM and SIGINT finish
/// what has arrived and end.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: Config,
    /// Where to answer, by UDP and TCP; may be given again. Port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<SocketAddr>,
    /// The folder of zone files
    #[arg(long, value_name = "FOLDER")]
    zones: Option<PathBuf>,
    /// The folder of what must survive a restart, and of the control socket
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// The user to become when the sockets are bound; only root can
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Where status is read by HTTP, on loopback, or off
    #[arg(long, value_name = "ADDRESS:PORT|off", value_parser = address_or_off)]
    admin: Option<AddressOrOff>,
    /// Take over from the server that runs on the same state folder; `kofn restart` does it
    #[arg(long, hide = true)]
    takeover: bool,
    /// What to log: error, warn, info, debug, trace, or such as kofn=info,kofn::probe=debug,hyper=debug
    #[arg(long, value_name = "LEVEL", env = logging::VARIABLE, default_value = "info")]
    log: String,
}

/// How the new process is told.
pub(super) const TAKEOVER: &str = "--takeover";

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        logging::start(&self.log).map_err(|error| Failure::usage(format!("--log {}: {error}", self.log)))?;
        let source = self.config.source(Overrides {
            listen: self.listen,
            zones: self.zones,
            state: self.state,
            user: self.user,
            admin: self.admin.map(|AddressOrOff(address)| address),
        });
        let settings = settings::load(&source)?;
        // While there is but one thread: the kernel keeps some of what is given up for each of them.
        let taken = Taken::take(&source, &settings, self.takeover).map_err(failure)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::system)?;
        let ended = runtime.block_on(async {
            let app = App::build(source, settings, taken).map_err(failure)?;
            app.run().await.map_err(Failure::system)
        });
        // A large zone that is being read must not hold up the end.
        runtime.shutdown_background();
        ended
    }
}

fn failure(error: BuildError) -> Failure {
    match error {
        BuildError::Signals(error) => Failure::system(error),
        BuildError::User(error @ UserError::Unknown(_)) => Failure::settings(error),
        error => Failure::unavailable(error),
    }
}
