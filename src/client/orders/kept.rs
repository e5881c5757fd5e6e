//! What a session keeps of the numbered stream it received, to be compared with what the venue holds.
//!
//! The bytes are those of SoupBinTCP Sequenced Data packets, whatever carried them: so a session over shared memory
//! and one over TCP keep the same, and a session that read the whole day keeps what the venue's stream store holds,
//! byte for byte, across reconnects. Off by default; the digest costs some ten nanoseconds a message.

use crate::wire::soup::sequenced_header;

/// How much of the received stream is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Keep {
    /// Nothing.
    #[default]
    Nothing,
    /// Length and checksum.
    Digest,
    /// And every byte, with room for so many from the start; more are taken from the heap, so this is for tests.
    Bytes(usize),
}

/// What was kept.
pub(super) struct Kept {
    keep: Keep,
    length: u64,
    checksum: u32,
    bytes: Vec<u8>,
}

impl Kept {
    pub fn new(keep: Keep) -> Kept {
        let room = if let Keep::Bytes(room) = keep { room } else { 0 };
        Kept { keep, length: 0, checksum: 0, bytes: Vec::with_capacity(room) }
    }

    #[inline]
    pub fn on_message(&mut self, message: &[u8]) {
        if self.keep != Keep::Nothing {
            self.take(message);
        }
    }

    fn take(&mut self, message: &[u8]) {
        let header = sequenced_header(message.len());
        self.length += (header.len() + message.len()) as u64;
        self.checksum = crc32c::crc32c_append(crc32c::crc32c_append(self.checksum, &header), message);
        if let Keep::Bytes(_) = self.keep {
            self.bytes.extend_from_slice(&header);
            self.bytes.extend_from_slice(message);
        }
    }

    /// Length (upper half, modulo 2^32) and CRC32C, as the venue's stream store makes it.
    pub fn digest(&self) -> u64 {
        self.length << 32 | u64::from(self.checksum)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
