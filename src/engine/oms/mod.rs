//! Order management: whose order is where, which numbers are used up, what is reserved, what was traded.
//!
//! The sequencer's thread owns it; hot; everything is allocated in [`Oms::new`]. Four verbs:
//!
//! - [`Oms::decide`] looks at a command and the state, and gives the verdict. It changes nothing.
//! - [`Oms::apply`] takes the numbered record: high-water mark, slot, reservation, switches, limits.
//! - [`Oms::on_event`] takes what the matcher made of it: fills, cancels, the end of an order.
//! - [`Oms::route`] says which matchers execute a record.
//!
//! **What replay may rely on.** A verdict depends on how many events had come back, so it stands in the record and is
//! never decided again. Records are applied in number order and events arrive in number order, but how far the events
//! lag behind is chance. After the last event the state is the same for every lag: a record's step never reads what
//! an event may still change, and an event finds its order by slot and by the record that entered it. Two things
//! bound the lag: a slot, and a number that a failed replace left free, are used again only after the event that
//! freed them. [`Oms::is_ready`] tells a follower to take events in first; a replay that hands each record's events
//! in at once never waits, and neither does the process that decided.
//!
//! Left to others: the checks and the portfolio ([`crate::engine::risk`]), matching and the protocol's answers.

mod apply;
mod decide;
mod events;
pub mod life;
mod lookahead;
mod lookup;
mod marks;
mod orders;
mod snapshot;
mod tally;
mod view;

pub use crate::engine::risk::{AccountView, Breach, Position, Reservation};
pub use decide::{Decision, IgnoreCause, Route};
pub use view::OrderView;

use crate::engine::risk::Risk;
use crate::types::{AccountId, Firm, Market};
use lookup::Lookup;
use marks::Marks;
use orders::Orders;
use tally::Tally;

/// What the OMS keeps of a login.
#[derive(Clone, Copy)]
struct Session {
    account: AccountId,
    firm: Firm,
    /// Off by the client's own request.
    entry_enabled: bool,
}

/// The order management system of a partition.
pub struct Oms {
    risk: Risk,
    orders: Orders,
    lookup: Lookup,
    marks: Marks,
    sessions: Box<[Session]>,
    tally: Tally,
}

impl Oms {
    /// An empty one. Allocates all it will ever use.
    ///
    /// # Panics
    /// When the market contradicts itself (a session of an account that is not there), or has more than 2^32 slots.
    pub fn new(market: &Market) -> Oms {
        let orders = Orders::new(market);
        let session = |spec: &crate::types::SessionSpec| Session {
            account: spec.account,
            firm: market.accounts[spec.account.index()].firm,
            entry_enabled: true,
        };
        Oms {
            risk: Risk::new(market),
            lookup: Lookup::new(orders.len()),
            marks: Marks::new(market.sessions.len()),
            sessions: market.sessions.iter().map(session).collect(),
            tally: Tally::new(market.sessions.len(), market.tickers.len()),
            orders,
        }
    }

    /// Chooses the hash of the order lookup, so that clients cannot choose order numbers that collide in it. Any value
    /// gives the same decisions and the same digest. Before the first order.
    pub fn seed_lookup(&mut self, seed: u64) {
        self.lookup.set_seed(seed);
    }
}
