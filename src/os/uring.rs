//! A ring of the kernel (`io_uring`) made for many TCP connections on one busy-polling thread.
//!
//! One accept request and one receive request a connection stay armed for good (multishot); what arrives lands in
//! buffers the connection lent to the kernel beforehand. An idle look costs two memory loads: the kernel raises a
//! flag when it has work to finish here (`TASKRUN_FLAG` with `DEFER_TASKRUN`), and only then does [`SocketRing::turn`]
//! enter it. The ring is made switched off, so that any thread may build it and learn of a refusal at start;
//! [`SocketRing::enable`] binds it to the thread that calls it (`SINGLE_ISSUER`).
//!
//! Each connection lends buffers of its own: a client that floods runs out of its own and is then held back by TCP
//! alone. One pool for all would let it take everybody's.
//!
//! Files are not registered: a multishot request looks its file up once, when it is armed. Sending is left to
//! `os::socket` (a request through the ring was tried and was slower). Hot after `enable`; bounded by the sizes given.
#![allow(unsafe_code)]

use io_uring::{IoUring, cqueue, opcode, squeue, types};
use memmap2::{MmapMut, MmapOptions};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU16, Ordering};

/// Buffers a connection lends to the kernel. A power of two. With [`BUFFER_BYTES`] it is what a connection may have
/// received and not yet read, beyond what waits in its socket.
pub const BUFFERS_PER_CONNECTION: usize = 8;
/// Size of a buffer: some forty orders in one arrival. With 512 bytes a burst of sixteen came as two completions.
pub const BUFFER_BYTES: usize = 2048;
/// Most connections of a ring: a buffer group has a 16-bit name.
pub const CONNECTIONS_MAX: usize = 1 << 15;

/// The kernel wants each table of lent buffers to start a page.
const TABLE_BYTES: usize = 4096;
/// One entry of such a table: address u64, length u32, buffer u16, and in the first entry the tail u16.
const ENTRY_BYTES: usize = 16;
/// Where the tail of a table stands.
const TAIL_AT: usize = 14;
/// Requests that may wait for the next enter; more make an enter of their own.
const SUBMISSIONS: u32 = 256;

const _: () = assert!(BUFFERS_PER_CONNECTION.is_power_of_two() && BUFFERS_PER_CONNECTION * ENTRY_BYTES <= TABLE_BYTES);

/// What a completion answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// [`SocketRing::accept`].
    Accept,
    /// [`SocketRing::receive`] of this connection.
    Receive(u32),
    /// [`SocketRing::wait_writable`] of this connection.
    Writable(u32),
}

const ACCEPT: u64 = 1;
const RECEIVE: u64 = 2;
const WRITABLE: u64 = 3;

impl Operation {
    fn tag(self) -> u64 {
        match self {
            Operation::Accept => ACCEPT << 32,
            Operation::Receive(connection) => RECEIVE << 32 | u64::from(connection),
            Operation::Writable(connection) => WRITABLE << 32 | u64::from(connection),
        }
    }

    fn of_tag(tag: u64) -> Option<Operation> {
        match tag >> 32 {
            ACCEPT => Some(Operation::Accept),
            RECEIVE => Some(Operation::Receive(tag as u32)),
            WRITABLE => Some(Operation::Writable(tag as u32)),
            _ => None,
        }
    }
}

/// A lent buffer that came back filled. Only a completion makes one and only [`SocketRing::give_back`] takes it, so
/// that holding it means that the kernel does not write there.
#[derive(Debug)]
pub struct Filled {
    connection: u32,
    buffer: u16,
    bytes: u16,
}

/// One answer of the kernel.
#[derive(Debug)]
pub struct Completion {
    /// To what.
    pub operation: Operation,
    /// Bytes, descriptor or negative error number, by operation.
    pub result: i32,
    /// Whether the request stays armed.
    pub more: bool,
    /// The buffer a receive filled.
    pub filled: Option<Filled>,
    /// The connection an accept brought.
    pub accepted: Option<TcpStream>,
}

/// The ring with its lent buffers.
pub struct SocketRing {
    // First, so that it is closed before the memory it writes to goes away.
    ring: IoUring,
    tables: MmapMut,
    buffers: MmapMut,
    tails: Box<[u16]>,
    /// The ring's index in the thread's table of registered rings, once enabled; saves a file look-up an enter.
    registered: Option<u32>,
    enters: u64,
    faults: u64,
}

impl SocketRing {
    /// Makes a switched-off ring for `connections_max` connections with all buffers lent.
    /// # Errors
    /// What the system refuses: the calls themselves (containers, `kernel.io_uring_disabled`), or memory.
    pub fn new(connections_max: usize) -> io::Result<SocketRing> {
        assert!((1..=CONNECTIONS_MAX).contains(&connections_max), "connections of a ring");
        // Every lent buffer can come back in one go, beside an accept and a writable answer for each connection.
        let completions = (connections_max * (BUFFERS_PER_CONNECTION + 2) + 1024).next_power_of_two();
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_r_disabled()
            .setup_clamp()
            .setup_cqsize(completions as u32)
            .build(SUBMISSIONS)?;
        let zeroed = |bytes| MmapOptions::new().len(bytes).populate().map_anon();
        let mut this = SocketRing {
            ring,
            tables: zeroed(connections_max * TABLE_BYTES)?,
            buffers: zeroed(connections_max * BUFFERS_PER_CONNECTION * BUFFER_BYTES)?,
            tails: vec![0; connections_max].into_boxed_slice(),
            registered: None,
            enters: 0,
            faults: 0,
        };
        (0..connections_max).try_for_each(|connection| this.lend_all(connection))?;
        Ok(this)
    }

    fn lend_all(&mut self, connection: usize) -> io::Result<()> {
        let table = self.tables[connection * TABLE_BYTES..].as_ptr() as u64;
        // SAFETY: the table is a page of our own mapping, which outlives the ring: fields drop in their order.
        unsafe {
            self.ring.submitter().register_buf_ring_with_flags(
                table,
                BUFFERS_PER_CONNECTION as u16,
                connection as u16,
                0,
            )
        }?;
        (0..BUFFERS_PER_CONNECTION as u16).for_each(|buffer| self.lend(connection, buffer));
        Ok(())
    }

    /// Switches the ring on. From now on only this thread may use it.
    /// # Errors
    /// The system's error; the ring is then of no use.
    pub fn enable(&mut self) -> io::Result<()> {
        self.ring.submitter().register_enable_rings()?;
        self.registered = register_for_thread(&self.ring);
        Ok(())
    }

    /// Undoes what `enable` left in the thread's own tables. On the same thread, at its end.
    pub fn disable(&mut self) {
        if let Some(index) = self.registered.take() {
            unregister_for_thread(&self.ring, index);
        }
    }

    /// Arms the accepting of connections, with each descriptor non-blocking and closed on exec.
    pub fn accept(&mut self, listener: &TcpListener) {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let entry = opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd())).flags(flags).build();
        self.push(entry.user_data(Operation::Accept.tag()));
    }

    /// Arms the receiving of `connection` into its own buffers.
    pub fn receive(&mut self, connection: u32, stream: &TcpStream) {
        let entry = opcode::RecvMulti::new(types::Fd(stream.as_raw_fd()), connection as u16).build();
        self.push(entry.user_data(Operation::Receive(connection).tag()));
    }

    /// Asks once to be told when `stream` takes bytes again, or is gone.
    pub fn wait_writable(&mut self, connection: u32, stream: &TcpStream) {
        let entry = opcode::PollAdd::new(types::Fd(stream.as_raw_fd()), libc::POLLOUT as u32).build();
        self.push(entry.user_data(Operation::Writable(connection).tag()));
    }

    fn push(&mut self, entry: squeue::Entry) {
        // Two tries: a full queue is emptied by an enter, because all our requests are taken at once.
        for _ in 0..2 {
            // SAFETY: our requests point to no memory but the lent buffers, which live as long as the ring.
            let pushed = unsafe { self.ring.submission().push(&entry) };
            if pushed.is_ok() {
                return;
            }
            self.enter();
        }
        unreachable!("an enter takes every request of the submission queue");
    }

    /// Hands waiting requests to the kernel and lets it finish work for this thread; without either it does nothing.
    #[inline]
    pub fn turn(&mut self) {
        let queue = self.ring.submission();
        if queue.is_empty() && !queue.taskrun() && !queue.cq_overflow() {
            return;
        }
        drop(queue);
        self.enter();
    }

    fn enter(&mut self) {
        let waiting = self.ring.submission().len() as u32;
        self.enters += 1;
        let (fd, registered) = match self.registered {
            Some(index) => (index as i32, IORING_ENTER_REGISTERED_RING),
            None => (self.ring.as_raw_fd(), 0),
        };
        let flags = IORING_ENTER_GETEVENTS | registered;
        // SAFETY: no argument points to memory.
        let taken = unsafe { libc::syscall(libc::SYS_io_uring_enter, fd, waiting, 0u32, flags, 0usize, 0usize) };
        // What was not taken stays in the queue, and the next turn sees it there.
        self.faults += u64::from(taken < 0);
    }

    /// The next answer that has arrived.
    #[inline]
    pub fn completion(&mut self) -> Option<Completion> {
        loop {
            let entry = self.ring.completion().next()?;
            let Some(operation) = Operation::of_tag(entry.user_data()) else { continue };
            let (result, flags) = (entry.result(), entry.flags());
            let filled = match (operation, cqueue::buffer_select(flags)) {
                (Operation::Receive(connection), Some(buffer)) => {
                    Some(Filled { connection, buffer, bytes: result.max(0) as u16 })
                }
                _ => None,
            };
            let accepted = if operation == Operation::Accept { connection_of(result) } else { None };
            return Some(Completion { operation, result, more: cqueue::more(flags), filled, accepted });
        }
    }

    /// The bytes of a filled buffer. The kernel writes only to lent buffers, never to one that is held as `Filled`.
    #[inline]
    pub fn bytes(&self, filled: &Filled) -> &[u8] {
        let at = buffer_at(filled.connection as usize, filled.buffer);
        &self.buffers[at..at + filled.bytes as usize]
    }

    /// Lends a buffer again once its bytes are read.
    #[inline]
    pub fn give_back(&mut self, filled: Filled) {
        self.lend(filled.connection as usize, filled.buffer);
    }

    fn lend(&mut self, connection: usize, buffer: u16) {
        let address = self.buffers[buffer_at(connection, buffer)..][..BUFFER_BYTES].as_ptr() as u64;
        let tail = self.tails[connection];
        let table = &mut self.tables[connection * TABLE_BYTES..][..TABLE_BYTES];
        let entry = &mut table[(tail as usize % BUFFERS_PER_CONNECTION) * ENTRY_BYTES..][..TAIL_AT];
        entry[0..8].copy_from_slice(&address.to_ne_bytes());
        entry[8..12].copy_from_slice(&(BUFFER_BYTES as u32).to_ne_bytes());
        entry[12..14].copy_from_slice(&buffer.to_ne_bytes());
        let tail = tail.wrapping_add(1);
        self.tails[connection] = tail;
        let published = table[TAIL_AT..TAIL_AT + 2].as_mut_ptr().cast::<u16>();
        // SAFETY: two bytes inside the table, aligned because a table starts a page and 14 is even; from `enable`
        // on they are only touched here and by the kernel.
        let published = unsafe { AtomicU16::from_ptr(published) };
        // Publish last: pairs with the kernel's acquire load of the tail, which makes the entry its own.
        published.store(tail, Ordering::Release);
    }

    /// How often the kernel was entered.
    pub fn enters(&self) -> u64 {
        self.enters
    }

    /// How often an enter was refused. A signal in between can be a reason; a rising number is a broken ring.
    pub fn faults(&self) -> u64 {
        self.faults
    }
}

fn buffer_at(connection: usize, buffer: u16) -> usize {
    (connection * BUFFERS_PER_CONNECTION + buffer as usize % BUFFERS_PER_CONNECTION) * BUFFER_BYTES
}

/// The connection behind the descriptor of an accept's answer; only for a result fresh from the completion queue.
fn connection_of(result: i32) -> Option<TcpStream> {
    if result < 0 {
        return None;
    }
    // SAFETY: the kernel has just opened this descriptor for us, and each answer is taken from the queue once.
    let descriptor = unsafe { OwnedFd::from_raw_fd(result) };
    Some(TcpStream::from(descriptor))
}

const IORING_ENTER_GETEVENTS: u32 = 1 << 0;
const IORING_ENTER_REGISTERED_RING: u32 = 1 << 4;
const IORING_REGISTER_RING_FDS: u32 = 20;
const IORING_UNREGISTER_RING_FDS: u32 = 21;

/// `struct io_uring_rsrc_update`.
#[repr(C)]
struct RingUpdate {
    offset: u32,
    reserved: u32,
    data: u64,
}

/// Enters the ring into the calling thread's table. The crate keeps the index in a value that borrows the ring, which
/// the ring's owner cannot hold; hence the two calls by hand. A refusal only costs speed.
fn register_for_thread(ring: &IoUring) -> Option<u32> {
    let mut update = RingUpdate { offset: u32::MAX, reserved: 0, data: ring.as_raw_fd() as u64 };
    (ring_registration(ring, IORING_REGISTER_RING_FDS, &mut update) == 1).then_some(update.offset)
}

fn unregister_for_thread(ring: &IoUring, index: u32) {
    let mut update = RingUpdate { offset: index, reserved: 0, data: 0 };
    ring_registration(ring, IORING_UNREGISTER_RING_FDS, &mut update);
}

fn ring_registration(ring: &IoUring, operation: u32, update: &mut RingUpdate) -> i64 {
    let update: *mut RingUpdate = update;
    // SAFETY: one live `RingUpdate`, which is what both operations read and write.
    unsafe { libc::syscall(libc::SYS_io_uring_register, ring.as_raw_fd(), operation, update, 1u32) }
}
