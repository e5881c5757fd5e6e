//! A cancel of many orders under way: whose, which of them, and how far it is. Warm.
//!
//! Who walks is [`super::mass`].

use super::arena::Node;
use super::marks::Special;
use super::order::Order;
use crate::types::{AccountId, CancelReason, Command, Firm, Scope, SessionId, SideCode, TickerId};

const TAG_GROUP: u8 = 24;
const TAG_SIDE: u8 = 27;

/// What the reference data says of a login.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub account: AccountId,
    pub firm: Firm,
}

/// Whose orders a walk takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose {
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
    pub whose: Whose,
    /// [`TickerId::ALL`], or the only one.
    pub ticker: TickerId,
    pub group: Option<u16>,
    pub side: Option<SideCode>,
    pub reason: CancelReason,
    /// The next session whose list is to be opened, and the last but one.
    pub session: u16,
    pub session_end: u16,
    /// The next order to look at, nobody when the list of the session is through.
    pub cursor: Node,
    /// Whether anything was said yet.
    pub spoke: bool,
    /// Whether trading ends when all orders are gone.
    pub ends_day: bool,
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

    pub fn covers(&self, owner: &Owner) -> bool {
        match self.whose {
            Whose::Sessions => true,
            Whose::Account(account) => owner.account == account,
            Whose::Firm(firm) => owner.firm == firm,
            Whose::Nobody => false,
        }
    }

    pub fn takes(&self, order: &Order) -> bool {
        let outlives_day = self.ends_day && order.special.has(Special::KEPT);
        !outlives_day
            && (self.ticker == TickerId::ALL || self.ticker == order.ticker)
            && self.group.is_none_or(|group| group == order.group)
            && self.side.is_none_or(|side| side == order.side_code)
    }
}
