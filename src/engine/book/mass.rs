//! Requests that concern many orders or tickers: mass cancel, lost session, kill switch, end of day. Warm.
//!
//! A [`Walk`] visits sessions in the order of their index, and the orders of each oldest first. It stops when the buffer is
//! full or after [`LOOKS_MAX`] orders, so that a filter which matches little cannot hold the thread for long.

use super::events::{Events, Progress};
use super::passage::PhaseWalk;
use super::shard::{Shard, nothing};
use super::walk::Walk;
use super::work::Work;

/// Orders or sessions looked at in one call: about ten microseconds when none is in the cache.
const LOOKS_MAX: usize = 128;

impl Shard {
    /// Cancels the walk's orders as far as this turn reaches.
    pub(super) fn walk(&mut self, mut walk: Walk, out: &mut Events) -> Progress {
        for _ in 0..LOOKS_MAX {
            if !walk.cursor.is_none() {
                let slot = walk.cursor.slot();
                walk.cursor = self.arena.chains.of(walk.cursor).newer;
                if walk.takes(&self.arena.orders[slot.index()]) {
                    self.cancel_whole(slot, walk.reason, out);
                    walk.spoke = true;
                }
            } else if walk.session < walk.session_end {
                let owner = self.owners.get(walk.session as usize);
                if owner.is_some_and(|owner| walk.covers(owner)) {
                    walk.cursor = self.arena.oldest(walk.session);
                }
                walk.session += 1;
            } else if walk.ends_day {
                self.work = Work::Phases(PhaseWalk::end(walk.spoke));
                return Progress::More;
            } else {
                return if walk.spoke { Progress::Done } else { nothing(walk.ticker, out) };
            }
        }
        self.work = Work::Cancel(walk);
        Progress::More
    }
}

const _: () = assert!(LOOKS_MAX < super::EVENTS_MAX, "a turn's cancels and a closing word fit the buffer");
