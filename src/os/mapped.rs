//! Temporary.
#![allow(unsafe_code, missing_docs)]
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU64;

pub struct Mapped {
    map: memmap2::MmapRaw,
}

impl Mapped {
    pub fn open(path: &Path, writable: bool) -> io::Result<Mapped> {
        let file = OpenOptions::new().read(true).write(writable).open(path)?;
        let bytes = file.metadata()?.len() as usize;
        Mapped::from_file(&file, bytes, writable)
    }
    pub fn anonymous(bytes: usize) -> io::Result<Mapped> {
        let file = tempfile_like(bytes)?;
        Mapped::from_file(&file, bytes, true)
    }
    pub fn from_file(file: &File, bytes: usize, writable: bool) -> io::Result<Mapped> {
        let mut o = memmap2::MmapOptions::new();
        o.len(bytes);
        let map = if writable { o.map_raw(file)? } else { o.map_raw_read_only(file)? };
        Ok(Mapped { map })
    }
    pub fn len(&self) -> usize {
        self.map.len()
    }
    pub fn touch(&self) -> io::Result<()> {
        Ok(())
    }
    #[inline]
    pub fn atomic_u64(&self, at: usize) -> &AtomicU64 {
        assert!(at % 8 == 0 && at + 8 <= self.len());
        let p = self.map.as_mut_ptr().wrapping_add(at).cast::<u64>();
        // SAFETY: temporary
        unsafe { AtomicU64::from_ptr(p) }
    }
    #[inline]
    pub fn line(&self, at: usize) -> &[AtomicU64; 8] {
        assert!(at % 64 == 0 && at + 64 <= self.len());
        let p = self.map.as_mut_ptr().wrapping_add(at).cast::<[AtomicU64; 8]>();
        // SAFETY: temporary
        unsafe { &*p }
    }
}

fn tempfile_like(bytes: usize) -> io::Result<File> {
    use std::os::fd::FromRawFd;
    // SAFETY: temporary
    let fd = unsafe { libc::memfd_create(c"t".as_ptr(), 0) };
    // SAFETY: temporary
    let f = unsafe { File::from_raw_fd(fd) };
    f.set_len(bytes as u64)?;
    Ok(f)
}
