//! The mark of a clean stop, harmed.

#![no_main]

#[path = "../../support/harm.rs"]
mod harm;
#[path = "../../support/journal.rs"]
mod journal_maker;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    harm::stop_mark(bytes);
});
