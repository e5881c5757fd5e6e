//! Times at which the kernel itself had a TCP connection's bytes in hand (SO_TIMESTAMPING, software stamps): when it
//! gave what was sent to the network device, and when what arrived came from there.
//!
//! For who measures, on its own side of a connection. The stamps cost calls of their own: bytes that are to be stamped on
//! their way out go by [`send_stamped`], and their stamp is fetched from the socket's error queue ([`next_sent`]); a stamp of
//! what has arrived comes with [`receive_stamped`] alone. So a caller stamps some messages and sends the rest as ever. Once
//! one socket of the host asks for receive stamps, the kernel reads its clock for every packet of all sockets.
//!
//! Stamps are times of the host's clock, which may be set; [`Offset`] makes steady times of them. Over loopback the
//! sending device is the receiving one: both stamps of a message are taken inside its sender's call.
#![allow(unsafe_code)]

use super::clock::{Clock, SystemClock, monotonic_ns};
use std::io;
use std::mem;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

/// What a connection is asked for: receive stamps, and those of what [`send_stamped`] sends, told by the place of its last
/// byte in the stream, without the bytes themselves.
const WANTED: u32 = libc::SOF_TIMESTAMPING_RX_SOFTWARE
    | libc::SOF_TIMESTAMPING_SOFTWARE
    | libc::SOF_TIMESTAMPING_OPT_ID
    | libc::SOF_TIMESTAMPING_OPT_TSONLY;

/// Bytes of control messages that come with a call: stamps and place are 112, with an IPv6 address 128.
const CONTROL_BYTES: usize = 256;
const _: () = assert!(CONTROL_BYTES.is_multiple_of(8));

/// Lengths in a control message: its header, a time, and what of an extended error counts here.
const HEADER_BYTES: usize = size_of::<libc::cmsghdr>();
const TIME_BYTES: usize = size_of::<libc::timespec>();
const ERROR_BYTES: usize = size_of::<libc::sock_extended_err>();

/// Has the kernel stamp this connection from here on: places in the stream count from the next byte that is sent.
/// Everything sent before must have been acknowledged, as it is behind a login's answer.
/// # Errors
/// What the system says; a kernel or a sandbox without stamps does.
pub fn enable(stream: &TcpStream) -> io::Result<()> {
    // Kernels before 6.2 do not know that places count from the next byte in any case; without bytes on their way it is
    // the same.
    set(stream, WANTED | libc::SOF_TIMESTAMPING_OPT_ID_TCP).or_else(|_| set(stream, WANTED))
}

fn set(stream: &TcpStream, flags: u32) -> io::Result<()> {
    let size = size_of::<u32>() as libc::socklen_t;
    let at = (&raw const flags).cast();
    // SAFETY: the pointer is to a live u32 and `size` is its size; the call keeps neither.
    let result = unsafe { libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPING, at, size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The control message that asks for a stamp of one call's bytes.
#[repr(C)]
struct Ask {
    bytes: usize,
    level: libc::c_int,
    kind: libc::c_int,
    flags: u32,
    _padding: u32,
}

const _: () = assert!(mem::offset_of!(Ask, flags) == HEADER_BYTES && size_of::<Ask>() == HEADER_BYTES + 8);

/// Sends as much of `bytes` as the kernel takes, without waiting, and has the last of them stamped.
/// # Errors
/// As of `send(2)`: `WouldBlock` when nothing fits.
pub fn send_stamped(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut ask = Ask {
        bytes: HEADER_BYTES + size_of::<u32>(),
        level: libc::SOL_SOCKET,
        kind: libc::SO_TIMESTAMPING,
        flags: libc::SOF_TIMESTAMPING_TX_SOFTWARE,
        _padding: 0,
    };
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut message = message(&mut part, (&raw mut ask).cast(), size_of::<Ask>());
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `message` names one part, which is `bytes` and only read by a send, and `ask`, both alive and of the sizes
    // given.
    let sent = unsafe { libc::sendmsg(stream.as_raw_fd(), &raw mut message, flags) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Reads what has arrived, without waiting; gives the number of bytes and when the last of them arrived, in ns since the
/// epoch, if the kernel says.
/// # Errors
/// As of `recv(2)`: `WouldBlock` when there is nothing.
pub fn receive_stamped(stream: &TcpStream, into: &mut [u8]) -> io::Result<(usize, Option<u64>)> {
    let (count, notes) = receive(stream, into, libc::MSG_DONTWAIT)?;
    Ok((count, notes.at_ns))
}

/// When bytes that [`send_stamped`] sent went to the network device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SentStamp {
    /// Place of the last of them in the stream, from 0, modulo 2^32.
    pub last_byte: u32,
    /// In ns since the epoch.
    pub at_ns: u64,
}

/// The next stamp that waits in the socket's error queue; stamps of another kind are passed over.
/// # Errors
/// What the system says but for an empty queue.
pub fn next_sent(stream: &TcpStream) -> io::Result<Option<SentStamp>> {
    loop {
        match receive(stream, &mut [], libc::MSG_DONTWAIT | libc::MSG_ERRQUEUE) {
            Ok((_, Notes { at_ns: Some(at_ns), last_byte: Some(last_byte) })) => {
                return Ok(Some(SentStamp { last_byte, at_ns }));
            }
            // Each call takes one entry out, so this ends.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

fn receive(stream: &TcpStream, into: &mut [u8], flags: libc::c_int) -> io::Result<(usize, Notes)> {
    let mut control = [0u64; CONTROL_BYTES / 8];
    let mut part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let mut message = message(&mut part, control.as_mut_ptr().cast(), CONTROL_BYTES);
    // SAFETY: `message` names one part, which is `into`, and `control`, both exclusive, alive and of the sizes given.
    let count = unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut message, flags) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    let mut bytes = [0; CONTROL_BYTES];
    for (to, word) in bytes.chunks_exact_mut(8).zip(control) {
        to.copy_from_slice(&word.to_ne_bytes());
    }
    Ok((count, Notes::of(&bytes[..message.msg_controllen.min(CONTROL_BYTES)])))
}

fn message(part: &mut libc::iovec, control: *mut libc::c_void, bytes: usize) -> libc::msghdr {
    // SAFETY: all zero is a valid value of this plain C structure.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (part, 1);
    (message.msg_control, message.msg_controllen) = (control, bytes);
    message
}

/// What control messages say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Notes {
    /// The software stamp, in ns since the epoch.
    pub at_ns: Option<u64>,
    /// Of a stamp of sending: place of the last byte.
    pub last_byte: Option<u32>,
}

impl Notes {
    /// Reads control messages as the kernel lays them down. What is cut short or of another kind says nothing.
    /// # Source
    /// Linux, Documentation/networking/timestamping.rst: sections 1.3.2, 1.4, 2.1 (`scm_timestamping`, its first time is
    /// the software one; `sock_extended_err`, whose `ee_data` is the place and whose `ee_info` the point, 0 for "sent").
    pub fn of(mut control: &[u8]) -> Notes {
        let mut notes = Notes::default();
        while let Some((level, kind, data, rest)) = next_message(control) {
            control = rest;
            match (level, kind) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) => notes.at_ns = time(data),
                (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
                    notes.last_byte = place(data);
                }
                _ => {}
            }
        }
        notes
    }
}

/// The first control message: level, kind, data, and what follows.
fn next_message(control: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    let length = usize::from_ne_bytes(*control.first_chunk()?);
    let word = |at: usize| Some(i32::from_ne_bytes(*control.get(at..)?.first_chunk()?));
    let (level, kind) = (word(size_of::<usize>())?, word(size_of::<usize>() + 4)?);
    let data = control.get(HEADER_BYTES..length)?;
    let next = length.checked_next_multiple_of(size_of::<usize>())?;
    Some((level, kind, data, control.get(next..).unwrap_or(&[])))
}

/// The first of three times: the software stamp; a zero one is none.
fn time(data: &[u8]) -> Option<u64> {
    let time = data.get(..TIME_BYTES)?;
    let seconds = u64::from_ne_bytes(*time.first_chunk()?);
    let ns = u64::from_ne_bytes(*time.last_chunk()?);
    if seconds == 0 && ns == 0 { None } else { seconds.checked_mul(1_000_000_000)?.checked_add(ns) }
}

/// Where the stamped bytes end in the stream, of a stamp of sending.
fn place(data: &[u8]) -> Option<u32> {
    let error = data.get(..ERROR_BYTES)?;
    let word = |at: usize| Some(u32::from_ne_bytes(*error.get(at..)?.first_chunk()?));
    let (number, origin, point) = (word(0)?, error[4], word(8)?);
    (number == libc::ENOMSG as u32 && origin == libc::SO_EE_ORIGIN_TIMESTAMPING && point == 0).then(|| word(12))?
}

/// By how much the host's clock is ahead of the steady one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offset {
    ns: u64,
    error_ns: u64,
}

/// Readings of which the closest counts.
const READINGS: u32 = 16;

impl Offset {
    /// Now. Cold.
    pub fn now() -> Offset {
        let reading = |_| {
            let before = monotonic_ns();
            let now = SystemClock.now();
            let gap = monotonic_ns() - before;
            Offset { ns: now.wrapping_sub(before + gap / 2), error_ns: gap.div_ceil(2) }
        };
        (0..READINGS).map(reading).min_by_key(|offset| offset.error_ns).unwrap_or_default()
    }

    /// One that is known.
    pub const fn of(ns: u64, error_ns: u64) -> Offset {
        Offset { ns, error_ns }
    }

    /// A time of the host's clock as a steady one.
    pub fn steady_ns(&self, at_ns: u64) -> u64 {
        at_ns.wrapping_sub(self.ns)
    }

    /// How far it may be off.
    pub fn error_ns(&self) -> u64 {
        self.error_ns
    }

    /// How far another lies off this one: what the clock was set by in between.
    pub fn apart_ns(&self, other: &Offset) -> u64 {
        self.ns.abs_diff(other.ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::socket::{SocketOptions, accept_now, listen};
    use std::io::{Read, Write};
    use std::net::Ipv4Addr;

    /// One control message as the kernel lays it down, padding included.
    fn control(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (HEADER_BYTES + data.len()).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    fn stamps(seconds: u64, ns: u64) -> Vec<u8> {
        let times = [seconds, ns, 0, 0, 0, 0].map(u64::to_ne_bytes).concat();
        control(libc::SOL_SOCKET, libc::SCM_TIMESTAMPING, &times)
    }

    fn error(number: u32, origin: u8, point: u32, place: u32) -> Vec<u8> {
        let mut data = number.to_ne_bytes().to_vec();
        data.extend([origin, 0, 0, 0]);
        data.extend(point.to_ne_bytes());
        data.extend(place.to_ne_bytes());
        // The offender's address follows.
        data.extend([0; 16]);
        control(libc::IPPROTO_IP, libc::IP_RECVERR, &data)
    }

    const SENT: (u32, u8) = (libc::ENOMSG as u32, libc::SO_EE_ORIGIN_TIMESTAMPING);

    #[test]
    fn stamps_and_places_are_read_from_what_the_kernel_lays_down() {
        let both = [stamps(3, 7), error(SENT.0, SENT.1, 0, 63)].concat();
        assert_eq!(Notes::of(&both), Notes { at_ns: Some(3_000_000_007), last_byte: Some(63) });
        assert_eq!(Notes::of(&stamps(3, 7)).last_byte, None);
        assert_eq!(Notes::of(&stamps(0, 0)).at_ns, None, "no software stamp was taken");
        let odd = [error(SENT.0, 2, 0, 63), error(SENT.0, SENT.1, 1, 63), error(5, SENT.1, 0, 63)];
        assert!(odd.iter().all(|bytes| Notes::of(bytes).last_byte.is_none()), "an error, a point before, no stamp");
        assert_eq!(Notes::of(&[control(1, 2, &[9; 12]), stamps(1, 0)].concat()).at_ns, Some(1_000_000_000));
        assert_eq!(Notes::of(&stamps(u64::MAX, 7)).at_ns, None);
    }

    #[test]
    fn control_bytes_cut_anywhere_or_with_a_byte_changed_say_less_and_do_no_harm() {
        let good = [stamps(3, 7), error(SENT.0, SENT.1, 0, 63)].concat();
        for cut in 0..good.len() {
            let notes = Notes::of(&good[..cut]);
            assert!(notes.at_ns.is_none_or(|at| at == 3_000_000_007), "cut at {cut}");
            assert!(notes.last_byte.is_none_or(|place| place == 63), "cut at {cut}");
        }
        for at in 0..good.len() {
            for change in [0x01, 0x80, 0xFF] {
                let mut bad = good.clone();
                bad[at] ^= change;
                let _ = Notes::of(&bad);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_are_read_to_an_end(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = Notes::of(&bytes);
        }
    }

    fn pair() -> (TcpStream, TcpStream) {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), SocketOptions::default()).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nodelay(true).unwrap();
        let server = loop {
            if let Some(server) = accept_now(&listener).unwrap() {
                server.set_nonblocking(false).unwrap();
                break server;
            }
        };
        (client, server)
    }

    /// Asks until there is something, however busy the machine.
    fn wait<T>(mut ask: impl FnMut() -> Option<T>) -> T {
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            std::thread::yield_now();
        }
    }

    /// Trips until the kernel has begun to stamp what arrives: it does so a while after it was asked, on a thread of its own.
    const TRIPS_MAX: u32 = 100_000;

    #[test]
    fn a_message_there_and_back_is_stamped_in_order_and_by_its_place() {
        let (mut client, mut server) = pair();
        let mut buffer = [0; 100];
        client.write_all(&[1; 30]).unwrap();
        server.read_exact(&mut buffer[..30]).unwrap();
        server.write_all(&[2; 10]).unwrap();
        client.read_exact(&mut buffer[..10]).unwrap();
        if let Err(refused) = enable(&client) {
            return eprintln!("not checked: no stamps of the kernel here ({refused})");
        }
        let mut stamped = 0;
        for trip in 1..=TRIPS_MAX {
            // Not stamped, but counted.
            client.write_all(&[3; 14]).unwrap();
            let (offset, sent_ns) = (Offset::now(), monotonic_ns());
            assert_eq!(send_stamped(&client, &[4; 50]).unwrap(), 50);
            server.read_exact(&mut buffer[..64]).unwrap();
            server.write_all(&[5; 67]).unwrap();
            let (count, received) = wait(|| receive_stamped(&client, &mut buffer).ok());
            let read_ns = monotonic_ns();
            let mut sent = None;
            while let Some(stamp) = next_sent(&client).unwrap() {
                assert!((stamp.last_byte + 1).is_multiple_of(64) && stamp.last_byte < trip * 64, "{stamp:?}");
                sent = (stamp.last_byte == trip * 64 - 1).then_some(stamp);
            }
            assert_eq!(count, 67);
            let (Some(sent), Some(received)) = (sent, received) else { continue };
            let slack = offset.error_ns() + offset.apart_ns(&Offset::now()) + 1_000;
            let instants = [sent_ns, offset.steady_ns(sent.at_ns), offset.steady_ns(received), read_ns];
            assert!(instants.windows(2).all(|pair| pair[0] <= pair[1] + slack), "{instants:?} within {slack}");
            stamped += 1;
            if stamped == 3 {
                assert_eq!(next_sent(&client).unwrap(), None);
                let nothing = receive_stamped(&client, &mut buffer).unwrap_err();
                return assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
            }
        }
        eprintln!("not checked: the kernel here takes stamps' options and gives {stamped} stamps in {TRIPS_MAX} trips");
    }
}
