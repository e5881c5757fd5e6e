//! The floor under shared-memory order entry: what a message costs to another process and back when nothing is done
//! with it. No order can be answered faster over these rings on this machine; so it stands beside the product's own
//! figure, measured in the same run.
//!
//! The answer can be made longer than the message, as an Accepted is longer than its order.
//!
//! The other process is a copy of the calling program: it must call [`echo_if_asked`] first thing in `main`. Both
//! sides spin, so each needs a core of its own; on one core the figure is the scheduler's, and only the yield after
//! [`POLLS_BEFORE_YIELD`] keeps that from being a time slice each way.

use crate::os::mapped::Mapped;
use crate::os::unix;
use crate::runtime::shared_ring::{self, Half, MESSAGE_MAX, Refused, RingReader, RingWriter};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Instant;

/// Environment variable that tells the copy where the memory is, `pid:descriptor:descriptor` of its parent, and by how
/// many bytes each answer is longer than its message.
pub const ASK: &str = "PITLANE_RING_ECHO";
/// Slots of the floor's rings: as many as a client's ring has by default.
const SLOTS: usize = 1024;
/// Empty polls before the core is offered to others: some 20 us, far above a trip that is not disturbed.
const POLLS_BEFORE_YIELD: u32 = 1 << 12;
/// Polls between two looks at whether the other process is still there.
const POLLS_PER_LOOK: u32 = 1 << 16;

/// The other side of the measurement: if this process was started for it, echoes until its parent is gone, and
/// returns `true`; the caller then leaves.
///
/// # Errors
/// What opening or mapping the parent's memory said.
pub fn echo_if_asked() -> io::Result<bool> {
    let Ok(ask) = std::env::var(ASK) else { return Ok(false) };
    let mut parts = ask.split(':');
    let mut next = || parts.next().ok_or_else(|| io::Error::other("the echo's environment is incomplete"));
    let (parent, from_parent, from_echo) = (next()?, next()?, next()?);
    let more = next()?.parse().map_err(io::Error::other)?;
    let open = |descriptor: &str| {
        let path = PathBuf::from(format!("/proc/{parent}/fd/{descriptor}"));
        Ok::<_, io::Error>(Half::attach(Arc::new(Mapped::open(&path, true)?))?)
    };
    let (writer, reader) = shared_ring::ends(open(from_echo)?, open(from_parent)?);
    echo(writer, reader, more, Path::new(&format!("/proc/{parent}")));
    Ok(true)
}

fn echo(mut writer: RingWriter, mut reader: RingReader, more: usize, parent: &Path) {
    let mut message = [0; MESSAGE_MAX];
    let mut idle = 0u32;
    // Bytes of an answer that waits for room: who sends many at once may not have read the last ones.
    let mut unsent = 0;
    while !idle.is_multiple_of(POLLS_PER_LOOK) || parent.exists() {
        idle = idle.wrapping_add(1);
        if unsent == 0 {
            match reader.poll(&mut message) {
                Ok(Some(length)) => unsent = MESSAGE_MAX.min(length + more),
                Ok(None) => {
                    wait(idle);
                    continue;
                }
                // Its memory is broken.
                Err(_) => return,
            }
        }
        match writer.try_send(&message[..unsent]) {
            Ok(()) => (idle, unsent) = (1, 0),
            Err(Refused::Full) => wait(idle),
            Err(Refused::Length | Refused::Violation(_)) => return,
        }
    }
}

fn wait(idle: u32) {
    if idle % POLLS_BEFORE_YIELD == POLLS_BEFORE_YIELD - 1 { std::thread::yield_now() } else { std::hint::spin_loop() }
}

/// A running measurement: the copy echoes until this is dropped.
pub struct Floor {
    writer: RingWriter,
    reader: RingReader,
    echo: Child,
    answer: [u8; MESSAGE_MAX],
    answer_bytes: usize,
    // The copy opens these through /proc, so that they must stay open until it has.
    _files: [File; 2],
}

impl Floor {
    /// Starts the copy of this program and waits until it echoes. `command` is the program with the arguments that
    /// lead to [`echo_if_asked`].
    ///
    /// # Errors
    /// What making the memory or starting the program said; `BrokenPipe` when it ended at once.
    pub fn start(command: Command) -> io::Result<Floor> {
        Floor::start_longer(command, 0)
    }

    /// As [`Floor::start`], with answers that are `more` bytes longer than their messages.
    ///
    /// # Errors
    /// As [`Floor::start`].
    pub fn start_longer(mut command: Command, more: usize) -> io::Result<Floor> {
        let (own, own_file) = half(c"pitlane-floor-there")?;
        let (other, other_file) = half(c"pitlane-floor-back")?;
        let ask = format!("{}:{}:{}:{more}", std::process::id(), own_file.as_raw_fd(), other_file.as_raw_fd());
        let echo = command.env(ASK, ask).spawn()?;
        let (writer, reader) = shared_ring::ends(own, other);
        let mut floor =
            Floor { writer, reader, echo, answer: [0; MESSAGE_MAX], answer_bytes: 0, _files: [own_file, other_file] };
        floor.round_trip(&[0; 8])?;
        Ok(floor)
    }

    /// One message there and back, in nanoseconds.
    ///
    /// # Errors
    /// `BrokenPipe` when the other process has ended or the ring is broken.
    pub fn round_trip(&mut self, message: &[u8]) -> io::Result<u64> {
        let mut idle = 0u32;
        let start = Instant::now();
        self.writer.try_send(message).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        loop {
            match self.reader.poll(&mut self.answer) {
                Ok(Some(length)) => {
                    self.answer_bytes = length;
                    return Ok(start.elapsed().as_nanos() as u64);
                }
                Ok(None) => wait(idle),
                Err(violation) => return Err(io::Error::other(violation)),
            }
            idle = idle.wrapping_add(1);
            if idle.is_multiple_of(POLLS_PER_LOOK) && self.echo.try_wait()?.is_some() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
    }

    /// Sends a message without waiting for its answer; false while the ring is full.
    ///
    /// # Errors
    /// `BrokenPipe` when the ring is broken.
    #[inline]
    pub fn try_send(&mut self, message: &[u8]) -> io::Result<bool> {
        match self.writer.try_send(message) {
            Ok(()) => Ok(true),
            Err(Refused::Full) => Ok(false),
            Err(Refused::Length | Refused::Violation(_)) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Takes the next answer in, if it is there.
    ///
    /// # Errors
    /// What is wrong with the ring.
    #[inline]
    pub fn try_receive(&mut self) -> io::Result<bool> {
        let length = self.reader.poll(&mut self.answer).map_err(io::Error::other)?;
        self.answer_bytes = length.unwrap_or(self.answer_bytes);
        Ok(length.is_some())
    }

    /// The other process.
    pub fn echo_id(&self) -> u32 {
        self.echo.id()
    }

    /// What came back last.
    pub fn answer(&self) -> &[u8] {
        &self.answer[..self.answer_bytes]
    }

    /// Ends the other process.
    pub fn end_echo(&mut self) {
        // It may be gone already; then there is nothing to end.
        let _ = self.echo.kill();
        let _ = self.echo.wait();
    }

    /// `count` round trips of a message of `bytes`, after as many again unmeasured as a tenth of that.
    ///
    /// # Errors
    /// As [`Floor::round_trip`].
    pub fn round_trips(&mut self, bytes: usize, count: usize) -> io::Result<Vec<u64>> {
        let message = vec![0x5A; bytes];
        for _ in 0..count / 10 {
            self.round_trip(&message)?;
        }
        (0..count).map(|_| self.round_trip(&message)).collect()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.end_echo();
    }
}

fn half(name: &std::ffi::CStr) -> io::Result<(Half, File)> {
    let bytes = Half::bytes(SLOTS);
    let file = unix::memory_file(name, bytes)?;
    let memory = Mapped::from_file(&file, bytes, true)?;
    memory.touch()?;
    Ok((Half::format(Arc::new(memory))?, file))
}
