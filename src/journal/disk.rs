//! The seam between the journal and the disk: every file below the segments' directory is made, written, synced, named and
//! taken away through it, so that tests put a slow, a full or a failing disk there, and a simulator one that loses power.
//!
//! Cold; each thread has a handle of its own ([`Disk::another`]): the persister, the shadow, and whoever starts or stops the
//! venue. [`SystemDisk`] writes and syncs a group of records through a ring of the kernel where it is allowed (one system
//! call a group) and with `pwrite` and `fdatasync` where it is not. The verbs that only cold threads use are the system's
//! own unless somebody says otherwise. Reading is nobody's business here: files are read as they are.

use crate::os::file_ring::FileRing;
use crate::os::mapped;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Owner may read and write, nobody else.
const FILE_MODE: u32 = 0o600;

/// What the journal asks of a disk.
pub trait Disk: Send {
    /// Takes the blocks of a new file now.
    /// # Errors
    /// `StorageFull`, or what the system says.
    fn allocate(&mut self, file: &File, bytes: usize) -> io::Result<()>;

    /// Writes each piece at its offset and makes all of them durable, in a file that does not grow by it. Gives the bytes
    /// written; when they are fewer than asked for, nothing is known to be durable.
    /// # Errors
    /// What the system says.
    fn write_synced(&mut self, file: &File, pieces: &[(u64, &[u8])]) -> io::Result<usize>;

    /// How it writes, for the message at start.
    fn describe(&self) -> &'static str;

    /// The same disk for another thread; of a disk that only minds the segments, the system's.
    fn another(&self) -> Box<dyn Disk> {
        Box::new(SystemDisk::plain())
    }

    /// An empty file with this name, for reading and writing. What was there is cut to nothing. The name is not durable.
    /// # Errors
    /// What the system says.
    fn create(&mut self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(FILE_MODE).open(path)
    }

    /// A directory with this name, which may be there. The name is not durable.
    /// # Errors
    /// What the system says.
    fn make_directory(&mut self, path: &Path) -> io::Result<()> {
        match std::fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            other => other,
        }
    }

    /// Writes all of it at its offset; nothing is durable.
    /// # Errors
    /// What the system says; a part may be written then.
    fn write(&mut self, file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
        file.write_all_at(bytes, at)
    }

    /// Cuts a file to its first bytes; that is not durable.
    /// # Errors
    /// What the system says.
    fn cut(&mut self, file: &File, bytes: u64) -> io::Result<()> {
        file.set_len(bytes)
    }

    /// Makes content and length of a file durable.
    /// # Errors
    /// What the system says. What was to be written may be lost then, whatever a later sync says.
    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    /// Gives a file another name in its directory, over one that has it. The name is not durable.
    /// # Errors
    /// What the system says.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    /// Takes a file away; that is not durable.
    /// # Errors
    /// What the system says.
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    /// Makes the names in a directory durable, also those that an earlier process gave.
    /// # Errors
    /// What the system says.
    fn sync_names(&mut self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }

    /// Gives a file whose content is durable the name it is found by, which nobody has, and makes that durable.
    /// # Errors
    /// What the system says.
    fn publish(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        // The directory's lock is ours, so that nobody makes the name between the look and the renaming.
        if to.exists() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        self.rename(from, to)?;
        self.sync_names(home(to))
    }
}

/// The directory that a file is in.
pub(super) fn home(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file that is there, for writing through a [`Disk`].
/// # Errors
/// What the system says.
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
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

    fn describe(&self) -> &'static str {
        match self.ring {
            Some(_) => "io_uring, each group's writes linked to its fdatasync",
            None => "pwrite and fdatasync, io_uring is not allowed",
        }
    }
}

/// Bytes written between two syncs of a large file: some ten milliseconds of a disk.
const SLICE_BYTES: usize = 4 << 20;

/// A new file that is written from its beginning, in slices that are synced one by one, so that the disk's other user, the
/// persister, never waits behind all of it.
pub(super) struct Sliced<'a> {
    disk: &'a mut dyn Disk,
    file: File,
    at: u64,
    unsynced: usize,
}

impl<'a> Sliced<'a> {
    pub fn create(path: &Path, disk: &'a mut dyn Disk) -> io::Result<Sliced<'a>> {
        let file = disk.create(path)?;
        Ok(Sliced { disk, file, at: 0, unsynced: 0 })
    }

    /// Makes all of it durable; gives its bytes.
    pub fn finish(self) -> io::Result<u64> {
        self.disk.sync(&self.file)?;
        Ok(self.at)
    }
}

impl io::Write for Sliced<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let slice = &bytes[..bytes.len().min(SLICE_BYTES - self.unsynced)];
        self.disk.write(&self.file, self.at, slice)?;
        self.at += slice.len() as u64;
        self.unsynced += slice.len();
        if self.unsynced == SLICE_BYTES {
            self.disk.sync(&self.file)?;
            self.unsynced = 0;
        }
        Ok(slice.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
