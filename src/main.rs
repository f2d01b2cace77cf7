//! The kofn program.

use std::process::ExitCode;

fn main() -> ExitCode {
    kofn::cli::main()
}
