//! What the order management and the pre-trade checks promise, as claims about the market.
//!
//! A slow venue stands behind the OMS here ([`venue`]): price-time matching in plain vectors, by the rules that the
//! matchers follow; the real matchers ([`shards`]) take its place once. [`desk`] ties both together the way the sequencer does, with events as late as a test likes.

mod checks;
mod crosses;
mod desk;
mod interleaving;
mod kinds;
mod money;
mod numbers;
mod phases;
mod replaces;
mod shards;
mod switches;
mod venue;
