//! The kernel's stamps of single requests over TCP and of their answers, for who measures: see
//! [`kernel_stamps`](crate::os::kernel_stamps).
//!
//! One request at a time is followed: the next one sent after [`Stamped::follow`], until its answer has been read or
//! another is followed in its place. Only its own send, and reads while its answer is awaited, go by the dearer calls; the
//! rest of the connection goes as ever. A stamp of what has arrived is that of the last byte of a read, so it is an
//! answer's only when the read ends with it.

use crate::os::kernel_stamps::{next_sent, receive_stamped, send_stamped};
use std::io::{self, Read, Write};
use std::net::TcpStream;

/// Stamps taken from the error queue in one go at most: each request that was followed left one.
const STAMPS_MAX: usize = 64;

/// When the kernel had a request and its answer in hand, in ns since the epoch; `None` where it did not say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KernelTimes {
    /// The request went to the network device.
    pub transmitted_ns: Option<u64>,
    /// The answer came from there.
    pub received_ns: Option<u64>,
}

/// Where the request that is followed stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Followed {
    None,
    /// It is the next one made.
    Next,
    /// It is the last of what waits to be sent.
    Wanted,
    /// It was sent up to this place in the stream.
    Sent(u64),
}

/// A connection's stamps.
pub(super) struct Stamped {
    followed: Followed,
    /// Bytes sent since stamps were turned on.
    sent: u64,
    /// Where the last read ended in the buffer of what was received, and its stamp.
    read: (usize, Option<u64>),
    /// The stamp of the packet taken last.
    packet_ns: Option<u64>,
}

impl Stamped {
    /// Of a connection whose stamps were just turned on.
    pub fn new() -> Stamped {
        Stamped { followed: Followed::None, sent: 0, read: (0, None), packet_ns: None }
    }

    /// Follows the next request, in place of one that is still followed.
    pub fn follow(&mut self) {
        self.followed = Followed::Next;
    }

    /// A request was laid behind what waits to be sent.
    #[inline]
    pub fn on_request(&mut self) {
        if self.followed == Followed::Next {
            self.followed = Followed::Wanted;
        }
    }

    /// Sends, with a stamp if the next request is to be followed. What the kernel takes only part of is not.
    pub fn write(&mut self, mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        let is_wanted = self.followed == Followed::Wanted;
        let count = if is_wanted { send_stamped(stream, bytes)? } else { stream.write(bytes)? };
        self.sent += count as u64;
        if is_wanted {
            self.followed = if count == bytes.len() { Followed::Sent(self.sent) } else { Followed::None };
        }
        Ok(count)
    }

    /// Reads behind the first `end` bytes of a buffer, with a stamp if an answer is awaited.
    pub fn read(&mut self, mut stream: &TcpStream, buffer: &mut [u8], end: usize) -> io::Result<usize> {
        let into = &mut buffer[end..];
        let (count, at_ns) = match self.followed {
            Followed::Sent(_) => receive_stamped(stream, into)?,
            Followed::None | Followed::Next | Followed::Wanted => (stream.read(into)?, None),
        };
        self.read = (end + count, at_ns);
        Ok(count)
    }

    /// A packet that ends there in the buffer was taken.
    #[inline]
    pub fn on_packet(&mut self, end: usize) {
        self.packet_ns = self.read.1.filter(|_| self.read.0 == end);
    }

    /// The answer to the request that is followed is the packet taken last: its times. Nothing is followed any more.
    pub fn times(&mut self, stream: &TcpStream) -> KernelTimes {
        let Followed::Sent(sent) = std::mem::replace(&mut self.followed, Followed::None) else {
            return KernelTimes::default();
        };
        // Places count modulo 2^32, from 0.
        let last_byte = (sent - 1) as u32;
        let mut times = KernelTimes { transmitted_ns: None, received_ns: self.packet_ns };
        for _ in 0..STAMPS_MAX {
            // A queue that cannot be read gives no stamp.
            let Ok(Some(stamp)) = next_sent(stream) else { break };
            if stamp.last_byte == last_byte {
                times.transmitted_ns = Some(stamp.at_ns);
            }
        }
        times
    }
}
