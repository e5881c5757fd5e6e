//! Subcommands, one file each. Cold.
pub mod doctor;
