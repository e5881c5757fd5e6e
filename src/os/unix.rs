//! Unix sockets and sealed memory: how another process of the same machine is let in.
//!
//! The socket tells who the peer is (kernel's word, not the peer's), carries the login, and hands over file
//! descriptors; the memory behind those is a memfd whose seals the kernel enforces against whoever holds it. Cold:
//! called when a client connects, never for a message. What the memory holds is left to `runtime::shared_ring`.
//!
//! Seals by direction. Memory that only its maker writes: [`Seal::MakerWrites`], applied after the maker has mapped
//! it, which that mapping survives; the peer can then map it for reading only, and can neither shrink it (a shrunk
//! file would kill the reader with SIGBUS), grow it, punch holes, nor change the seals. Memory that the peer writes:
//! [`Seal::BothWrite`], the same but for writing; a hole punched there reads as zeros, which a reader of hostile
//! memory must bear anyway.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::ptr;

/// Most descriptors in one message.
pub const FILES_MAX: usize = 4;

/// Bytes of the control message that carries [`FILES_MAX`] descriptors, a multiple of its alignment.
// SAFETY: CMSG_SPACE computes a size from its argument and touches no memory.
const CONTROL_BYTES: usize = unsafe { libc::CMSG_SPACE((FILES_MAX * size_of::<RawFd>()) as u32) } as usize;
const _: () = assert!(CONTROL_BYTES.is_multiple_of(size_of::<u64>()), "the control buffer is made of words");

/// Who is at the other end of a socket, as the kernel recorded it when the connection was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Process.
    pub pid: i32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What a memfd is sealed against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seal {
    /// Any change of size, and any writing but through mappings that exist already.
    MakerWrites,
    /// Any change of size.
    BothWrite,
}

impl Seal {
    fn bits(self) -> libc::c_int {
        let size = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        match self {
            Seal::MakerWrites => size | libc::F_SEAL_FUTURE_WRITE,
            Seal::BothWrite => size,
        }
    }
}

/// Listens at `path`, non-blocking, the socket file with permission bits `mode`. A socket file that nobody listens
/// on (left by a killed process) is removed first; one that answers is not.
///
/// # Errors
/// `AddrInUse` when another process listens there; else what the system said.
pub fn listen(path: &Path, mode: u32) -> io::Result<UnixListener> {
    match UnixStream::connect(path) {
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on this socket")),
        Err(fault) if fault.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Takes one waiting connection, itself non-blocking; `None` when nobody waits.
///
/// # Errors
/// What accept said, for example no descriptors left.
pub fn accept(listener: &UnixListener) -> io::Result<Option<UnixStream>> {
    match listener.accept() {
        Ok((stream, _)) => {
            stream.set_nonblocking(true)?;
            Ok(Some(stream))
        }
        Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => Ok(None),
        // The client gave up while it waited.
        Err(fault) if fault.kind() == io::ErrorKind::ConnectionAborted => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// The peer's identity (SO_PEERCRED).
///
/// # Errors
/// What getsockopt said.
pub fn peer(stream: &UnixStream) -> io::Result<Peer> {
    let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut bytes = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `found` is a live ucred and `bytes` says its size; the call writes no more than that.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut bytes,
        )
    };
    check(result)?;
    Ok(Peer { pid: found.pid, uid: found.uid, gid: found.gid })
}

/// The user this process acts for.
pub fn own_uid() -> u32 {
    // SAFETY: takes nothing, always succeeds.
    unsafe { libc::geteuid() }
}

/// Anonymous memory as a file of `bytes`, all zero, not yet sealed. `name` shows up in `/proc` only.
///
/// # Errors
/// What memfd_create or ftruncate said.
pub fn memory_file(name: &CStr, bytes: usize) -> io::Result<File> {
    // SAFETY: `name` is a live C string; the call keeps nothing of it.
    let descriptor = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    check(descriptor)?;
    // SAFETY: the call just returned this descriptor, and nobody else knows it.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
    file.set_len(bytes as u64)?;
    Ok(file)
}

/// Seals a memfd for good.
///
/// # Errors
/// What fcntl said; `EBUSY` when a seal against all writing meets a writable mapping.
pub fn seal(file: &File, seal: Seal) -> io::Result<()> {
    // SAFETY: the file is open; this command takes an integer.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seal.bits()) })
}

/// Whether a file can neither shrink nor grow: whoever maps another process' memory asks first.
pub fn is_fixed_in_size(file: &File) -> bool {
    let wanted = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
    // SAFETY: the file is open; this command takes no argument.
    let found = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
    found >= 0 && found & wanted == wanted
}

/// A set of sockets that is asked, in one system call that never waits, which of them have something to read (or have
/// ended). Level-triggered: what is left unread is named again.
#[derive(Debug)]
pub struct Watch {
    epoll: OwnedFd,
}

impl Watch {
    /// Most sockets named at once.
    pub const EVENTS_MAX: usize = 16;

    /// Watches nothing yet.
    ///
    /// # Errors
    /// What epoll_create1 said.
    pub fn new() -> io::Result<Watch> {
        // SAFETY: takes flags only.
        let descriptor = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        check(descriptor)?;
        // SAFETY: the call just returned this descriptor, and nobody else knows it.
        Ok(Watch { epoll: unsafe { OwnedFd::from_raw_fd(descriptor) } })
    }

    /// Watches `socket` under `name`, until it is closed.
    ///
    /// # Errors
    /// What epoll_ctl said.
    pub fn add(&self, socket: BorrowedFd<'_>, name: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLRDHUP) as u32, u64: name };
        let (set, descriptor) = (self.epoll.as_raw_fd(), socket.as_raw_fd());
        // SAFETY: both descriptors are open; the kernel copies the event.
        check(unsafe { libc::epoll_ctl(set, libc::EPOLL_CTL_ADD, descriptor, &raw mut event) })
    }

    /// Names of sockets that have something, laid into `names`; gives how many.
    pub fn ready(&self, names: &mut [u64; Watch::EVENTS_MAX]) -> usize {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; Watch::EVENTS_MAX];
        let (set, room) = (self.epoll.as_raw_fd(), Watch::EVENTS_MAX as libc::c_int);
        // SAFETY: `events` has the room it is said to have; a timeout of 0 returns at once.
        let count = unsafe { libc::epoll_wait(set, events.as_mut_ptr(), room, 0) };
        // An interrupted call found nothing; it is asked again soon.
        let count = usize::try_from(count).unwrap_or(0);
        for (name, event) in names.iter_mut().zip(&events[..count]) {
            *name = event.u64;
        }
        count
    }
}

/// Space for a control message, aligned for its header.
type Control = [u64; CONTROL_BYTES / size_of::<u64>()];

/// Sends `bytes` and descriptors that go with the first of them, in one call. Returns the bytes taken; `WouldBlock`
/// when none fit, and then no descriptor went either.
///
/// # Errors
/// What sendmsg said. A vanished peer is `BrokenPipe`, never a signal.
///
/// # Panics
/// With more than [`FILES_MAX`] files, or no bytes: a bug of the caller.
pub fn send_with_files(stream: &UnixStream, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<usize> {
    assert!(files.len() <= FILES_MAX && !bytes.is_empty(), "descriptors travel with a byte, at most {FILES_MAX}");
    let mut control: Control = [0; _];
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut message = empty_message(&mut part);
    if !files.is_empty() {
        let payload_bytes = size_of_val(files) as u32;
        message.msg_control = control.as_mut_ptr().cast();
        // SAFETY: computes a size only.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(payload_bytes) } as usize;
        // SAFETY: `msg_control` points at `control`, whose size holds a header and FILES_MAX descriptors.
        let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
        let filled = libc::cmsghdr {
            // SAFETY: computes a size only.
            cmsg_len: unsafe { libc::CMSG_LEN(payload_bytes) } as usize,
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        };
        // SAFETY: the header lies in `control`, whose words align it.
        unsafe { header.write(filled) };
        // SAFETY: the data of that header lies in `control` too.
        let data = unsafe { libc::CMSG_DATA(header) }.cast::<RawFd>();
        for (index, file) in files.iter().enumerate() {
            // SAFETY: `index` is below FILES_MAX, for which `control` has room.
            let place = unsafe { data.add(index) };
            // SAFETY: as above; unaligned writes are allowed here.
            unsafe { place.write_unaligned(file.as_raw_fd()) };
        }
    }
    // SAFETY: `message` points at `part` and `control`, both alive; the kernel only reads them.
    let sent = unsafe { libc::sendmsg(stream.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    length(sent)
}

/// Receives bytes into `out`, and the descriptors that came with them into `files` (closed on exec, owned). Returns
/// the bytes received, 0 at the end of the stream. Descriptors beyond [`FILES_MAX`] are closed by the kernel.
///
/// # Errors
/// What recvmsg said; `InvalidData` when descriptors were cut off.
pub fn receive_with_files(
    stream: &UnixStream,
    out: &mut [u8],
    files: &mut [Option<OwnedFd>; FILES_MAX],
) -> io::Result<usize> {
    let mut control: Control = [0; _];
    let mut part = libc::iovec { iov_base: out.as_mut_ptr().cast(), iov_len: out.len() };
    let mut message = empty_message(&mut part);
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = CONTROL_BYTES;
    // SAFETY: `message` points at `part` (over `out`) and `control`, alive and as long as they say.
    let received = unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    let received = length(received)?;
    take_files(&message, files);
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "more descriptors than expected"));
    }
    Ok(received)
}

/// Makes every received descriptor owned, so that none leaks whatever happens next.
fn take_files(message: &libc::msghdr, files: &mut [Option<OwnedFd>; FILES_MAX]) {
    // SAFETY: `message` is as recvmsg left it: its control part is valid for `msg_controllen` bytes.
    let header = unsafe { libc::CMSG_FIRSTHDR(message) };
    if header.is_null() {
        return;
    }
    // SAFETY: not null, so it points at a header inside the control part, aligned by its words.
    let found = unsafe { ptr::read(header) };
    if (found.cmsg_level, found.cmsg_type) != (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
        return;
    }
    // SAFETY: computes a size only.
    let empty = unsafe { libc::CMSG_LEN(0) } as usize;
    let count = found.cmsg_len.saturating_sub(empty) / size_of::<RawFd>();
    // SAFETY: the data of that header, `count` descriptors by the kernel's own length.
    let data = unsafe { libc::CMSG_DATA(header) }.cast::<RawFd>();
    for (index, place) in files.iter_mut().enumerate().take(count) {
        // SAFETY: `index` is below `count`.
        let at = unsafe { data.add(index) };
        // SAFETY: as above; unaligned reads are allowed here.
        let descriptor = unsafe { at.read_unaligned() };
        // SAFETY: the kernel made this descriptor for us in this very call.
        *place = Some(unsafe { OwnedFd::from_raw_fd(descriptor) });
    }
}

fn empty_message(part: &mut libc::iovec) -> libc::msghdr {
    // SAFETY: all zero is a msghdr without addresses, parts or control.
    let mut message = unsafe { MaybeUninit::<libc::msghdr>::zeroed().assume_init() };
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn length(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::mapped::Mapped;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::sync::atomic::Ordering::Relaxed;

    const BYTES: usize = 8192;

    fn handed_over(file: &File) -> File {
        let (here, there) = UnixStream::pair().unwrap();
        assert_eq!(send_with_files(&here, b"x", &[file.as_fd()]).unwrap(), 1);
        let mut files = [const { None }; FILES_MAX];
        assert_eq!(receive_with_files(&there, &mut [0; 8], &mut files).unwrap(), 1);
        assert!(files[1..].iter().all(Option::is_none));
        File::from(files[0].take().unwrap())
    }

    fn punch_hole(file: &File) -> io::Result<()> {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: the file is open; the call takes integers.
        check(unsafe { libc::fallocate(file.as_raw_fd(), mode, 0, 4096) })
    }

    #[test]
    fn memory_only_its_maker_writes_is_read_only_for_everybody_else() {
        let file = memory_file(c"test", BYTES).unwrap();
        let maker = Mapped::from_file(&file, BYTES, true).unwrap();
        seal(&file, Seal::MakerWrites).unwrap();
        let received = handed_over(&file);
        assert!(is_fixed_in_size(&received));
        assert!(Mapped::from_file(&received, BYTES, true).is_err(), "a writable mapping");
        assert!(received.set_len(0).is_err(), "a smaller size");
        assert!(received.set_len(2 * BYTES as u64).is_err(), "a larger size");
        assert!((&received).write(b"x").is_err(), "a write through the descriptor");
        assert!(punch_hole(&received).is_err(), "a hole");
        assert!(seal(&received, Seal::BothWrite).is_err(), "another seal");
        let peer = Mapped::from_file(&received, BYTES, false).unwrap();
        maker.atomic_u64(64).store(7, Relaxed);
        assert_eq!(peer.atomic_u64(64).load(Relaxed), 7, "the maker still writes");
    }

    #[test]
    fn memory_both_write_keeps_its_size() {
        let file = memory_file(c"test", BYTES).unwrap();
        let maker = Mapped::from_file(&file, BYTES, true).unwrap();
        seal(&file, Seal::BothWrite).unwrap();
        let received = handed_over(&file);
        assert!(is_fixed_in_size(&received));
        assert!(received.set_len(0).is_err());
        assert!(received.set_len(2 * BYTES as u64).is_err());
        let peer = Mapped::from_file(&received, BYTES, true).unwrap();
        peer.atomic_u64(64).store(7, Relaxed);
        assert_eq!(maker.atomic_u64(64).load(Relaxed), 7);
        punch_hole(&received).unwrap();
        assert_eq!(maker.atomic_u64(64).load(Relaxed), 0, "a hole reads as zeros, without a signal");
    }

    #[test]
    fn an_unsealed_file_is_not_fixed_in_size() {
        assert!(!is_fixed_in_size(&memory_file(c"test", BYTES).unwrap()));
        assert!(!is_fixed_in_size(&tempfile::tempfile().unwrap()));
    }

    #[test]
    fn the_kernel_names_the_peer() {
        let (here, _there) = UnixStream::pair().unwrap();
        let peer = peer(&here).unwrap();
        assert_eq!((peer.pid, peer.uid), (std::process::id() as i32, own_uid()));
    }

    #[test]
    fn a_socket_left_behind_is_replaced_and_a_living_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let first = listen(&path, 0o600).unwrap();
        assert_eq!(listen(&path, 0o600).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        let second = listen(&path, 0o600).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(accept(&second).unwrap().is_none());
        let mut client = UnixStream::connect(&path).unwrap();
        let mut taken = accept(&second).unwrap().unwrap();
        assert_eq!(taken.read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        client.write_all(b"hi").unwrap();
        let mut bytes = [0; 2];
        taken.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"hi");
    }

    #[test]
    fn a_watch_names_sockets_that_have_something_or_have_ended() {
        let watch = Watch::new().unwrap();
        let ((quiet, _quiet), (mut told, mut tells), (left, leaves)) =
            (UnixStream::pair().unwrap(), UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        for (name, socket) in [(1, &quiet), (2, &told), (3, &left)] {
            watch.add(socket.as_fd(), name).unwrap();
        }
        let ready = || {
            let mut names = [0; Watch::EVENTS_MAX];
            let count = watch.ready(&mut names);
            names[..count].sort_unstable();
            names[..count].to_vec()
        };
        assert!(ready().is_empty());
        tells.write_all(b"x").unwrap();
        drop(leaves);
        assert_eq!(ready(), [2, 3]);
        told.read_exact(&mut [0; 1]).unwrap();
        drop(left);
        assert!(ready().is_empty());
    }

    #[test]
    fn sending_to_a_peer_that_left_is_an_error_and_no_signal() {
        let (here, there) = UnixStream::pair().unwrap();
        drop(there);
        assert_eq!(send_with_files(&here, b"x", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
