//! The life of an order in the OMS, as one table.
//!
//! | state | `Enter` | `Accept` | `Reduce` | `AskReplace` | `ReplaceMore` | `ReplaceLast` | `End` |
//! |---|---|---|---|---|---|---|---|
//! | `Free` | New | | | Free | | | |
//! | `New` | | Live | | Replacing | | | |
//! | `Live` | | | Live | Replacing | | | Free |
//! | `Replacing` | | Replacing | Replacing | Replacing | Replacing | Live | Free |
//!
//! An empty cell cannot happen: to reach it is a bug, and stops. `Enter` and `AskReplace` come from records, the other
//! steps from events, and events may be late. Wherever a record's step and an event's step may come in either order,
//! both orders end in the same state: an order is `Replacing` whether its acceptance or the client's replace was seen
//! first, and a replace that comes after the end (`Free` stays `Free`) leaves what the end after it would have left.
//! There is no state for a pending cancel: a cancel changes nothing here until its event says what it took.

/// Where an order stands. A free slot is one without an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Life {
    /// No order.
    Free = 0,
    /// Sent to its matcher.
    New = 1,
    /// Accepted there.
    Live = 2,
    /// At least one replace is on its way.
    Replacing = 3,
}

/// What happens to an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Step {
    /// Record: the order enters.
    Enter = 0,
    /// Event: the matcher has it.
    Accept = 1,
    /// Event: shares traded or left, and some are open.
    Reduce = 2,
    /// Record: a replace is on its way.
    AskReplace = 3,
    /// Event: replaced, and another replace is on its way.
    ReplaceMore = 4,
    /// Event: replaced, and none is on its way.
    ReplaceLast = 5,
    /// Event: no shares are open.
    End = 6,
}

const STATES: usize = 4;
const STEPS: usize = 7;

const NEVER: Option<Life> = None;
const FREE: Option<Life> = Some(Life::Free);
const NEW: Option<Life> = Some(Life::New);
const LIVE: Option<Life> = Some(Life::Live);
const REPLACING: Option<Life> = Some(Life::Replacing);

const TABLE: [[Option<Life>; STEPS]; STATES] = [
    [NEW, NEVER, NEVER, FREE, NEVER, NEVER, NEVER],
    [NEVER, LIVE, NEVER, REPLACING, NEVER, NEVER, NEVER],
    [NEVER, NEVER, LIVE, REPLACING, NEVER, NEVER, FREE],
    [NEVER, REPLACING, REPLACING, REPLACING, REPLACING, LIVE, FREE],
];

impl Life {
    /// The state after `step`; none where the step cannot happen.
    #[inline]
    pub const fn try_after(self, step: Step) -> Option<Life> {
        TABLE[self as usize][step as usize]
    }

    /// The state after `step`.
    ///
    /// # Panics
    /// Where the step cannot happen: a matcher reported on an order that is not there.
    #[inline]
    pub fn after(self, step: Step) -> Life {
        self.try_after(step).unwrap_or_else(|| impossible(self, step))
    }
}

#[cold]
#[inline(never)]
fn impossible(life: Life, step: Step) -> ! {
    panic!("an order that is {life:?} met {step:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Life; STATES] = [Life::Free, Life::New, Life::Live, Life::Replacing];
    const STEPS_ALL: [Step; STEPS] =
        [Step::Enter, Step::Accept, Step::Reduce, Step::AskReplace, Step::ReplaceMore, Step::ReplaceLast, Step::End];

    /// The table again, as sentences.
    fn expected(life: Life, step: Step) -> Option<Life> {
        match (life, step) {
            (Life::Free, Step::Enter) => Some(Life::New),
            (Life::Free, Step::AskReplace) => Some(Life::Free),
            (Life::New, Step::Accept) => Some(Life::Live),
            (Life::New | Life::Live | Life::Replacing, Step::AskReplace) => Some(Life::Replacing),
            (Life::Live | Life::Replacing, Step::Reduce) => Some(life),
            (Life::Live | Life::Replacing, Step::End) => Some(Life::Free),
            (Life::Replacing, Step::Accept | Step::ReplaceMore) => Some(Life::Replacing),
            (Life::Replacing, Step::ReplaceLast) => Some(Life::Live),
            _ => None,
        }
    }

    #[test]
    fn every_cell_of_the_table_is_as_documented() {
        for life in ALL {
            for step in STEPS_ALL {
                assert_eq!(life.try_after(step), expected(life, step), "{life:?} and {step:?}");
                let met = std::panic::catch_unwind(|| life.after(step)).ok();
                assert_eq!(met, expected(life, step), "{life:?} and {step:?}");
            }
        }
    }

    #[test]
    fn a_replace_and_a_late_event_end_in_the_same_state_in_either_order() {
        for life in ALL {
            for event in [Step::Accept, Step::Reduce, Step::ReplaceMore, Step::End] {
                let late = life.after(Step::AskReplace).try_after(event);
                let early = life.try_after(event).map(|life| life.after(Step::AskReplace));
                if let (Some(late), Some(early)) = (late, early) {
                    assert_eq!(late, early, "{life:?}, {event:?}");
                }
            }
        }
    }
}
