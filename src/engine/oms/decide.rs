//! The verdict on a command: ignored, refused for a reason, or accepted with a slot. Reads the state, changes nothing.
//!
//! A request for an order that is not there, or with a number that was used, is no record: the protocol answers it
//! with silence (OUCH 5.0, answers to each request). Everything else is, refusals too, because their answer takes a
//! place in the client's numbered stream. Hot; sequencer thread.

use super::lookup::Key;
use super::{Oms, Session};
use crate::engine::risk::{Request, Reservation};
use crate::types::{
    Command, CommandKind, Limit, MatchNumber, MatcherId, Nanos, Price, Quantity, Reject, Scope, Sequenced, SessionId,
    SideCode, Slot, TickerId, UserRef, Verdict,
};

/// What becomes of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Nothing: no record, no answer.
    Ignore(IgnoreCause),
    /// A record with this verdict.
    Record(Verdict),
}

/// Why a command is passed over in silence. For counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IgnoreCause {
    /// Its number is not above the session's high-water mark: a retransmission.
    UsedNumber,
    /// It names no live order of this session.
    UnknownOrder,
    /// A cancel, modify or query that was malformed; the protocol has no refusal for these.
    Malformed,
    /// A modify between buying and selling.
    SideChange,
}

/// Which matchers execute a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// None: it is answered, or only kept.
    None,
    /// One.
    One(MatcherId),
    /// All of them.
    All,
}

const fn ignore(cause: IgnoreCause) -> Decision {
    Decision::Ignore(cause)
}

const fn refuse(reject: Reject) -> Decision {
    Decision::Record(Verdict::refused(reject))
}

const ACCEPT: Decision = Decision::Record(Verdict::ACCEPTED);

impl Oms {
    /// Decides on `command` as of `time`, the time its record will have. Fills in the ticker of a command that names
    /// an order, so that its record says by itself where it goes. Hot, no allocation.
    ///
    /// # Panics
    /// When a client command names a session that is not in the market: the gateway makes only known ones.
    #[inline]
    pub fn decide(&self, command: &mut Command, time: Nanos) -> Decision {
        match command.kind {
            CommandKind::Enter => self.decide_enter(command, time),
            CommandKind::Replace => self.decide_replace(command, time),
            CommandKind::Cancel | CommandKind::Modify => self.decide_reduction(command),
            CommandKind::MassCancel | CommandKind::DisableEntry | CommandKind::EnableEntry => {
                self.decide_session(command)
            }
            CommandKind::AccountQuery => self.decide_query(command),
            CommandKind::Halt | CommandKind::Resume => self.decide_halt(command),
            CommandKind::KillOn | CommandKind::KillOff => self.decide_kill(command),
            CommandKind::SetLimit => {
                let known = self.risk.has_account(command.account) && command.limit != Limit::None;
                if known { ACCEPT } else { refuse(Reject::Other) }
            }
            CommandKind::Phase => self.decide_phase(command),
            CommandKind::Bust => self.decide_bust(command),
            // Time passes for everybody; no client makes it.
            CommandKind::Tick if command.session == SessionId::VENUE => ACCEPT,
            CommandKind::Tick => refuse(Reject::NotServed),
            CommandKind::SessionLost | CommandKind::DayStart | CommandKind::DayEnd | CommandKind::StateDigest => ACCEPT,
        }
    }

    /// Which matchers execute `record`. A function of the record and the market alone, so that replay routes alike.
    #[inline]
    pub fn route(&self, record: &Sequenced) -> Route {
        let (command, verdict) = (&record.command, &record.verdict);
        if !verdict.is_accepted() {
            // A refused replace of a live order cancels that order; other refusals concern no book.
            return if verdict.slot == Slot::NONE { Route::None } else { self.route_ticker(command.ticker) };
        }
        match command.kind {
            CommandKind::Enter | CommandKind::Replace | CommandKind::Cancel | CommandKind::Modify => {
                self.route_ticker(command.ticker)
            }
            CommandKind::MassCancel | CommandKind::Halt | CommandKind::Resume => self.route_ticker(command.ticker),
            CommandKind::Phase | CommandKind::Bust => self.route_ticker(command.ticker),
            CommandKind::SessionLost
            | CommandKind::Tick
            | CommandKind::DayStart
            | CommandKind::DayEnd
            | CommandKind::KillOn
            | CommandKind::KillOff
            // It changes nothing there; the live matchers are held against the shadow at it.
            | CommandKind::StateDigest => Route::All,
            CommandKind::DisableEntry
            | CommandKind::EnableEntry
            | CommandKind::AccountQuery
            | CommandKind::SetLimit => Route::None,
        }
    }

    /// Whether a Replace does nothing but take shares off its order: the same limit price, no option named, no other
    /// replace on its way. Cold: asked when there is no room for new orders.
    #[cold]
    pub fn only_shrinks(&self, command: &Command) -> bool {
        let key = Key::new(command.session, command.channel.counter(), command.original);
        let Some(place) = self.lookup.find(key) else { return false };
        let order = self.orders.at(place);
        let total = order.used.0.saturating_add(order.open.0);
        let is_plain = command.tags == 0 && order.price_type == b'L' && order.replace_last.0 == 0;
        is_plain && command.price == order.price && command.quantity.0 <= total
    }

    #[inline]
    fn decide_enter(&self, command: &Command, time: Nanos) -> Decision {
        if self.is_used(command) {
            return ignore(IgnoreCause::UsedNumber);
        }
        let session = self.session(command);
        let request = Request {
            command,
            entry_enabled: session.entry_enabled,
            firm: session.firm,
            ticker: command.ticker,
            side: command.side.side(),
            opens: true,
            held: Reservation::NONE,
            used: Quantity(0),
        };
        let limit_price = match self.risk.admit(&request, time) {
            Ok(price) => price,
            Err(reject) => return refuse(reject),
        };
        match self.risk.matcher(command.ticker).and_then(|matcher| self.orders.vacant(matcher)) {
            Some(slot) => with_slot(slot, limit_price, Reject::None),
            None => refuse(Reject::BookFull),
        }
    }

    #[inline]
    fn decide_replace(&self, command: &mut Command, time: Nanos) -> Decision {
        if self.is_used(command) {
            return ignore(IgnoreCause::UsedNumber);
        }
        let key = Key::new(command.session, command.channel.counter(), command.original);
        let Some(place) = self.lookup.find(key) else {
            return ignore(IgnoreCause::UnknownOrder);
        };
        let (order, session) = (self.orders.at(place), self.session(command));
        (command.ticker, command.capacity) = (order.ticker, order.capacity);
        order.name_kind(command);
        let request = Request {
            command,
            entry_enabled: session.entry_enabled,
            firm: session.firm,
            ticker: order.ticker,
            side: order.side,
            opens: false,
            held: order.reserved,
            used: order.used,
        };
        let slot = self.orders.slot(place);
        match self.risk.admit(&request, time) {
            Ok(price) => with_slot(slot, price, Reject::None),
            Err(reject) => with_slot(slot, Price(0), reject),
        }
    }

    /// Cancel and modify: they pass whatever is switched off, for they only make the order smaller.
    #[inline]
    fn decide_reduction(&self, command: &mut Command) -> Decision {
        if command.refusal != Reject::None {
            return ignore(IgnoreCause::Malformed);
        }
        let key = Key::new(command.session, command.channel.counter(), command.user_ref);
        let Some(place) = self.lookup.find(key) else {
            return ignore(IgnoreCause::UnknownOrder);
        };
        let order = self.orders.at(place);
        if command.kind == CommandKind::Modify && SideCode::side(command.side) != order.side {
            return ignore(IgnoreCause::SideChange);
        }
        command.ticker = order.ticker;
        with_slot(self.orders.slot(place), Price(0), Reject::None)
    }

    /// Mass cancel and the session's own switch: for the session's firm only.
    fn decide_session(&self, command: &Command) -> Decision {
        if self.is_used(command) {
            return ignore(IgnoreCause::UsedNumber);
        }
        if command.refusal != Reject::None {
            return refuse(command.refusal);
        }
        if command.firm != self.session(command).firm {
            return refuse(Reject::FirmNotAuthorized);
        }
        if command.kind == CommandKind::MassCancel && !self.is_ticker(command.ticker) {
            return refuse(Reject::InvalidSymbol);
        }
        ACCEPT
    }

    fn decide_query(&self, command: &Command) -> Decision {
        if command.refusal != Reject::None {
            return ignore(IgnoreCause::Malformed);
        }
        let high = self.marks.high(command.session, command.channel.counter());
        // After the last number there is no next one; the client is told the last again.
        Decision::Record(Verdict { next_user_ref: UserRef(high.0.saturating_add(1)), ..Verdict::ACCEPTED })
    }

    fn decide_halt(&self, command: &Command) -> Decision {
        if self.is_ticker(command.ticker) { ACCEPT } else { refuse(Reject::InvalidSymbol) }
    }

    fn decide_phase(&self, command: &Command) -> Decision {
        if !self.is_ticker(command.ticker) {
            return refuse(Reject::InvalidSymbol);
        }
        self.risk.may_enter(command).map_or_else(refuse, |()| ACCEPT)
    }

    /// The number of a match names its ticker; whether it is still remembered only the books know.
    fn decide_bust(&self, command: &Command) -> Decision {
        if self.risk.matcher(command.ticker).is_none() {
            return refuse(Reject::InvalidSymbol);
        }
        let is_of_ticker = command.value as u16 == command.ticker.locate() && command.value >> 16 != 0;
        match (is_of_ticker, self.risk.is_broken(MatchNumber(command.value))) {
            (false, _) => refuse(Reject::UnknownTrade),
            (true, true) => refuse(Reject::AlreadyBroken),
            (true, false) => ACCEPT,
        }
    }

    fn decide_kill(&self, command: &Command) -> Decision {
        let known = match command.scope {
            Scope::None => false,
            Scope::Account => self.risk.has_account(command.account),
            Scope::Firm => self.risk.has_firm(command.firm),
            Scope::All => true,
        };
        if known { ACCEPT } else { refuse(Reject::Other) }
    }

    fn route_ticker(&self, ticker: TickerId) -> Route {
        match self.risk.matcher(ticker) {
            Some(matcher) => Route::One(matcher),
            // A ticker that is not listed is refused; what is left stands for all of them.
            None => Route::All,
        }
    }

    #[inline]
    fn is_used(&self, command: &Command) -> bool {
        command.user_ref <= self.marks.high(command.session, command.channel.counter())
    }

    fn is_ticker(&self, ticker: TickerId) -> bool {
        ticker == TickerId::ALL || self.risk.matcher(ticker).is_some()
    }

    #[inline]
    fn session(&self, command: &Command) -> &Session {
        let session = &self.sessions[command.session.index()];
        debug_assert!(session.account == command.account, "a session trades for one account");
        session
    }
}

#[inline]
const fn with_slot(slot: Slot, limit_price: Price, reject: Reject) -> Decision {
    Decision::Record(Verdict { slot, limit_price, next_user_ref: UserRef(0), reject, reserved: 0 })
}
