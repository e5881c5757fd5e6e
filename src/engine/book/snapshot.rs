//! A shard as bytes and back. Cold; between two records only.
//!
//! What is written is what later records may depend on, in an order that says by itself how things stand: each session's
//! orders oldest first, each level's queues from the front, trades in their places on the tape. What follows from that is
//! made again by the same calls that made it: lists, trees, occupied levels, counts of open shares. So a snapshot cannot
//! say two things that contradict each other, and a free slot has no bytes at all.
//!
//! Reading trusts nothing: every slot is in range and taken once, every order stands in exactly the places its own fields
//! name, and memory is that of the market's configuration, never what the bytes ask for. What the bytes then mean is
//! judged by the digest of the state that comes out.

use super::arena::Node;
use super::beside::Beside;
use super::marks::Special;
use super::occupancy::NOWHERE;
use super::order::{CONTINUOUS, FOR_CROSS, Order};
use super::reaches::Band;
use super::shard::Shard;
use super::tape::Trade;
use super::ticker::Trades;
use super::work::Work;
use crate::types::bytes::{Malformed, Reader, Writer};
use crate::types::{
    AccountId, Channel, Liquidity, MatchNumber, OrderReference, OrderTag, Peg, Price, Quantity, SessionId, Side, Slot,
    TickerId, UserRef,
};

/// Version of this layout.
const VERSION: u16 = 1;
/// Bytes of an order and its place in a queue, for taking memory at once.
const ORDER_BYTES: usize = 68;

impl Shard {
    /// Takes the shard down.
    ///
    /// # Panics
    /// In the middle of a record.
    pub fn save(&self, out: &mut Writer) {
        assert!(matches!(self.work, Work::None), "a shard is taken down between records");
        out.u16(VERSION);
        out.u32(self.arena.orders.len() as u32);
        out.u16(self.arena.sessions.len() as u16);
        out.u16(self.books.len() as u16);
        for ticker in self.own_tickers() {
            self.save_book(ticker, out);
        }
        for session in 0..self.arena.sessions.len() {
            let mut at = self.arena.oldest(session as u16);
            while !at.is_none() {
                self.save_order(at.slot(), out);
                at = self.arena.chains.of(at).newer;
            }
            out.u32(Slot::NONE.0);
        }
        for ticker in self.own_tickers() {
            self.save_queues(ticker, out);
        }
        self.save_tape(out);
    }

    /// Bytes that [`Shard::save`] will about need.
    pub fn saved_bytes(&self) -> usize {
        let live = self.arena.orders.iter().filter(|order| !order.leaves.is_zero()).count();
        live * ORDER_BYTES + self.tape.iter().count() * 64 + (1 << 12)
    }

    /// A new shard becomes the one that was taken down.
    ///
    /// # Errors
    /// Bytes that no shard of this market wrote.
    pub fn load(mut self, from: &mut Reader<'_>) -> Result<Shard, Malformed> {
        let version = from.u16("version of a shard")?;
        from.check(version == VERSION, "version of a shard")?;
        let shape = (from.u32("order slots")?, from.u16("sessions")?, from.u16("tickers")?);
        let (orders, sessions) = (self.arena.orders.len(), self.arena.sessions.len());
        from.check(shape == (orders as u32, sessions as u16, self.books.len() as u16), "size of a shard")?;
        for ticker in self.own_tickers() {
            self.load_book(ticker, from)?;
        }
        let mut in_levels = 0;
        for session in 0..sessions as u16 {
            loop {
                let slot = Slot(from.u32("slot")?);
                if slot == Slot::NONE {
                    break;
                }
                in_levels += usize::from(self.load_order(SessionId(session), slot, from)?);
            }
        }
        let mut placed = vec![false; orders];
        for ticker in self.own_tickers() {
            in_levels -= self.load_queues(ticker, &mut placed, from)?;
        }
        from.check(in_levels == 0, "an order without a place")?;
        self.load_tape(from)?;
        Ok(self)
    }

    /// What would show a difference to another shard at once and costs no walk over orders: counts, numbers, and the touch of
    /// each ticker. For comparing often.
    pub fn summary(&self) -> u64 {
        let mut digest = crate::engine::digest::Digest::new();
        for book in self.books.iter().filter(|book| book.ours) {
            let Trades { last, high, low } = book.trades;
            let words = [
                book.numbers.references,
                book.numbers.matches,
                u64::from(book.phase.letter()) << 32 | u64::from(book.pegs.count),
                u64::from(last.0) << 32 | u64::from(book.static_reference.0),
                u64::from(high.0) << 32 | u64::from(low.0),
                u64::from(book.band.lower.0) << 32 | u64::from(book.band.upper.0),
                u64::from(book.band.limit),
            ];
            words.iter().for_each(|word| digest.add(*word));
            for ladder in &book.sides {
                let best = ladder.best();
                digest.add(u64::from(best));
                if best != NOWHERE {
                    ladder.open_at(best).iter().for_each(|open| digest.add(*open));
                    digest.add(u64::from(ladder.first().0));
                }
            }
        }
        digest.finish()
    }

    fn own_tickers(&self) -> impl Iterator<Item = TickerId> + use<> {
        let ours: Vec<_> = self.books.iter().map(|book| book.ours).collect();
        ours.into_iter().enumerate().filter(|(_, ours)| *ours).map(|(index, _)| TickerId(index as u16))
    }

    fn save_book(&self, ticker: TickerId, out: &mut Writer) {
        let book = &self.books[ticker.index()];
        out.u16(ticker.0);
        out.u64(book.numbers.references);
        out.u64(book.numbers.matches);
        out.bytes(&book.phase);
        let (Trades { last, high, low }, Band { lower, upper, limit }) = (book.trades, book.band);
        [last, high, low, lower, upper, book.static_reference].iter().for_each(|price| out.u32(price.0));
        out.bytes(&limit);
    }

    fn load_book(&mut self, ticker: TickerId, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let named = from.u16("ticker")?;
        from.check(named == ticker.0, "ticker")?;
        let book = &mut self.books[ticker.index()];
        book.numbers.references = from.u64("references given")?;
        book.numbers.matches = from.u64("match numbers given")?;
        book.phase = from.value("phase")?;
        let mut prices = [Price(0); 6];
        for price in &mut prices {
            *price = Price(from.u32("price of a ticker")?);
        }
        let [last, high, low, lower, upper, reference] = prices;
        book.trades = Trades { last, high, low };
        book.band = Band { lower, upper, limit: from.flag("limit state")? };
        let (low, high) = book.scale.ends();
        let within = low <= lower && lower <= upper && upper <= high;
        from.check(book.band == Band::NONE || within, "price band")?;
        book.static_reference = reference;
        book.settle();
        Ok(())
    }

    fn save_order(&self, slot: Slot, out: &mut Writer) {
        let order = &self.arena.orders[slot.index()];
        out.u32(slot.0);
        out.u16(order.tag.account.0);
        out.u16(order.tag.channel.to_bits());
        out.u32(order.tag.user_ref.0);
        out.u64(order.reference.0);
        let Order { price, rank, leaves, executed, removed, .. } = *order;
        [price.0, rank, leaves.0, executed.0, removed.0].iter().for_each(|word| out.u32(*word));
        out.u16(order.ticker.0);
        out.u16(order.group);
        out.bytes(&order.self_match);
        out.bytes(&order.self_match_group);
        out.bytes(&order.side_code);
        out.bytes(&order.display);
        out.bytes(&[order.post_only, order.special.0, order.shelf, order.queue]);
        out.u8(order.peg.map_or(0, Peg::letter));
        if order.special == Special::NONE {
            return;
        }
        let Beside { reserve, floor, random, refills, minimum, limit, offset } = self.specials.beside[slot.index()];
        let words = [reserve.0, floor.0, random.0, refills, minimum.0, limit.0];
        words.iter().for_each(|word| out.u32(*word));
        out.i32(offset);
        let waits = [
            order.special.has(Special::TIMED).then(|| self.specials.expiries.key(slot)),
            is_sleeping_stop(order).then(|| self.specials.stops.key(slot)),
        ];
        for (first, second) in waits.into_iter().flatten() {
            out.u64(first);
            out.u64(second);
        }
    }

    /// Gives whether the order stands in a level.
    fn load_order(&mut self, session: SessionId, slot: Slot, from: &mut Reader<'_>) -> Result<bool, Malformed> {
        let free = self.arena.orders.get(slot.index()).is_some_and(|order| order.leaves.is_zero());
        from.check(free, "slot of an order")?;
        let order = self.read_order(session, slot, from)?;
        self.arena.orders[slot.index()] = order;
        self.arena.enter_session(slot);
        if order.special == Special::NONE {
            from.check(order.peg.is_none(), "a peg's marks")?;
            return Ok(true);
        }
        self.specials.beside[slot.index()] = read_beside(from)?;
        if order.special.has(Special::TIMED) {
            let key = (from.u64("end of an order")?, from.u64("number of an order that ends")?);
            self.specials.expiries.insert(&mut self.expiries, slot, key);
        }
        if is_sleeping_stop(&order) {
            let key = (from.u64("stop price")?, from.u64("number of a stop")?);
            from.check(u32::try_from(key.0).is_ok(), "stop price")?;
            self.lay_to_sleep(&order, key);
        }
        if order.peg.is_some() {
            from.check(order.special.has(Special::ASIDE), "a peg's marks")?;
            self.hang_peg(&order);
        }
        Ok(!order.special.has(Special::ASIDE))
    }

    fn read_order(&self, session: SessionId, slot: Slot, from: &mut Reader<'_>) -> Result<Order, Malformed> {
        let tag = OrderTag {
            slot,
            session,
            account: AccountId(from.u16("account")?),
            channel: Channel::from_bits(from.u16("channel")?).ok_or_else(|| from.malformed("channel"))?,
            user_ref: UserRef(from.u32("user reference")?),
        };
        from.check(self.owners[session.index()].account == tag.account, "account")?;
        let order = Order {
            tag,
            reference: OrderReference(from.u64("reference")?),
            price: Price(from.u32("price")?),
            rank: from.u32("rank")?,
            leaves: Quantity(from.u32("open shares")?),
            executed: Quantity(from.u32("shares executed")?),
            removed: Quantity(from.u32("shares removed")?),
            ticker: TickerId(from.u16("ticker of an order")?),
            group: from.u16("group")?,
            self_match: from.value("self-match rule")?,
            self_match_group: from.value("self-match group")?,
            side_code: from.value("side")?,
            display: from.value("display")?,
            post_only: from.u8("post-only")?,
            special: Special(from.u8("marks")?),
            shelf: from.u8("shelf")?,
            queue: from.u8("queue")?,
            peg: match from.u8("peg")? {
                0 => None,
                letter => Some(Peg::from_letter(letter).ok_or_else(|| from.malformed("peg"))?),
            },
        };
        from.check(!order.leaves.is_zero(), "open shares")?;
        from.check(order.queue <= 1 && (order.shelf == CONTINUOUS || order.shelf == FOR_CROSS), "shelf or queue")?;
        let book = self.books.get(order.ticker.index()).filter(|book| book.ours);
        let book = book.ok_or_else(|| from.malformed("ticker of an order"))?;
        // A stop at the market has no rank.
        let ranked = order.rank < book.scale.ticks() || order.price.is_market() || order.shelf == FOR_CROSS;
        from.check(ranked, "rank")?;
        Ok(order)
    }

    fn save_queues(&self, ticker: TickerId, out: &mut Writer) {
        for ladder in &self.books[ticker.index()].sides {
            let mut rank = ladder.best();
            while rank != NOWHERE {
                out.u32(rank);
                for queue in 0..2 {
                    let mut slot = ladder.head(rank, queue);
                    while slot != Slot::NONE {
                        out.u32(slot.0);
                        slot = self.arena.chains.of(Node::of(slot)).next.slot();
                    }
                    out.u32(Slot::NONE.0);
                }
                rank = ladder.next(rank + 1);
            }
            out.u32(NOWHERE);
        }
    }

    /// Gives how many orders it put into levels.
    fn load_queues(
        &mut self,
        ticker: TickerId,
        placed: &mut [bool],
        from: &mut Reader<'_>,
    ) -> Result<usize, Malformed> {
        let mut count = 0;
        for ladder in 0..self.books[ticker.index()].sides.len() {
            loop {
                let rank = from.u32("rank of a level")?;
                if rank == NOWHERE {
                    break;
                }
                for queue in 0..2 {
                    loop {
                        let slot = Slot(from.u32("slot in a queue")?);
                        if slot == Slot::NONE {
                            break;
                        }
                        let order = self.arena.orders.get(slot.index()).filter(|order| !order.leaves.is_zero());
                        let order = *order.ok_or_else(|| from.malformed("slot in a queue"))?;
                        let here = order.ticker == ticker && order.ladder() == ladder;
                        let here = here && order.rank == rank && order.queue == queue;
                        from.check(here && !order.special.has(Special::ASIDE), "place of an order")?;
                        let once = !core::mem::replace(&mut placed[slot.index()], true);
                        from.check(once && self.books[ticker.index()].sides[ladder].has(rank), "place of an order")?;
                        self.put_into_level(&order);
                        count += 1;
                    }
                }
            }
        }
        Ok(count)
    }

    fn put_into_level(&mut self, order: &Order) {
        let slot = order.tag.slot;
        let ladder = &mut self.books[order.ticker.index()].sides[order.ladder()];
        ladder.append(&mut self.arena.chains, order.place(), slot);
        if order.special.has(Special::RESERVE) {
            ladder.keep_back(order.rank, self.specials.beside[slot.index()].reserve.0);
        }
    }

    fn save_tape(&self, out: &mut Writer) {
        out.u64(self.tape.next_place() as u64);
        out.u64(self.tape.iter().count() as u64);
        for trade in self.tape.iter() {
            for party in trade.parties {
                out.u32(party.slot.0);
                out.u32(party.user_ref.0);
                out.u16(party.session.0);
                out.u16(party.account.0);
                out.u16(party.channel.to_bits());
            }
            out.u64(trade.match_number.0);
            out.u32(trade.price.0);
            out.u32(trade.quantity.0);
            trade.liquidity.iter().for_each(|flag| out.u8(flag.letter()));
            out.bytes(&trade.first_side);
            out.bytes(&trade.broken);
        }
    }

    fn load_tape(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let (next, count) = (from.u64("place on the tape")?, from.u64("trades kept")?);
        // The ring is written from its beginning: as long as it is not full, the next place is behind the last trade.
        let kept = self.tape.kept() as u64;
        let fits = if count < kept { next == count } else { count == kept && next < kept };
        from.check(fits, "trades kept")?;
        for _ in 0..count {
            let parties = [read_party(from)?, read_party(from)?];
            let trade = Trade {
                parties,
                match_number: MatchNumber(from.u64("match number")?),
                price: Price(from.u32("price of a trade")?),
                quantity: Quantity(from.u32("shares of a trade")?),
                liquidity: [read_liquidity(from)?, read_liquidity(from)?],
                first_side: from.value::<Side>("side of a trade")?,
                broken: from.flag("whether a trade is broken")?,
            };
            from.check(trade.match_number.0 != 0, "match number")?;
            self.tape.push(trade);
        }
        self.tape.set_next_place(next as usize);
        Ok(())
    }
}

/// Whether it waits in a tree of stops.
fn is_sleeping_stop(order: &Order) -> bool {
    order.special.has(Special::ASIDE) && order.peg.is_none()
}

fn read_beside(from: &mut Reader<'_>) -> Result<Beside, Malformed> {
    Ok(Beside {
        reserve: Quantity(from.u32("reserve")?),
        floor: Quantity(from.u32("floor")?),
        random: Quantity(from.u32("random part")?),
        refills: from.u32("refills")?,
        minimum: Quantity(from.u32("least quantity")?),
        limit: Price(from.u32("limit of a waiting order")?),
        offset: from.i32("offset of a peg")?,
    })
}

fn read_party(from: &mut Reader<'_>) -> Result<OrderTag, Malformed> {
    Ok(OrderTag {
        slot: Slot(from.u32("slot of a party")?),
        user_ref: UserRef(from.u32("order of a party")?),
        session: SessionId(from.u16("session of a party")?),
        account: AccountId(from.u16("account of a party")?),
        channel: Channel::from_bits(from.u16("channel of a party")?)
            .ok_or_else(|| from.malformed("channel of a party"))?,
    })
}

fn read_liquidity(from: &mut Reader<'_>) -> Result<Liquidity, Malformed> {
    let letter = from.u8("liquidity")?;
    Liquidity::from_letter(letter).ok_or_else(|| from.malformed("liquidity"))
}
