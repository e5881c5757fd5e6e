//! A client's connection: a TCP socket, or rings in shared memory behind a Unix socket. Both carry the same packets;
//! the rings' memory is mapped by the product's own code, what stands in it is read by ours.
//!
//! A venue that was killed leaves what it had sent: [`Line::poll`] gives all of it before it says that the other end
//! is gone.

use crate::wire;
use pitlane::os::mapped::Mapped;
use pitlane::os::unix::{FILES_MAX, receive_with_files};
use pitlane::runtime::shared_ring::{self, CLIENT_FILE, Half, MESSAGE_MAX, RingReader, RingWriter, VENUE_FILE};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a login may take; who gets here has hung.
const LOGIN_MAX: Duration = Duration::from_secs(60);
/// Bytes that wait to be sent; beyond that a request is not taken.
const WAITING_MAX: usize = 64 << 10;
/// How often a client says that it lives; the venue's patience is set far above.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Where a client connects.
#[derive(Clone, Debug)]
pub enum Place {
    Tcp(SocketAddr),
    Shared(PathBuf),
}

/// A connection that is logged in.
pub enum Line {
    Tcp { socket: TcpStream, inbox: Vec<u8>, outbox: Vec<u8>, spoke: Instant },
    Shared { socket: UnixStream, writer: Box<RingWriter>, reader: Box<RingReader> },
}

/// What came.
pub enum Polled {
    /// A packet's type and payload.
    Packet(u8, Vec<u8>),
    Nothing,
    /// The venue is gone, and nothing of it is left to read.
    Gone,
}

impl Line {
    /// Connects, logs in from message `next` on, and gives the number that the venue begins with.
    pub fn open(place: &Place, user: &str, next: u64) -> io::Result<(Line, u64)> {
        let request = wire::login(user, "SECRET", next);
        match place {
            Place::Tcp(address) => {
                let mut socket = TcpStream::connect(address)?;
                socket.set_read_timeout(Some(LOGIN_MAX))?;
                socket.set_nodelay(true)?;
                socket.write_all(&request)?;
                let (number, inbox) = logged_in(|bytes| socket.read(bytes))?;
                socket.set_nonblocking(true)?;
                Ok((Line::Tcp { socket, inbox, outbox: Vec::new(), spoke: Instant::now() }, number))
            }
            Place::Shared(path) => {
                let mut socket = UnixStream::connect(path)?;
                socket.set_read_timeout(Some(LOGIN_MAX))?;
                socket.write_all(&request)?;
                let mut files = [const { None }; FILES_MAX];
                let (number, _) = logged_in(|bytes| receive_with_files(&socket, bytes, &mut files))?;
                socket.set_nonblocking(true)?;
                let mut half = |index: usize, writable| half(files[index].take(), writable);
                let (venue, own) = (half(VENUE_FILE, false)?, half(CLIENT_FILE, true)?);
                let (writer, reader) = shared_ring::ends(own, venue);
                Ok((Line::Shared { socket, writer: Box::new(writer), reader: Box::new(reader) }, number))
            }
        }
    }

    /// Sends an OUCH message; false when there is no room, and then nothing was sent.
    pub fn send(&mut self, message: &[u8]) -> bool {
        match self {
            Line::Tcp { outbox, .. } if outbox.len() > WAITING_MAX => false,
            Line::Tcp { outbox, .. } => {
                outbox.extend(wire::packet(b'U', message));
                self.flush();
                true
            }
            Line::Shared { writer, .. } => writer.try_send(&[&b"U"[..], message].concat()).is_ok(),
        }
    }

    fn flush(&mut self) {
        let Line::Tcp { socket, outbox, spoke, .. } = self else { return };
        while !outbox.is_empty() {
            match socket.write(outbox) {
                Ok(count) => {
                    outbox.drain(..count);
                    *spoke = Instant::now();
                }
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => return,
                // Reading says when there is nothing more.
                Err(_) => outbox.clear(),
            }
        }
    }

    /// The next packet.
    pub fn poll(&mut self) -> Polled {
        self.flush();
        match self {
            Line::Tcp { socket, inbox, outbox, spoke } => {
                if spoke.elapsed() > HEARTBEAT {
                    outbox.extend(wire::packet(b'R', b""));
                }
                poll_tcp(socket, inbox)
            }
            Line::Shared { socket, reader, .. } => {
                // Asked before the ring is read: what a dead venue has sent is all there by then.
                let is_gone = matches!(socket.read(&mut [0; 16]), Ok(0))
                    || matches!(socket.read(&mut [0; 16]), Err(fault) if fault.kind() != ErrorKind::WouldBlock);
                let mut bytes = [0; MESSAGE_MAX];
                match reader.poll(&mut bytes).expect("the venue's ring is sound") {
                    Some(length) => Polled::Packet(bytes[0], bytes[1..length].to_vec()),
                    None if is_gone => Polled::Gone,
                    None => Polled::Nothing,
                }
            }
        }
    }
}

fn poll_tcp(socket: &mut TcpStream, inbox: &mut Vec<u8>) -> Polled {
    if let Some((kind, payload)) = wire::take_packet(inbox) {
        return Polled::Packet(kind, payload);
    }
    let mut bytes = [0; 16 << 10];
    match socket.read(&mut bytes) {
        Ok(0) => Polled::Gone,
        Ok(count) => {
            inbox.extend_from_slice(&bytes[..count]);
            wire::take_packet(inbox).map_or(Polled::Nothing, |(kind, payload)| Polled::Packet(kind, payload))
        }
        Err(fault) if matches!(fault.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Polled::Nothing,
        Err(_) => Polled::Gone,
    }
}

/// Reads until the login is answered; the number it says and the bytes behind the answer.
fn logged_in(mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<(u64, Vec<u8>)> {
    let (mut inbox, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        match wire::take_packet(&mut inbox) {
            Some((b'A', payload)) => return Ok((wire::accepted_number(&payload), inbox)),
            Some((b'J', payload)) => panic!("the login was rejected: {:?}", char::from(payload[0])),
            Some((b'+', _)) => {}
            Some((other, _)) => panic!("{:?} before the login is answered", char::from(other)),
            None => match read(&mut bytes) {
                Ok(0) => return Err(io::Error::from(ErrorKind::UnexpectedEof)),
                Ok(count) => inbox.extend_from_slice(&bytes[..count]),
                Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
                Err(fault) => return Err(fault),
            },
        }
    }
}

fn half(file: Option<OwnedFd>, writable: bool) -> io::Result<Half> {
    let file = File::from(file.expect("two descriptors come with the acceptance"));
    let bytes = file.metadata()?.len() as usize;
    Half::attach(Arc::new(Mapped::from_file(&file, bytes, writable)?)).map_err(io::Error::other)
}
