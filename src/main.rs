//! The `pitlane` command.

use std::process::ExitCode;

/// Books and order tables on huge pages from their first touch on.
#[global_allocator]
static MEMORY: pitlane::os::allocator::HugeAllocator = pitlane::os::allocator::HugeAllocator;

fn main() -> ExitCode {
    pitlane::cli::main()
}
