//! A tick of the timer goes from ticker to ticker, in bounded turns. Warm.
//!
//! What is done at each of them is told in [`super::noii`].

use super::events::{Events, Progress};
use super::noii::{Step, TickWalk};
use super::shard::{Shard, nothing};
use super::uncross::LEVELS_A_TURN_MAX;
use super::work::Work;
use crate::types::TickerId;

/// Tickers looked at in one turn.
const TICKERS_A_TURN_MAX: u32 = 128;
/// Events of one ticker at most: band and imbalance.
const STEP_EVENTS_MAX: usize = 2;

const _: () = assert!(TICKERS_A_TURN_MAX as usize * STEP_EVENTS_MAX <= super::EVENTS_MAX, "a turn fits the buffer");

impl Shard {
    /// Goes on with the tick as far as this turn reaches.
    #[cold]
    pub(super) fn tick(&mut self, mut walk: TickWalk, out: &mut Events) -> Progress {
        let mut looks = LEVELS_A_TURN_MAX;
        let mut tickers = 0;
        while let Some(book) = self.books.get_mut(walk.next as usize) {
            if tickers == TICKERS_A_TURN_MAX || out.room() < STEP_EVENTS_MAX {
                self.work = Work::Tick(walk);
                return Progress::More;
            }
            let said = out.len();
            walk.step = book.tick_step(TickerId(walk.next), walk.step, &mut looks, out);
            if matches!(walk.step, Step::Fresh) {
                walk.next += 1;
                tickers += 1;
            }
            walk.spoke |= out.len() > said;
            if looks == 0 {
                self.work = Work::Tick(walk);
                return Progress::More;
            }
        }
        if walk.spoke { Progress::Done } else { nothing(TickerId::ALL, out) }
    }
}
