//! What a partition trades, and for whom: the reference data every stage is built from. Fixed from start to stop,
//! but for the limits, which change by records.

use super::{AccountId, Firm, MatcherId, Money, Phase, Price, Quantity, SelfMatch, SessionId, Symbol, TickerId};

/// The whole of it. Indexes are the ids: `tickers[TickerId.0]`, `accounts[AccountId.0]`, `sessions[SessionId.0]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Market {
    /// Name of the trading session on SoupBinTCP and MoldUDP64, exactly ten characters.
    pub session_name: [u8; 10],
    /// Listed tickers.
    pub tickers: Vec<TickerSpec>,
    /// Accounts.
    pub accounts: Vec<AccountSpec>,
    /// Logins.
    pub sessions: Vec<SessionSpec>,
    /// Number of matching shards.
    pub matchers: u16,
    /// Order slots of each shard: the most orders open at once there.
    pub orders_max: u32,
    /// Trades each shard remembers, so that one can be broken later.
    pub trades_kept: u32,
}

/// One ticker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TickerSpec {
    /// Name on the wire.
    pub symbol: Symbol,
    /// Smallest price step in 1/10,000; every limit price is a multiple.
    pub tick: Price,
    /// Smallest quantity step in shares; every quantity is a multiple.
    pub lot: Quantity,
    /// Lowest limit price taken. With `price_max` it sets the size of the price ladder.
    pub price_min: Price,
    /// Highest limit price taken.
    pub price_max: Price,
    /// Reference price before the first trade.
    pub reference: Price,
    /// Which shard owns the book.
    pub matcher: MatcherId,
    /// Fees of both sides of a trade.
    pub fees: Fees,
    /// Crosses and price bands.
    pub auction: AuctionSpec,
}

/// How a ticker opens, closes and pauses. The default has none of it: continuous trading from start to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuctionSpec {
    /// Whether orders for the opening and the closing cross are taken. They take a second pair of ladders.
    pub cross_orders: bool,
    /// Phase in which the day starts.
    pub phase_start: Phase,
    /// Furthest price from the last trade, in 1/10,000 of it; 0 for no band.
    pub band_dynamic: u32,
    /// Furthest price from the last cross, before it the reference, in 1/10,000 of it; 0 for no band.
    pub band_static: u32,
    /// How long orders may press against a bound before the ticker pauses, in milliseconds; 0 never pauses.
    pub band_limit_ms: u32,
    /// How long a pause lasts, in milliseconds.
    pub band_pause_ms: u32,
}

impl Default for AuctionSpec {
    fn default() -> AuctionSpec {
        AuctionSpec {
            cross_orders: false,
            phase_start: Phase::Trading,
            band_dynamic: 0,
            band_static: 0,
            band_limit_ms: 15_000,
            band_pause_ms: 300_000,
        }
    }
}

/// Fees a share, in 1/10,000 of the currency unit; negative is a rebate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fees {
    /// For the order that rested.
    pub maker: i32,
    /// For the order that took.
    pub taker: i32,
    /// For either order in a cross.
    pub cross: i32,
}

/// One account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountSpec {
    /// Name people read.
    pub name: String,
    /// Its firm.
    pub firm: Firm,
    /// Cash at the start.
    pub cash: Money,
    /// Limits at the start.
    pub limits: Limits,
}

/// Pre-trade limits of one account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Whether it may trade at all.
    pub enabled: bool,
    /// Largest order in shares.
    pub order_quantity_max: Quantity,
    /// Largest order value.
    pub order_notional_max: Money,
    /// Most open orders.
    pub open_orders_max: u32,
    /// Largest position in one ticker in shares, long or short, if every open order of a side filled.
    pub position_max: u64,
    /// Largest gross exposure: positions at the mark plus open orders at their reserved price.
    pub gross_exposure_max: Money,
    /// Most messages in any one second, 0 for no limit.
    pub messages_per_second_max: u32,
    /// Furthest limit price from the reference, on the aggressive side, in 1/10,000 of the reference; 0 for no limit.
    pub price_collar: u32,
    /// Credit beyond cash.
    pub credit: Money,
}

/// One login.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionSpec {
    /// User name, upper case, at most six characters.
    pub user: String,
    /// The account it trades for.
    pub account: AccountId,
    /// Self-match rule of orders that name none.
    pub self_match: SelfMatch,
    /// Whether its open orders are cancelled when its connection is lost.
    pub cancel_on_disconnect: bool,
}

impl Market {
    /// The ticker of this name.
    pub fn ticker(&self, symbol: Symbol) -> Option<TickerId> {
        self.tickers.iter().position(|t| t.symbol == symbol).map(|i| TickerId(i as u16))
    }

    /// The account of this name.
    pub fn account(&self, name: &str) -> Option<AccountId> {
        self.accounts.iter().position(|a| a.name == name).map(|i| AccountId(i as u16))
    }

    /// The login of this name, compared without case (SoupBinTCP, Login Request).
    pub fn session(&self, user: &str) -> Option<SessionId> {
        self.sessions.iter().position(|s| s.user.eq_ignore_ascii_case(user.trim())).map(|i| SessionId(i as u16))
    }

    /// The firm a session trades for.
    pub fn firm_of(&self, session: SessionId) -> Firm {
        self.accounts[self.sessions[session.index()].account.index()].firm
    }
}
