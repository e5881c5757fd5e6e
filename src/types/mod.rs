//! The words every other folder speaks: ids, prices, quantities, times, commands, events, refusals.
//!
//! All of them are small `Copy` values with their units in the type, so that a price cannot be added to a
//! quantity and a slot cannot stand for an account. Arithmetic is checked where input decides its size.
//! Nothing here allocates, reads a clock or knows a file; the folder imports nothing of ours.

pub mod bytes;
pub mod command;
pub mod event;
pub mod ids;
pub mod market;
pub mod money;
pub mod order;
pub mod phase;
pub mod reject;
pub mod report;
pub mod time;

pub use command::{Command, CommandKind, Limit, Scope, Sequenced, Verdict};
pub use event::{Event, Liquidity, OrderTag, Outcome, PublicFact, Published, Stamped, Ticket};
pub use ids::{
    AccountId, Channel, ClientOrderId, Firm, MatchNumber, MatcherId, Number, OrderReference, SessionId, Slot, Symbol,
    TickerId, UserRef,
};
pub use market::{AccountSpec, AuctionSpec, Fees, Limits, Market, SessionSpec, TickerSpec};
pub use money::{Money, Price, Quantity};
pub use order::{CrossKind, Display, Peg, Phase, SelfMatch, SelfMatchMode, Side, SideCode, TimeInForce, TradingState};
pub use phase::Passage;
pub use reject::{CancelReason, Reject};
pub use report::{Answer, Party, Report, ReportBody};
pub use time::{DayNanos, Nanos};
