//! Looking at the OMS from outside: portfolio, orders, digest, and the proofs that limits hold and nothing is lost.
//! Cold but for [`Oms::limits_hold_at`].

use super::life::Life;
use super::lookup::Key;
use super::orders::Order;
use super::{AccountView, Breach, Oms, Position, Reservation};
use crate::engine::digest::Digest;
use crate::engine::risk::phases::CalendarMark;
use crate::types::{
    AccountId, Channel, Money, Nanos, Phase, Price, Quantity, SessionId, Side, Slot, TickerId, UserRef,
};

/// One open order, as far as events are in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderView {
    /// Its slot in its shard.
    pub slot: Slot,
    /// Where it stands.
    pub life: Life,
    /// Who sent it.
    pub session: SessionId,
    /// For whom.
    pub account: AccountId,
    /// Its ticker.
    pub ticker: TickerId,
    /// Side of the book.
    pub side: Side,
    /// The newest number the client gave it.
    pub user_ref: UserRef,
    /// Open shares.
    pub open: Quantity,
    /// Shares of the chain that traded or that self-match prevention took.
    pub used: Quantity,
    /// Limit price; of a market order the worst price it may trade at.
    pub price: Price,
    /// What it could still come to, with any replace on its way.
    pub reserved: Reservation,
}

impl Oms {
    /// Money of an account.
    pub fn account(&self, account: AccountId) -> AccountView {
        self.risk.account(account)
    }

    /// Position of an account in a ticker.
    pub fn position(&self, account: AccountId, ticker: TickerId) -> Position {
        self.risk.position(account, ticker)
    }

    /// The phase of a listed ticker.
    pub fn phase(&self, ticker: TickerId) -> Phase {
        self.risk.phase(ticker)
    }

    /// The first ticker that a price band should pause or let go on at `time`.
    pub fn band_due(&self, time: Nanos) -> Option<(TickerId, Phase)> {
        self.risk.band_due(time)
    }

    /// How far the trading calendar's records have come.
    pub fn calendar(&self) -> CalendarMark {
        self.risk.calendar()
    }

    /// Whether the day is over.
    pub fn day_ended(&self) -> bool {
        self.risk.day_ended()
    }

    /// The next number a session may use on a channel, by what is known now.
    pub fn next_user_ref(&self, session: SessionId, channel: Channel) -> UserRef {
        UserRef(self.marks.high(session, channel.counter()).0.saturating_add(1))
    }

    /// The open order that `session` knows by `user_ref`.
    pub fn order(&self, session: SessionId, channel: Channel, user_ref: UserRef) -> Option<OrderView> {
        let place = self.lookup.find(Key::new(session, channel.counter(), user_ref))?;
        Some(view(self.orders.slot(place), self.orders.at(place)))
    }

    /// Open orders of a login, as far as events are in. O(1).
    pub fn open_orders_of(&self, session: SessionId) -> u32 {
        self.tally.of_session(session)
    }

    /// Open orders in a ticker, as far as events are in. O(1).
    pub fn open_orders_in(&self, ticker: TickerId) -> u32 {
        self.tally.in_ticker(ticker)
    }

    /// All open orders, by shard and slot.
    pub fn orders(&self) -> impl Iterator<Item = OrderView> {
        self.orders.iter().map(|(place, order)| view(self.orders.slot(place), order))
    }

    /// Whether every account stands within its limits, or where it stood when one was lowered. Walks all.
    /// # Errors
    /// The first limit that does not hold.
    pub fn limits_hold(&self) -> Result<(), Breach> {
        self.risk.limits_hold()
    }

    /// The same for one account, its position in `ticker` alone. O(1), for a proof at every step of a replay.
    /// # Errors
    /// The first limit that does not hold.
    pub fn limits_hold_at(&self, account: AccountId, ticker: TickerId) -> Result<(), Breach> {
        self.risk.limits_hold_at(account, ticker)
    }

    /// Whether nothing was made from nothing: positions of each ticker sum to zero over all accounts, cash left only
    /// as fees, what is reserved is the sum over the open orders, and these are as many as were counted. Walks all.
    pub fn is_balanced(&self) -> bool {
        self.tally.holds(self.orders.iter().map(|(_, order)| (order.session, order.ticker)))
            && self.risk.is_balanced()
            && (0..self.accounts()).all(|account| self.reservations_add_up(AccountId(account)))
    }

    /// Digest of the whole state. Two runs agree when they applied the same records and took in all their events; in
    /// between it depends on how far events lag. Walks all.
    pub fn digest(&self) -> u64 {
        let mut digest = Digest::new();
        self.risk.digest(&mut digest);
        self.sessions.iter().for_each(|session| digest.add(session.entry_enabled.into()));
        for (place, high) in self.marks.iter() {
            digest.add((place as u64) << 32 | u64::from(high.0));
        }
        for (place, order) in self.orders.iter() {
            digest.add(u64::from(place.to_bits()));
            order.digest(&mut digest);
        }
        digest.finish()
    }

    fn accounts(&self) -> u16 {
        (0..=u16::MAX).find(|&account| !self.risk.has_account(AccountId(account))).unwrap_or(u16::MAX)
    }

    fn reservations_add_up(&self, id: AccountId) -> bool {
        let mut exposure = self.risk.position_exposure(id);
        let (mut reserved, mut count) = (Money::ZERO, 0);
        for (_, order) in self.orders.iter().filter(|(_, order)| order.account == id) {
            let (cash, worth) = self.risk.worth(order.owner(), order.reserved);
            reserved += cash;
            exposure += worth;
            count += 1;
        }
        let account = self.risk.account(id);
        (account.reserved, account.gross_exposure, account.open_orders) == (reserved, exposure, count)
    }
}

impl Order {
    /// All but the place among free slots.
    fn digest(&self, digest: &mut Digest) {
        digest.add(self.entered.0);
        digest.add(self.replace_last.0);
        for (high, low) in [
            (self.user_ref.0, self.open.0),
            (self.price.0, self.used.0),
            (self.asked_total.0, self.asked_price.0),
            (self.reserved.quantity.0, self.reserved.price.0),
            (u32::from(self.session.0), u32::from(self.account.0)),
            (
                u32::from(self.ticker.0) << 16 | u32::from(self.cross) << 8 | u32::from(self.counter),
                u32::from(self.price_type) << 16 | (self.side as u32) << 8 | self.life as u32,
            ),
        ] {
            digest.add(u64::from(high) << 32 | u64::from(low));
        }
    }
}

fn view(slot: Slot, order: &Order) -> OrderView {
    OrderView {
        slot,
        life: order.life,
        session: order.session,
        account: order.account,
        ticker: order.ticker,
        side: order.side,
        user_ref: order.user_ref,
        open: order.open,
        used: order.used,
        price: order.price,
        reserved: order.reserved,
    }
}
