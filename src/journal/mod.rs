//! The journal: the one order of events, as bytes that outlive the process.
//!
//! The sequencer appends each record to the **log**, a file in memory (tmpfs or hugetlbfs) that is mapped, touched
//! and locked at start. A store into it is a store into memory, about 30 ns a record: no system call, no page fault,
//! no write-back that could stall the thread; storing straight into a mapped file of a disk was tried and costs
//! milliseconds whenever somebody syncs it. What the log holds survives the death of the process: that is the
//! promise `survives = "process-crash"`, and a record counts as committed when its length is stored.
//!
//! What outlives the power is in **segments**, files on a disk with the very records of the log at the same alignment. A
//! thread of its own follows the log and moves it there; with `survives = "power-loss"` a record counts as committed when
//! that thread says that it is synced. A log whose marks name a first number above 1 is one behind segments, and its
//! chain goes on from the last segment's end.
//!
//! The log is a **ring**, bounded by its size and not by the day. What is synced is let go: marked, cleared, and its room
//! given back to the writer, who therefore only ever stores into zeros. While the disk is behind the ring fills; then the
//! sequencer takes nothing more, and the gateways hold back. Without segments nothing is let go and the log holds a day.
//!
//! - [`writer`] appends; hot, the sequencer's thread only.
//! - [`reader`] follows a log; `walk` checks records for it and for segments, and believes nothing it has not checked.
//! - [`recovery`] decides at start what the end of a log means: clean, torn, or damaged.
//! - [`persister`] moves the log to segments and owns the mark of what is synced; [`segment`] writes them, [`disk`] is
//!   the seam beneath them and all other files there; [`release`] gives the log's room back.
//! - [`pressure`] says who may still write when log or disk run short of room or the disk falls behind; [`lag`] tells
//!   people how far it is.
//! - [`segments`] takes a directory over at start, `survey` reads and verifies it; [`history`] reads segments and log as one journal.
//! - [`clean`] marks where a run ended in order.
//! - [`fault`] names what can be wrong.
//!
//! What attaches here later needs no change of the append. A replica is a reader of the living log, too
//! ([`LogWriter::reader`]), on a thread of its own: the length of a record is its hand-over, so that it needs no link from
//! the sequencer. A snapshot is a number and a chain to begin reading from.

pub mod archive;
pub mod clean;
pub mod disk;
pub mod fault;
pub mod history;
pub mod lag;
pub mod persister;
pub mod pressure;
pub mod reader;
pub mod recovery;
pub mod release;
pub mod segment;
pub mod segments;
mod slots;
pub mod snapshots;
mod survey;
mod walk;
pub mod writer;

pub use crate::wire::record::Link;
pub use disk::{Disk, SystemDisk};
pub use fault::{JournalFault, LogFull};
pub use history::History;
pub use lag::Lag;
pub use persister::{Failure, Persister, PersisterCounters, PersisterLinks};
pub use pressure::{Gauge, Intake, IntakeReader, Pressure, PressureCounters, PressureLimits};
pub use reader::LogReader;
pub use recovery::{Tail, TailState, Torn, recover, verify};
pub use release::Release;
pub use segment::{SegmentOptions, SegmentWriter};
pub use segments::Segments;
pub use walk::RecordView;
pub use writer::{Blank, LogWriter};

use crate::types::{Command, Sequenced};
use crate::wire::record::{ALIGNMENT, HEADER_BYTES, RECORDS_START, padded_bytes};
use std::path::PathBuf;

/// Where a log is and how large.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogOptions {
    /// The file; on tmpfs or hugetlbfs for its speed to hold.
    pub path: PathBuf,
    /// Its size when it is created; see [`LogOptions::bytes_for`]. One that exists keeps the size it has.
    pub bytes: usize,
    /// Whether it is a fault when the system refuses to lock the log in memory. It is tried in any case.
    pub lock: bool,
}

impl LogOptions {
    /// Size of a log for so many records.
    pub const fn bytes_for(records: usize) -> usize {
        RECORDS_START + records * RECORD_BYTES
    }
}

/// The run of the host that this process lives in, to give to [`LogWriter::create`] and to compare with
/// [`Tail::boot`]. 0 where the kernel does not tell.
pub fn host_boot() -> u64 {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).unwrap_or(0)
}

/// Bytes of a [`Sequenced`] that stand in its header instead of its payload: number and time.
const HEADED_BYTES: usize = 16;
/// Payload of a record: verdict and command.
const PAYLOAD_BYTES: usize = size_of::<Sequenced>() - HEADED_BYTES;
/// The payload with its padding.
const PADDED_BYTES: usize = padded_bytes(PAYLOAD_BYTES);
/// A record in the log.
pub const RECORD_BYTES: usize = HEADER_BYTES + PADDED_BYTES;

const _: () = assert!(core::mem::offset_of!(Sequenced, verdict) == HEADED_BYTES, "number and time come first");
const _: () = assert!(PAYLOAD_BYTES == 16 + size_of::<Command>());
const _: () = assert!(RECORD_BYTES == 192 && RECORDS_START.is_multiple_of(ALIGNMENT));
