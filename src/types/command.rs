//! What goes in: a [`Command`] as the gateway understood it, and the [`Sequenced`] record it becomes.
//!
//! One flat layout serves all kinds, so that a command is one `Copy` value on every link and its bytes are the
//! journal's payload: no packing step lies between a decision and its record. Which fields a kind uses stands at
//! [`CommandKind`]; the others hold their default and are covered by the checksum all the same.

use super::{
    AccountId, Channel, ClientOrderId, Display, Firm, Nanos, Number, Peg, Price, Quantity, Reject, SelfMatch,
    SessionId, SideCode, Slot, TickerId, TimeInForce, UserRef,
};
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// What a command asks, and the fields it uses beside `session` and `account`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(u8)]
pub enum CommandKind {
    /// New order: all order fields.
    Enter = 1,
    /// Replace: `original`, `user_ref`, `quantity` (chain total), `price`, flags; absent tags keep the order's values.
    Replace = 2,
    /// Reduce to the intended total `quantity`, 0 for all: `user_ref` names the order.
    Cancel = 3,
    /// Change of selling kind, or reduction: `user_ref`, `side`, `quantity` (intended total).
    Modify = 4,
    /// Cancel by `firm`, `ticker` (or [`TickerId::ALL`]), optionally `group` and `side`: consumes `user_ref`.
    MassCancel = 5,
    /// Client switches order entry off for itself: consumes `user_ref`.
    DisableEntry = 6,
    /// And on again.
    EnableEntry = 7,
    /// Asks for the next free user reference; answered in the stream, so it is a record.
    AccountQuery = 8,
    /// The session's connection is gone and its policy is to cancel: its open orders leave.
    SessionLost = 9,
    /// First record of a journal: starts the day. `value` holds the digest of the market's configuration.
    DayStart = 16,
    /// Ends the day for clients and feed.
    DayEnd = 17,
    /// Operator halts `ticker` (or all). Author in `client_order_id`.
    Halt = 18,
    /// Operator resumes `ticker` (or all).
    Resume = 19,
    /// Kill switch on for `scope`: cancels, and refuses until switched off.
    KillOn = 20,
    /// Kill switch off for `scope`.
    KillOff = 21,
    /// Operator sets `limit` of `account` to `value`.
    SetLimit = 22,
    /// What the state's digest was behind an earlier record; see [`Command::state_digest`]. For replay to compare.
    StateDigest = 23,
    /// `ticker` (or all) enters the phase whose letter is in `value`; leaving an auction runs its cross. Author in
    /// `client_order_id`.
    Phase = 24,
    /// Time has passed: orders whose time is over leave, imbalances are told, bands follow. All tickers.
    Tick = 25,
    /// Operator breaks the trade of `ticker` whose match number is in `value`. Author in `client_order_id`.
    Bust = 26,
}

impl CommandKind {
    /// Whether its answer is a report of the request itself, with the record in it; that of a cancel is an order's.
    #[inline]
    pub const fn is_answered(self) -> bool {
        self.consumes_user_ref() || matches!(self, CommandKind::AccountQuery)
    }

    /// Whether a client sent it and its `user_ref` is consumed.
    pub const fn consumes_user_ref(self) -> bool {
        match self {
            CommandKind::Enter
            | CommandKind::Replace
            | CommandKind::MassCancel
            | CommandKind::DisableEntry
            | CommandKind::EnableEntry => true,
            CommandKind::Cancel
            | CommandKind::Modify
            | CommandKind::AccountQuery
            | CommandKind::SessionLost
            | CommandKind::DayStart
            | CommandKind::DayEnd
            | CommandKind::Halt
            | CommandKind::Resume
            | CommandKind::KillOn
            | CommandKind::KillOff
            | CommandKind::SetLimit
            | CommandKind::StateDigest
            | CommandKind::Phase
            | CommandKind::Tick
            | CommandKind::Bust => false,
        }
    }
}

/// Whom a kill switch covers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(u8)]
pub enum Scope {
    /// Not a kill switch.
    #[default]
    None = 0,
    /// The command's `account`.
    Account = 1,
    /// All accounts of the command's `firm`.
    Firm = 2,
    /// Everybody.
    All = 3,
}

/// A limit an operator may set while trading goes on. Units as in [`super::Limits`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(u8)]
pub enum Limit {
    /// Not a limit change.
    #[default]
    None = 0,
    /// Whether the account may trade at all: 0 or 1.
    Enabled = 1,
    /// Largest order in shares.
    OrderQuantity = 2,
    /// Largest order in 1/10,000 of the currency unit.
    OrderNotional = 3,
    /// Most open orders.
    OpenOrders = 4,
    /// Largest position in a ticker, in shares, either side.
    Position = 5,
    /// Largest gross exposure, in 1/10,000 of the currency unit.
    GrossExposure = 6,
    /// Messages a second; 0 for no limit.
    MessageRate = 7,
    /// Furthest price from the reference, in 1/10,000 of it; 0 for no limit.
    PriceCollar = 8,
    /// Credit beyond cash, in 1/10,000 of the currency unit.
    Credit = 9,
}

/// A validated request, fixed in size. 96 bytes, little-endian, no padding.
///
/// `refusal` is what the gateway's reading of the message already decided (a bad letter, a tag not served): such a
/// command becomes a record all the same, because its `J` answer takes a place in the client's numbered stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Command {
    /// What is asked.
    pub kind: CommandKind,
    /// Side as named by the client.
    pub side: SideCode,
    /// How long the order stays.
    pub time_in_force: TimeInForce,
    /// Whether it shows.
    pub display: Display,
    /// Capacity letter (A P R O), echoed.
    pub capacity: u8,
    /// Inter-market sweep letter (Y N), echoed.
    pub sweep: u8,
    /// Cross letter: `N` continuous trading, `O` opening, `C` closing cross.
    pub cross: u8,
    /// Price type letter: `L` limit, or what a pegged order follows. Of a Replace what its order then is, named or kept.
    pub price_type: u8,
    /// 1 when the order must not take, 2 when it steps back from the best price instead of being refused for it.
    pub post_only: u8,
    /// Kill switch: whom it covers.
    pub scope: Scope,
    /// Limit change: which.
    pub limit: Limit,
    /// Customer type letter (R N space), echoed.
    pub customer_type: u8,
    /// Who sent it.
    pub session: SessionId,
    /// For whom.
    pub account: AccountId,
    /// Which ticker, [`TickerId::UNKNOWN`] or [`TickerId::ALL`].
    pub ticker: TickerId,
    /// Order-flow channel.
    pub channel: Channel,
    /// The client's number for this request, or (cancel, modify) for the order meant.
    pub user_ref: UserRef,
    /// Replace: the order meant.
    pub original: UserRef,
    /// Shares; its meaning depends on the kind.
    pub quantity: Quantity,
    /// Least quantity of a first execution; equal to `quantity` with IOC it means fill or kill.
    pub min_quantity: Quantity,
    /// Limit price or [`Price::MARKET`].
    pub price: Price,
    /// Shares to show of a reserve order; 0 shows all.
    pub max_floor: Quantity,
    /// Seconds to live with [`TimeInForce::GoodTillTime`].
    pub expire_seconds: u32,
    /// The self-match rule that applies to this order, the session's default when the client named none.
    pub self_match: SelfMatch,
    /// The client's own group for mass cancels; 0 is none.
    pub group: u16,
    /// Group of the self-match rule; spaces are none.
    pub self_match_group: [u8; 2],
    /// Bit n set: the client sent option tag n (OUCH 5.0, appendage); says what an answer echoes.
    pub tags: u32,
    /// Firm code.
    pub firm: Firm,
    /// Amount, digest, limit, phase or match number, by kind; Enter and Replace: see [`Command::stop_price`].
    pub value: u64,
    /// Offset of a pegged order in 1/10,000, above zero towards the other side.
    pub peg_offset: i32,
    /// Shares by which refreshes of a reserve order vary.
    pub random_reserve: u32,
    /// The client's free text; the author in records of the venue.
    pub client_order_id: ClientOrderId,
    /// Refusal found while reading the message.
    pub refusal: Reject,
}

const _: () = assert!(size_of::<Command>() == 96, "the journal's payload layout");
const _: () = assert!(cfg!(target_endian = "little"), "records are little-endian by being stored as they are");

impl Command {
    /// A command of `kind` with every other field at its default: a day limit order, displayed, of nobody.
    pub const fn new(kind: CommandKind) -> Command {
        Command {
            kind,
            side: SideCode::Buy,
            time_in_force: TimeInForce::Day,
            display: Display::Anonymous,
            capacity: b'P',
            sweep: b'N',
            cross: b'N',
            price_type: b'L',
            post_only: 0,
            scope: Scope::None,
            limit: Limit::None,
            customer_type: b' ',
            session: SessionId::VENUE,
            account: AccountId::NONE,
            ticker: TickerId::ALL,
            channel: Channel::NONE,
            user_ref: UserRef(0),
            original: UserRef(0),
            quantity: Quantity(0),
            min_quantity: Quantity(0),
            price: Price(0),
            max_floor: Quantity(0),
            expire_seconds: 0,
            self_match: SelfMatch::OFF,
            group: 0,
            self_match_group: [b' '; 2],
            tags: 0,
            firm: Firm::BLANK,
            value: 0,
            peg_offset: 0,
            random_reserve: 0,
            client_order_id: ClientOrderId::BLANK,
            refusal: Reject::None,
        }
    }

    /// The word that the state behind record `number` has this digest. The number stands in `client_order_id` as people
    /// read it.
    pub fn state_digest(number: Number, digest: u64) -> Command {
        let mut digits = [b' '; 14];
        let mut left = number.0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
        let client_order_id = ClientOrderId(digits);
        Command { value: digest, client_order_id, ..Command::new(CommandKind::StateDigest) }
    }

    /// Number and digest, of a command that says one.
    pub fn as_state_digest(&self) -> Option<(Number, u64)> {
        if self.kind != CommandKind::StateDigest {
            return None;
        }
        let digits = self.client_order_id.0;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
        Some((Number(number), self.value))
    }

    /// Whether the client sent option tag `tag` (1 to 30); bits 0, 8 and 31 stand for the house's own tags.
    #[inline]
    pub const fn has_tag(&self, tag: u8) -> bool {
        self.tags & (1 << tag) != 0
    }

    /// Price at which a stop order wakes up, 0 for an order that is no stop. Enter and Replace keep it in the low half
    /// of `value`.
    #[inline]
    pub const fn stop_price(&self) -> Price {
        Price(self.value as u32)
    }

    /// Bit in `tags`, of a tag number that no request has: tag 17 was sent as `I`.
    pub const IMBALANCE_ONLY: u32 = 1 << 18;

    /// Whether this is an order for a cross.
    #[inline]
    pub const fn is_cross(&self) -> bool {
        self.cross != b'N'
    }

    /// Whether it trades only against what a cross would leave over.
    #[inline]
    pub const fn is_imbalance_only(&self) -> bool {
        self.tags & Command::IMBALANCE_ONLY != 0
    }

    /// The stop price that Enter or Replace names, if it names one.
    #[inline]
    pub const fn stop_at(&self) -> Option<Price> {
        if self.has_tag(31) { Some(self.stop_price()) } else { None }
    }

    /// What the order's price follows, if it is pegged.
    #[inline]
    pub const fn peg(&self) -> Option<Peg> {
        Peg::from_letter(if self.price_type == b'm' { b'M' } else { self.price_type })
    }

    /// Whether this is an order that trades wholly at once or not at all.
    #[inline]
    pub fn is_fill_or_kill(&self) -> bool {
        self.time_in_force == TimeInForce::ImmediateOrCancel
            && self.min_quantity == self.quantity
            && !self.quantity.is_zero()
    }
}

/// What the sequencer decided, written with the command because it depends on how far fills had come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Verdict {
    /// The order's slot: given to an accepted Enter, found for Cancel, Modify and Replace; else [`Slot::NONE`].
    pub slot: Slot,
    /// Price at which an accepted order's exposure is reserved: its limit, or the worst price a market order may
    /// trade at by the collar. The matcher takes it as the limit of a market order.
    pub limit_price: Price,
    /// Account Query: the next free user reference. Cancel, Modify and Replace: 0.
    pub next_user_ref: UserRef,
    /// The first check that failed, or none.
    pub reject: Reject,
    /// Zero in the journal. 1 in the copies on their way through the stages whose way is stamped: see
    /// [`Sequenced::is_stamped`].
    pub reserved: u16,
}

impl Verdict {
    /// Refused for `reject`.
    pub const fn refused(reject: Reject) -> Verdict {
        Verdict { slot: Slot::NONE, limit_price: Price(0), next_user_ref: UserRef(0), reject, reserved: 0 }
    }

    /// Accepted, without an order of its own.
    pub const ACCEPTED: Verdict = Verdict::refused(Reject::None);

    /// Whether the request goes on to a matcher.
    #[inline]
    pub fn is_accepted(&self) -> bool {
        self.reject == Reject::None
    }
}

/// One input with its number, time and verdict: what the journal stores, matchers execute and egress answers.
/// Two cache lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Sequenced {
    /// Place in the one order of events.
    pub number: Number,
    /// The record's time; above that of the record before.
    pub time: Nanos,
    /// The decision.
    pub verdict: Verdict,
    /// The request.
    pub command: Command,
}

impl Sequenced {
    /// Whether stages stamp this record on its way. Means nothing to what is decided, matched or said.
    #[inline]
    pub const fn is_stamped(&self) -> bool {
        self.verdict.reserved != 0
    }
}

const _: () = assert!(size_of::<Sequenced>() == 128, "two cache lines");

impl Default for Sequenced {
    fn default() -> Self {
        Sequenced {
            number: Number(0),
            time: Nanos(0),
            verdict: Verdict::ACCEPTED,
            command: Command::new(CommandKind::DayStart),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_comes_back_from_its_bytes() {
        let mut command = Command::new(CommandKind::Enter);
        command.price = Price(1_503_400);
        command.refusal = Reject::InvalidSide;
        assert_eq!(Command::try_read_from_bytes(command.as_bytes()), Ok(command));
    }

    #[test]
    fn bytes_that_name_no_kind_are_refused() {
        let mut bytes = [0u8; 96];
        bytes.copy_from_slice(Command::new(CommandKind::Enter).as_bytes());
        bytes[0] = 0xEE;
        assert!(Command::try_read_from_bytes(&bytes).is_err());
    }
}
