//! All segments of a directory read once, from the first or from behind a snapshot: each verified and in its place, every
//! record to whoever applies it.
//!
//! Two threads: one reads and verifies, some batches ahead, and the caller's applies, so that a start has its records ready
//! and waits for a disk only where that is slower than both. Order and outcome are those of one thread: when a fault is
//! found, all records before it have been handed over, and none behind it. Bounded by a few batches that go round. Cold.

use super::fault::JournalFault;
use super::segments::{Behind, Found, Segment, in_sequence, is_archive, list};
use crate::os::mapped::Mapped;
use crate::types::Sequenced;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Verifies all segments of a directory, every record to `each` and every segment to `told`; changes nothing. `group`
/// is whose they must be, where that is known. Nobody may be writing.
/// # Errors
/// See [`JournalFault`].
pub fn survey(
    directory: &Path,
    group: Option<u64>,
    each: impl FnMut(&Sequenced),
    told: impl FnMut(&Found),
) -> Result<(), JournalFault> {
    survey_after(directory, group, None, each, told)
}

/// The same behind a snapshot: `after` is what the first record that counts must carry, and the place of the segment it
/// is in, or would be. Of the segments before only that one is read; none of them need be there.
pub(super) fn survey_after(
    directory: &Path,
    group: Option<u64>,
    after: Option<Behind>,
    mut each: impl FnMut(&Sequenced),
    mut told: impl FnMut(&Found),
) -> Result<(), JournalFault> {
    let (full, batches) = sync_channel::<Batch>(BATCHES);
    let (spare, spares) = sync_channel::<Vec<Sequenced>>(BATCHES);
    (0..BATCHES).for_each(|_| spare.send(Vec::with_capacity(BATCH_RECORDS)).expect("both ends are here"));
    // Owned inside: where `each` panics both ends here go with it, so that the reader does not wait for them.
    std::thread::scope(move |scope| {
        let reader =
            scope.spawn(move || read_all(directory, group, after, &mut Batches { full, spares, batch: Vec::new() }));
        for Batch { mut records, end } in batches {
            records.iter().for_each(&mut each);
            if let Some(found) = end {
                told(&found);
            }
            records.clear();
            // Once it has ended, the reader wants none.
            let _ended = spare.send(records);
        }
        reader.join().expect("reading segments does not panic")
    })
}

/// Records handed over at once: some tens of microseconds of work on either side.
const BATCH_RECORDS: usize = 512;
/// Batches on their way; what waits stays in the second-level cache.
const BATCHES: usize = 4;

/// Records that follow each other, of one segment.
struct Batch {
    records: Vec<Sequenced>,
    /// The segment, where it ends with them.
    end: Option<Found>,
}

/// The reader's ends of the way there and back.
struct Batches {
    full: SyncSender<Batch>,
    spares: Receiver<Vec<Sequenced>>,
    batch: Vec<Sequenced>,
}

impl Batches {
    #[inline]
    fn push(&mut self, record: &Sequenced) {
        self.batch.push(*record);
        if self.batch.len() == BATCH_RECORDS {
            self.hand_over(None);
        }
    }

    /// The other end outlives this one, unless whoever applies the records panics: then they are nobody's.
    fn hand_over(&mut self, end: Option<Found>) {
        let next = self.spares.recv().unwrap_or_default();
        let records = std::mem::replace(&mut self.batch, next);
        let _nobody_wants_it = self.full.send(Batch { records, end });
    }
}

/// The reading side of a survey.
fn read_all(
    directory: &Path,
    group: Option<u64>,
    after: Option<Behind>,
    out: &mut Batches,
) -> Result<(), JournalFault> {
    let first = after.map_or(1, |behind| behind.segment);
    let files: Vec<_> = list(directory)?.into_iter().filter(|(number, _)| *number >= first).collect();
    // All places first: a copy at the end must not make the last real one look unfinished.
    for (index, (number, path)) in files.iter().enumerate() {
        in_sequence(directory, first + index as u64, *number)?;
        if !is_archive(path) {
            Segment::open(path)?.check_place(*number, group)?;
        }
    }
    let mut expected = None;
    for (index, (number, path)) in files.iter().enumerate() {
        let mut segment = Segment::open(path)?;
        segment.check_place(*number, group)?;
        if index > 0 || after.is_none() {
            segment.check_follows(expected)?;
        }
        if let Some(Behind { link, .. }) = after.filter(|_| index == 0) {
            segment.walk_to(link)?;
        }
        // The disk reads the next one while this one is verified and applied.
        if let Some(next) = files.get(index + 1).and_then(|(_, path)| Mapped::open(path, false).ok()) {
            next.read_ahead();
        }
        let end = segment.walk.survey(|record| out.push(record));
        let end = end.inspect_err(|_| out.hand_over(None))?;
        let state = segment.judge(end, index + 1 == files.len()).inspect_err(|_| out.hand_over(None))?;
        let link = segment.walk.position().link;
        out.hand_over(Some(Found {
            path: path.clone(),
            number: *number,
            first: segment.header.first_number.get(),
            end: link,
            at: end.at,
            bytes: segment.walk.memory().len(),
            state,
            generation: segment.mark.generation.get(),
            synced: segment.mark.synced.get() as usize,
        }));
        expected = Some(link);
    }
    Ok(())
}
