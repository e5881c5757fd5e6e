//! A ring of the kernel for one file at a time: some writes and the sync that makes them durable, in one system call.
//!
//! The writes and the `fdatasync` are linked: each begins when the one before it succeeded whole, and a write that
//! failed or fell short cancels the rest, so that a sync that was answered well covers all of them. The call waits
//! for the last answer; nothing is under way when it returns. Cold: for the thread that moves the journal to disk.
#![allow(unsafe_code)]

use io_uring::{IoUring, opcode, squeue, types};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Writes of one call at most.
pub const PIECES_MAX: usize = 7;
/// Entries of the ring: the writes and the sync. A power of two.
const ENTRIES: u32 = 8;
const _: () = assert!(PIECES_MAX < ENTRIES as usize, "the sync takes an entry, too");
/// What the kernel answers for a request whose forerunner in the link did not succeed.
const CANCELED: i32 = -libc::ECANCELED;

/// The ring.
pub struct FileRing {
    ring: IoUring,
}

impl FileRing {
    /// Makes it.
    /// # Errors
    /// What the system says where it does not allow the calls.
    pub fn new() -> io::Result<FileRing> {
        Ok(FileRing { ring: IoUring::new(ENTRIES)? })
    }

    /// Writes each piece at its offset and syncs the data of `file`. Gives the bytes written and synced: fewer than
    /// asked for when a write fell short, and then nothing is known to be synced.
    /// # Errors
    /// The first of the writes or the sync that the system refused.
    /// # Panics
    /// With more than [`PIECES_MAX`] pieces, or one above 2 GiB.
    pub fn write_synced(&mut self, file: &File, pieces: &[(u64, &[u8])]) -> io::Result<usize> {
        assert!(pieces.len() <= PIECES_MAX, "pieces of one call");
        let descriptor = types::Fd(file.as_raw_fd());
        for (index, (at, bytes)) in pieces.iter().enumerate() {
            let length = u32::try_from(bytes.len()).expect("a piece is below 4 GiB");
            let write = opcode::Write::new(descriptor, bytes.as_ptr(), length).offset(*at);
            self.push(&write.build().flags(squeue::Flags::IO_LINK).user_data(index as u64));
        }
        let sync = opcode::Fsync::new(descriptor).flags(types::FsyncFlags::DATASYNC);
        self.push(&sync.build().user_data(pieces.len() as u64));
        self.wait_for(pieces.len() + 1);
        self.answers(pieces)
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: the bytes and the descriptor are borrowed by `write_synced`, which returns (or aborts) only after
        // the kernel has answered every request, and so has let go of both. Test: `what_was_written_is_in_the_file`.
        let pushed = unsafe { self.ring.submission().push(entry) };
        pushed.expect("the ring has an entry for each piece and the sync, and all before were answered");
    }

    /// Returns when so many answers are there. A signal, or a kernel short of memory, only starts the wait anew.
    fn wait_for(&mut self, answers: usize) {
        while self.ring.completion().len() < answers {
            match self.ring.submit_and_wait(answers) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY)) => {
                    std::thread::yield_now();
                }
                Err(error) => {
                    // Requests may be under way that use the caller's memory: there is no way back from here.
                    eprintln!("pitlane: the ring of the journal's disk is broken: {error}");
                    std::process::abort();
                }
            }
        }
    }

    fn answers(&mut self, pieces: &[(u64, &[u8])]) -> io::Result<usize> {
        let mut results = [0i32; PIECES_MAX + 1];
        for answer in self.ring.completion() {
            results[answer.user_data() as usize] = answer.result();
        }
        let mut written = 0;
        for (result, (_, bytes)) in results.iter().zip(pieces) {
            if *result < 0 {
                return Err(io::Error::from_raw_os_error(-result));
            }
            written += *result as usize;
            if (*result as usize) < bytes.len() {
                return Ok(written);
            }
        }
        match results[pieces.len()] {
            0 => Ok(written),
            CANCELED => Err(io::Error::other("the sync was not begun")),
            refused => Err(io::Error::from_raw_os_error(-refused)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// `None`, with a line, where the system has no such ring for us.
    fn ring() -> Option<FileRing> {
        FileRing::new().inspect_err(|error| eprintln!("not checked: no io_uring here ({error})")).ok()
    }

    #[test]
    fn what_was_written_is_in_the_file() {
        let Some(mut ring) = ring() else { return };
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for round in 0..3u8 {
            let bytes = [round; 300];
            let pieces = [(0, &bytes[..10]), (100, &bytes[..])];
            assert_eq!(ring.write_synced(file.as_file(), &pieces).unwrap(), 310);
        }
        let mut found = Vec::new();
        file.read_to_end(&mut found).unwrap();
        assert_eq!((found.len(), found[9], found[10], found[399]), (400, 2, 0, 2));
    }

    #[test]
    fn a_refused_write_is_told_and_the_ring_goes_on() {
        let Some(mut ring) = ring() else { return };
        let file = tempfile::NamedTempFile::new().unwrap();
        let unwritable = File::open(file.path()).unwrap();
        let refused = ring.write_synced(&unwritable, &[(0, b"x"), (1, b"y")]).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EBADF));
        assert_eq!(ring.write_synced(file.as_file(), &[(0, b"xy")]).unwrap(), 2);
    }
}
