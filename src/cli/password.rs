//! `pitlane password`: makes the hash that a login's configuration holds.

use super::{Failure, Outcome};
use crate::gateway::login::hash_password;
use std::io::{BufRead, ErrorKind, stdin};

/// Reads a password from the first line of standard input and prints its hash.
///
/// # Errors
/// The password does not fit the protocol, or the system gives no random numbers.
pub fn main() -> Outcome {
    let mut password = String::new();
    stdin().lock().read_line(&mut password).map_err(|e| Failure::Fault(format!("reading standard input: {e}")))?;
    let hash = hash_password(password.trim_end_matches(['\r', '\n'])).map_err(|e| match e.kind() {
        ErrorKind::InvalidInput => Failure::Usage(e.to_string()),
        _ => Failure::Fault(format!("reading /dev/urandom for a salt: {e}")),
    })?;
    println!("{hash}");
    Ok(())
}
