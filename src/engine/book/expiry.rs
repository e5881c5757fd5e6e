//! Orders that live for a given time: they wait in a tree by the time they end, and passing time takes them out. Cold.
//!
//! The engine has no clock. An order's end counts from the time of its record, and the records of passing time say when it
//! has come; until one does, the order stands and trades. Orders go in the order of their ends, then of their numbers.

use super::events::{Events, Progress};
use super::marks::Special;
use super::noii::TickWalk;
use super::order::Order;
use super::shard::Shard;
use super::work::Work;
use crate::types::{CancelReason, Command, Nanos, TimeInForce};

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;
/// The option that says how long.
const TAG_EXPIRE: u8 = 15;

impl Shard {
    /// Notes when an order ends, or that it does not, by what the request says. A good-till-time that says no time keeps the
    /// one the order has. Its number is the one it goes by from now on.
    pub(super) fn set_expiry(&mut self, order: &mut Order, command: &Command, time: Nanos) {
        let slot = order.tag.slot;
        let (nodes, tree) = (&mut self.specials.expiries, &mut self.expiries);
        let kept = order.special.has(Special::TIMED).then(|| nodes.key(slot).0);
        if kept.is_some() {
            nodes.remove(tree, slot);
        }
        let end = match command.time_in_force {
            TimeInForce::GoodTillTime if command.has_tag(TAG_EXPIRE) => {
                Some(time.0.saturating_add(u64::from(command.expire_seconds) * SECOND))
            }
            TimeInForce::GoodTillTime => kept,
            TimeInForce::Day | TimeInForce::ImmediateOrCancel | TimeInForce::GoodTillCancel => None,
            TimeInForce::ExtendedHours | TimeInForce::AfterHours => None,
        };
        order.special.set(Special::TIMED, end.is_some());
        if let Some(end) = end {
            nodes.insert(tree, slot, (end, order.reference.0));
        }
    }

    /// The order ends by other means.
    #[cold]
    pub(super) fn forget_expiry(&mut self, order: &Order) {
        self.specials.expiries.remove(&mut self.expiries, order.tag.slot);
    }

    /// Time has passed: takes out what has ended by now, as far as the buffer reaches; then the books tell how they stand.
    pub(super) fn expire(&mut self, now: Nanos, mut spoke: bool, out: &mut Events) -> Progress {
        while let Some(slot) = self.specials.expiries.first(&self.expiries) {
            if self.specials.expiries.key(slot).0 > now.0 {
                break;
            }
            if out.room() == 0 {
                self.work = Work::Expire { now, spoke };
                return Progress::More;
            }
            self.cancel_whole(slot, CancelReason::Expired, out);
            spoke = true;
        }
        self.tick(TickWalk::after(spoke), out)
    }
}
