//! SIGBUS: a page of a mapped file is not there any more. Somebody cut the file short, its file system is full where it
//! promised blocks, or its disk failed. Whatever the thread was storing is lost, so the process ends there and then, with
//! a code of its own, after it has said which file it was.
//!
//! The handler runs in the middle of any instruction of any thread: it allocates nothing, takes no lock and calls only
//! what signal-safety(7) allows (`open`, `read`, `write`, `_exit`). Which file an address belongs to it reads from
//! `/proc/self/maps`, which the kernel keeps, so that no list of mappings has to be kept in step.

#![allow(unsafe_code)]

use std::io;

/// Exit code of a process that lost mapped memory.
pub const EXIT_CODE: u8 = 5;
/// Longest name of a file that is told.
const NAME_BYTES_MAX: usize = 512;
/// Bytes of the maps read at once; on the stack of a thread that may have little.
const READ_BYTES: usize = 1_024;

/// From now on SIGBUS ends this process with [`EXIT_CODE`] and a line that says why.
///
/// # Errors
/// What the system says.
pub fn watch() -> io::Result<()> {
    // SAFETY: all bytes zero is a valid `sigaction`: no flags, an empty mask, the default action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_lost as extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: `action` is whole, and its handler lives as long as the process and does only what a handler may. Test:
    // `a_file_cut_short_under_the_venue_ends_it_with_code_5_and_its_name`.
    let done = unsafe { libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

extern "C" fn on_lost(_signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel hands a valid `siginfo_t` to the handler.
    let info = unsafe { &*info };
    // SAFETY: of a SIGBUS that the kernel raises the address is a member that is set; of one that somebody sent it is a
    // number without a meaning, and is only compared and printed.
    let address = unsafe { info.si_addr() } as usize;
    say(b"pitlane: SIGBUS at 0x");
    say(&hexadecimal(address));
    say(b" in ");
    let mut scan = Scan::new(address);
    read_maps(&mut scan);
    say(scan.name());
    say(b": mapped memory is gone; the file was cut short, or its file system is full or failed. Nothing more is done.\n");
    // SAFETY: ends the process without running anything of it.
    unsafe { libc::_exit(EXIT_CODE.into()) }
}

fn say(text: &[u8]) {
    // SAFETY: the bytes are valid for their length. What cannot be said is left unsaid.
    let _unheard = unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}

fn hexadecimal(value: usize) -> [u8; 16] {
    let mut digits = [0; 16];
    for (at, digit) in digits.iter_mut().enumerate() {
        let nibble = (value >> (60 - 4 * at) & 15) as u8;
        *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    }
    digits
}

fn read_maps(scan: &mut Scan) {
    // SAFETY: the path ends with a zero byte.
    let file = unsafe { libc::open(c"/proc/self/maps".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if file < 0 {
        return;
    }
    let mut bytes = [0u8; READ_BYTES];
    // Ends: each line of the maps is read once.
    loop {
        // SAFETY: `bytes` takes as many bytes as are asked for.
        let count = unsafe { libc::read(file, bytes.as_mut_ptr().cast(), bytes.len()) };
        let Ok(count @ 1..) = usize::try_from(count) else { return };
        for &byte in bytes.iter().take(count) {
            if scan.is_found(byte) {
                return;
            }
        }
    }
}

/// Looks through the bytes of `/proc/self/maps` for the line of an address. No step of it can panic.
struct Scan {
    address: usize,
    /// Fields of the line that are over.
    field: usize,
    start: usize,
    end: usize,
    is_end: bool,
    name: [u8; NAME_BYTES_MAX],
    name_bytes: usize,
    found: bool,
}

impl Scan {
    fn new(address: usize) -> Scan {
        let name = [0; NAME_BYTES_MAX];
        Scan { address, field: 0, start: 0, end: 0, is_end: false, name, name_bytes: 0, found: false }
    }

    /// Takes the next byte; true at the end of the line that was looked for. A line is
    /// `start-end perms offset device inode   name`, the first two hexadecimal (`proc_pid_maps(5)`).
    fn is_found(&mut self, byte: u8) -> bool {
        match (byte, self.field) {
            (b'\n', _) => {
                self.found = (self.start..self.end).contains(&self.address);
                if !self.found {
                    *self = Scan { address: self.address, ..Scan::new(self.address) };
                }
                return self.found;
            }
            (b' ', 0..5) => self.field += 1,
            (b' ', 5) if self.name_bytes == 0 => {}
            (b'-', 0) => self.is_end = true,
            (_, 0) => {
                let digit = (byte as char).to_digit(16).unwrap_or(0) as usize;
                let number = if self.is_end { &mut self.end } else { &mut self.start };
                *number = *number << 4 | digit;
            }
            (_, 5..) => {
                if let Some(place) = self.name.get_mut(self.name_bytes) {
                    *place = byte;
                    self.name_bytes += 1;
                }
            }
            _ => {}
        }
        false
    }

    fn name(&self) -> &[u8] {
        let name = self.name.get(..self.name_bytes).unwrap_or_default();
        if self.found && !name.is_empty() { name } else { b"memory of no file" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
559a00000000-559a00001000 r--p 00000000 08:01 131 /usr/bin/pitlane
7f0000000000-7f0000010000 rw-p 00000000 00:00 0 
7f0000020000-7f0000030000 rw-s 00001000 00:1b 77 /dev/shm/a venue/log (deleted)
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    fn name_at(address: usize) -> String {
        let mut scan = Scan::new(address);
        let _found = MAPS.bytes().any(|byte| scan.is_found(byte));
        String::from_utf8_lossy(scan.name()).into_owned()
    }

    #[test]
    fn the_file_of_an_address_is_found_by_its_line() {
        assert_eq!(name_at(0x559a_0000_0fff), "/usr/bin/pitlane");
        assert_eq!(name_at(0x7f00_0002_0000), "/dev/shm/a venue/log (deleted)");
        assert_eq!(name_at(0xffff_ffff_ff60_0fff), "[vsyscall]");
        for address in [0, 0x7f00_0000_0000, 0x7f00_0003_0000, usize::MAX] {
            assert_eq!(name_at(address), "memory of no file", "{address:#x}");
        }
        assert_eq!(&hexadecimal(0x7f00_0002_00ab), b"00007f00000200ab");
    }

    #[test]
    fn a_name_too_long_is_cut_and_no_bytes_are_a_fault() {
        let mut scan = Scan::new(1);
        let line = format!("0-2 a b c d {}\n", "x".repeat(3 * NAME_BYTES_MAX));
        assert!(line.bytes().any(|byte| scan.is_found(byte)));
        assert_eq!(scan.name().len(), NAME_BYTES_MAX);
        let mut scan = Scan::new(1);
        for byte in (0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8) {
            let _ = scan.is_found(byte);
        }
    }

    #[test]
    fn the_running_process_finds_its_own_text() {
        let mut scan = Scan::new(watch as *const () as usize);
        read_maps(&mut scan);
        let own = std::env::current_exe().unwrap();
        assert_eq!(scan.name(), own.to_str().unwrap().as_bytes());
    }
}
