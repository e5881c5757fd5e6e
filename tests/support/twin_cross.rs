//! The slow twin's phases, crosses, bands and busts: prices are tried one by one, orders are sorted anew for each cross.

use super::twin::{Twin, TwinBook, TwinOrder, remover};
use pitlane::types::*;

/// What a price of a cross comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    pub price: Price,
    pub paired: u64,
    pub imbalance: u64,
    pub surplus: Option<Side>,
}

impl TwinBook {
    fn is_pressed(&self, lower: Price, upper: Price) -> bool {
        let bids = self.prices(Side::Buy).iter().any(|&bid| bid >= upper);
        let offers = self.prices(Side::Sell).iter().any(|&offer| offer <= lower);
        self.phase.matches() && (bids || offers)
    }

    pub(super) fn ladder(&self) -> (u32, u32, u32) {
        let tick = self.spec.tick.0;
        (self.spec.price_min.0.div_ceil(tick).max(1) * tick, self.spec.price_max.0 / tick * tick, tick)
    }

    /// The last trade, before it the price of the configuration.
    fn reference(&self) -> Price {
        self.last.unwrap_or(self.spec.reference)
    }

    fn is_imbalance_only(order: &TwinOrder) -> bool {
        order.waits && order.command.is_imbalance_only()
    }

    /// Orders of a side that wait for a cross, in the order in which a ladder would hold them.
    pub fn waiting(&self, side: Side) -> Vec<TwinOrder> {
        let mut orders: Vec<_> = self.waiting.iter().filter(|order| order.side() == side).cloned().collect();
        orders.sort_by_key(|order| (worse(side, order.price), Self::is_imbalance_only(order)));
        orders
    }

    /// Side, limit and open shares of the orders that make the price.
    fn shares(&self, resting: bool, waiting: bool) -> Vec<(Side, i64, u64)> {
        let mut shares = Vec::new();
        for side in [Side::Buy, Side::Sell] {
            let mut orders = if resting { self.orders(side) } else { Vec::new() };
            if waiting {
                orders.extend(self.waiting(side).into_iter().filter(|order| !Self::is_imbalance_only(order)));
            }
            shares.extend(orders.iter().map(|order| (side, worse(side, order.price), u64::from(order.leaves))));
        }
        shares
    }

    /// The best of these prices: most shares, least imbalance, nearest the reference, the higher.
    fn best_of(&self, prices: impl Iterator<Item = u32>, resting: bool, waiting: bool) -> Option<Outcome> {
        let shares = self.shares(resting, waiting);
        let all = prices.map(|price| at(&shares, Price(price))).filter(|found| found.paired > 0);
        all.max_by_key(|found| {
            let distance = found.price.0.abs_diff(self.reference().0);
            (found.paired, std::cmp::Reverse(found.imbalance), std::cmp::Reverse(distance), found.price)
        })
    }

    /// By looking at every tick there is.
    pub fn exhaustive(&self, resting: bool, waiting: bool) -> Option<Outcome> {
        let (low, high, tick) = self.ladder();
        self.best_of((low..=high).step_by(tick as usize), resting, waiting)
    }

    /// By looking at every tick at which sums or distances can turn: limits, their neighbours, the reference, the ends.
    fn cross_price(&self, resting: bool, waiting: bool) -> Option<Outcome> {
        let (low, high, tick) = self.ladder();
        let near = low + (self.reference().0.clamp(low, high) - low) / tick * tick;
        let book = self.prices(Side::Buy).into_iter().chain(self.prices(Side::Sell));
        let limits = book.chain(self.waiting.iter().map(|order| order.price)).filter(|price| !price.is_market());
        let mut prices: Vec<u32> = limits.map(|price| price.0).chain([near, low, high]).collect();
        prices = prices.into_iter().flat_map(|price| [price.saturating_sub(tick), price, price + tick]).collect();
        prices.retain(|price| (low..=high).contains(price));
        prices.sort_unstable();
        prices.dedup();
        self.best_of(prices.into_iter(), resting, waiting)
    }

    /// The order of a side that trades next at the price, by all orders in their priority.
    fn next_in_turn(&self, side: Side, found: &Outcome, waiting: bool) -> Option<TwinOrder> {
        let place = |order: &TwinOrder| match (order.waits, order.is_shown()) {
            (false, true) => 0,
            (true, _) => 1,
            (false, false) => 2,
        };
        let mut orders = self.orders(side);
        if waiting {
            orders.extend(self.waiting(side));
        }
        let joins = found.surplus == Some(side.opposite());
        orders.retain(|order| {
            let within = worse(side, order.price) <= worse(side, found.price);
            within && (joins || !Self::is_imbalance_only(order))
        });
        // Stable: who came first at a price stays first.
        orders.sort_by_key(|order| (Self::is_imbalance_only(order), worse(side, order.price), place(order)));
        orders.into_iter().next()
    }

    fn bounds(&self) -> (Price, Price) {
        let (low, high, tick) = self.ladder();
        let up =
            |price: u64| (low + (price.clamp(low.into(), high.into()) as u32 - low).div_ceil(tick) * tick).min(high);
        let down = |price: u64| low + (price.clamp(low.into(), high.into()) as u32 - low) / tick * tick;
        let around = |reference: Price, width: u32| {
            let reference = u64::from(reference.0);
            let reach = if width == 0 { u64::from(u32::MAX) } else { reference * u64::from(width) / 10_000 };
            (up(reference.saturating_sub(reach)), down(reference + reach))
        };
        let dynamic = around(self.reference(), self.spec.auction.band_dynamic);
        let fixed = around(self.last_cross, self.spec.auction.band_static);
        let both = (dynamic.0.max(fixed.0), dynamic.1.min(fixed.1));
        let (lower, upper) = if both.0 <= both.1 { both } else { (dynamic.0.min(dynamic.1), dynamic.1) };
        (Price(lower), Price(upper))
    }
}

/// What would trade at this price.
fn at(shares: &[(Side, i64, u64)], price: Price) -> Outcome {
    let sum = |side: Side| {
        let within = shares.iter().filter(|(of, limit, _)| *of == side && *limit <= worse(side, price));
        within.map(|(_, _, open)| open).sum::<u64>()
    };
    let (demand, supply) = (sum(Side::Buy), sum(Side::Sell));
    let surplus = match demand.cmp(&supply) {
        std::cmp::Ordering::Greater => Some(Side::Buy),
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Less => Some(Side::Sell),
    };
    Outcome { price, paired: demand.min(supply), imbalance: demand.abs_diff(supply), surplus }
}

/// Prices of a side from the best up; market orders before all.
fn worse(side: Side, price: Price) -> i64 {
    match (price.is_market(), side) {
        (true, _) => i64::MIN,
        (false, Side::Buy) => -i64::from(price.0),
        (false, Side::Sell) => i64::from(price.0),
    }
}

fn flag(kind: CrossKind, order: &TwinOrder) -> Liquidity {
    match (kind, TwinBook::is_imbalance_only(order)) {
        (CrossKind::Opening, false) => Liquidity::OpeningCross,
        (CrossKind::Opening, true) => Liquidity::OpeningImbalanceOnly,
        (CrossKind::Closing, false) => Liquidity::ClosingCross,
        (CrossKind::Closing, true) => Liquidity::ClosingImbalanceOnly,
        (CrossKind::Halt, _) => Liquidity::HaltCross,
    }
}

impl Twin {
    pub(super) fn phase_after(&self, ticker: TickerId, command: &Command) -> Phase {
        let from = self.books[&ticker].phase;
        match (command.kind, from) {
            (CommandKind::Phase, _) => Phase::from_letter(command.value as u8).unwrap_or(from),
            (CommandKind::Halt, Phase::Closed) => Phase::Closed,
            (CommandKind::Halt, _) => Phase::Halted,
            (CommandKind::Resume, Phase::Halted | Phase::HaltAuction | Phase::Paused) => Phase::Trading,
            _ => from,
        }
    }

    /// The cross on the way, then the orders whose time is over, then the state.
    pub(super) fn change_phase(&mut self, ticker: TickerId, to: Phase) {
        let from = self.books[&ticker].phase;
        let opens = matches!(to, Phase::Trading | Phase::PreClose);
        let cross = match from {
            Phase::PreOpen if opens => Some((CrossKind::Opening, false)),
            Phase::HaltAuction | Phase::Paused if opens => Some((CrossKind::Halt, false)),
            Phase::Halted if opens => Some((CrossKind::Halt, true)),
            Phase::Closed if opens => Some((CrossKind::Opening, true)),
            Phase::Trading | Phase::PreClose if to == Phase::Closed => Some((CrossKind::Closing, false)),
            _ => None,
        };
        if let Some((kind, quiet)) = cross {
            self.cross(ticker, kind, quiet);
        }
        if from != to && (from == Phase::PreOpen || to == Phase::PreOpen || to == Phase::Closed) {
            let reason = match (cross, from) {
                (Some(_), _) => CancelReason::Expired,
                (None, Phase::PreOpen) => CancelReason::OpeningHalted,
                (None, _) => CancelReason::Closed,
            };
            let book = &self.books[&ticker];
            for order in [book.waiting(Side::Buy), book.waiting(Side::Sell)].concat() {
                self.end(&order, reason);
            }
        }
        if to == Phase::Closed && from != Phase::Closed {
            let book = &self.books[&ticker];
            let sides = [book.orders(Side::Buy), book.orders(Side::Sell), book.pegs(Side::Buy), book.pegs(Side::Sell)];
            for order in sides.concat() {
                if !order.terms.good_till_cancel && order.terms.ends.is_none() {
                    self.end(&order, CancelReason::Expired);
                }
            }
        }
        self.enter_phase(ticker, to);
        self.wake_stops(ticker);
    }

    pub(super) fn enter_phase(&mut self, ticker: TickerId, to: Phase) {
        let book = self.books.get_mut(&ticker).unwrap();
        let opens = to.matches() && !book.phase.matches();
        book.phase = to;
        let (lower, upper, limit) = book.band;
        self.say(ticker, Event::State { state: to.trading_state() });
        if opens {
            self.center_band(ticker);
        } else if !to.matches() && limit {
            self.books.get_mut(&ticker).unwrap().band = (lower, upper, false);
            self.say(ticker, Event::Band { lower, upper, limit: false });
        }
    }

    fn cross(&mut self, ticker: TickerId, cross: CrossKind, mut told: bool) {
        let waiting = cross != CrossKind::Halt;
        let mut printed = false;
        while let Some(found) = self.books[&ticker].cross_price(true, waiting) {
            let mut traded = 0;
            let next = |twin: &Twin, side| twin.books[&ticker].next_in_turn(side, &found, waiting);
            while let (Some(buy), Some(sell)) = (next(self, Side::Buy), next(self, Side::Sell)) {
                let (older, newer) = if buy.reference < sell.reference { (&buy, &sell) } else { (&sell, &buy) };
                if self.is_own(newer, older) {
                    self.prevent_in_cross(buy, sell, cross, found.price);
                } else {
                    traded += u64::from(buy.tip.min(sell.tip));
                    self.trade_in_cross(buy, sell, cross, found.price);
                }
            }
            if traded > 0 && !std::mem::replace(&mut printed, true) {
                // What printed before the cross wakes no stop after it.
                self.books.get_mut(&ticker).unwrap().printed.clear();
            }
            self.cross_done(ticker, cross, found.price, traded);
            told = true;
        }
        if !told {
            self.cross_done(ticker, cross, Price(0), 0);
        }
    }

    fn cross_done(&mut self, ticker: TickerId, cross: CrossKind, price: Price, quantity: u64) {
        let price = if quantity == 0 { Price(0) } else { price };
        if quantity > 0 {
            self.print(ticker, price);
            self.books.get_mut(&ticker).unwrap().last_cross = price;
        }
        let match_number = self.next_match(ticker);
        self.say(ticker, Event::CrossDone { cross, price, quantity, match_number });
    }

    fn trade_in_cross(&mut self, mut buy: TwinOrder, mut sell: TwinOrder, cross: CrossKind, price: Price) {
        let (ticker, quantity) = (buy.command.ticker, buy.tip.min(sell.tip));
        for order in [&mut buy, &mut sell] {
            order.leaves -= quantity;
            order.tip -= quantity;
            order.executed += quantity;
            self.store(order);
        }
        let match_number = self.next_match(ticker);
        let event = Event::Crossed {
            buy: buy.tag(),
            sell: sell.tag(),
            buy_reference: buy.reference,
            sell_reference: sell.reference,
            match_number,
            price,
            buy_price: buy.price,
            sell_price: sell.price,
            quantity: Quantity(quantity),
            buy_leaves: Quantity(buy.leaves),
            sell_leaves: Quantity(sell.leaves),
            buy_liquidity: flag(cross, &buy),
            sell_liquidity: flag(cross, &sell),
            shown: u8::from(buy.is_shown()) + 2 * u8::from(sell.is_shown()),
            cross,
        };
        self.keep(event);
        self.say(ticker, event);
        for order in [buy, sell] {
            if order.tip == 0 && order.leaves > 0 {
                self.show_next_part(order);
            }
        }
    }

    fn prevent_in_cross(&mut self, buy: TwinOrder, sell: TwinOrder, cross: CrossKind, price: Price) {
        let (older, newer) = if buy.reference < sell.reference { (buy, sell) } else { (sell, buy) };
        let flags = [flag(cross, &older), flag(cross, &newer)];
        self.prevent_standing(older, newer, flags, price);
    }

    /// A limit beyond the band is taken at its bound.
    pub(super) fn in_band(&self, order: &TwinOrder, record: &Sequenced) -> Price {
        let stops = record.command.has_tag(31) || order.terms.stop.is_some();
        if stops { order.price } else { self.bounded(order) }
    }

    pub(super) fn bounded(&self, order: &TwinOrder) -> Price {
        let book = &self.books[&order.command.ticker];
        let (lower, upper, _) = book.band;
        match order.side() {
            _ if upper == Price(0) || !book.phase.matches() || order.price.is_market() => order.price,
            Side::Buy => order.price.min(upper),
            Side::Sell => order.price.max(lower),
        }
    }

    /// Bounds against which orders press stay.
    fn move_band(&mut self, ticker: TickerId) {
        let book = &self.books[&ticker];
        let (lower, upper, _) = book.band;
        if upper != Price(0) && book.is_pressed(lower, upper) {
            self.tell_band(ticker, (lower, upper, true));
        } else {
            self.center_band(ticker);
        }
    }

    fn center_band(&mut self, ticker: TickerId) {
        let book = &self.books[&ticker];
        if book.spec.auction.band_dynamic == 0 && book.spec.auction.band_static == 0 {
            return;
        }
        let (lower, upper) = book.bounds();
        self.tell_band(ticker, (lower, upper, book.is_pressed(lower, upper)));
    }

    fn tell_band(&mut self, ticker: TickerId, band: (Price, Price, bool)) {
        let (lower, upper, _) = band;
        let book = self.books.get_mut(&ticker).unwrap();
        if std::mem::replace(&mut book.band, band) != band {
            self.say(ticker, Event::Band { lower, upper, limit: band.2 });
        }
    }

    pub(super) fn tick(&mut self, ticker: TickerId) {
        if self.books[&ticker].phase.matches() {
            self.move_band(ticker);
        }
        let book = &self.books[&ticker];
        let cross = match book.phase {
            Phase::PreOpen => CrossKind::Opening,
            Phase::PreClose => CrossKind::Closing,
            Phase::HaltAuction | Phase::Paused => CrossKind::Halt,
            Phase::Closed | Phase::Trading | Phase::Halted => return,
        };
        let waiting = cross != CrossKind::Halt;
        let (near, far) = (book.cross_price(true, waiting), book.cross_price(false, waiting));
        let price = |found: Option<Outcome>| found.map_or(Price(0), |found| found.price);
        let bid = book.prices(Side::Buy).first().copied();
        let offer = book.prices(Side::Sell).first().copied();
        let crossed = bid.zip(offer).is_some_and(|(bid, offer)| bid >= offer);
        let inside = book.reference().min(offer.unwrap_or(Price(u32::MAX))).max(bid.unwrap_or(Price(0)));
        let reference = if crossed { price(near) } else { inside };
        let direction = match near.map(|found| found.surplus) {
            None => b'O',
            Some(None) => b'N',
            Some(Some(side)) => side.letter(),
        };
        let percent = 100 * u64::from(price(near).0.abs_diff(reference.0)) / u64::from(reference.0.max(1));
        let variation = match percent {
            _ if near.is_none() => b' ',
            0 => b'L',
            1..=9 => b'0' + percent as u8,
            10..=19 => b'A',
            20..=29 => b'B',
            _ => b'C',
        };
        let (paired, imbalance) = near.map_or((0, 0), |found| (found.paired, found.imbalance));
        let (near, far) = (price(near), price(far));
        self.say(ticker, Event::Imbalance { cross, paired, imbalance, direction, near, far, reference, variation });
    }

    pub(super) fn bust(&mut self, command: &Command) {
        let wanted = MatchNumber(command.value);
        let number = |event: &Event| match *event {
            Event::Filled { match_number, .. } | Event::Crossed { match_number, .. } => match_number,
            _ => unreachable!(),
        };
        let Some((event, broken)) = self.trades.iter_mut().find(|(event, _)| number(event) == wanted) else { return };
        if wanted.0 % 65_536 != u64::from(command.ticker.0) + 1 || std::mem::replace(broken, true) {
            return;
        }
        let event = broken_trade(event);
        self.say(command.ticker, event);
    }
}

/// What breaking it says.
fn broken_trade(event: &Event) -> Event {
    match *event {
        Event::Filled { resting, incoming, match_number, price, quantity, resting_side, liquidity: added, .. } => {
            let ((buy, buy_liquidity), (sell, sell_liquidity)) = match resting_side {
                Side::Buy => ((resting, added), (incoming, remover(added))),
                Side::Sell => ((incoming, remover(added)), (resting, added)),
            };
            Event::Broken { buy, sell, match_number, price, quantity, buy_liquidity, sell_liquidity }
        }
        Event::Crossed { buy, sell, match_number, price, quantity, buy_liquidity, sell_liquidity, .. } => {
            Event::Broken { buy, sell, match_number, price, quantity, buy_liquidity, sell_liquidity }
        }
        _ => unreachable!(),
    }
}
