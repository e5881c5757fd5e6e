//! Requests as a trading program states them: the house's types instead of letters, and no request number, which the
//! session gives.

use crate::types::order::{Display, SideCode, TimeInForce};
use crate::types::{ClientOrderId, CrossKind, Peg, Price, Quantity, Symbol, UserRef};
use crate::wire::ouch::inbound::{EnterOrder, ReplaceOrder};
use crate::wire::ouch::{Tags, price_to_wire};

/// A new order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewOrder {
    /// What to do.
    pub side: SideCode,
    /// Shares.
    pub quantity: Quantity,
    /// Ticker.
    pub symbol: Symbol,
    /// Limit, or [`Price::MARKET`].
    pub price: Price,
    /// How long it stays.
    pub time_in_force: TimeInForce,
    /// Whether it shows.
    pub display: Display,
    /// Letter: A agency, P principal, R riskless, O other.
    pub capacity: u8,
    /// Only for this cross; none is for continuous trading and whatever cross comes while the order rests.
    pub cross: Option<CrossKind>,
    /// Free text, echoed.
    pub client_order_id: ClientOrderId,
    /// Options, the channel among them.
    pub tags: Tags,
}

impl NewOrder {
    /// A displayed day order for the client's own account.
    pub const fn limit(side: SideCode, quantity: Quantity, symbol: Symbol, price: Price) -> NewOrder {
        NewOrder {
            side,
            quantity,
            symbol,
            price,
            time_in_force: TimeInForce::Day,
            display: Display::Anonymous,
            capacity: b'P',
            cross: None,
            client_order_id: ClientOrderId::BLANK,
            tags: Tags::NONE,
        }
    }

    /// The same order, but what cannot trade at once is cancelled.
    #[must_use]
    pub const fn immediate(mut self) -> NewOrder {
        self.time_in_force = TimeInForce::ImmediateOrCancel;
        self
    }

    /// The same order, for one cross only. At the market it takes the price the cross finds.
    #[must_use]
    pub const fn on(mut self, cross: CrossKind) -> NewOrder {
        self.cross = Some(cross);
        self
    }

    /// The same order, trading in its cross only with what the other side has too much.
    #[must_use]
    pub fn imbalance_only(mut self) -> NewOrder {
        self.tags = self.tags.with_handle_inst(b'I');
        self
    }

    /// The same order, showing `floor` shares at a time.
    #[must_use]
    pub fn showing(mut self, floor: Quantity) -> NewOrder {
        self.tags = self.tags.with_max_floor(floor);
        self
    }

    /// The same order, asleep until a trade reaches `stop`. At the market it is a plain stop.
    #[must_use]
    pub fn stopped_at(mut self, stop: Price) -> NewOrder {
        self.tags = self.tags.with_stop_price(price_to_wire(stop));
        self
    }

    /// The same order, hidden, its price following the best displayed ones: `offset` in 1/10,000 nearer to the other side than
    /// what it follows, or further for less than zero. Its limit bounds that; [`Price::MARKET`] leaves it to the account's
    /// collar.
    #[must_use]
    pub fn pegged(mut self, peg: Peg, offset: i32) -> NewOrder {
        self.display = Display::Hidden;
        self.tags = self.tags.with_price_type(peg.letter());
        if offset != 0 {
            self.tags = self.tags.with_peg_offset(offset);
        }
        self
    }

    /// The same order, open for so many seconds: 1 to 86,399.
    #[must_use]
    pub fn for_seconds(mut self, seconds: u32) -> NewOrder {
        self.time_in_force = TimeInForce::GoodTillTime;
        self.tags = self.tags.with_expire_seconds(seconds);
        self
    }

    /// The same order, open over any number of closes.
    #[must_use]
    pub const fn good_till_cancel(mut self) -> NewOrder {
        self.time_in_force = TimeInForce::GoodTillCancel;
        self
    }

    /// The message that enters it.
    #[inline]
    pub fn message(&self, user_ref: UserRef) -> EnterOrder {
        EnterOrder {
            user_ref,
            side: self.side.letter(),
            quantity: self.quantity,
            symbol: self.symbol,
            price: price_to_wire(self.price),
            time_in_force: letter_of(self.time_in_force),
            display: self.display.letter(),
            capacity: self.capacity,
            sweep: b'N',
            cross: self.cross.map_or(b'N', CrossKind::letter),
            client_order_id: self.client_order_id,
            tags: options_of(self.time_in_force, self.tags),
        }
    }
}

/// What a live order shall become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replacement {
    /// Total of the chain: shares already executed plus shares wanted.
    pub quantity: Quantity,
    /// Limit, or [`Price::MARKET`].
    pub price: Price,
    /// How long it stays.
    pub time_in_force: TimeInForce,
    /// Whether it shows.
    pub display: Display,
    /// Free text, echoed.
    pub client_order_id: ClientOrderId,
    /// Options; those left out keep the order's values. An order with a channel needs it here again.
    pub tags: Tags,
}

impl Replacement {
    /// Another quantity and price of a displayed day order.
    pub const fn limit(quantity: Quantity, price: Price) -> Replacement {
        Replacement {
            quantity,
            price,
            time_in_force: TimeInForce::Day,
            display: Display::Anonymous,
            client_order_id: ClientOrderId::BLANK,
            tags: Tags::NONE,
        }
    }

    /// The message that asks for it.
    #[inline]
    pub fn message(&self, original: UserRef, user_ref: UserRef) -> ReplaceOrder {
        ReplaceOrder {
            original,
            user_ref,
            quantity: self.quantity,
            price: price_to_wire(self.price),
            time_in_force: letter_of(self.time_in_force),
            display: self.display.letter(),
            sweep: b'N',
            client_order_id: self.client_order_id,
            tags: options_of(self.time_in_force, self.tags),
        }
    }
}

/// The letter of a time in force: good till cancel is a day order with an option.
fn letter_of(time_in_force: TimeInForce) -> u8 {
    if time_in_force == TimeInForce::GoodTillCancel { TimeInForce::Day.letter() } else { time_in_force.letter() }
}

fn options_of(time_in_force: TimeInForce, tags: Tags) -> Tags {
    if time_in_force == TimeInForce::GoodTillCancel { tags.with_good_till_cancel(b'Y') } else { tags }
}
