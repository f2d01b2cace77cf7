//! Layer 4: the log, on stderr: one line an event, `field=value` behind the words, colour on a terminal.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};

/// The environment variable that sets the level where the command line does not.
pub const VARIABLE: &str = "KOFN_LOG";

/// Starts the log at `filter`: a level (`error`, `warn`, `info`, `debug`, `trace`) or directives such as
/// `kofn=info,kofn::probe=debug,hyper=debug`.
///
/// # Errors
/// When the filter is not one.
pub fn start(filter: &str) -> Result<(), ParseError> {
    let terminal = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse(directives(filter))?)
        .with_writer(std::io::stderr)
        .with_ansi(terminal)
        .with_target(false)
        .init();
    Ok(())
}

/// A level means our own events: libraries warn of what is handled here, such as a watched folder that is gone.
fn directives(filter: &str) -> String {
    match filter.parse::<LevelFilter>() {
        Ok(level) => format!("off,{}={level}", env!("CARGO_CRATE_NAME")),
        Err(_) => filter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_for_our_own_events() {
        assert_eq!(directives("debug"), "off,kofn=debug");
        assert_eq!(directives("info,hyper=trace"), "info,hyper=trace");
    }
}
