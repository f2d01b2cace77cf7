//! Layer 4: the log, on stderr: one line an event, `field=value` behind the words, colour on a terminal.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// The environment variable that sets the level where the command line does not.
pub const VARIABLE: &str = "KOFN_LOG";

/// Starts the log at `filter`: a level (`error`, `warn`, `info`, `debug`, `trace`) or directives such as
/// `info,kofn::probe=debug`.
///
/// # Errors
/// When the filter is not one.
pub fn start(filter: &str) -> Result<(), ParseError> {
    let terminal = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse(filter)?)
        .with_writer(std::io::stderr)
        .with_ansi(terminal)
        .with_target(false)
        .init();
    Ok(())
}
