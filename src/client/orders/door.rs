//! What both transports are asked for: a login, and the venue's packets as far as a session minds.

use super::terms::{Fault, OrderOptions};
use crate::wire::soup::{LoginReject, LoginRequest, SessionName};

/// User, password and place in the stream, as one login needs them.
pub(super) struct Login<'a> {
    pub options: &'a OrderOptions,
    pub session: SessionName,
    pub sequence: u64,
}

impl Login<'_> {
    pub fn request(&self) -> Result<LoginRequest, Fault> {
        LoginRequest::new(&self.options.user, &self.options.password, self.session, self.sequence)
            .ok_or(Fault::Rejected(LoginReject::NotAuthorized))
    }
}

/// A packet of the venue, as far as the session minds.
pub(super) enum Packet<'a> {
    Sequenced(&'a [u8]),
    EndOfSession,
    /// A sign of life, and no more.
    Other,
}
