//! Bad input and bad luck, end to end: each case has its defined answer and its counter, a bystander who trades before
//! and after notices nothing, and the journal replays to the very end state of the run.

#[path = "../support/exchange.rs"]
mod support;

mod bytes;
mod configuration;
mod full;
mod logins;
mod orders;
mod rig;
mod slow;
mod switches;
