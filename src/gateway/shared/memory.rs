//! The memory of one client's rings: two memfds, mapped and touched here, sealed before anybody else sees them.

use crate::os::mapped::Mapped;
use crate::os::unix::{self, Seal};
use crate::runtime::shared_ring::{CLIENT_FILE, Half, VENUE_FILE};
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::sync::Arc;

const _: () = assert!(VENUE_FILE == 0 && CLIENT_FILE == 1, "the order of `Memory::files`");

/// Memory that nobody has mapped but us, and its descriptors to hand over.
pub(super) struct Memory {
    /// What the venue writes.
    pub venue: Half,
    /// What the client writes.
    pub client: Half,
    /// The venue's half and the client's, in the order in which they are handed over.
    pub files: [File; 2],
}

impl Memory {
    /// Fresh memory for rings of `slots`.
    pub fn new(slots: usize) -> io::Result<Memory> {
        let (venue, venue_file) = half(c"pitlane-venue", slots, Seal::MakerWrites)?;
        let (client, client_file) = half(c"pitlane-client", slots, Seal::BothWrite)?;
        Ok(Memory { venue, client, files: [venue_file, client_file] })
    }
}

fn half(name: &CStr, slots: usize, seal: Seal) -> io::Result<(Half, File)> {
    let bytes = Half::bytes(slots);
    let file = unix::memory_file(name, bytes)?;
    // Mapped before it is sealed: the seal against writing spares only mappings that exist.
    let memory = Mapped::from_file(&file, bytes, true)?;
    memory.touch()?;
    unix::seal(&file, seal)?;
    Ok((Half::format(Arc::new(memory))?, file))
}
