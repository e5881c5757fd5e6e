//! OUCH 5.0 bytes to a [`Command`]: what the message says, checked as far as the message alone can tell.
//!
//! Framing that does not add up is [`Malformed`]: the transport disconnects. What the protocol can answer becomes a
//! command with its `refusal`, because the answer takes a place in the client's numbered stream. The checks run in
//! the order written here and the first one that fails is kept: options, firm, side, symbol, quantity, price, letters,
//! what is not served. State (limits, positions, whether an order lives) is the OMS' business.
//!
//! Decisions where the protocol is silent:
//! - Cancel, Modify and Account Query use up no number, so there is no answer that could refuse them. A faulty option
//!   on them is passed over: refusing to take risk off would be the worse mistake. A Modify with a bad side letter
//!   says nothing that could be done; its refusal makes the OMS pass it over and count it.
//! - Minimum quantity is taken as shares. The protocol counts round lots; with lots of 1 to 1,000 shares by ticker
//!   that would make one field mean different things, and clients of ours state shares everywhere else.
//! - Firm fields must name the session's own firm. Discretion and special handling are not served.
//! - A stop price, good till cancel and what a post-only order does come as options of the house (tags 128 to 130).
//!
//! Hot, O(1), no allocation; tables are built at start from the market.

use crate::types::{
    AccountId, Command, CommandKind, Display, Firm, Market, Price, Quantity, Reject, SelfMatch, SessionId, SideCode,
    Symbol, TickerId, TimeInForce, UserRef,
};
use crate::wire::ouch::inbound as ouch;
use crate::wire::ouch::{Inbound as Message, OuchError, Tags, price_from_wire};

/// Bit in [`Command::tags`], of a tag number that the protocol leaves free: tag 25 was sent as `Y`.
pub const TAG_VALUE_LOCATED: u32 = 1 << 19;
/// Likewise: tag 16 was sent as `Y` (or, with the next bit too, as a space).
pub const TAG_VALUE_TRADE_NOW: u32 = 1 << 20;
/// Likewise: tag 16 was sent as a space.
pub const TAG_VALUE_TRADE_NOW_SPACE: u32 = 1 << 21;

/// Bytes that are not an OUCH message. Nothing after them can be trusted: disconnect.
pub type Malformed = OuchError;

/// What the reader knows of a session.
#[derive(Clone, Copy, Debug)]
struct Owner {
    account: AccountId,
    firm: Firm,
    self_match: SelfMatch,
}

/// Reads messages of one market.
#[derive(Clone, Debug)]
pub struct Inbound {
    owners: Box<[Owner]>,
    tickers: TickerTable,
}

impl Inbound {
    /// For the sessions and tickers of `market`. Cold.
    pub fn new(market: &Market) -> Inbound {
        let owner = |session: usize| {
            let session = SessionId(session as u16);
            let spec = &market.sessions[session.index()];
            Owner { account: spec.account, firm: market.firm_of(session), self_match: spec.self_match }
        };
        Inbound {
            owners: (0..market.sessions.len()).map(owner).collect(),
            tickers: TickerTable::new(market.tickers.iter().map(|ticker| ticker.symbol)),
        }
    }

    /// The command that `bytes`, one whole message of `session`, asks for.
    /// # Errors
    /// [`Malformed`]: the framing is broken.
    /// # Panics
    /// `session` is not of the market.
    #[inline]
    pub fn to_command(&self, bytes: &[u8], session: SessionId) -> Result<Command, Malformed> {
        let owner = &self.owners[session.index()];
        let mut command = match Message::parse(bytes)? {
            Message::Enter(message) => self.enter(&message, owner),
            Message::Replace(message) => replace(&message, owner),
            Message::Cancel(message) => cancel(&message),
            Message::Modify(message) => modify(&message),
            Message::MassCancel(message) => self.mass_cancel(&message, owner),
            Message::DisableEntry(m) => switch(CommandKind::DisableEntry, m.user_ref, m.firm, &m.tags, owner),
            Message::EnableEntry(m) => switch(CommandKind::EnableEntry, m.user_ref, m.firm, &m.tags, owner),
            Message::AccountQuery(message) => {
                let mut command = Command::new(CommandKind::AccountQuery);
                command.channel = message.tags.channel();
                command
            }
        };
        command.session = session;
        command.account = owner.account;
        command.firm = owner.firm;
        Ok(command)
    }

    /// Account and firm of a session.
    pub(super) fn owner(&self, session: SessionId) -> (AccountId, Firm) {
        let owner = &self.owners[session.index()];
        (owner.account, owner.firm)
    }

    fn enter(&self, message: &ouch::EnterOrder, owner: &Owner) -> Command {
        let mut command = Command::new(CommandKind::Enter);
        let mut checks = Checks::default();
        command.user_ref = message.user_ref;
        command.client_order_id = message.client_order_id;
        command.quantity = message.quantity;
        command.self_match = owner.self_match;
        checks.tags(&message.tags);
        checks.firm(message.tags.firm().unwrap_or(owner.firm), owner);
        command.side = checks.side(message.side);
        command.ticker = self.tickers.find(message.symbol).unwrap_or(TickerId::UNKNOWN);
        checks.require(command.ticker != TickerId::UNKNOWN, Reject::InvalidSymbol);
        checks.quantity(message.quantity);
        command.price = checks.price(message.price);
        command.time_in_force = checks.time_in_force(message.time_in_force);
        command.display = checks.display(message.display);
        command.capacity = checks.letter(message.capacity, b"APRO", Reject::Other);
        command.sweep = checks.letter(message.sweep, b"YN", Reject::Other);
        command.cross = checks.letter(message.cross, b"NOC", Reject::InvalidCross);
        options(&message.tags, &mut command, &mut checks);
        command.refusal = checks.first;
        command
    }

    fn mass_cancel(&self, message: &ouch::MassCancel, owner: &Owner) -> Command {
        let mut command = Command::new(CommandKind::MassCancel);
        let mut checks = Checks::default();
        command.user_ref = message.user_ref;
        checks.tags(&message.tags);
        checks.firm(message.firm, owner);
        if let Some(letter) = message.tags.side() {
            command.side = checks.side(letter);
        }
        if message.symbol != Symbol::BLANK {
            command.ticker = self.tickers.find(message.symbol).unwrap_or(TickerId::UNKNOWN);
            checks.require(command.ticker != TickerId::UNKNOWN, Reject::InvalidSymbol);
        }
        command.group = message.tags.group().unwrap_or(0);
        keep_tags(&message.tags, &mut command);
        command.refusal = checks.first;
        command
    }
}

fn replace(message: &ouch::ReplaceOrder, owner: &Owner) -> Command {
    let mut command = Command::new(CommandKind::Replace);
    let mut checks = Checks::default();
    // The ticker is the order's; the message does not name it.
    command.ticker = TickerId::UNKNOWN;
    command.original = message.original;
    command.user_ref = message.user_ref;
    command.client_order_id = message.client_order_id;
    command.quantity = message.quantity;
    command.self_match = owner.self_match;
    checks.tags(&message.tags);
    if let Some(letter) = message.tags.side() {
        command.side = checks.side(letter);
    }
    checks.quantity(message.quantity);
    command.price = checks.price(message.price);
    command.time_in_force = checks.time_in_force(message.time_in_force);
    command.display = checks.display(message.display);
    command.sweep = checks.letter(message.sweep, b"YN", Reject::Other);
    options(&message.tags, &mut command, &mut checks);
    command.refusal = checks.first;
    command
}

fn cancel(message: &ouch::CancelOrder) -> Command {
    let mut command = Command::new(CommandKind::Cancel);
    command.ticker = TickerId::UNKNOWN;
    command.user_ref = message.user_ref;
    command.quantity = message.quantity;
    command.channel = message.tags.channel();
    command
}

fn modify(message: &ouch::ModifyOrder) -> Command {
    let mut command = Command::new(CommandKind::Modify);
    let mut checks = Checks::default();
    command.ticker = TickerId::UNKNOWN;
    command.user_ref = message.user_ref;
    command.quantity = message.quantity;
    command.side = checks.side(message.side);
    keep_tags(&message.tags, &mut command);
    command.refusal = checks.first;
    command
}

fn switch(kind: CommandKind, user_ref: UserRef, firm: Firm, tags: &Tags, owner: &Owner) -> Command {
    let mut command = Command::new(kind);
    let mut checks = Checks::default();
    command.user_ref = user_ref;
    checks.tags(tags);
    checks.firm(firm, owner);
    command.channel = tags.channel();
    command.tags = tags.present();
    command.refusal = checks.first;
    command
}

/// Which options were sent, and the values that have no field of their own.
#[inline]
fn keep_tags(tags: &Tags, command: &mut Command) {
    command.channel = tags.channel();
    command.tags = tags.present();
    if tags.shares_located() == Some(b'Y') {
        command.tags |= TAG_VALUE_LOCATED;
    }
    match tags.trade_now() {
        Some(b'Y') => command.tags |= TAG_VALUE_TRADE_NOW,
        Some(b' ') => command.tags |= TAG_VALUE_TRADE_NOW | TAG_VALUE_TRADE_NOW_SPACE,
        _ => {}
    }
}

/// Options of Enter and Replace.
#[inline]
fn options(tags: &Tags, command: &mut Command, checks: &mut Checks) {
    // Nothing, or the channel alone, is what most orders have.
    if tags.present() & !(1 << 28) == 0 {
        command.channel = tags.channel();
        command.tags = tags.present();
        return;
    }
    keep_tags(tags, command);
    if let Some(letter) = tags.price_type() {
        command.price_type = checks.letter(letter, b"LMmRP", Reject::InvalidPegType);
    }
    // Whether an order has a use for it, the checks know: a Replace need not name the kind.
    command.peg_offset = tags.peg_offset().unwrap_or(0);
    if let Some(floor) = tags.max_floor() {
        command.max_floor = floor;
        checks.require(floor <= command.quantity, Reject::InvalidMaxFloor);
    }
    if let Some(minimum) = tags.min_quantity() {
        command.min_quantity = minimum;
        checks.require(minimum <= command.quantity, Reject::InvalidMinQuantity);
    }
    if let Some(letter) = tags.self_match() {
        match (letter, SelfMatch::from_letter(letter)) {
            // The port's default, which stands there already.
            (b'*', _) => {}
            (_, Some(rule)) => command.self_match = rule,
            (_, None) => checks.require(false, Reject::InvalidSelfMatch),
        }
    }
    house_options(tags, command, checks);
    command.customer_type = checks.option(tags.customer_type(), b"RN ", b' ');
    checks.option(tags.trade_now(), b"YN ", b' ');
    checks.option(tags.shares_located(), b"YN", b'N');
    command.expire_seconds = tags.expire_seconds().unwrap_or(0);
    command.group = tags.group().unwrap_or(0);
    command.self_match_group = tags.self_match_group().unwrap_or([b' '; 2]);
    command.random_reserve = tags.random_reserves().unwrap_or(Quantity(0)).0;
    let discretion = tags.has(9) || tags.has(10) || tags.has(11);
    let handled = match tags.handle_inst() {
        None | Some(b' ') => false,
        // Imbalance-only: what the order is for a cross stays so, so that a Replace need not and cannot say it.
        Some(b'I') if command.kind == CommandKind::Enter && command.is_cross() => {
            command.tags |= Command::IMBALANCE_ONLY;
            false
        }
        Some(_) => true,
    };
    checks.require(!discretion && !handled, Reject::NotServed);
}

/// The house's own options, and post-only, which one of them belongs to.
fn house_options(tags: &Tags, command: &mut Command, checks: &mut Checks) {
    let post_only = checks.option(tags.post_only(), b"PN", b'N') == b'P';
    let steps_back = checks.option(tags.post_only_action(), b"RN", b'N') == b'R';
    // A Replace may name the action of an order that is post-only already.
    let named = command.kind == CommandKind::Replace && !tags.has(12);
    command.post_only = u8::from(post_only || (named && steps_back)) << u8::from(steps_back);
    if let Some(wire) = tags.stop_price() {
        let stop = price_from_wire(wire).filter(|stop| *stop != Price(0) && !stop.is_market());
        checks.require(stop.is_some(), Reject::InvalidStop);
        command.value = u64::from(stop.unwrap_or(Price(0)).0);
    }
    if checks.option(tags.good_till_cancel(), b"YN", b'N') == b'Y' {
        checks.require(command.time_in_force == TimeInForce::Day, Reject::TimeInForce);
        command.time_in_force = TimeInForce::GoodTillCancel;
    }
}

/// The checks of one message: keeps the first that failed.
#[derive(Default)]
struct Checks {
    first: Reject,
}

impl Checks {
    #[inline]
    fn require(&mut self, holds: bool, otherwise: Reject) {
        if !holds && self.first == Reject::None {
            self.first = otherwise;
        }
    }

    #[inline]
    fn tags(&mut self, tags: &Tags) {
        self.require(tags.fault.is_none(), Reject::InvalidTag);
    }

    #[inline]
    fn firm(&mut self, firm: Firm, owner: &Owner) {
        self.require(firm == owner.firm, Reject::FirmNotAuthorized);
    }

    #[inline]
    fn side(&mut self, letter: u8) -> SideCode {
        let side = SideCode::from_letter(letter);
        self.require(side.is_some(), Reject::InvalidSide);
        side.unwrap_or(SideCode::Buy)
    }

    #[inline]
    fn quantity(&mut self, quantity: Quantity) {
        self.require(!quantity.is_zero() && quantity <= Quantity::ORDER_MAX, Reject::InvalidQuantity);
    }

    #[inline]
    fn price(&mut self, wire: u64) -> Price {
        let price = price_from_wire(wire).filter(|price| *price != Price(0));
        self.require(price.is_some(), Reject::InvalidPrice);
        price.unwrap_or(Price(0))
    }

    #[inline]
    fn time_in_force(&mut self, letter: u8) -> TimeInForce {
        // Good till cancel is an option, never a letter.
        let time_in_force = TimeInForce::from_letter(letter).filter(|t| *t != TimeInForce::GoodTillCancel);
        self.require(time_in_force.is_some(), Reject::Other);
        let time_in_force = time_in_force.unwrap_or(TimeInForce::Day);
        let served = match time_in_force {
            TimeInForce::Day | TimeInForce::ImmediateOrCancel => true,
            TimeInForce::GoodTillTime | TimeInForce::GoodTillCancel => true,
            TimeInForce::ExtendedHours | TimeInForce::AfterHours => false,
        };
        self.require(served, Reject::TimeInForce);
        time_in_force
    }

    #[inline]
    fn display(&mut self, letter: u8) -> Display {
        // `Z` is a letter of answers only.
        let display = Display::from_letter(letter).filter(|display| *display != Display::Conformant);
        self.require(display.is_some(), Reject::InvalidDisplay);
        display.unwrap_or(Display::Anonymous)
    }

    #[inline]
    fn letter(&mut self, letter: u8, allowed: &[u8], otherwise: Reject) -> u8 {
        self.require(allowed.contains(&letter), otherwise);
        letter
    }

    fn option(&mut self, letter: Option<u8>, allowed: &[u8], absent: u8) -> u8 {
        letter.map_or(absent, |letter| self.letter(letter, allowed, Reject::Other))
    }
}

/// Symbols to tickers: open addressing over the eight bytes of the name as one word, at most half full, so that
/// almost every look-up reads one line.
#[derive(Clone, Debug)]
struct TickerTable {
    places: Box<[(u64, TickerId)]>,
    shift: u32,
}

/// No symbol is all zero bytes: text is printable.
const NO_SYMBOL: u64 = 0;

impl TickerTable {
    fn new(symbols: impl ExactSizeIterator<Item = Symbol>) -> TickerTable {
        let count = (symbols.len() * 2).next_power_of_two().max(2);
        let places = vec![(NO_SYMBOL, TickerId::UNKNOWN); count].into_boxed_slice();
        let mut table = TickerTable { places, shift: 64 - count.trailing_zeros() };
        for (index, symbol) in symbols.enumerate() {
            let word = u64::from_le_bytes(symbol.0);
            let mut at = table.begin(word);
            while table.places[at].0 != NO_SYMBOL && table.places[at].0 != word {
                at = (at + 1) & (count - 1);
            }
            table.places[at] = (word, TickerId(index as u16));
        }
        table
    }

    /// Fibonacci hashing: the upper bits of a product with 2^64 divided by the golden ratio.
    #[inline]
    fn begin(&self, word: u64) -> usize {
        (word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize
    }

    #[inline]
    fn find(&self, symbol: Symbol) -> Option<TickerId> {
        let word = u64::from_le_bytes(symbol.0);
        if word == NO_SYMBOL {
            return None;
        }
        let mut at = self.begin(word);
        // Ends at a free place: half of them are.
        loop {
            let (found, ticker) = self.places[at];
            if found == word {
                return Some(ticker);
            }
            if found == NO_SYMBOL {
                return None;
            }
            at = (at + 1) & (self.places.len() - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::fixture::{ALICE, BOB, market};
    use crate::types::{Channel, ClientOrderId};
    use proptest::prelude::*;

    fn order() -> ouch::EnterOrder {
        ouch::EnterOrder {
            user_ref: UserRef(9),
            side: b'T',
            quantity: Quantity(300),
            symbol: Symbol::from_text("MSFT").unwrap(),
            price: 1_503_400,
            time_in_force: b'3',
            display: b'N',
            capacity: b'A',
            sweep: b'Y',
            cross: b'N',
            client_order_id: ClientOrderId::from_text("mine").unwrap(),
            tags: Tags::NONE,
        }
    }

    fn read(message: impl Into<Message>) -> Command {
        let mut bytes = [0u8; 256];
        let length = message.into().encode(&mut bytes);
        Inbound::new(&market()).to_command(&bytes[..length], ALICE).unwrap()
    }

    fn refusal(change: impl FnOnce(&mut ouch::EnterOrder)) -> Reject {
        let mut order = order();
        change(&mut order);
        read(order).refusal
    }

    fn refusal_with(tags: Tags) -> Reject {
        refusal(|order| order.tags = tags)
    }

    #[test]
    fn an_order_keeps_every_field() {
        let mut order = order();
        order.tags = Tags::NONE
            .with_user_ref_index(3)
            .with_min_quantity(Quantity(300))
            .with_post_only(b'P')
            .with_group(77)
            .with_self_match(b'O')
            .with_self_match_group(*b"xy")
            .with_customer_type(b'R')
            .with_max_floor(Quantity(300))
            .with_stop_price(1_400_000)
            .with_post_only_action(b'R')
            .with_random_reserves(Quantity(7))
            .with_expire_seconds(60)
            .with_shares_located(b'Y')
            .with_trade_now(b' ');
        let mut expected = Command::new(CommandKind::Enter);
        expected.side = SideCode::SellShort;
        expected.time_in_force = TimeInForce::ImmediateOrCancel;
        expected.display = Display::Hidden;
        (expected.capacity, expected.sweep, expected.customer_type) = (b'A', b'Y', b'R');
        (expected.session, expected.account, expected.ticker) = (ALICE, AccountId(0), TickerId(1));
        expected.firm = Firm::from_text("ALFA").unwrap();
        (expected.user_ref, expected.channel) = (UserRef(9), Channel::named(3));
        (expected.quantity, expected.min_quantity, expected.max_floor) = (Quantity(300), Quantity(300), Quantity(300));
        expected.price = Price(1_503_400);
        (expected.post_only, expected.group, expected.self_match_group) = (2, 77, *b"xy");
        (expected.value, expected.random_reserve) = (1_400_000, 7);
        expected.self_match = SelfMatch::from_letter(b'O').unwrap();
        expected.expire_seconds = 60;
        expected.client_order_id = ClientOrderId::from_text("mine").unwrap();
        expected.tags = order.tags.present() | TAG_VALUE_LOCATED | TAG_VALUE_TRADE_NOW | TAG_VALUE_TRADE_NOW_SPACE;
        assert_eq!(read(order), expected);
    }

    #[test]
    fn the_other_requests_keep_theirs() {
        let command = read(ouch::CancelOrder { user_ref: UserRef(4), quantity: Quantity(0), tags: Tags::NONE });
        assert_eq!((command.kind, command.user_ref), (CommandKind::Cancel, UserRef(4)));
        let modify = ouch::ModifyOrder { user_ref: UserRef(4), side: b'E', quantity: Quantity(10), tags: Tags::NONE };
        let command = read(modify);
        assert_eq!((command.kind, command.side), (CommandKind::Modify, SideCode::SellShortExempt));
        assert_eq!(read(ouch::ModifyOrder { side: b'?', ..modify }).refusal, Reject::InvalidSide);
        let firm = Firm::from_text("ALFA").unwrap();
        let tags = Tags::NONE.with_group(0).with_side(b'S');
        let mass = ouch::MassCancel { user_ref: UserRef(5), firm, symbol: Symbol::BLANK, tags };
        let command = read(mass);
        assert_eq!(
            (command.kind, command.ticker, command.side),
            (CommandKind::MassCancel, TickerId::ALL, SideCode::Sell)
        );
        assert!(command.has_tag(24) && command.has_tag(27) && command.refusal == Reject::None);
        let unlisted = ouch::MassCancel { symbol: Symbol::from_text("NOPE").unwrap(), ..mass };
        assert_eq!(read(unlisted).refusal, Reject::InvalidSymbol);
        let foreign = ouch::DisableEntry { user_ref: UserRef(6), firm: Firm::BLANK, tags: Tags::NONE };
        assert_eq!(read(foreign).refusal, Reject::FirmNotAuthorized);
        let command = read(ouch::EnableEntry { user_ref: UserRef(6), firm, tags: Tags::NONE });
        assert_eq!((command.kind, command.refusal), (CommandKind::EnableEntry, Reject::None));
        let query = read(ouch::AccountQuery { tags: Tags::NONE.with_user_ref_index(2) });
        assert_eq!((query.kind, query.channel), (CommandKind::AccountQuery, Channel::named(2)));
    }

    #[test]
    fn a_replace_names_both_numbers_and_no_ticker() {
        let replace = ouch::ReplaceOrder {
            original: UserRef(1),
            user_ref: UserRef(2),
            quantity: Quantity(1_000_000),
            price: 2_000_000_000,
            time_in_force: b'0',
            display: b'Y',
            sweep: b'N',
            client_order_id: ClientOrderId::BLANK,
            tags: Tags::NONE,
        };
        let command = read(replace);
        assert_eq!((command.original, command.user_ref), (UserRef(1), UserRef(2)));
        assert_eq!((command.ticker, command.refusal), (TickerId::UNKNOWN, Reject::InvalidQuantity));
        assert_eq!(command.price, Price::MARKET);
    }

    #[test]
    fn each_bad_field_has_its_refusal() {
        assert_eq!(refusal(|_| {}), Reject::None);
        assert_eq!(refusal(|o| o.side = b'X'), Reject::InvalidSide);
        assert_eq!(refusal(|o| o.symbol = Symbol::from_text("NOPE").unwrap()), Reject::InvalidSymbol);
        assert_eq!(refusal(|o| o.symbol = Symbol([0; 8])), Reject::InvalidSymbol);
        assert_eq!(refusal(|o| o.quantity = Quantity(0)), Reject::InvalidQuantity);
        assert_eq!(refusal(|o| o.quantity = Quantity(1_000_000)), Reject::InvalidQuantity);
        assert_eq!(refusal(|o| o.price = 0), Reject::InvalidPrice);
        assert_eq!(refusal(|o| o.price = 1_999_999_901), Reject::InvalidPrice);
        assert_eq!(refusal(|o| o.price = u64::MAX), Reject::None);
        assert_eq!(refusal(|o| o.time_in_force = b'5'), Reject::TimeInForce);
        assert_eq!(refusal(|o| o.time_in_force = b'6'), Reject::None);
        assert_eq!(refusal(|o| o.time_in_force = b'G'), Reject::Other, "not a letter of the wire");
        assert_eq!(refusal(|o| o.time_in_force = b'?'), Reject::Other);
        assert_eq!(refusal(|o| o.display = b'Z'), Reject::InvalidDisplay);
        assert_eq!(refusal(|o| o.capacity = b'?'), Reject::Other);
        assert_eq!(refusal(|o| o.sweep = b'?'), Reject::Other);
        assert_eq!(refusal(|o| o.cross = b'H'), Reject::InvalidCross);
        assert_eq!(refusal(|o| o.cross = b'O'), Reject::None);
    }

    #[test]
    fn each_bad_option_has_its_refusal() {
        let none = Tags::NONE;
        assert_eq!(refusal_with(none.with_firm(Firm::from_text("BETA").unwrap())), Reject::FirmNotAuthorized);
        assert_eq!(refusal_with(none.with_firm(Firm::from_text("ALFA").unwrap())), Reject::None);
        assert_eq!(refusal_with(none.with_price_type(b'Q')), Reject::InvalidPegType);
        assert_eq!(
            refusal_with(none.with_max_floor(Quantity(100))),
            Reject::None,
            "the checks decide what goes together"
        );
        assert_eq!(refusal_with(none.with_max_floor(Quantity(301))), Reject::InvalidMaxFloor);
        assert_eq!(refusal_with(none.with_stop_price(0)), Reject::InvalidStop);
        assert_eq!(refusal_with(none.with_stop_price(2_000_000_000)), Reject::InvalidStop);
        assert_eq!(refusal_with(none.with_good_till_cancel(b'Y')), Reject::TimeInForce, "of an immediate order");
        assert_eq!(refusal_with(none.with_good_till_cancel(b'?')), Reject::Other);
        assert_eq!(refusal_with(none.with_post_only_action(b'?')), Reject::Other);
        assert_eq!(refusal_with(none.with_min_quantity(Quantity(301))), Reject::InvalidMinQuantity);
        assert_eq!(refusal_with(none.with_self_match(b'y')), Reject::InvalidSelfMatch);
        assert_eq!(refusal_with(none.with_self_match(b'*')), Reject::None);
        assert_eq!(refusal_with(none.with_discretion_price(0)), Reject::NotServed);
        assert_eq!(refusal_with(none.with_handle_inst(b'I')), Reject::NotServed);
        assert_eq!(refusal_with(none.with_post_only(b'?')), Reject::Other);
        assert_eq!(refusal_with(none.with_shares_located(b'?')), Reject::Other);
    }

    #[test]
    fn imbalance_only_is_an_option_of_cross_orders() {
        let mut order = order();
        (order.cross, order.tags) = (b'C', Tags::NONE.with_handle_inst(b'I'));
        let command = read(order);
        assert_eq!((command.cross, command.refusal), (b'C', Reject::None));
        assert!(command.is_imbalance_only() && command.has_tag(17));
        order.tags = Tags::NONE.with_handle_inst(b'O');
        assert_eq!(read(order).refusal, Reject::NotServed);
    }

    #[test]
    fn good_till_cancel_is_a_day_order_with_an_option() {
        let kept = |letter| {
            let mut order = order();
            (order.time_in_force, order.tags) = (b'0', Tags::NONE.with_good_till_cancel(letter));
            read(order).time_in_force
        };
        assert_eq!(kept(b'Y'), TimeInForce::GoodTillCancel);
        assert_eq!(kept(b'N'), TimeInForce::Day);
    }

    #[test]
    fn a_replace_may_name_what_a_post_only_order_does_without_saying_that_it_is_one() {
        let asked = |tags| {
            let replace = ouch::ReplaceOrder {
                original: UserRef(1),
                user_ref: UserRef(2),
                quantity: Quantity(1),
                price: 100,
                time_in_force: b'0',
                display: b'Y',
                sweep: b'N',
                client_order_id: ClientOrderId::BLANK,
                tags,
            };
            let command = read(replace);
            (command.post_only, command.has_tag(12), command.has_tag(8))
        };
        assert_eq!(asked(Tags::NONE.with_post_only_action(b'R')), (2, false, true));
        assert_eq!(asked(Tags::NONE.with_post_only_action(b'N')), (0, false, true));
        assert_eq!(asked(Tags::NONE.with_post_only(b'N').with_post_only_action(b'R')), (0, true, true));
    }

    #[test]
    fn a_faulty_option_refuses_an_order_but_not_a_cancel() {
        let reader = Inbound::new(&market());
        let mut bytes = [0u8; 64];
        let fixed = order().encode(&mut bytes) - 2;
        // Tag 99 does not exist.
        let bad = [0, 3, 2, 99, 1];
        bytes[fixed..fixed + 5].copy_from_slice(&bad);
        assert_eq!(reader.to_command(&bytes[..fixed + 5], ALICE).unwrap().refusal, Reject::InvalidTag);
        let cancel = ouch::CancelOrder { user_ref: UserRef(4), quantity: Quantity(0), tags: Tags::NONE };
        let length = cancel.encode(&mut bytes);
        bytes[length..length + 5].copy_from_slice(&bad);
        assert_eq!(reader.to_command(&bytes[..length + 5], ALICE).unwrap().refusal, Reject::None);
        assert!(reader.to_command(&bytes[..length + 4], ALICE).is_err(), "an appendage that does not add up");
    }

    #[test]
    fn the_first_check_that_fails_is_kept_and_the_owner_is_always_there() {
        let refused = refusal(|order| (order.quantity, order.side) = (Quantity(0), b'?'));
        assert_eq!(refused, Reject::InvalidSide);
        let mut bytes = [0u8; 64];
        let length = order().encode(&mut bytes);
        let command = Inbound::new(&market()).to_command(&bytes[..length], BOB).unwrap();
        assert_eq!((command.account, command.firm.text()), (AccountId(1), "BETA".into()));
        assert_eq!(command.self_match, SelfMatch::from_letter(b'W').unwrap());
    }

    #[test]
    fn every_symbol_of_a_large_market_is_found_and_no_other() {
        let symbol = |index: usize| Symbol::from_text(&format!("T{index}")).unwrap();
        let table = TickerTable::new((0..5000).map(symbol));
        assert!((0..5000).all(|index| table.find(symbol(index)) == Some(TickerId(index as u16))));
        assert!((5000..20_000).all(|index| table.find(symbol(index)).is_none()));
        assert_eq!(TickerTable::new([].into_iter()).find(symbol(0)), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_command_or_malformed(mut bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..9) {
            if let (Some(first), Some(kind)) = (bytes.first_mut(), b"OUXMCDEQ".get(kind as usize)) {
                *first = *kind;
            }
            let market = market();
            if let Ok(command) = Inbound::new(&market).to_command(&bytes, ALICE) {
                prop_assert!(command.session == ALICE && command.account == AccountId(0));
                let known = command.ticker.index() < market.tickers.len();
                prop_assert!(known || [TickerId::UNKNOWN, TickerId::ALL].contains(&command.ticker));
            }
        }
    }
}
