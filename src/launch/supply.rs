//! [`Supply`]: a thread that brings the memory of streams and feed before it is used. Cold.
//!
//! While a start reads snapshot and journal it works on another core; behind the start it goes on until all that the
//! configuration says is there, and ends. What is there of a store never ends within a third of a second of its end
//! when this begins, and a store that should come to the end of it all the same waits, as it does when it is full. The
//! store with the least comes first. Hot threads have no part in it, and it keeps off their cores where others are left.

use super::LaunchFault;
use crate::os::affinity;
use crate::os::touched::Rest;
use crate::runtime::counters::{Counter, Counters};
use crate::runtime::runner::StopFlag;
use std::thread::JoinHandle;

/// The thread's name.
const NAME: &str = "memory";

/// Brings memory until all is there or it is dropped.
pub struct Supply {
    rests: Vec<Rest>,
    stop: StopFlag,
    thread: Option<JoinHandle<()>>,
}

/// What is told of it.
pub struct SupplyCounters {
    /// Pieces of a huge page that were brought behind the start.
    brought: Counter,
    /// 1 when the system does not give what is missing.
    failed: Counter,
}

impl SupplyCounters {
    /// Adds them all.
    pub fn new(counters: &mut Counters) -> SupplyCounters {
        let mut add = |name: &str| counters.add(&format!("memory.{name}"));
        SupplyCounters { brought: add("pieces"), failed: add("failed") }
    }
}

impl Supply {
    /// While a start goes on. What the system refuses here it refuses the owner, too, who says so.
    /// # Errors
    /// No thread can be made.
    pub fn begin(rests: Vec<Rest>) -> Result<Supply, LaunchFault> {
        Supply::spawn(rests, Vec::new(), |_| {})
    }

    /// Behind the start, off the cores of hot threads.
    /// # Errors
    /// No thread can be made.
    pub fn behind_the_start(
        (rests, counters): (Vec<Rest>, SupplyCounters),
        hot: Vec<usize>,
    ) -> Result<Supply, LaunchFault> {
        Supply::spawn(rests, hot, move |given| match given {
            true => counters.brought.add(1),
            false => counters.failed.set(1),
        })
    }

    fn spawn(rests: Vec<Rest>, off: Vec<usize>, told: impl Fn(bool) + Send + 'static) -> Result<Supply, LaunchFault> {
        let stop = StopFlag::new();
        if rests.is_empty() {
            return Ok(Supply { rests, stop, thread: None });
        }
        let (stopped, brought) = (stop.clone(), rests.clone());
        let work = move || {
            // Refused, it works where it may.
            let _cores = affinity::keep_off(&off);
            bring(brought, &stopped, told);
        };
        let thread = std::thread::Builder::new().name(NAME.into()).spawn(work);
        let thread = thread.map_err(LaunchFault::system("making the thread", NAME))?;
        Ok(Supply { rests, stop, thread: Some(thread) })
    }

    /// Bytes that are there of what was missing, by whomever they were brought.
    pub fn there(&self) -> usize {
        self.rests.iter().map(Rest::there).sum()
    }

    /// Ends it; what is missing then is its owners' to bring, or somebody else's.
    pub fn end(self) {}
}

impl Drop for Supply {
    fn drop(&mut self) {
        self.stop.request();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("asking for memory does not panic");
        }
    }
}

/// Piece by piece, of the stretch of which the least is there.
fn bring(mut rests: Vec<Rest>, stop: &StopFlag, told: impl Fn(bool)) {
    while !stop.is_requested() {
        let Some(least) = (0..rests.len()).min_by_key(|index| rests[*index].there()) else { return };
        let more = rests[least].bring();
        told(more.is_ok());
        if !more.unwrap_or(false) {
            rests.swap_remove(least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::touched::{PIECE_BYTES, Touched};

    #[test]
    fn all_of_every_stretch_is_brought_and_the_thread_ends() {
        let sizes = [5 * PIECE_BYTES, PIECE_BYTES, 100, 3 * PIECE_BYTES];
        let mut stretches = sizes.map(|bytes| Touched::reserve(bytes).unwrap());
        let mut supply = Supply::begin(stretches.iter().filter_map(Touched::rest).collect()).unwrap();
        supply.thread.take().unwrap().join().unwrap();
        stretches.iter_mut().for_each(Touched::keep_quiet);
        assert_eq!(stretches.each_ref().map(|stretch| stretch.len()), sizes);
    }

    #[test]
    fn ended_it_leaves_a_part_that_the_owner_can_bring() {
        let mut stretch = Touched::reserve(64 * PIECE_BYTES).unwrap();
        Supply::begin(stretch.rest().into_iter().collect()).unwrap().end();
        stretch.grow_to(stretch.capacity()).unwrap();
        assert_eq!(stretch.len(), 64 * PIECE_BYTES);
    }

    #[test]
    fn with_nothing_missing_there_is_no_thread() {
        assert!(Supply::begin(Vec::new()).unwrap().thread.is_none());
    }
}
