//! Shards beside their twins, with a small driver in the place of the OMS: it gives slots, takes them back when an event
//! ends an order, and keeps the open shares of every order by the events alone, so that a share lost or made up shows.

use super::random::Random;
use super::twin::{Twin, TwinOrder};
use pitlane::engine::book::{Events, Pegged, Progress, Shard, Sleeping};
use pitlane::types::*;
use std::collections::VecDeque;

pub const MATCHERS: u16 = 3;

/// The ticker that gets the most orders.
pub const DEEP: TickerId = TickerId(4);

pub fn account(name: &str, firm: &str) -> AccountSpec {
    AccountSpec {
        name: name.into(),
        firm: Firm::from_text(firm).unwrap(),
        cash: Money::ZERO,
        limits: Limits {
            enabled: true,
            order_quantity_max: Quantity::ORDER_MAX,
            order_notional_max: Money(i128::MAX),
            open_orders_max: u32::MAX,
            position_max: u64::MAX,
            gross_exposure_max: Money(i128::MAX),
            messages_per_second_max: 0,
            price_collar: 0,
            credit: Money::ZERO,
        },
    }
}

pub fn ticker(symbol: &str, matcher: u16, tick: u32, low: u32, high: u32) -> TickerSpec {
    TickerSpec {
        symbol: Symbol::from_text(symbol).unwrap(),
        tick: Price(tick),
        lot: Quantity(1),
        price_min: Price(low),
        price_max: Price(high),
        reference: Price(low.midpoint(high)),
        matcher: MatcherId(matcher),
        fees: Fees::default(),
        auction: AuctionSpec::default(),
    }
}

fn band(band_dynamic: u32, band_static: u32) -> AuctionSpec {
    AuctionSpec { band_dynamic, band_static, ..AuctionSpec::default() }
}

/// The same ticker with orders for crosses.
pub fn crosses(spec: TickerSpec) -> TickerSpec {
    TickerSpec { auction: AuctionSpec { cross_orders: true, ..spec.auction }, ..spec }
}

/// Seven tickers on three shards (one has a single price, one a ladder of four floors), three firms, five accounts, nine
/// sessions.
pub fn market(orders_max: u32) -> Market {
    let session = |index: usize| SessionSpec {
        user: format!("S{index}"),
        account: AccountId([0, 0, 1, 2, 2, 3, 4, 4, 1][index]),
        self_match: SelfMatch::OFF,
        cancel_on_disconnect: true,
    };
    let banded = |dynamic, fixed, spec| crosses(TickerSpec { auction: band(dynamic, fixed), ..spec });
    Market {
        session_name: *b"RACE      ",
        tickers: vec![
            TickerSpec { auction: band(300, 0), ..ticker("WIDE", 0, 100, 100, 5_000_000) },
            banded(0, 40, ticker("NARROW", 0, 100, 99_000, 101_000)),
            crosses(ticker("ONE", 1, 100, 10_000, 10_000)),
            crosses(ticker("ODD", 1, 7, 50, 9_999)),
            crosses(ticker("DEEP", 2, 1, 1, 300_000)),
            ticker("COARSE", 1, 2_500, 2_500, 1_999_990_000),
            banded(500, 900, ticker("LAST", 1, 100, 100, 20_000)),
        ],
        accounts: vec![
            account("a0", "AAAA"),
            account("a1", "AAAA"),
            account("b0", "BBBB"),
            account("b1", "BBBB"),
            account("c0", "CCCC"),
        ],
        sessions: (0..9).map(session).collect(),
        matchers: MATCHERS,
        orders_max,
        trades_kept: 1_024,
    }
}

/// An order as the events tell it.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    pub tag: OrderTag,
    pub ticker: TickerId,
    pub side: SideCode,
    pub leaves: u32,
    pub executed: u32,
    /// Letter of what its price follows.
    pub price_type: u8,
}

/// A shard, its twin, and the driver's knowledge of the orders there.
pub struct Lane {
    matcher: MatcherId,
    pub shard: Shard,
    twin: Twin,
    open: Vec<Option<Open>>,
    live: Vec<u32>,
    /// Slots to give, oldest first.
    free: VecDeque<u32>,
    /// The latest names of orders that ended or got another number: requests for them come too late.
    gone: Vec<Open>,
    /// The latest trades.
    pub traded: VecDeque<(TickerId, MatchNumber)>,
    /// Shares of the cross under way.
    crossed: u64,
    /// Trades in which a peg took part, those of them that no incoming order made, and pegs that slept when books were
    /// compared.
    pub pegs_traded: u64,
    pub pegs_settled: u64,
    pub pegs_asleep: u64,
}

impl Lane {
    pub fn new(market: &Market, matcher: MatcherId) -> Lane {
        Lane {
            matcher,
            shard: Shard::new(market, matcher).unwrap(),
            twin: Twin::new(market, matcher),
            open: vec![None; market.orders_max as usize],
            live: Vec::new(),
            free: (0..market.orders_max).collect(),
            gone: Vec::new(),
            traded: VecDeque::new(),
            crossed: 0,
            pegs_traded: 0,
            pegs_settled: 0,
            pegs_asleep: 0,
        }
    }

    /// Both execute the record; returns the events.
    pub fn play(&mut self, record: &Sequenced, events: &mut Events) -> Vec<(TickerId, Event)> {
        let said = execute(&mut self.shard, record, events);
        agree(&said, &self.twin.execute(record), record);
        if self.twin.has(record.command.ticker) {
            self.is_uncrossed_by_pegs(record.command.ticker);
        }
        for (ticker, event) in &said {
            self.note(*ticker, event, record);
            if self.twin.has(*ticker) {
                self.is_uncrossed(*ticker);
            }
        }
        said
    }

    /// Orders open now.
    pub fn open_count(&self) -> usize {
        self.live.len()
    }

    /// A slot for a new order.
    pub fn give_slot(&mut self) -> Option<Slot> {
        self.free.pop_front().map(Slot)
    }

    /// A random live order.
    pub fn any_live(&self, random: &mut Random) -> Option<Open> {
        if self.live.is_empty() { None } else { self.open[random.of(&self.live) as usize] }
    }

    /// The name of a random order that ended or was replaced.
    pub fn any_gone(&self, random: &mut Random) -> Option<Open> {
        if self.gone.is_empty() { None } else { Some(random.of(&self.gone)) }
    }

    /// Keeps the driver's picture by what the event says, and checks the event against it.
    fn note(&mut self, ticker: TickerId, event: &Event, record: &Sequenced) {
        match *event {
            Event::Accepted { order, quantity, .. } => {
                let open = Open {
                    tag: order,
                    ticker,
                    side: record.command.side,
                    leaves: quantity.0,
                    executed: 0,
                    price_type: record.command.price_type,
                };
                assert!(self.open[order.slot.index()].replace(open).is_none(), "slot in use");
                self.live.push(order.slot.0);
            }
            Event::Rested { order, quantity, .. } | Event::Triggered { order, quantity, .. } => {
                assert_eq!(self.open[order.slot.index()].unwrap().leaves, quantity.0);
            }
            Event::Refreshed { order, quantity, reserve, .. } => {
                assert!(quantity.0 > 0, "an order that shows nothing");
                assert_eq!(self.open[order.slot.index()].unwrap().leaves, quantity.0 + reserve.0);
            }
            Event::Crossed { buy, sell, quantity, buy_leaves, sell_leaves, match_number, .. } => {
                self.crossed += u64::from(quantity.0);
                self.remember_trade(ticker, match_number);
                for (tag, leaves) in [(buy, buy_leaves), (sell, sell_leaves)] {
                    self.open[tag.slot.index()].as_mut().unwrap().executed += quantity.0;
                    self.take(tag, quantity, leaves);
                }
            }
            Event::CrossDone { quantity, price, .. } => {
                assert_eq!((std::mem::take(&mut self.crossed), quantity > 0), (quantity, price.0 > 0));
            }
            Event::Filled { resting, incoming, quantity, resting_leaves, incoming_leaves, match_number, .. } => {
                self.remember_trade(ticker, match_number);
                self.count_pegs(resting, incoming);
                for (tag, leaves) in [(resting, resting_leaves), (incoming, incoming_leaves)] {
                    self.open[tag.slot.index()].as_mut().unwrap().executed += quantity.0;
                    self.take(tag, quantity, leaves);
                }
            }
            Event::Canceled { order, quantity, leaves, .. } | Event::SelfMatch { order, quantity, leaves, .. } => {
                assert!(quantity.0 > 0);
                self.take(order, quantity, leaves);
            }
            Event::Modified { order, taken, leaves, side_code, .. } => {
                self.open[order.slot.index()].as_mut().unwrap().side = side_code;
                self.take(order, taken, leaves);
            }
            Event::Replaced { order, quantity, old_quantity, side_code, .. } => {
                let open = self.open[order.slot.index()].as_mut().unwrap();
                assert_eq!(open.leaves, old_quantity.0);
                remember(&mut self.gone, *open);
                let price_type = record.command.price_type;
                *open = Open { tag: order, leaves: quantity.0, side: side_code, price_type, ..*open };
            }
            Event::Nothing | Event::ReplaceIgnored { .. } | Event::State { .. } => {}
            Event::Imbalance { .. } | Event::Band { .. } | Event::Broken { .. } => {}
            _ => panic!("this driver does not know {event:?} yet"),
        }
    }

    fn count_pegs(&mut self, resting: OrderTag, incoming: OrderTag) {
        let is_peg = |tag: OrderTag| self.open[tag.slot.index()].unwrap().price_type != b'L';
        self.pegs_traded += u64::from(is_peg(resting) || is_peg(incoming));
        // Pegs take in one way only.
        self.pegs_settled += u64::from(is_peg(incoming));
    }

    fn remember_trade(&mut self, ticker: TickerId, number: MatchNumber) {
        const TRADED_MAX: usize = 400;
        self.traded.push_back((ticker, number));
        if self.traded.len() > TRADED_MAX {
            self.traded.pop_front();
        }
    }

    fn take(&mut self, tag: OrderTag, taken: Quantity, leaves: Quantity) {
        let slot = tag.slot;
        let open = self.open[slot.index()].as_mut().unwrap();
        assert_eq!(open.tag, tag);
        open.leaves -= taken.0;
        assert_eq!(open.leaves, leaves.0, "shares lost or made up");
        if open.leaves == 0 {
            remember(&mut self.gone, *open);
            self.open[slot.index()] = None;
            self.live.swap_remove(self.live.iter().position(|&s| s == slot.0).unwrap());
            self.free.push_back(slot.0);
        }
    }

    /// What shows of a book is not crossed while it trades. Hidden orders with a least quantity may stand across the other
    /// side.
    pub fn is_uncrossed(&self, ticker: TickerId) {
        let best = [Side::Buy, Side::Sell].map(|side| self.shard.depth(ticker, side).next().map(|d| d.price));
        if let [Some(bid), Some(offer)] = best {
            assert!(bid < offer || !self.shard.phase(ticker).matches(), "crossed book: {bid} {offer}");
        }
    }

    /// Nor is it with the pegs that are active, against what shows and against each other.
    fn is_uncrossed_by_pegs(&self, ticker: TickerId) {
        let best = |side: Side| {
            let pegs = self.shard.pegs(ticker, side).into_iter().filter_map(|peg| peg.price);
            let shown = self.shard.depth(ticker, side).next().map(|d| d.price);
            let better = |a: Price, b: Price| if side == Side::Buy { a.max(b) } else { a.min(b) };
            pegs.chain(shown).reduce(better)
        };
        if let (Some(bid), Some(offer)) = (best(Side::Buy), best(Side::Sell)) {
            assert!(bid < offer || !self.shard.phase(ticker).matches(), "a peg crosses: {bid} {offer}");
        }
    }

    /// Books in which a bid and an offer stand across each other.
    pub fn crossed_books(&self, market: &Market) -> u64 {
        let tickers = (0..market.tickers.len() as u16).map(TickerId);
        let crossed = |ticker: &TickerId| {
            let best = [Side::Buy, Side::Sell].map(|side| self.shard.best(*ticker, side));
            let matches = self.shard.phase(*ticker).matches();
            matches!(best, [Some(bid), Some(offer)] if bid >= offer && matches)
        };
        tickers.filter(|t| market.tickers[t.index()].matcher == self.matcher).filter(crossed).count() as u64
    }

    /// Compares whole books.
    pub fn check(&mut self, market: &Market) {
        let mut resting_count = 0;
        for (ticker, _) in market.tickers.iter().enumerate().filter(|(_, t)| t.matcher == self.matcher) {
            let ticker = TickerId(ticker as u16);
            for side in [Side::Buy, Side::Sell] {
                let orders: Vec<_> = self.shard.orders(ticker, side).collect();
                let twins = self.twin.book(ticker).orders(side);
                let named: Vec<_> =
                    orders.iter().map(|o| (o.slot, o.reference, o.price, o.leaves.0, o.shown.0)).collect();
                let expected: Vec<_> =
                    twins.iter().map(|o| (o.slot, o.reference, o.price, o.leaves, o.shown())).collect();
                assert_eq!(named, expected, "queue order of {ticker} {side:?}");
                assert!(orders.iter().all(|o| self.open[o.slot.index()].unwrap().leaves == o.leaves.0));
                resting_count += orders.len();
                let depth: Vec<_> = self.shard.depth(ticker, side).map(|d| (d.price, d.quantity, d.count)).collect();
                assert_eq!(depth, self.twin.book(ticker).depth(side));
                assert_eq!(self.shard.best(ticker, side), orders.first().map(|o| o.price));
                let waiting: Vec<_> = self.shard.cross_orders(ticker, side).map(|o| (o.slot, o.leaves.0)).collect();
                let twins = self.twin.book(ticker).waiting(side);
                assert_eq!(waiting, twins.iter().map(|o| (o.slot, o.leaves)).collect::<Vec<_>>());
                resting_count += waiting.len();
                let stops = self.twin.book(ticker).stops(side);
                let told =
                    |o: &TwinOrder| Sleeping { slot: o.slot, stop: o.terms.stop.unwrap(), leaves: Quantity(o.leaves) };
                let expected: Vec<_> = stops.iter().map(told).collect();
                assert_eq!(self.shard.stops(ticker, side), expected, "sleeping stops of {ticker} {side:?}");
                resting_count += expected.len();
                let twin = self.twin.book(ticker);
                let told = |o: TwinOrder| Pegged {
                    slot: o.slot,
                    peg: o.terms.peg.unwrap(),
                    offset: o.terms.offset,
                    leaves: Quantity(o.leaves),
                    price: twin.peg_price(&o, &twin.quote()),
                };
                let expected: Vec<_> = twin.pegs(side).into_iter().map(told).collect();
                assert_eq!(self.shard.pegs(ticker, side), expected, "pegs of {ticker} {side:?}");
                resting_count += expected.len();
                self.pegs_asleep += expected.iter().filter(|peg| peg.price.is_none()).count() as u64;
            }
            assert_eq!(self.shard.phase(ticker), self.twin.book(ticker).phase());
            self.is_uncrossed(ticker);
        }
        assert_eq!(resting_count, self.live.len(), "an order is open and nowhere");
    }
}

/// Says where two lists of events part, which may be long.
fn agree(said: &[(TickerId, Event)], twin: &[(TickerId, Event)], record: &Sequenced) {
    if said != twin {
        let at = said.iter().zip(twin).take_while(|(said, twin)| said == twin).count();
        let around = at.saturating_sub(2)..;
        let told = |list: &[(TickerId, Event)]| -> String {
            list[around.start..].iter().take(4).map(|event| format!("{event:?}\n")).collect()
        };
        panic!("event {at} of {record:?}\nthe book\n{}its twin\n{}", told(said), told(twin));
    }
}

/// Keeps the newest names.
fn remember(gone: &mut Vec<Open>, open: Open) {
    const GONE_MAX: usize = 64;
    if gone.len() == GONE_MAX {
        gone.remove(0);
    }
    gone.push(open);
}

/// All events of a record.
pub fn execute(shard: &mut Shard, record: &Sequenced, events: &mut Events) -> Vec<(TickerId, Event)> {
    let mut progress = shard.execute(record, events);
    let mut said = events.as_slice().to_vec();
    while progress == Progress::More {
        progress = shard.resume(events);
        said.extend_from_slice(events.as_slice());
    }
    said
}
