//! `pitlane password`: makes the hash that a login's configuration holds.

use super::{Failure, Outcome};
use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use std::io::{BufRead, Read, stdin};

/// Longest password of the protocol (SoupBinTCP, Login Request).
const PASSWORD_BYTES_MAX: usize = 10;
const SALT_BYTES: usize = 16;
/// Work of one check: 4 MiB, two passes, some milliseconds. Logins are checked by a cold thread, one at a time.
const MEMORY_KIBIBYTES: u32 = 4_096;
const PASSES: u32 = 2;

/// Reads a password and prints its hash.
///
/// # Errors
/// The password does not fit the protocol, or the system gives no random numbers.
pub fn main() -> Outcome {
    let mut password = String::new();
    stdin().lock().read_line(&mut password).map_err(|e| Failure::Fault(format!("reading standard input: {e}")))?;
    println!("{}", hash(password.trim_end_matches(['\r', '\n']))?);
    Ok(())
}

fn hash(password: &str) -> Result<String, Failure> {
    if !(1..=PASSWORD_BYTES_MAX).contains(&password.len()) || !password.bytes().all(|b| b.is_ascii_graphic()) {
        let allowed = format!("one to {PASSWORD_BYTES_MAX} printable ASCII characters without spaces");
        return Err(Failure::Usage(format!("the protocol's passwords have {allowed}")));
    }
    let mut salt = [0; SALT_BYTES];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut f| f.read_exact(&mut salt))
        .map_err(|e| Failure::Fault(format!("reading /dev/urandom for a salt: {e}")))?;
    let salt = SaltString::encode_b64(&salt).expect("sixteen bytes are a salt");
    let params = Params::new(MEMORY_KIBIBYTES, PASSES, 1, None).expect("constants within the algorithm's limits");
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    // The protocol compares passwords without case, so the hash is of capitals.
    let capitals = password.to_ascii_uppercase();
    let hash = hasher.hash_password(capitals.as_bytes(), &salt);
    Ok(hash.expect("a short password and a valid salt can be hashed").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::{PasswordHash, PasswordVerifier};

    #[test]
    fn a_hash_verifies_its_password_in_capitals() {
        let text = hash("secret").unwrap();
        let parsed = PasswordHash::new(&text).unwrap();
        assert!(Argon2::default().verify_password(b"SECRET", &parsed).is_ok());
        assert!(Argon2::default().verify_password(b"OTHER", &parsed).is_err());
    }

    #[test]
    fn a_password_the_protocol_cannot_carry_is_refused() {
        assert!(hash("").is_err() && hash("elevenchars").is_err() && hash("a b").is_err());
    }
}
