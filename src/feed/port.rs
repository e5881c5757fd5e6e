//! [`Port`]: the feed's view of a datagram socket, so that a simulated network can stand in its place.
//!
//! Four calls of the system's socket under their own names, dispatched statically: the publisher on a [`UdpSocket`] is
//! the code it was. Sending is hot.

use super::options::FeedOptions;
use crate::os::udp;
use std::io;
use std::net::{SocketAddr, UdpSocket};

/// Room for requests that arrive while the publisher sends, some thousands.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// A non-blocking datagram socket.
pub trait Port: Send {
    /// Sends to where it is connected.
    /// # Errors
    /// What the system says.
    fn send(&self, datagram: &[u8]) -> io::Result<usize>;

    /// Sends to one receiver.
    /// # Errors
    /// What the system says.
    fn send_to(&self, datagram: &[u8], receiver: SocketAddr) -> io::Result<usize>;

    /// Takes one datagram that has come.
    /// # Errors
    /// `WouldBlock` when none has, or what the system says.
    fn recv_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)>;

    /// Where it is bound.
    /// # Errors
    /// What the system says.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

impl Port for UdpSocket {
    #[inline]
    fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        UdpSocket::send(self, datagram)
    }

    #[inline]
    fn send_to(&self, datagram: &[u8], receiver: SocketAddr) -> io::Result<usize> {
        UdpSocket::send_to(self, datagram, receiver)
    }

    #[inline]
    fn recv_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        UdpSocket::recv_from(self, into)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        UdpSocket::local_addr(self)
    }
}

/// The two sockets of a feed.
pub struct FeedPorts<P> {
    /// The way out, to all.
    pub out: P,
    /// Where missed messages are asked for.
    pub requests: P,
}

impl FeedPorts<UdpSocket> {
    /// The system's, as the options say.
    /// # Errors
    /// What the system says.
    pub fn open(options: &FeedOptions) -> io::Result<FeedPorts<UdpSocket>> {
        Ok(FeedPorts {
            out: udp::sender(options.destination, options.multicast)?,
            requests: udp::unicast(options.requests, RECEIVE_BUFFER_BYTES)?,
        })
    }
}
