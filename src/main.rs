//! The `pitlane` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    pitlane::cli::main()
}
