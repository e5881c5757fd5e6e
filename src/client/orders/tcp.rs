//! Order entry over TCP: SoupBinTCP on a non-blocking socket that the calling thread spins on.
//!
//! A request goes out in the call that makes it, unless the session holds its requests to send several at once; what the
//! kernel does not take at once waits in a buffer of fixed
//! size and goes first on the next turn. Receiving fills a buffer of fixed size and takes whole packets off its
//! front. No allocation after connecting; system calls: one send a request, one receive a turn without a packet.

use super::door::{Login, Packet};
use super::stamped::{KernelTimes, Stamped};
use super::terms::Fault;
use crate::os::kernel_stamps;
use crate::wire::ouch::MESSAGE_MAX;
use crate::wire::soup::{CLIENT_HEARTBEAT, HEADER_BYTES, LOGOUT, LoginAccepted, ServerPacket, unsequenced_header};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Requests that may wait for the kernel: more than a socket buffer away, the venue does not read.
const OUT_BYTES: usize = 64 * 1024;
/// Received bytes that may wait to be taken off: one packet of any length, and as much again.
const IN_BYTES: usize = 128 * 1024;
const _: () = assert!(IN_BYTES > crate::wire::soup::PACKET_MAX);
/// Longest packet a request makes.
const REQUEST_BYTES_MAX: usize = HEADER_BYTES + MESSAGE_MAX;

pub(super) struct Tcp {
    stream: TcpStream,
    out: Box<[u8]>,
    /// Bytes of `out` that the kernel has taken, and bytes that are there.
    out_sent: usize,
    out_end: usize,
    /// Requests stay in `out` until they are released.
    held: bool,
    received: Box<[u8]>,
    /// Bytes of `received` that were taken off, and bytes that are there.
    taken: usize,
    end: usize,
    /// The kernel's stamps, for who measures; absent, the connection pays a branch a call for them.
    stamped: Option<Box<Stamped>>,
}

impl Tcp {
    /// Connects, logs in and waits for the answer.
    pub fn connect(address: SocketAddr, login: &Login<'_>, limit: Duration) -> Result<(Tcp, LoginAccepted), Fault> {
        let stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_nodelay(true)?;
        let mut tcp = Tcp {
            stream,
            out: vec![0xEE; OUT_BYTES].into_boxed_slice(),
            out_sent: 0,
            out_end: 0,
            held: false,
            received: vec![0xEE; IN_BYTES].into_boxed_slice(),
            taken: 0,
            end: 0,
            stamped: None,
        };
        let mut request = [0; crate::wire::soup::LoginRequest::BYTES_MAX];
        let length = login.request()?.encode(&mut request);
        tcp.stream.write_all(&request[..length])?;
        let accepted = tcp.await_login(Instant::now() + limit)?;
        tcp.stream.set_nonblocking(true)?;
        Ok((tcp, accepted))
    }

    fn await_login(&mut self, until: Instant) -> Result<LoginAccepted, Fault> {
        loop {
            let (packet, length) = match ServerPacket::next(&self.received[self.taken..self.end])? {
                Some(found) => found,
                None => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(Fault::Silent);
                    }
                    self.stream.set_read_timeout(Some(left))?;
                    self.fill()?;
                    continue;
                }
            };
            self.taken += length;
            match packet {
                ServerPacket::LoginAccepted(accepted) => return Ok(accepted),
                ServerPacket::LoginRejected(reason) => return Err(Fault::Rejected(reason)),
                ServerPacket::Debug(_) => {}
                _ => return Err(Fault::Protocol),
            }
        }
    }

    /// Sends the message that `encode` lays down; gives its bytes, `None` when it does not fit behind what still waits.
    #[inline]
    pub fn try_send(&mut self, encode: impl FnOnce(&mut [u8]) -> usize) -> Result<Option<&[u8]>, Fault> {
        if OUT_BYTES - self.out_end < REQUEST_BYTES_MAX && !self.flush()? {
            return Ok(None);
        }
        let message = self.out_end + HEADER_BYTES;
        let length = encode(&mut self.out[message..message + MESSAGE_MAX]);
        self.out[self.out_end..message].copy_from_slice(&unsequenced_header(length));
        self.out_end = message + length;
        if let Some(stamped) = &mut self.stamped {
            stamped.on_request();
        }
        // Flushing forgets the bytes, but leaves them where they are.
        if !self.held {
            self.flush()?;
        }
        Ok(Some(&self.out[message..message + length]))
    }

    /// Requests stay here until [`Tcp::release`], or until the buffer is full.
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// They go out now, in one call, and later ones at once.
    #[inline]
    pub fn release(&mut self) -> Result<(), Fault> {
        self.held = false;
        self.flush().map(|_| ())
    }

    /// Hands waiting bytes to the kernel; says whether none are left.
    #[inline]
    pub fn flush(&mut self) -> Result<bool, Fault> {
        while self.out_sent < self.out_end {
            let waiting = &self.out[self.out_sent..self.out_end];
            let written = match &mut self.stamped {
                None => self.stream.write(waiting),
                Some(stamped) => stamped.write(&self.stream, waiting),
            };
            match written {
                Ok(0) => return Err(Fault::Closed),
                Ok(count) => self.out_sent += count,
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        (self.out_sent, self.out_end) = (0, 0);
        Ok(true)
    }

    /// Has the kernel stamp requests that are to be followed. Everything sent before must have been answered.
    pub fn stamp_by_kernel(&mut self) -> io::Result<()> {
        kernel_stamps::enable(&self.stream)?;
        self.stamped = Some(Box::new(Stamped::new()));
        Ok(())
    }

    /// Follows the next request; says whether stamps are on.
    pub fn follow_next(&mut self) -> bool {
        self.stamped.as_mut().map(|stamped| stamped.follow()).is_some()
    }

    /// Times of the request that was followed, whose answer was just taken.
    pub fn kernel_times(&mut self) -> KernelTimes {
        self.stamped.as_mut().map_or(KernelTimes::default(), |stamped| stamped.times(&self.stream))
    }

    pub fn heartbeat(&mut self) -> Result<(), Fault> {
        // Bytes that wait are a sign of life themselves once they go.
        if self.out_end == 0 {
            self.out[..HEADER_BYTES].copy_from_slice(&CLIENT_HEARTBEAT);
            self.out_end = HEADER_BYTES;
        }
        self.flush().map(|_| ())
    }

    pub fn logout(&mut self) {
        // The connection is given up either way.
        let _ = self.flush();
        let _ = self.stream.write(&LOGOUT);
    }

    /// The next packet that came.
    #[inline]
    pub fn poll(&mut self) -> Result<Option<Packet<'_>>, Fault> {
        if self.held {
            self.release()?;
        }
        // Looked at twice, because the borrow checker lets no packet outlive the branch in which there was none.
        if ServerPacket::next(&self.received[self.taken..self.end])?.is_none() {
            self.flush()?;
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
        let Some((packet, length)) = ServerPacket::next(&self.received[self.taken..self.end])? else {
            return Ok(None);
        };
        self.taken += length;
        if let Some(stamped) = &mut self.stamped {
            stamped.on_packet(self.taken);
        }
        Ok(Some(match packet {
            ServerPacket::Sequenced(message) => Packet::Sequenced(message),
            ServerPacket::EndOfSession => Packet::EndOfSession,
            ServerPacket::Heartbeat | ServerPacket::Debug(_) | ServerPacket::Unsequenced(_) => Packet::Other,
            ServerPacket::LoginAccepted(_) | ServerPacket::LoginRejected(_) => return Err(Fault::Protocol),
        }))
    }

    /// Receives what is there; gives the number of bytes.
    fn fill(&mut self) -> Result<usize, Fault> {
        if self.taken == self.end {
            (self.taken, self.end) = (0, 0);
        } else if self.end == IN_BYTES {
            // An unfinished packet at the end of the buffer: shorter than half of it, so that this is rare.
            self.received.copy_within(self.taken..self.end, 0);
            (self.taken, self.end) = (0, self.end - self.taken);
        }
        let read = match &mut self.stamped {
            None => self.stream.read(&mut self.received[self.end..]),
            Some(stamped) => stamped.read(&self.stream, &mut self.received, self.end),
        };
        match read {
            Ok(0) => Err(Fault::Closed),
            Ok(count) => {
                self.end += count;
                Ok(count)
            }
            Err(fault) if matches!(fault.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
            Err(fault) => Err(fault.into()),
        }
    }
}
