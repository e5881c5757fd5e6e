//! Tuning a machine: what is wanted of it, what it has, and how one becomes the other and back. Cold, all of it.
//!
//! ```text
//! tuning/settings.toml ─► table ─┐
//! /sys /proc ─► tree ─► machine ─┼─► examine ─► findings ─► report            doctor, tune plan
//!               topology ─► cores┘        └────► changes ─► apply ⇄ state     tune apply, verify, undo
//! ```
//!
//! One table says everything that is known about each setting; one function changes a file and one gives it back;
//! what the machine refuses is told with its reason. The commands stand in `cli::doctor` and `cli::tune`.

pub mod apply;
pub mod cores;
pub mod examine;
pub mod looks;
pub mod machine;
pub mod measure;
pub mod placed;
pub mod report;
pub mod selection;
pub mod state;
pub mod table;
pub mod tree;
