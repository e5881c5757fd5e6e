//! The order management of a snapshot, harmed.

#![no_main]

#[path = "../../support/harm.rs"]
mod harm;
#[path = "../../support/journal.rs"]
mod journal_maker;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    harm::order_state(bytes);
});
