//! The seam between the persister and the disk: three verbs, so that tests put a slow, a full or a failing disk there.
//!
//! Cold; the persister's thread alone. [`SystemDisk`] writes and syncs through a ring of the kernel where it is
//! allowed (one system call a group) and with `pwrite` and `fdatasync` where it is not.

use crate::os::file_ring::FileRing;
use crate::os::mapped;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What the persister asks of a disk.
pub trait Disk: Send {
    /// Takes the blocks of a new file now.
    /// # Errors
    /// `StorageFull`, or what the system says.
    fn allocate(&mut self, file: &File, bytes: usize) -> io::Result<()>;

    /// Writes each piece at its offset and makes all of them durable. Gives the bytes written; when they are fewer
    /// than asked for, nothing is known to be durable.
    /// # Errors
    /// What the system says.
    fn write_synced(&mut self, file: &File, pieces: &[(u64, &[u8])]) -> io::Result<usize>;

    /// Gives a file whose content is durable the name it is found by, and makes that durable.
    /// # Errors
    /// What the system says.
    fn publish(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable: an earlier process may have died, or failed, between giving one and that.
    /// # Errors
    /// What the system says.
    fn sync_names(&mut self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }

    /// How it writes, for the message at start.
    fn describe(&self) -> &'static str;
}

/// The real one.
pub struct SystemDisk {
    ring: Option<FileRing>,
}

impl SystemDisk {
    /// Through io_uring if it is allowed.
    pub fn new() -> SystemDisk {
        SystemDisk { ring: FileRing::new().ok() }
    }

    /// Without io_uring.
    pub fn plain() -> SystemDisk {
        SystemDisk { ring: None }
    }
}

impl Default for SystemDisk {
    fn default() -> SystemDisk {
        SystemDisk::new()
    }
}

impl Disk for SystemDisk {
    fn allocate(&mut self, file: &File, bytes: usize) -> io::Result<()> {
        mapped::allocate(file, bytes)
    }

    fn write_synced(&mut self, file: &File, pieces: &[(u64, &[u8])]) -> io::Result<usize> {
        if let Some(ring) = &mut self.ring {
            return ring.write_synced(file, pieces);
        }
        for (at, bytes) in pieces {
            file.write_all_at(bytes, *at)?;
        }
        file.sync_data()?;
        Ok(pieces.iter().map(|(_, bytes)| bytes.len()).sum())
    }

    fn publish(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        // The directory's lock is ours, so that nobody makes the name between the look and the renaming.
        if to.exists() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        std::fs::rename(from, to)?;
        let directory = to.parent().unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    }

    fn describe(&self) -> &'static str {
        match self.ring {
            Some(_) => "io_uring, each group's writes linked to its fdatasync",
            None => "pwrite and fdatasync, io_uring is not allowed",
        }
    }
}
