//! Order entry over shared memory: login over the venue's Unix socket, then a pair of rings.
//!
//! The socket carries the same Login Request and answer as TCP; with the acceptance come two descriptors, the
//! venue's half of the rings (mapped for reading) and ours. From then on a ring message is a SoupBinTCP packet
//! without its length: the type letter and the payload. The socket stays open as the sign of life of both sides and
//! is looked at now and then; there are no heartbeats. Sending and receiving are plain loads and stores.

use super::door::{Login, Packet};
use super::terms::Fault;
use crate::os::mapped::Mapped;
use crate::os::unix::{self, FILES_MAX};
use crate::runtime::shared_ring::{self, CLIENT_FILE, Half, MESSAGE_MAX, Refused, RingReader, RingWriter, VENUE_FILE};
use crate::wire::soup::{LoginAccepted, LoginRequest, ServerPacket};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const _: () =
    assert!(crate::wire::ouch::MESSAGE_MAX < MESSAGE_MAX, "a type letter and the message fit one ring message");

pub(super) struct Shared {
    socket: UnixStream,
    writer: RingWriter,
    reader: RingReader,
    incoming: [u8; MESSAGE_MAX],
    outgoing: [u8; MESSAGE_MAX],
}

impl Shared {
    /// Connects, logs in and maps the rings.
    pub fn connect(path: &Path, login: &Login<'_>, limit: Duration) -> Result<(Shared, LoginAccepted), Fault> {
        let mut socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(limit))?;
        socket.set_write_timeout(Some(limit))?;
        let mut request = [0; LoginRequest::BYTES_MAX];
        let length = login.request()?.encode(&mut request);
        socket.write_all(&request[..length])?;
        let mut files = [const { None }; FILES_MAX];
        let accepted = await_login(&mut socket, &mut files)?;
        let mut half = |index: usize, writable| match files[index].take() {
            Some(file) => map(file, writable).map_err(Fault::from),
            None => Err(Fault::Protocol),
        };
        let (venue, own) = (half(VENUE_FILE, false)?, half(CLIENT_FILE, true)?);
        socket.set_nonblocking(true)?;
        let (writer, reader) = shared_ring::ends(own, venue);
        let mut outgoing = [0; MESSAGE_MAX];
        outgoing[0] = b'U';
        Ok((Shared { socket, writer, reader, incoming: [0; MESSAGE_MAX], outgoing }, accepted))
    }

    /// Sends the message that `encode` lays down; gives its bytes, `None` while the ring is full.
    #[inline]
    pub fn try_send(&mut self, encode: impl FnOnce(&mut [u8]) -> usize) -> Result<Option<&[u8]>, Fault> {
        // The type letter `U` stands in front since the login.
        let length = encode(&mut self.outgoing[1..]);
        match self.writer.try_send(&self.outgoing[..=length]) {
            Ok(()) => Ok(Some(&self.outgoing[1..=length])),
            Err(Refused::Full) => Ok(None),
            Err(Refused::Length) => unreachable!("a message fits one ring message"),
            Err(Refused::Violation(violation)) => Err(Fault::Violation(violation)),
        }
    }

    /// The next message that came.
    #[inline]
    pub fn poll(&mut self) -> Result<Option<Packet<'_>>, Fault> {
        let Some(length) = self.reader.poll(&mut self.incoming)? else { return Ok(None) };
        let payload = &self.incoming[1..length];
        Ok(Some(match self.incoming[0] {
            b'S' => Packet::Sequenced(payload),
            b'Z' if payload.is_empty() => Packet::EndOfSession,
            b'H' | b'+' | b'U' => Packet::Other,
            _ => return Err(Fault::Protocol),
        }))
    }

    /// Looks whether the venue still holds the other end of the socket. One system call.
    pub fn look(&mut self) -> Result<(), Fault> {
        match self.socket.read(&mut [0; 16]) {
            Ok(0) => Err(Fault::Closed),
            // The venue has nothing more to say here; what it says is passed over.
            Ok(_) => Ok(()),
            Err(fault) if matches!(fault.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }

    pub fn logout(&mut self) {
        // The connection is given up either way.
        let _ = self.writer.try_send(b"O");
    }
}

/// Reads the venue's answer and the descriptors that come with it.
fn await_login(socket: &mut UnixStream, files: &mut [Option<OwnedFd>; FILES_MAX]) -> Result<LoginAccepted, Fault> {
    let mut answer = [0; 128];
    let mut end = 0;
    loop {
        let count = match unix::receive_with_files(socket, &mut answer[end..], files) {
            Ok(0) => return Err(Fault::Closed),
            Err(fault) if fault.kind() == ErrorKind::WouldBlock => return Err(Fault::Silent),
            // A signal, or the end of an io_uring this thread made: a read with a time limit is not taken up again by the
            // system.
            Err(fault) if fault.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        };
        end += count;
        match ServerPacket::next(&answer[..end])? {
            Some((ServerPacket::LoginAccepted(accepted), _)) => return Ok(accepted),
            Some((ServerPacket::LoginRejected(reason), _)) => return Err(Fault::Rejected(reason)),
            Some(_) => return Err(Fault::Protocol),
            None if end == answer.len() => return Err(Fault::Protocol),
            None => {}
        }
    }
}

/// Maps a half of the rings. Its size must be sealed: memory that shrinks later would end this process with SIGBUS.
fn map(file: OwnedFd, writable: bool) -> io::Result<Half> {
    let file = File::from(file);
    if !unix::is_fixed_in_size(&file) {
        return Err(io::Error::new(ErrorKind::InvalidData, "the venue's shared memory is not sealed"));
    }
    let bytes = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let memory = Mapped::from_file(&file, bytes, writable)?;
    memory.touch()?;
    Ok(Half::attach(Arc::new(memory))?)
}
