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
    /// The answer was read together with what came behind it, and the stamp is of that.
    pub shared_read: bool,
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
    /// Where the packet taken last ends.
    packet_end: usize,
}

impl Stamped {
    /// Of a connection whose stamps were just turned on.
    pub fn new() -> Stamped {
        Stamped { followed: Followed::None, sent: 0, read: (0, None), packet_end: 0 }
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
        self.packet_end = end;
    }

    /// The answer to the request that is followed is the packet taken last: its times. Nothing is followed any more.
    pub fn times(&mut self, stream: &TcpStream) -> KernelTimes {
        let Followed::Sent(sent) = std::mem::replace(&mut self.followed, Followed::None) else {
            return KernelTimes::default();
        };
        // Places count modulo 2^32, from 0.
        let last_byte = (sent - 1) as u32;
        let (end, read_ns) = self.read;
        let is_last = end == self.packet_end;
        let mut times = KernelTimes {
            transmitted_ns: None,
            received_ns: read_ns.filter(|_| is_last),
            shared_read: read_ns.is_some() && !is_last,
        };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::kernel_stamps::enable;
    use crate::os::socket::{SocketOptions, accept_now, listen};
    use std::net::Ipv4Addr;

    /// Both sides of a connection, the client's with stamps; `None` where the system refuses them.
    fn pair() -> Option<(TcpStream, TcpStream)> {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), SocketOptions::default()).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nonblocking(true).unwrap();
        let server = loop {
            if let Some(server) = accept_now(&listener).unwrap() {
                server.set_nonblocking(false).unwrap();
                break server;
            }
        };
        match enable(&client) {
            Ok(()) => Some((client, server)),
            Err(refused) => {
                eprintln!("not checked: no stamps of the kernel here ({refused})");
                None
            }
        }
    }

    /// One request of 50 bytes and, when the venue has it, its answers in one call; what was read of them.
    fn trip(stamped: &mut Stamped, client: &TcpStream, mut server: &TcpStream, answers: usize) -> usize {
        let (mut request, mut buffer) = ([0; 50], [0; 256]);
        stamped.on_request();
        assert_eq!(stamped.write(client, &[7; 50]).unwrap(), 50);
        server.read_exact(&mut request).unwrap();
        server.write_all(&vec![9; answers * 20]).unwrap();
        let mut end = 0;
        while end < answers * 20 {
            match stamped.read(client, &mut buffer, end) {
                Ok(count) => end += count,
                Err(fault) => assert_eq!(fault.kind(), io::ErrorKind::WouldBlock),
            }
            std::thread::yield_now();
        }
        end
    }

    /// The kernel begins to stamp a while after it was asked.
    const TRIPS_MAX: u32 = 100_000;

    #[test]
    fn a_followed_request_gets_its_own_stamps_and_one_that_is_not_gets_none() {
        let Some((client, server)) = pair() else { return };
        let mut stamped = Stamped::new();
        for _ in 0..TRIPS_MAX {
            trip(&mut stamped, &client, &server, 1);
            stamped.on_packet(20);
            assert_eq!(stamped.times(&client), KernelTimes::default());
            stamped.follow();
            trip(&mut stamped, &client, &server, 1);
            stamped.on_packet(20);
            let times = stamped.times(&client);
            assert_eq!(stamped.times(&client), KernelTimes::default(), "they are told once");
            if let (Some(transmitted), Some(received)) = (times.transmitted_ns, times.received_ns) {
                // Both of one clock, so in their order whatever that was set to before.
                return assert!(transmitted <= received && !times.shared_read, "{times:?}");
            }
        }
        eprintln!("not checked: the kernel here gives no stamps");
    }

    #[test]
    fn an_answer_that_is_read_with_another_behind_it_has_no_stamp_of_its_own() {
        let Some((client, server)) = pair() else { return };
        let mut stamped = Stamped::new();
        for _ in 0..TRIPS_MAX {
            stamped.follow();
            trip(&mut stamped, &client, &server, 2);
            stamped.on_packet(20);
            let times = stamped.times(&client);
            assert_eq!(times.received_ns, None);
            if times.shared_read {
                return;
            }
        }
        eprintln!("not checked: the kernel here gives no stamps");
    }

    #[test]
    fn a_request_that_is_followed_in_place_of_another_is_told_by_its_own_place() {
        let Some((client, server)) = pair() else { return };
        let mut stamped = Stamped::new();
        stamped.follow();
        trip(&mut stamped, &client, &server, 1);
        // The first is given up with its stamp still in the queue.
        stamped.follow();
        trip(&mut stamped, &client, &server, 1);
        assert_eq!((stamped.followed, stamped.sent), (Followed::Sent(100), 100));
        stamped.times(&client);
        assert_eq!(next_sent(&client).unwrap(), None, "the queue is empty behind it");
    }
}
