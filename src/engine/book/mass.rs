//! Requests that concern many orders or tickers: mass cancel, lost session, kill switch, end of day. Warm.
//!
//! A walk visits sessions in the order of their index, and the orders of each oldest first. It stops when the buffer is
//! full or after [`LOOKS_MAX`] orders, so that a filter which matches little cannot hold the thread for long.

use super::arena::Node;
use super::beside::Special;
use super::events::{Events, Progress};
use super::order::Order;
use super::phases::PhaseWalk;
use super::shard::{Owner, Shard, Work, nothing};
use crate::types::{AccountId, CancelReason, Command, Firm, Scope, SessionId, SideCode, TickerId};

/// Orders or sessions looked at in one call: about ten microseconds when none is in the cache.
const LOOKS_MAX: usize = 128;

const TAG_GROUP: u8 = 24;
const TAG_SIDE: u8 = 27;

/// Whose orders a walk takes.
#[derive(Clone, Copy, Debug)]
enum Whose {
    /// The orders of every session in the range.
    Sessions,
    /// Of those, the sessions of an account.
    Account(AccountId),
    /// Of those, the sessions of a firm.
    Firm(Firm),
    /// Nobody's: the scope names none.
    Nobody,
}

/// A cancel of many orders under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    whose: Whose,
    /// [`TickerId::ALL`], or the only one.
    ticker: TickerId,
    group: Option<u16>,
    side: Option<SideCode>,
    reason: CancelReason,
    /// The next session whose list is to be opened, and the last but one.
    session: u16,
    session_end: u16,
    /// The next order to look at, nobody when the list of the session is through.
    cursor: Node,
    /// Whether anything was said yet.
    spoke: bool,
    /// Whether trading ends when all orders are gone.
    ends_day: bool,
}

impl Walk {
    const fn over(session: u16, session_end: u16, reason: CancelReason) -> Walk {
        Walk {
            whose: Whose::Sessions,
            ticker: TickerId::ALL,
            group: None,
            side: None,
            reason,
            session,
            session_end,
            cursor: Node::NONE,
            spoke: false,
            ends_day: false,
        }
    }

    fn of_session(session: SessionId, reason: CancelReason) -> Walk {
        // The venue has no orders: its range is empty.
        Walk::over(session.0, session.0.saturating_add(1), reason)
    }

    /// The session's own orders, by ticker, group and side as far as it named them.
    pub fn mass_cancel(command: &Command) -> Walk {
        Walk {
            ticker: command.ticker,
            group: command.has_tag(TAG_GROUP).then_some(command.group),
            side: command.has_tag(TAG_SIDE).then_some(command.side),
            ..Walk::of_session(command.session, CancelReason::User)
        }
    }

    /// All orders of a session whose connection is gone.
    pub fn session_lost(command: &Command) -> Walk {
        Walk::of_session(command.session, CancelReason::System)
    }

    /// All orders under a kill switch.
    pub fn kill(command: &Command, sessions: usize) -> Walk {
        let whose = match command.scope {
            Scope::None => Whose::Nobody,
            Scope::Account => Whose::Account(command.account),
            Scope::Firm => Whose::Firm(command.firm),
            Scope::All => Whose::Sessions,
        };
        Walk { whose, ..Walk::over(0, sessions as u16, CancelReason::Supervisory) }
    }

    /// All orders but those good till cancel; then trading ends.
    pub fn day_end(sessions: usize) -> Walk {
        Walk { ends_day: true, ..Walk::over(0, sessions as u16, CancelReason::Expired) }
    }

    fn covers(&self, owner: &Owner) -> bool {
        match self.whose {
            Whose::Sessions => true,
            Whose::Account(account) => owner.account == account,
            Whose::Firm(firm) => owner.firm == firm,
            Whose::Nobody => false,
        }
    }

    fn takes(&self, order: &Order) -> bool {
        let outlives_day = self.ends_day && order.special.has(Special::KEPT);
        !outlives_day
            && (self.ticker == TickerId::ALL || self.ticker == order.ticker)
            && self.group.is_none_or(|group| group == order.group)
            && self.side.is_none_or(|side| side == order.side_code)
    }
}

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
