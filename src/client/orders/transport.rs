//! One of the two transports behind the same calls.

use super::door::{Login, Packet};
use super::shared::Shared;
use super::stamped::KernelTimes;
use super::tcp::Tcp;
use super::terms::{Address, Fault};
use crate::wire::soup::LoginAccepted;
use std::io;

#[allow(clippy::large_enum_variant, reason = "one a session")]
/// Which way requests go.
pub(super) enum Transport {
    Tcp(Tcp),
    Shared(Shared),
}

impl Transport {
    pub fn connect(login: &Login<'_>) -> Result<(Transport, LoginAccepted), Fault> {
        let limit = login.options.connect_limit;
        match &login.options.address {
            Address::Tcp(address) => Tcp::connect(*address, login, limit).map(|(t, a)| (Transport::Tcp(t), a)),
            Address::Shared(path) => Shared::connect(path, login, limit).map(|(t, a)| (Transport::Shared(t), a)),
        }
    }

    /// Has `encode` lay a message down where it goes out from, and sends it; gives its bytes, or `None` when there is
    /// no room, and then nothing was sent.
    #[inline]
    pub fn try_send(&mut self, encode: impl FnOnce(&mut [u8]) -> usize) -> Result<Option<&[u8]>, Fault> {
        match self {
            Transport::Tcp(tcp) => tcp.try_send(encode),
            Transport::Shared(shared) => shared.try_send(encode),
        }
    }

    #[inline]
    pub fn poll(&mut self) -> Result<Option<Packet<'_>>, Fault> {
        match self {
            Transport::Tcp(tcp) => tcp.poll(),
            Transport::Shared(shared) => shared.poll(),
        }
    }

    /// A ring passes a request on by the store that makes it: nothing could be saved by waiting.
    pub fn hold(&mut self) {
        if let Transport::Tcp(tcp) = self {
            tcp.hold();
        }
    }

    pub fn release(&mut self) -> Result<(), Fault> {
        match self {
            Transport::Tcp(tcp) => tcp.release(),
            Transport::Shared(_) => Ok(()),
        }
    }

    /// Whether there is a kernel between here and the venue that stamps: over rings there is none.
    pub fn stamp_by_kernel(&mut self) -> io::Result<bool> {
        match self {
            Transport::Tcp(tcp) => tcp.stamp_by_kernel().map(|()| true),
            Transport::Shared(_) => Ok(false),
        }
    }

    pub fn follow_next(&mut self) -> bool {
        match self {
            Transport::Tcp(tcp) => tcp.follow_next(),
            Transport::Shared(_) => false,
        }
    }

    pub fn kernel_times(&mut self) -> KernelTimes {
        match self {
            Transport::Tcp(tcp) => tcp.kernel_times(),
            Transport::Shared(_) => KernelTimes::default(),
        }
    }

    pub fn logout(&mut self) {
        match self {
            Transport::Tcp(tcp) => tcp.logout(),
            Transport::Shared(shared) => shared.logout(),
        }
    }
}
