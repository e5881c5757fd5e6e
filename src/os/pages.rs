//! What the system lets us do about memory and wake-ups, and proof that we do it: huge pages, the limit on locked
//! memory, the page-fault counts of a thread, and the request that keeps cores out of deep sleep.
//!
//! Cold, at start and in checks. [`faults`] is a system call; tests of the quiet path take it before and after.

#![allow(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};

/// Where Linux shows its pools of huge pages.
pub const SYSFS_HUGE_PAGES: &str = "/sys/kernel/mm/hugepages";

/// The pool of one size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HugePages {
    /// Size of a page.
    pub page_bytes: u64,
    /// Pages reserved by the host.
    pub total: u64,
    /// Pages nobody uses.
    pub free: u64,
}

/// The pools below `root` ([`SYSFS_HUGE_PAGES`]), smallest page first. Empty where the kernel has none.
pub fn huge_pages(root: &Path) -> Vec<HugePages> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let pool = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let kilobytes: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        let count = |file: &str| fs::read_to_string(entry.path().join(file)).ok()?.trim().parse().ok();
        Some(HugePages { page_bytes: kilobytes * 1024, total: count("nr_hugepages")?, free: count("free_hugepages")? })
    };
    let mut pools: Vec<_> = entries.flatten().filter_map(pool).collect();
    pools.sort_unstable();
    pools
}

/// Most bytes this process may lock in memory; `None` for no limit.
/// # Errors
/// What the system says.
pub fn memlock_limit_bytes() -> io::Result<Option<u64>> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a live structure of the type the call fills.
    if unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur))
}

/// A file system: what it holds at most, what is left, and whether it lies in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// Size.
    pub total_bytes: u64,
    /// Left for this user.
    pub free_bytes: u64,
    /// tmpfs, ramfs or hugetlbfs: what it holds is gone with the power.
    pub in_memory: bool,
    /// Its kind, as people call it.
    pub kind: &'static str,
}

/// File systems by the number the kernel gives each (`statfs(2)`).
const FILE_SYSTEMS: [(i64, &str); 12] = [
    (0x0102_1994, "tmpfs"),
    (0x8584_58f6, "ramfs"),
    (0x9584_58f6, "hugetlbfs"),
    (0xef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x794c_7630, "overlayfs"),
    (0xf2f5_2010, "f2fs"),
    (0x2fc1_2fc1, "zfs"),
    (0x6969, "nfs"),
    (0x6573_5546, "fuse"),
    (0x0102_1997, "9p"),
];
/// How many of these lie in memory.
const IN_MEMORY: usize = 3;

/// A directory for files that shall be quick and outlive their process: in memory where so many bytes are free, else the
/// temporary one. Containers have 64 MiB there unless told otherwise.
pub fn memory_backed(bytes: u64) -> PathBuf {
    let shared = Path::new("/dev/shm");
    let fits = room(shared).is_ok_and(|room| room.free_bytes >= bytes);
    if fits { shared.to_owned() } else { std::env::temp_dir() }
}

/// The file system that `path` is on.
/// # Errors
/// What the system says.
pub fn room(path: &Path) -> io::Result<Room> {
    let file = File::open(path)?;
    // SAFETY: all zero is a valid value of this plain C structure.
    let mut about: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `about` is a live structure of the type the call fills.
    if unsafe { libc::fstatfs(file.as_raw_fd(), &mut about) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let block_bytes = about.f_bsize as u64;
    // The field's type and sign differ between architectures; 32 bits name a file system.
    let number = i64::from(about.f_type as u32);
    let known = FILE_SYSTEMS.iter().position(|(magic, _)| *magic == number);
    Ok(Room {
        total_bytes: about.f_blocks * block_bytes,
        free_bytes: about.f_bavail * block_bytes,
        in_memory: known.is_some_and(|index| index < IN_MEMORY),
        kind: known.map_or("a file system of unknown kind", |index| FILE_SYSTEMS[index].1),
    })
}

/// Page faults of the calling thread since it began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Faults {
    /// Served from memory.
    pub minor: u64,
    /// Served from disk.
    pub major: u64,
}

/// Private memory of this process that is resident, in bytes, so without mapped files; 0 where the system does not tell.
pub fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = |place| text.split_whitespace().nth(place).and_then(|word| word.parse().ok()).unwrap_or(0usize);
    pages(1).saturating_sub(pages(2)) * PAGE_BYTES
}

/// Pages that `statm` counts in; the smallest of this architecture.
const PAGE_BYTES: usize = 4_096;

/// Private memory below this size gains nothing from huge pages.
const COLLAPSE_BYTES_MIN: usize = 4 << 20;
/// Size of a huge page of this architecture.
pub const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Where Linux says whether private memory may lie on huge pages from its first touch on.
const SYSFS_TRANSPARENT: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// Whether memory that asks for huge pages before it is touched gets them. Asked of the system once.
pub fn gives_huge_pages() -> bool {
    static GIVES: AtomicU8 = AtomicU8::new(UNKNOWN);
    // Not a lock that allocates: the allocator asks, too. Relaxed: whoever asks twice gets the same answer.
    match GIVES.load(Ordering::Relaxed) {
        UNKNOWN => {
            let mut text = [0; 64];
            let read = File::open(SYSFS_TRANSPARENT).and_then(|mut file| file.read(&mut text)).unwrap_or(0);
            let gives = read > 0 && !text[..read].windows(NEVER.len()).any(|word| word == NEVER);
            GIVES.store(u8::from(gives), Ordering::Relaxed);
            gives
        }
        known => known == 1,
    }
}

const UNKNOWN: u8 = 2;
/// The choice in force stands in brackets.
const NEVER: &[u8] = b"[never]";

/// Puts the process' large private memory onto huge pages, now, as far as the system lets it; gives the bytes of all
/// private memory that lie on such pages then.
///
/// Books and order tables are reached at random, and each small page of them needs an entry in the address cache; at a
/// million open orders that is what an order waits for. The pages are moved at once and never later, so that no thread
/// meets a page in motion while trading: the regions are not marked for the kernel's background collapse. Most large memory
/// has huge pages from its first touch on ([`super::touched`], [`super::allocator`]); this is for the rest.
pub fn collapse_large_memory() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for (start, bytes) in maps.lines().filter_map(large_private) {
        // SAFETY: moves whole pages of this process' own anonymous memory; contents and addresses stay, so no reference
        // notices. Where the region changed meanwhile the call fails. Test: `collapsing_keeps_contents`.
        let _refused = unsafe { libc::madvise(start as *mut libc::c_void, bytes, libc::MADV_COLLAPSE) };
    }
    let sums = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    huge_bytes(&sums).unwrap_or(0)
}

/// Bytes of anonymous memory on huge pages, from the text of `/proc/self/smaps_rollup`.
fn huge_bytes(sums: &str) -> Option<usize> {
    let line = sums.lines().find_map(|line| line.strip_prefix("AnonHugePages:"))?;
    let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Start and size, in whole huge pages, of a large anonymous private region; from its line of `/proc/self/maps`.
fn large_private(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let is_private = words.next()? == "rw-p";
    let is_anonymous = words.nth(2)? == "0" && words.next().is_none_or(|name| name == "[heap]");
    let start = usize::from_str_radix(start, 16).ok()?.next_multiple_of(HUGE_PAGE_BYTES);
    let end = usize::from_str_radix(end, 16).ok()? / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    let bytes = end.checked_sub(start)?;
    (is_private && is_anonymous && bytes >= COLLAPSE_BYTES_MIN).then_some((start, bytes))
}

/// The calling thread's faults so far.
pub fn faults() -> Faults {
    let usage = thread_usage();
    Faults { minor: usage.ru_minflt as u64, major: usage.ru_majflt as u64 }
}

/// How often the calling thread gave up its core by waiting, and how often it was taken from it.
pub fn switches() -> (u64, u64) {
    let usage = thread_usage();
    (usage.ru_nvcsw as u64, usage.ru_nivcsw as u64)
}

fn thread_usage() -> libc::rusage {
    // SAFETY: all zero is a valid value of this plain C structure.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a live structure of the type the call fills.
    let result = unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) };
    assert_eq!(result, 0, "getrusage fails only for a wrong argument");
    usage
}

/// The device that takes latency requests.
pub const CPU_DMA_LATENCY: &str = "/dev/cpu_dma_latency";

/// Keeps all cores out of sleep states as long as it lives; the kernel forgets the request when the file closes, so
/// also when the process dies. The best single knob measured: a blocking wake-up falls from 27-37 to 8-9 us.
#[derive(Debug)]
pub struct AwakeCores {
    /// Held open: the request lasts as long as the file.
    _request: File,
}

impl AwakeCores {
    /// Asks for a wake-up latency of 0 at `device` ([`CPU_DMA_LATENCY`]).
    /// # Errors
    /// Mostly `PermissionDenied` or `NotFound`; the platform runs without, slower to wake.
    pub fn hold(device: &Path) -> io::Result<AwakeCores> {
        let mut request = OpenOptions::new().write(true).open(device)?;
        // The interface takes a binary 32-bit number of microseconds.
        request.write_all(&0i32.to_ne_bytes())?;
        Ok(AwakeCores { _request: request })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collapsing_keeps_contents() {
        let memory: Vec<u64> = (0..1 << 21).collect();
        let _as_far_as_allowed = collapse_large_memory();
        assert!(memory.iter().enumerate().all(|(index, &word)| index as u64 == word));
    }

    #[test]
    fn bytes_on_huge_pages_are_read_from_the_sums() {
        let text =
            "55d0-7ffc ---p 00000000 00:00 0 [rollup]\nRss:    2100 kB\nAnonHugePages:     2048 kB\nLocked: 0 kB\n";
        assert_eq!(huge_bytes(text), Some(2 << 20));
        assert_eq!((huge_bytes(""), huge_bytes("AnonHugePages: many kB\n")), (None, None));
    }

    #[test]
    fn only_large_private_memory_is_collapsed() {
        assert_eq!(
            large_private("7f0000001000-7f0001000000 rw-p 00000000 00:00 0 "),
            Some((0x7f00_0020_0000, 0xe0_0000))
        );
        assert_eq!(large_private("7f0000000000-7f0001000000 rw-s 00000000 00:01 7 /dev/shm/log"), None);
        assert_eq!(large_private("7f0000000000-7f0000010000 rw-p 00000000 00:00 0"), None);
        assert_eq!(large_private("7f0000000000-7f0001000000 rw-p 00000000 00:00 0 [stack]"), None);
        assert_eq!(large_private("nonsense"), None);
    }
    use crate::os::mapped::Mapped;

    #[test]
    fn pools_of_huge_pages_are_read_smallest_first() {
        let root = tempfile::tempdir().unwrap();
        for (name, total, free) in [("hugepages-1048576kB", "1\n", "0\n"), ("hugepages-2048kB", "64\n", "12\n")] {
            let pool = root.path().join(name);
            fs::create_dir(&pool).unwrap();
            fs::write(pool.join("nr_hugepages"), total).unwrap();
            fs::write(pool.join("free_hugepages"), free).unwrap();
        }
        fs::create_dir(root.path().join("something-else")).unwrap();
        let expected = [
            HugePages { page_bytes: 2 << 20, total: 64, free: 12 },
            HugePages { page_bytes: 1 << 30, total: 1, free: 0 },
        ];
        assert_eq!(huge_pages(root.path()), expected);
        assert_eq!(huge_pages(&root.path().join("absent")), []);
    }

    #[test]
    fn a_first_touch_counts_as_a_fault_and_a_touched_mapping_counts_none() {
        const PAGES: usize = 64;
        let memory = Mapped::anonymous(PAGES * 4096).unwrap();
        let store_all = || (0..PAGES).for_each(|page| memory.write(page * 4096, &[1]));
        let before = faults();
        store_all();
        let between = faults();
        store_all();
        assert!(between.minor > before.minor);
        assert_eq!(faults(), between);
    }

    #[test]
    fn the_latency_request_is_a_zero_of_four_bytes() {
        let device = tempfile::NamedTempFile::new().unwrap();
        let _held = AwakeCores::hold(device.path()).unwrap();
        assert_eq!(fs::read(device.path()).unwrap(), [0; 4]);
        assert!(AwakeCores::hold(Path::new("/nonexistent/device")).is_err());
    }

    #[test]
    fn the_room_of_a_file_system_is_told() {
        let room = room(Path::new("/")).unwrap();
        assert!(room.total_bytes >= room.free_bytes && room.total_bytes > 0);
        assert!(super::room(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn the_memlock_limit_is_known() {
        assert!(memlock_limit_bytes().is_ok());
    }
}
