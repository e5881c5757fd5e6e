//! [`LogWriter`]: appends records to the log.
//!
//! Hot, on the sequencer's thread. All that happens in an append is arithmetic and stores into memory that was
//! touched and locked at start. The order of the stores carries the crash safety: payload, header, and last the
//! length; a process killed between any two instructions leaves a record of length 0, which is no record.
//! One writer a log, kept by the lock on the file.
//!
//! The log is a ring. The writer goes round in it as far as records have been let go ([`Release`], the persister's), and
//! looks at that mark only when the room it knows of has run out. Where nobody lets records go, it is filled once.

use super::fault::{JournalFault, LogFull};
use super::recovery::Tail;
use super::release::{Release, settle_marks};
use super::slots::Slots;
use super::{HEADED_BYTES, LogOptions, LogReader, PADDED_BYTES, PAYLOAD_BYTES, RECORD_BYTES};
use crate::os::crc;
use crate::os::mapped::Mapped;
use crate::runtime::link::{MarkReader, mark};
use crate::types::Sequenced;
use crate::wire::log_mark::LogMark;
use crate::wire::record::{ALIGNMENT, HEADER_BYTES, KIND_COMMAND, Link, LogHeader, RECORD_VERSION, RecordHeader};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

/// Term of the writer; it rises when another host takes over, which takes a replica.
const EPOCH: u64 = 1;
/// How far ahead of the tail cache lines are asked for. The lines of a log are cold when their turn comes; asked for
/// with the record itself, 0, 2 or 8 records early an append takes 43, 34, 31 or 26 ns (a plain copy: 25).
const LINES_AHEAD_BYTES: usize = 8 * RECORD_BYTES;
/// Bytes of the length, which is stored apart from the rest of its header.
const LENGTH_BYTES: usize = 4;

/// The log's only writer.
#[derive(Debug)]
pub struct LogWriter {
    memory: Arc<Mapped>,
    options: LogOptions,
    header: LogHeader,
    slots: Slots,
    /// Where the next record goes.
    at: usize,
    next: Link,
    /// The first number for which no room is known. Refreshed from `room` when it is reached.
    number_end: u64,
    /// Slots of all records before this one are free.
    room: MarkReader,
    /// Until somebody takes it.
    release: Option<Release>,
    locked: bool,
}

impl LogWriter {
    /// A new, empty log of `group`, in the run of the host that `boot` names. The file is allocated, touched and, if
    /// the system allows, locked in memory.
    /// # Errors
    /// `Io` when the file exists already, the file system is full, or locking is demanded and refused; `NotALog`
    /// when `bytes` hold no record.
    pub fn create(options: LogOptions, group: u64, boot: u64) -> Result<LogWriter, JournalFault> {
        LogWriter::create_following(options, group, boot, None)
    }

    /// The same for a log whose first record is the one that `link` announces: others, in segments, come before it.
    /// # Errors
    /// As [`LogWriter::create`].
    pub fn create_following(
        options: LogOptions,
        group: u64,
        boot: u64,
        link: Option<Link>,
    ) -> Result<LogWriter, JournalFault> {
        Blank::make(options)?.begin(group, boot, link)
    }

    /// Continues a log after the tail that recovery found. The lock taken there is kept.
    /// # Errors
    /// `Io` when locking in memory is demanded and refused.
    pub fn resume(options: LogOptions, tail: Tail) -> Result<LogWriter, JournalFault> {
        let Tail { memory, header, slots, mark, next, .. } = tail;
        LogWriter::new((memory, options, header, slots), next.link, mark).prepared()
    }

    fn new(log: (Arc<Mapped>, LogOptions, LogHeader, Slots), next: Link, newest: LogMark) -> LogWriter {
        let (memory, options, header, slots) = log;
        let (room_writer, room) = mark();
        let release = Release::new(Arc::clone(&memory), slots, newest, room_writer);
        LogWriter {
            at: slots.at(next.number),
            number_end: room.value() + slots.count(),
            memory,
            options,
            header,
            slots,
            next,
            room,
            release: Some(release),
            locked: false,
        }
    }

    /// With every page there and pinned, so that no append has to see to it.
    fn prepared(self) -> Result<LogWriter, JournalFault> {
        let locked = prepare(&self.memory, &self.options)?;
        Ok(LogWriter { locked, ..self })
    }

    /// Appends `record`. When it returns, the record survives the death of this process.
    /// Cost: some 30 ns, no system call, no page fault; hot.
    /// # Errors
    /// [`LogFull`]; the log is unchanged.
    /// # Panics
    /// When `record.number` is not the next one: numbers are dense, so that is a bug.
    #[inline]
    pub fn append(&mut self, record: &Sequenced) -> Result<(), LogFull> {
        if !self.has_room() {
            return Err(LogFull);
        }
        assert!(record.number.0 == self.next.number, "numbers of records are dense");
        for line in (0..RECORD_BYTES).step_by(ALIGNMENT) {
            self.memory.prefetch_for_write(self.at + LINES_AHEAD_BYTES + line);
        }
        let mut padded = [0u8; PADDED_BYTES];
        padded[..PAYLOAD_BYTES].copy_from_slice(&record.as_bytes()[HEADED_BYTES..]);
        self.memory.write(self.at + HEADER_BYTES, &padded);
        let header = sealed(self.header_of(record), &padded);
        self.memory.write(self.at + LENGTH_BYTES, &header.as_bytes()[LENGTH_BYTES..]);
        // Publish last: from here on the record exists. Pairs with the load in `reader::examine`.
        self.memory.atomic_u32(self.at).store(header.length.get(), Ordering::Release);
        self.at = self.slots.after(self.at);
        self.next = header.link();
        Ok(())
    }

    #[inline]
    fn header_of(&self, record: &Sequenced) -> RecordHeader {
        let command = &record.command;
        RecordHeader {
            length: U32::new(PAYLOAD_BYTES as u32),
            version: U16::new(RECORD_VERSION),
            kind: U16::new(KIND_COMMAND),
            number: U64::new(record.number.0),
            epoch: U64::new(EPOCH),
            time: U64::new(record.time.0),
            chain: U64::new(self.next.chain),
            origin: U64::new(u64::from(command.session.0) << 32 | u64::from(command.user_ref.0)),
            ..RecordHeader::default()
        }
    }

    /// Whether there is room for another record. Looks at what was let go only when the room known of has run out.
    #[inline]
    pub fn has_room(&mut self) -> bool {
        self.next.number < self.number_end || self.look_for_room()
    }

    #[cold]
    fn look_for_room(&mut self) -> bool {
        self.number_end = self.room.value() + self.slots.count();
        self.next.number < self.number_end
    }

    /// Records there is room for, as far as is known without a look at what was let go: there may be more.
    #[inline]
    pub fn free_records_known(&self) -> u64 {
        self.number_end - self.next.number
    }

    /// The same after a look.
    #[cold]
    pub fn look_for_records(&mut self) -> u64 {
        self.look_for_room();
        self.free_records_known()
    }

    /// Records there is room for now. Looks at what was let go.
    #[inline]
    pub fn free_records(&self) -> usize {
        (self.room.value() + self.slots.count() - self.next.number) as usize
    }

    /// Records that the log holds when nothing has been let go of it.
    pub fn capacity_records(&self) -> usize {
        self.slots.count() as usize
    }

    /// Records in the log: those that have not been let go.
    #[inline]
    pub fn records(&self) -> u64 {
        self.next.number - self.room.value()
    }

    /// The right to let the oldest records go, for whoever moves them elsewhere.
    /// # Panics
    /// When it was taken before: there is one.
    pub fn release(&mut self) -> Release {
        self.release.take().expect("one lets the records of a log go")
    }

    /// The number the next record must have.
    #[inline]
    pub fn number_next(&self) -> u64 {
        self.next.number
    }

    /// Whether the log is locked in memory; if not, the memlock limit is too low.
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// A reader of this log from its oldest record on, for another thread: it follows as records are appended. Whoever lets
    /// records go sees to it that this reader has had them.
    pub fn reader(&self) -> LogReader {
        let newest = super::walk::living_marks(&self.memory).expect("the marks of a log of ours are sound");
        self.reader_from(newest.newest.link())
    }

    /// The same from the record on that `link` announces, which the caller found in this log or knows to be its next.
    /// # Panics
    /// When no such record has its place between the log's oldest and its next.
    pub fn reader_from(&self, link: Link) -> LogReader {
        let known = self.room.value()..=self.next.number;
        assert!(known.contains(&link.number), "a reader begins at a record of its log");
        LogReader::over(Arc::clone(&self.memory), (self.header, self.slots), link, &self.options.path)
    }

    /// What the next record must carry.
    pub fn link(&self) -> Link {
        self.next
    }
}

/// The file of a new log before it is known behind which record it begins: allocated, touched, locked, and without a header
/// or its name. Making one takes a third of a second for half a gigabyte, which a start has something better to do with. A
/// process killed meanwhile leaves another name, which is no obstacle to the next; given up, it leaves nothing.
#[derive(Debug)]
pub struct Blank {
    memory: Option<Mapped>,
    options: LogOptions,
    locked: bool,
}

impl Blank {
    /// Makes one.
    /// # Errors
    /// As [`LogWriter::create`].
    pub fn make(options: LogOptions) -> Result<Blank, JournalFault> {
        if options.bytes < LogOptions::bytes_for(1) {
            return Err(JournalFault::NotALog { path: options.path, why: "its size leaves no room for a record" });
        }
        let fault = || JournalFault::io("create the log", &options.path);
        if options.path.exists() {
            return Err(fault()(io::Error::from(io::ErrorKind::AlreadyExists)));
        }
        let memory = Mapped::replace(&unfinished(&options.path), options.bytes).map_err(fault())?;
        let mut blank = Blank { memory: Some(memory), options, locked: false };
        if let Some(memory) = &blank.memory {
            blank.locked = prepare(memory, &blank.options)?;
        }
        Ok(blank)
    }

    /// Gives it its header and its name.
    /// # Errors
    /// `Io` when there is such a log by now.
    pub fn begin(mut self, group: u64, boot: u64, link: Option<Link>) -> Result<LogWriter, JournalFault> {
        let memory = self.memory.take().expect("it is taken here and nowhere else");
        let header = LogHeader::new(group, boot, memory.len() as u64);
        let header = link.map_or(header, |link| header.following(link));
        memory.write(0, header.as_bytes());
        let mark = settle_marks(&memory, 0, header.link());
        let path = &self.options.path;
        // A link and not a renaming, which would take the place of a log that somebody made meanwhile.
        let named = std::fs::hard_link(unfinished(path), path);
        let cleaned = std::fs::remove_file(unfinished(path));
        named.and(cleaned).map_err(JournalFault::io("create the log", path))?;
        let slots = Slots::of(&header).expect("the size leaves room for a record");
        let log = (Arc::new(memory), self.options.clone(), header, slots);
        Ok(LogWriter { locked: self.locked, ..LogWriter::new(log, header.link(), mark) })
    }
}

impl Drop for Blank {
    fn drop(&mut self) {
        // Held by its lock until then: nobody else's is taken away.
        if self.memory.is_some() {
            let _left_behind = std::fs::remove_file(unfinished(&self.options.path));
        }
    }
}

/// What a log is called before it is one.
fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Faults every page in and pins it; whether the system lets it.
fn prepare(memory: &Mapped, options: &LogOptions) -> Result<bool, JournalFault> {
    memory.touch().map_err(JournalFault::io("touch the log", &options.path))?;
    match memory.lock() {
        Ok(()) => Ok(true),
        Err(error) if options.lock => Err(JournalFault::io("lock in memory the log", &options.path)(not_busy(error))),
        Err(_) => Ok(false),
    }
}

/// As [`RecordHeader::seal`], with both checksums in one pass: see [`crc`]. That the two agree is seen by every
/// reader. Test: `what_was_appended_is_read_back_in_order`.
#[inline]
fn sealed(mut header: RecordHeader, padded: &[u8; PADDED_BYTES]) -> RecordHeader {
    let (head, _) = header.as_bytes().split_first_chunk().expect("a header is longer than its front");
    let (crc_payload, crc_header) = crc::pair(padded, head);
    header.crc_payload = U32::new(crc_payload);
    header.crc_header = U32::new(crc_header);
    header
}

const _: () = assert!(crc::PAYLOAD_BYTES == PADDED_BYTES);
const _: () = assert!(crc::HEAD_BYTES == core::mem::offset_of!(RecordHeader, crc_payload));
const _: () = assert!(crc::HEAD_BYTES + 4 == core::mem::offset_of!(RecordHeader, crc_header));

/// `mlock` answers `EAGAIN` when some pages could not be locked, which elsewhere means that a lock is held.
fn not_busy(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::Error::other(error.to_string()) } else { error }
}
