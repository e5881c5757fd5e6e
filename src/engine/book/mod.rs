//! The books of one matching shard, and the continuous double auction that runs on them.
//!
//! A [`Shard`] is a plain state machine: it takes a [`Sequenced`](crate::types::Sequenced) record, and says what
//! happened as [`Event`](crate::types::Event)s. One matcher thread owns it and calls it for every order of its tickers,
//! so all of `execute` is hot; `new` and the views are cold.
//!
//! **Memory.** An order is one cache line in an arena that is indexed by the slot the OMS gave it ([`order`]); a cancel
//! therefore finds its order with one load and no hash. Its places in the queue of its level and in the list of its session
//! are links in an array beside ([`arena`]). Each side of a ticker has a *ladder*: an array with a level for every tick of
//! the price range, and over it a tree of 64-bit words that says which levels hold orders ([`ladder`], [`occupancy`]). A
//! level is two first-in-first-out queues, displayed before hidden. All of it is taken and written in `new`; nothing is
//! allocated or faulted in later, and no cost grows with the number of orders.
//!
//! **Sides.** A ladder counts from the best price its side could have, downwards for bids and upwards for offers. So the
//! best level is always the lowest rank, a sweep always walks up, and matching needs no branch on the side, which the
//! processor could not predict.
//!
//! **Auctions.** While a ticker does not match, both sides may have orders at one price: that is why each side has its own
//! ladder although continuous trading never uses a tick on both. Orders for a cross stand on a second pair ([`cross_orders`]);
//! a change of phase ([`phases`]) finds the one price ([`uncross`]) and trades at it ([`cross`]).
//!
//! **What stands where.** Below, values that know nothing of a shard: an order and its marks, ladders and trees, the book of
//! one ticker ([`ticker`]), and everything that may be under way between two turns: an incoming order ([`taker`]), a walk over
//! many ([`walk`]), a cross ([`crossing`]), a change of phase ([`passage`]). Then the [`Shard`], which holds them and says which
//! request goes where. Above, one file for each thing that a shard does, named by it; none knows those beside it but by the
//! calls it makes.
//!
//! **Bounded turns.** A record may cause any number of events (a sweep, a mass cancel). `execute` fills its buffer, answers
//! [`Progress::More`], and `resume` goes on from there. No other record may come between.
//!
//! **Orders that are not plain.** A mark in the order's line sends the frequent paths into cold calls; what such an order has
//! beside its line stands in a table by slot ([`beside`]). Reserve orders keep what they do not show there and refill where
//! [`matching`] sees their shown part end; least quantities are kept in [`least`]; stops sleep in trees by their price
//! ([`stops`]) and orders with an end in one by time ([`expiry`]), both made of nodes by slot ([`waiting`]).
//!
//! **Pegs** stand in no level: in trees by their offset ([`peg_trees`]), from which their price is worked out when an order
//! comes ([`among`]) or when a record is done and they may have come across somebody ([`settling`]).

mod amend;
mod among;
mod arena;
mod bands;
mod beside;
mod busts;
mod cross;
mod cross_orders;
mod crossing;
mod events;
mod expiry;
mod ladder;
mod least;
mod lookahead;
mod marks;
mod mass;
mod matching;
mod noii;
mod occupancy;
mod order;
mod passage;
mod peg_trees;
mod pegs;
mod phases;
mod reaches;
mod requests;
mod scale;
mod self_match;
mod settling;
mod shard;
mod snapshot;
mod stops;
mod survey;
mod taker;
mod tape;
mod terms;
mod ticker;
mod ticks;
mod uncross;
mod view;
mod waiting;
mod walk;
mod work;

pub use events::{EVENTS_MAX, Events, Progress};
pub use ladder::TICKS_MAX;
pub use shard::{Shard, ShardFault};
pub use view::{Depth, Pegged, Resting, Sleeping};
