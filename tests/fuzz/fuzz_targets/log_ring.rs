//! A log that went round, harmed, and a start on it.

#![no_main]

#[path = "../../support/harm.rs"]
mod harm;
#[path = "../../support/journal.rs"]
mod journal_maker;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    harm::log(bytes);
});
