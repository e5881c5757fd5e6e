//! Who may log in: passwords are checked on a cold thread, because a good hash takes milliseconds on purpose.
//!
//! The gateway sends a [`LoginAttempt`] over a link and goes on; the [`LoginDesk`], an agent of a cold thread, sends
//! the [`LoginAnswer`] back. A refusal is held for a while that doubles with each failure in a row of that user, up to
//! a bound; other users, and the right password, are not held. A user that does not exist costs the same hash, so that
//! the time taken tells nothing.
//!
//! Passwords are kept as Argon2 hashes with their salt, in the PHC text form, compared in constant time. The protocol
//! compares user and password without case; both are folded to capitals here, when hashing and when checking.

use crate::gateway::session::Credentials;
use crate::os::clock::Clock;
use crate::runtime::agent::Agent;
use crate::runtime::counters::{Counter, Counters};
use crate::runtime::link::{Receiver, Sender};
use crate::types::{Market, Nanos, SessionId};
use argon2::password_hash::{self, PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use std::io::{self, Read};

/// A connection that asks or holds something: which transport, which of its connections, and which use of that place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Index of the transport in its gateway.
    pub transport: u8,
    /// The transport's own name for the connection.
    pub connection: u32,
    /// Tells this connection from earlier ones of the same name.
    pub serial: u32,
}

/// A login to be checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LoginAttempt {
    /// Whom to answer.
    pub asker: Holder,
    /// What was sent.
    pub credentials: Credentials,
}

/// The result of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LoginAnswer {
    /// Who asked.
    pub asker: Holder,
    /// The session, if the login is good.
    pub granted: Option<SessionId>,
}

/// Decides about logins. May take its time.
pub trait Authenticator: Send {
    /// The session of `user`, if `password` is its password. Both without padding, in capitals.
    fn check(&mut self, user: &str, password: &[u8]) -> Option<SessionId>;
}

impl<F: FnMut(&str, &[u8]) -> Option<SessionId> + Send> Authenticator for F {
    fn check(&mut self, user: &str, password: &[u8]) -> Option<SessionId> {
        self(user, password)
    }
}

impl Authenticator for Box<dyn Authenticator> {
    fn check(&mut self, user: &str, password: &[u8]) -> Option<SessionId> {
        self.as_mut().check(user, password)
    }
}

/// Memory and passes of a hash made here: 8 MiB, 2 passes, some 10 ms. Logins are rare, guesses must be dear.
const HASH_KIB: u32 = 8 * 1024;
const HASH_PASSES: u32 = 2;

/// Password hashes of the sessions of a market.
pub struct Passwords {
    /// By session: user in capitals, PHC text.
    logins: Vec<(String, String)>,
    /// Checked for users that do not exist.
    decoy: String,
}

/// Why the passwords of a market cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadHash {
    /// Whose.
    pub user: String,
    /// What is wrong with it.
    pub cause: String,
}

impl std::fmt::Display for BadHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "password hash of {:?} cannot be used: {}", self.user, self.cause)
    }
}

impl std::error::Error for BadHash {}

impl Passwords {
    /// For the sessions of `market`, with a hash in PHC text for each, in their order.
    /// # Errors
    /// [`BadHash`]: a text that is no Argon2 hash.
    /// # Panics
    /// There are not as many hashes as sessions.
    pub fn new(market: &Market, hashes: &[String]) -> Result<Passwords, BadHash> {
        assert_eq!(market.sessions.len(), hashes.len(), "a hash for each session");
        let mut logins = Vec::with_capacity(hashes.len());
        for (spec, hash) in market.sessions.iter().zip(hashes) {
            let fault = |cause: &dyn std::fmt::Display| BadHash { user: spec.user.clone(), cause: cause.to_string() };
            let parsed = PasswordHash::new(hash).map_err(|error| fault(&error))?;
            if !parsed.algorithm.as_str().starts_with("argon2") {
                return Err(fault(&"not an Argon2 hash"));
            }
            logins.push((spec.user.trim().to_ascii_uppercase(), hash.clone()));
        }
        let decoy = match hashes.first() {
            Some(hash) => hash.clone(),
            None => String::new(),
        };
        Ok(Passwords { logins, decoy })
    }
}

impl Authenticator for Passwords {
    fn check(&mut self, user: &str, password: &[u8]) -> Option<SessionId> {
        let index = self.logins.iter().position(|(name, _)| name == user);
        let hash = index.map_or(&self.decoy, |index| &self.logins[index].1);
        let parsed = PasswordHash::new(hash).ok()?;
        let matches = Argon2::default().verify_password(password, &parsed).is_ok();
        index.filter(|_| matches).map(|index| SessionId(index as u16))
    }
}

/// The hash of `password` for a configuration, with a fresh salt. Letters count without case, as in the protocol.
/// # Errors
/// The system's source of randomness, or a password the protocol cannot carry.
pub fn hash_password(password: &str) -> io::Result<String> {
    let mut salt = [0u8; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut salt)?;
    if password.is_empty() || password.len() > 10 || !password.bytes().all(|b| (0x21..0x7f).contains(&b)) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a password has 1 to 10 printable characters, no space",
        ));
    }
    let fault = |error: password_hash::Error| io::Error::other(error.to_string());
    let salt = SaltString::encode_b64(&salt).map_err(fault)?;
    let params = Params::new(HASH_KIB, HASH_PASSES, 1, None).map_err(|error| io::Error::other(error.to_string()))?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon.hash_password(password.to_ascii_uppercase().as_bytes(), &salt).map_err(fault)?;
    Ok(hash.to_string())
}

/// First wait after a failure; doubles with each further one of the same user.
const REFUSAL_WAIT_NS: u64 = Nanos::SECOND / 4;
/// The wait doubles so often at most: 8 s.
const REFUSAL_DOUBLINGS_MAX: u32 = 5;

/// Checks logins for a gateway, one a turn. Cold.
pub struct LoginDesk<A, C> {
    authenticator: A,
    clock: C,
    attempts: Receiver<LoginAttempt>,
    answers: Sender<LoginAnswer>,
    /// Failures in a row, by session; the last entry is for users that do not exist.
    failures: Vec<u32>,
    users: Vec<String>,
    /// Refusals and when to send them.
    held: Vec<(u64, LoginAnswer)>,
    held_max: usize,
    /// An answer that found its link full.
    unsent: Option<LoginAnswer>,
    checked: Counter,
    refused: Counter,
}

impl<A: Authenticator, C: Clock> LoginDesk<A, C> {
    /// A desk for the sessions of `market` at the far ends of the gateway's two links. `clock` does not go back.
    pub fn new(
        market: &Market,
        authenticator: A,
        clock: C,
        attempts: Receiver<LoginAttempt>,
        answers: Sender<LoginAnswer>,
        counters: &mut Counters,
    ) -> LoginDesk<A, C> {
        let held_max = answers.capacity();
        LoginDesk {
            authenticator,
            clock,
            attempts,
            answers,
            failures: vec![0; market.sessions.len() + 1],
            users: market.sessions.iter().map(|spec| spec.user.trim().to_ascii_uppercase()).collect(),
            held: Vec::with_capacity(held_max),
            held_max,
            unsent: None,
            checked: counters.add("gateway.logins_checked"),
            refused: counters.add("gateway.logins_refused"),
        }
    }

    fn check(&mut self, attempt: LoginAttempt) {
        let user = String::from_utf8_lossy(&attempt.credentials.user).trim().to_ascii_uppercase();
        let password = attempt.credentials.password.trim_ascii().to_ascii_uppercase();
        let granted = self.authenticator.check(&user, &password);
        self.checked.add(1);
        let index = self.users.iter().position(|name| *name == user).unwrap_or(self.users.len());
        let answer = LoginAnswer { asker: attempt.asker, granted };
        if granted.is_some() {
            self.failures[index] = 0;
            self.unsent = Some(answer);
        } else {
            self.refused.add(1);
            let wait_ns = REFUSAL_WAIT_NS << self.failures[index].min(REFUSAL_DOUBLINGS_MAX);
            self.failures[index] = self.failures[index].saturating_add(1);
            self.hold(answer, wait_ns);
        }
    }

    fn hold(&mut self, answer: LoginAnswer, wait_ns: u64) {
        if self.held.len() == self.held_max {
            // Full of refusals: the oldest goes early, so that a crowd of failures cannot lock the door.
            self.unsent = Some(self.held.remove(0).1);
        }
        let due_ns = self.clock.now() + wait_ns;
        self.held.push((due_ns, answer));
    }

    /// A refusal whose wait is over.
    fn next_due(&mut self) -> Option<LoginAnswer> {
        if self.held.is_empty() {
            return None;
        }
        let now_ns = self.clock.now();
        let index = self.held.iter().position(|(due_ns, _)| *due_ns <= now_ns)?;
        Some(self.held.remove(index).1)
    }
}

impl<A: Authenticator, C: Clock + Send> Agent for LoginDesk<A, C> {
    fn name(&self) -> &str {
        "logins"
    }

    fn work(&mut self) -> usize {
        if let Some(answer) = self.unsent.take().or_else(|| self.next_due()) {
            self.unsent = self.answers.try_push(answer).err();
            return usize::from(self.unsent.is_none());
        }
        match self.attempts.pop() {
            Some(attempt) => {
                self.check(attempt);
                1
            }
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::fixture::{ALICE, BOB, market};
    use crate::os::clock::ManualClock;
    use crate::runtime::link;

    fn attempt(serial: u32, user: &[u8; 6], password: &[u8; 10]) -> LoginAttempt {
        let asker = Holder { transport: 0, connection: 0, serial };
        LoginAttempt { asker, credentials: Credentials { user: *user, password: *password } }
    }

    #[test]
    fn a_hash_made_here_lets_its_password_in_and_no_other() {
        let hashes = [hash_password("Secret1").unwrap(), hash_password("other").unwrap()];
        assert_ne!(hashes[0], hash_password("Secret1").unwrap(), "each has its own salt");
        let mut passwords = Passwords::new(&market(), &hashes).unwrap();
        assert_eq!(passwords.check("ALICE", b"SECRET1"), Some(ALICE));
        assert_eq!(passwords.check("BOB", b"OTHER"), Some(BOB));
        assert_eq!(passwords.check("BOB", b"SECRET1"), None);
        assert_eq!(passwords.check("CAROL", b"SECRET1"), None, "the decoy's password is nobody's");
        assert_eq!(passwords.check("ALICE", b""), None);
    }

    #[test]
    fn what_is_no_hash_is_refused_at_start() {
        for bad in ["", "secret", "$argon2id$v=19$", "$scrypt$ln=1,r=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"] {
            let hashes = [bad.to_string(), hash_password("x").unwrap()];
            let fault = Passwords::new(&market(), &hashes).err().map(|fault| fault.user);
            assert_eq!(fault.as_deref(), Some("ALICE"), "{bad:?}");
        }
        for password in ["", "elevenchars", "with space", "tab\t", "gr\u{fc}n"] {
            assert!(hash_password(password).is_err(), "{password:?}");
        }
    }

    #[test]
    fn refusals_wait_longer_each_time_and_the_right_password_does_not() {
        let (mut attempts, attempts_far) = link::bounded(8);
        let (answers_far, mut answers) = link::bounded(8);
        let check = |user: &str, password: &[u8]| (user == "ALICE" && password == b"RIGHT").then_some(ALICE);
        let mut counters = Counters::anonymous(4).unwrap();
        let clock = ManualClock::default();
        let mut desk = LoginDesk::new(&market(), check, clock, attempts_far, answers_far, &mut counters);
        let mut waited = Vec::new();
        for serial in 0..8 {
            attempts.try_push(attempt(serial, b"alice ", b"wrong     ")).unwrap();
            let begin = desk.clock.now_ns;
            // Meanwhile the right one comes through at once.
            attempts.try_push(attempt(100, b" Alice", b"right     ")).unwrap();
            desk.work();
            assert_eq!(answers.pop(), None);
            if serial == 7 {
                desk.work();
                desk.work();
                assert_eq!(answers.pop().map(|answer| answer.granted), Some(Some(ALICE)));
            } else {
                assert_eq!(desk.attempts.pop().map(|attempt| attempt.asker.serial), Some(100));
            }
            let answer = loop {
                desk.work();
                if let Some(answer) = answers.pop() {
                    break answer;
                }
                desk.clock.now_ns += Nanos::SECOND / 4;
            };
            assert_eq!((answer.asker.serial, answer.granted), (serial, None));
            waited.push((desk.clock.now_ns - begin) / (Nanos::SECOND / 4));
        }
        assert_eq!(waited, [1, 2, 4, 8, 16, 32, 32, 32]);
        assert_eq!(desk.failures[0], 0, "the right password clears the count");
    }

    #[test]
    fn a_crowd_of_failures_does_not_lock_the_door() {
        let (mut attempts, attempts_far) = link::bounded(32);
        let (answers_far, mut answers) = link::bounded(4);
        let check = |user: &str, _: &[u8]| (user == "BOB").then_some(BOB);
        let mut counters = Counters::anonymous(4).unwrap();
        let clock = ManualClock::default();
        let mut desk = LoginDesk::new(&market(), check, clock, attempts_far, answers_far, &mut counters);
        (0..20).for_each(|serial| attempts.try_push(attempt(serial, b"NOBODY", b"x         ")).unwrap());
        attempts.try_push(attempt(99, b"BOB   ", b"x         ")).unwrap();
        let mut serials = Vec::new();
        for _ in 0..200 {
            desk.work();
            serials.extend(answers.pop().map(|answer| answer.asker.serial));
        }
        let early: Vec<u32> = (0..16).chain([99]).collect();
        assert_eq!(serials, early, "the oldest refusals gave way, the last four wait");
    }
}
