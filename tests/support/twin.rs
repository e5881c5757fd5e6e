//! The slow twin of a matching shard: a sorted map of queues, written to be read.
//!
//! It takes the records a shard takes and says what the shard must say, event for event. Nothing here is shared with the
//! shard but the words of `types`: orders are values in queues, displayed and hidden ones mixed in order of arrival, a
//! price is a key, and questions about many orders are answered by looking at all of them.

use pitlane::types::*;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// An order of the twin.
#[derive(Clone, Debug)]
pub struct TwinOrder {
    /// Place in the order of all Enters; a Replace keeps it.
    pub entered: u64,
    pub slot: Slot,
    pub reference: OrderReference,
    /// All open shares, and those of them that may trade now: of a reserve order the part it shows.
    pub leaves: u32,
    pub tip: u32,
    pub price: Price,
    pub display: Display,
    pub executed: u32,
    pub removed: u32,
    /// It waits for a cross.
    pub waits: bool,
    pub terms: Terms,
    pub command: Command,
}

/// What an order keeps that a plain one has not.
#[derive(Clone, Copy, Default, Debug)]
pub struct Terms {
    pub floor: u32,
    pub random: u32,
    pub refills: u32,
    /// The part that shows came from the reserve.
    pub refilled: bool,
    pub minimum: u32,
    pub good_till_cancel: bool,
    /// When it ends, and the number it had when that was set.
    pub ends: Option<(u64, OrderReference)>,
    /// Where a stop that sleeps wakes.
    pub stop: Option<Price>,
    /// A stop that will not rest.
    pub immediate: bool,
    /// How far a market order may reach; what a peg may cost.
    pub limit: u32,
    /// What its price follows, and by how much it is better than that.
    pub peg: Option<Peg>,
    pub offset: i32,
}

impl TwinOrder {
    pub(super) fn tag(&self) -> OrderTag {
        OrderTag {
            slot: self.slot,
            user_ref: self.command.user_ref,
            session: self.command.session,
            account: self.command.account,
            channel: self.command.channel,
        }
    }

    pub(super) fn side(&self) -> Side {
        self.command.side.side()
    }

    pub(super) fn is_shown(&self) -> bool {
        self.display != Display::Hidden
    }

    /// Shares that show now.
    pub fn shown(&self) -> u32 {
        if self.is_shown() && self.terms.stop.is_none() { self.tip } else { 0 }
    }

    /// What may trade at a time when it comes to rest.
    fn tip_at_rest(&self) -> u32 {
        let splits = self.is_shown() && self.terms.floor > 0;
        if splits { self.terms.floor.min(self.leaves) } else { self.leaves }
    }

    /// Takes shares off that do not trade: first those that do not show. Gives how many of them showed.
    pub(super) fn lose(&mut self, lost: u32) -> u32 {
        let shown_before = self.shown();
        self.leaves -= lost;
        self.tip = self.tip.min(self.leaves);
        shown_before - self.shown()
    }

    /// Whether it trades, resting, with an order that has `offered` left.
    pub(super) fn takes(&self, offered: u32) -> bool {
        self.is_shown() || offered >= self.terms.minimum.min(self.leaves)
    }

    /// The size of the next part to show.
    fn refill(&self, lot: u32) -> u32 {
        let lots = u64::from(self.terms.random / lot);
        let mut drawn = self.reference.0 ^ (u64::from(self.terms.refills) << 48);
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        drawn = (drawn ^ (drawn >> 31)) % (lots * 2 + 1);
        let least = u64::from(self.terms.floor).saturating_sub(lots * u64::from(lot));
        ((least + drawn * u64::from(lot)) as u32).max(1).min(self.leaves)
    }
}

type Levels = BTreeMap<Price, VecDeque<TwinOrder>>;

/// The two sides of a ticker and its counters.
#[derive(Clone, Debug)]
pub struct TwinBook {
    pub(super) spec: TickerSpec,
    pub(super) phase: Phase,
    pub(super) last_cross: Price,
    /// Lower and upper bound and whether orders press against one; zeros without a band.
    pub(super) band: (Price, Price, bool),
    /// Orders for a cross, in the order of arrival.
    pub(super) waiting: Vec<TwinOrder>,
    bids: Levels,
    offers: Levels,
    /// Side and price of each order, by slot.
    places: BTreeMap<Slot, (Side, Price)>,
    /// Stops that have not woken.
    asleep: Vec<TwinOrder>,
    pub(super) pegs: Vec<TwinOrder>,
    /// Prices traded at since stops were last looked at, the last one then among them; and the last price of all.
    pub(super) printed: Vec<Price>,
    pub(super) last: Option<Price>,
    references: u64,
    matches: u64,
}

impl TwinBook {
    fn new(spec: &TickerSpec) -> TwinBook {
        TwinBook {
            spec: spec.clone(),
            phase: spec.auction.phase_start,
            last_cross: spec.reference,
            band: (Price(0), Price(0), false),
            waiting: Vec::new(),
            bids: Levels::new(),
            offers: Levels::new(),
            places: BTreeMap::new(),
            asleep: Vec::new(),
            pegs: Vec::new(),
            printed: Vec::new(),
            last: None,
            references: 0,
            matches: 0,
        }
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    fn levels(&mut self, side: Side) -> &mut Levels {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.offers,
        }
    }

    /// Prices of a side, best first.
    pub(super) fn prices(&self, side: Side) -> Vec<Price> {
        match side {
            Side::Buy => self.bids.keys().rev().copied().collect(),
            Side::Sell => self.offers.keys().copied().collect(),
        }
    }

    /// The side's orders in the order in which they would trade.
    pub fn orders(&self, side: Side) -> Vec<TwinOrder> {
        let levels = if side == Side::Buy { &self.bids } else { &self.offers };
        let mut orders = Vec::new();
        for price in self.prices(side) {
            let (shown, hidden): (Vec<_>, Vec<_>) = levels[&price].iter().cloned().partition(TwinOrder::is_shown);
            orders.extend(shown);
            orders.extend(hidden);
        }
        orders
    }

    /// The side's first order that an incoming order with this limit and so much left may trade with.
    pub(super) fn first_within(&self, side: Side, limit: u32, offered: u32) -> Option<TwinOrder> {
        let levels = if side == Side::Buy { &self.bids } else { &self.offers };
        let mut within: Box<dyn Iterator<Item = (&Price, &VecDeque<TwinOrder>)>> = match side {
            Side::Buy => Box::new(levels.iter().rev().take_while(|(price, _)| price.0 >= limit)),
            Side::Sell => Box::new(levels.iter().take_while(|(price, _)| price.0 <= limit)),
        };
        within.find_map(|(_, queue)| {
            let hidden = || queue.iter().find(|order| !order.is_shown() && order.takes(offered));
            queue.iter().find(|order| order.is_shown()).or_else(hidden).cloned()
        })
    }

    /// Whether there is any order within this limit.
    fn crosses(&self, side: Side, limit: u32) -> bool {
        self.first_met(side, limit, u32::MAX, &self.quote()).is_some()
    }

    /// Whether a trade has reached this stop price.
    fn has_reached(&self, side: Side, stop: Price) -> bool {
        self.printed
            .iter()
            .chain(&self.last)
            .any(|price| if side == Side::Buy { *price >= stop } else { *price <= stop })
    }

    /// The stops of a side in the order in which they would wake.
    pub fn stops(&self, side: Side) -> Vec<TwinOrder> {
        let mut stops: Vec<_> = self.asleep.iter().filter(|order| order.side() == side).cloned().collect();
        stops.sort_by_key(|order| {
            let stop = i64::from(order.terms.stop.unwrap().0);
            (if side == Side::Buy { stop } else { -stop }, order.reference)
        });
        stops
    }

    /// The next stop to wake.
    fn due(&self) -> Option<TwinOrder> {
        let first = |side| self.stops(side).first().cloned();
        let reached = |order: &TwinOrder| self.has_reached(order.side(), order.terms.stop.unwrap());
        first(Side::Buy).filter(reached).or_else(|| first(Side::Sell).filter(reached))
    }

    fn find(&mut self, slot: Slot) -> Option<&mut TwinOrder> {
        if let Some(at) = self.waiting.iter().position(|order| order.slot == slot) {
            return self.waiting.get_mut(at);
        }
        if let Some(at) = self.asleep.iter().position(|order| order.slot == slot) {
            return self.asleep.get_mut(at);
        }
        if let Some(at) = self.pegs.iter().position(|order| order.slot == slot) {
            return self.pegs.get_mut(at);
        }
        let (side, price) = *self.places.get(&slot)?;
        self.levels(side).get_mut(&price)?.iter_mut().find(|order| order.slot == slot)
    }

    fn add(&mut self, order: TwinOrder) {
        if order.waits {
            return self.waiting.push(order);
        }
        if order.terms.peg.is_some() {
            return self.pegs.push(order);
        }
        self.places.insert(order.slot, (order.side(), order.price));
        self.levels(order.side()).entry(order.price).or_default().push_back(order);
    }

    pub(super) fn take_out(&mut self, slot: Slot) -> TwinOrder {
        if let Some(at) = self.waiting.iter().position(|order| order.slot == slot) {
            return self.waiting.remove(at);
        }
        if let Some(at) = self.asleep.iter().position(|order| order.slot == slot) {
            return self.asleep.remove(at);
        }
        if let Some(at) = self.pegs.iter().position(|order| order.slot == slot) {
            return self.pegs.remove(at);
        }
        let (side, price) = self.places.remove(&slot).expect("an order in the slot");
        let levels = self.levels(side);
        let queue = levels.get_mut(&price).unwrap();
        let place = queue.iter().position(|order| order.slot == slot).unwrap();
        let order = queue.remove(place).unwrap();
        if queue.is_empty() {
            levels.remove(&price);
        }
        order
    }

    /// Open shares and orders that the side shows at each price, best first.
    pub fn depth(&self, side: Side) -> Vec<(Price, u64, u32)> {
        let levels = if side == Side::Buy { &self.bids } else { &self.offers };
        let at = |price: Price| {
            let shown = levels[&price].iter().filter(|order| order.is_shown());
            (price, shown.clone().map(|order| u64::from(order.tip)).sum(), shown.count() as u32)
        };
        self.prices(side).into_iter().map(at).filter(|(_, _, count)| *count > 0).collect()
    }
}

/// The twin of a shard.
#[derive(Clone, Debug)]
pub struct Twin {
    market: Rc<Market>,
    pub(super) books: BTreeMap<TickerId, TwinBook>,
    entered: u64,
    said: Vec<(TickerId, Event)>,
    /// The last trades, and whether they were broken.
    pub(super) trades: VecDeque<(Event, bool)>,
}

impl Twin {
    pub fn new(market: &Market, matcher: MatcherId) -> Twin {
        let tickers = (0..market.tickers.len() as u16).map(TickerId);
        let ours = tickers.filter(|ticker| market.tickers[ticker.index()].matcher == matcher);
        Twin {
            market: Rc::new(market.clone()),
            books: ours.map(|ticker| (ticker, TwinBook::new(&market.tickers[ticker.index()]))).collect(),
            entered: 0,
            said: Vec::new(),
            trades: VecDeque::new(),
        }
    }

    pub fn has(&self, ticker: TickerId) -> bool {
        self.books.contains_key(&ticker)
    }

    pub fn book(&self, ticker: TickerId) -> &TwinBook {
        &self.books[&ticker]
    }

    /// Everything the record causes.
    pub fn execute(&mut self, record: &Sequenced) -> Vec<(TickerId, Event)> {
        let command = &record.command;
        match command.kind {
            CommandKind::Enter => self.enter(record),
            CommandKind::Replace => self.replace(record),
            CommandKind::Cancel => self.cancel(record),
            CommandKind::Modify => self.modify(record),
            CommandKind::MassCancel => self.cancel_all(CancelReason::User, |order| {
                order.command.session == command.session
                    && (command.ticker == TickerId::ALL || order.command.ticker == command.ticker)
                    && (!command.has_tag(24) || order.command.group == command.group)
                    && (!command.has_tag(27) || order.command.side == command.side)
            }),
            CommandKind::SessionLost => {
                self.cancel_all(CancelReason::System, |order| order.command.session == command.session)
            }
            CommandKind::KillOn => {
                let market = self.market.clone();
                self.cancel_all(CancelReason::Supervisory, |order| match command.scope {
                    Scope::None => false,
                    Scope::Account => order.command.account == command.account,
                    Scope::Firm => market.accounts[order.command.account.index()].firm == command.firm,
                    Scope::All => true,
                });
            }
            CommandKind::DayStart => self.each(TickerId::ALL, |twin, ticker| {
                let to = twin.books[&ticker].spec.auction.phase_start;
                twin.change_phase(ticker, to);
            }),
            CommandKind::DayEnd => {
                self.cancel_all(CancelReason::Expired, |order| !order.terms.good_till_cancel);
                self.each(TickerId::ALL, |twin, ticker| twin.enter_phase(ticker, Phase::Closed));
            }
            CommandKind::Halt | CommandKind::Resume | CommandKind::Phase => {
                self.each(command.ticker, |twin, ticker| {
                    let to = twin.phase_after(ticker, command);
                    twin.change_phase(ticker, to);
                })
            }
            CommandKind::Tick => {
                self.expire(record.time);
                self.each(TickerId::ALL, Twin::tick);
            }
            CommandKind::Bust => self.bust(command),
            _ => {}
        }
        for ticker in self.books.keys().copied().collect::<Vec<_>>() {
            self.wake_stops(ticker);
            while self.settle_pegs(ticker) {
                self.wake_stops(ticker);
            }
        }
        if self.said.is_empty() {
            self.said.push((command.ticker, Event::Nothing));
        }
        std::mem::take(&mut self.said)
    }

    pub(super) fn say(&mut self, ticker: TickerId, event: Event) {
        self.said.push((ticker, event));
    }

    /// Does something in one ticker or in all of them.
    fn each(&mut self, ticker: TickerId, act: impl Fn(&mut Twin, TickerId)) {
        let concerned: Vec<_> =
            self.books.keys().copied().filter(|t| ticker == TickerId::ALL || *t == ticker).collect();
        concerned.into_iter().for_each(|ticker| act(self, ticker));
    }

    fn next_reference(&mut self, ticker: TickerId) -> OrderReference {
        let book = self.books.get_mut(&ticker).unwrap();
        book.references += 1;
        OrderReference((book.references << 16) + u64::from(ticker.0) + 1)
    }

    fn enter(&mut self, record: &Sequenced) {
        let command = record.command;
        self.entered += 1;
        let mut order = TwinOrder {
            entered: self.entered,
            slot: record.verdict.slot,
            reference: OrderReference(0),
            leaves: command.quantity.0,
            tip: command.quantity.0,
            price: command.price,
            display: command.display,
            executed: 0,
            removed: 0,
            waits: command.cross != b'N',
            terms: Terms::default(),
            command,
        };
        if order.waits {
            order.display = Display::Hidden;
        } else if let Some(peg) = command.peg() {
            order.terms.peg = Some(peg);
            order.command.post_only = 0;
        } else {
            order.price = self.in_band(&order, record);
            self.step_back(&mut order, record);
        }
        order.reference = self.next_reference(command.ticker);
        let event = Event::Accepted {
            order: order.tag(),
            reference: order.reference,
            quantity: command.quantity,
            price: order.price,
        };
        self.say(command.ticker, event);
        if order.waits {
            return self.rest(order, false);
        }
        self.fit(&mut order, record);
        if order.terms.peg.is_some() {
            return self.rest(order, true);
        }
        let stays = Self::stays(&order, record);
        self.act(order, stays, true);
    }

    /// A post-only order that says so moves to one tick from the best price it would trade at.
    fn step_back(&self, order: &mut TwinOrder, record: &Sequenced) {
        let stops = record.command.has_tag(31) || order.terms.stop.is_some();
        let book = &self.books[&order.command.ticker];
        let other = order.side().opposite();
        if order.command.post_only != 2 || stops || order.price == Price::MARKET {
            return;
        }
        if !book.crosses(other, self.limit(order)) {
            return;
        }
        let best = book.best_of_all(other).unwrap().0;
        let (lowest, highest, tick) = book.ladder();
        // A peg may stand between two ticks: one back from it is the nearer of them.
        let back = match order.side() {
            Side::Buy => lowest + (best - lowest).div_ceil(tick) * tick - tick,
            Side::Sell => highest - (highest - best).div_ceil(tick) * tick + tick,
        };
        if (lowest..=highest).contains(&back) {
            order.price = Price(back);
        }
    }

    /// What the record says of reserve, least quantity, end and stop; what it does not name stays.
    fn fit(&self, order: &mut TwinOrder, record: &Sequenced) {
        let (command, terms) = (&record.command, &mut order.terms);
        terms.immediate = command.time_in_force == TimeInForce::ImmediateOrCancel;
        if command.has_tag(5) {
            terms.floor = command.max_floor.0;
        }
        if command.has_tag(13) {
            terms.random = command.random_reserve;
        }
        if command.has_tag(3) || terms.immediate {
            terms.minimum = command.min_quantity.0;
        }
        if terms.floor > 0 {
            let lot = self.market.tickers[order.command.ticker.index()].lot.0;
            terms.floor = terms.floor.max(order.leaves.div_ceil(1_000).next_multiple_of(lot));
        }
        if command.has_tag(6) || command.has_tag(7) {
            terms.offset = command.peg_offset;
        }
        (terms.refills, terms.refilled) = (0, false);
        terms.limit = record.verdict.limit_price.0;
        terms.good_till_cancel = match command.time_in_force {
            TimeInForce::GoodTillCancel => true,
            TimeInForce::Day => terms.good_till_cancel && !command.has_tag(0),
            _ => false,
        };
        terms.ends = match command.time_in_force {
            TimeInForce::GoodTillTime if command.has_tag(15) => {
                Some((record.time.0 + u64::from(command.expire_seconds) * 1_000_000_000, order.reference))
            }
            TimeInForce::GoodTillTime => terms.ends.map(|(time, _)| (time, order.reference)),
            _ => None,
        };
        if command.has_tag(31) {
            terms.stop = Some(command.stop_price());
        }
    }

    fn stays(order: &TwinOrder, record: &Sequenced) -> bool {
        order.price != Price::MARKET && record.command.time_in_force != TimeInForce::ImmediateOrCancel
    }

    /// A stop sleeps, unless a trade has been there already; everything else acts at once.
    fn act(&mut self, mut order: TwinOrder, stays: bool, tell_rest: bool) {
        if let Some(stop) = order.terms.stop {
            let book = self.books.get_mut(&order.command.ticker).unwrap();
            if !book.phase.matches() || !book.has_reached(order.side(), stop) {
                return book.asleep.push(order);
            }
            self.say_triggered(&order);
            order.terms.stop = None;
            order.price = self.bounded(&order);
        }
        self.trade(order, stays, tell_rest);
    }

    fn say_triggered(&mut self, order: &TwinOrder) {
        let event = Event::Triggered {
            order: order.tag(),
            reference: order.reference,
            side: order.side(),
            price: order.price,
            quantity: Quantity(order.leaves),
        };
        self.say(order.command.ticker, event);
    }

    /// After a record's own matching: stops that its trades reached, one after the other.
    pub(super) fn wake_stops(&mut self, ticker: TickerId) {
        while self.books[&ticker].phase.matches() {
            let Some(mut order) = self.books[&ticker].due() else { break };
            self.books.get_mut(&ticker).unwrap().take_out(order.slot);
            self.say_triggered(&order);
            order.terms.stop = None;
            order.price = self.bounded(&order);
            let stays = order.price != Price::MARKET && !order.terms.immediate;
            self.trade(order, stays, true);
        }
        let book = self.books.get_mut(&ticker).unwrap();
        book.printed = book.last.into_iter().collect();
    }

    /// Time has passed: orders whose end has come leave, in the order of their ends.
    fn expire(&mut self, now: Nanos) {
        let mut over: Vec<_> = self.all_orders();
        over.retain(|order| order.terms.ends.is_some_and(|(end, _)| end <= now.0));
        over.sort_by_key(|order| order.terms.ends);
        over.into_iter().for_each(|order| self.end(&order, CancelReason::Expired));
    }

    fn all_orders(&self) -> Vec<TwinOrder> {
        let all = |book: &TwinBook| {
            [
                book.orders(Side::Buy),
                book.orders(Side::Sell),
                book.asleep.clone(),
                book.waiting.clone(),
                book.pegs.clone(),
            ]
            .concat()
        };
        self.books.values().flat_map(all).collect()
    }

    /// How far the order reaches: the band bounds it, and while the ticker does not match nothing is within it.
    fn limit(&self, order: &TwinOrder) -> u32 {
        let book = &self.books[&order.command.ticker];
        let limit = if order.price == Price::MARKET { order.terms.limit } else { order.price.0 };
        let (lower, upper, _) = book.band;
        match order.side() {
            Side::Buy if !book.phase.matches() => 0,
            Side::Sell if !book.phase.matches() => u32::MAX,
            _ if upper == Price(0) => limit,
            Side::Buy => limit.min(upper.0),
            Side::Sell => limit.max(lower.0),
        }
    }

    /// The incoming order trades as far as it can; the rest rests or is cancelled.
    fn trade(&mut self, mut order: TwinOrder, stays: bool, tell_rest: bool) {
        let (ticker, other) = (order.command.ticker, order.side().opposite());
        let limit = self.limit(&order);
        if order.command.post_only != 0 && self.books[&ticker].crosses(other, limit) {
            return self.cancel_incoming(order, CancelReason::PostOnly);
        }
        let least = match (order.terms.immediate, order.is_shown()) {
            (true, _) => order.terms.minimum,
            (false, true) => 0,
            (false, false) => order.terms.minimum.min(order.leaves),
        };
        if least > 0 {
            // Trade a copy of everything and look what came of it.
            let mut rehearsal = self.clone();
            rehearsal.said.clear();
            rehearsal.sweep(order.clone(), limit);
            let traded: u32 = rehearsal
                .said
                .iter()
                .map(|(_, event)| if let Event::Filled { quantity, .. } = event { quantity.0 } else { 0 })
                .sum();
            if traded < least {
                if stays {
                    return self.rest(order, tell_rest);
                }
                return self.cancel_incoming(order, CancelReason::ImmediateRemainder);
            }
        }
        order = self.sweep(order, limit);
        if order.leaves == 0 {
            return;
        }
        if stays {
            return self.rest(order, tell_rest);
        }
        let stopped_by_limit = !self.books[&ticker].orders(other).is_empty();
        let collared = order.price == Price::MARKET && stopped_by_limit;
        self.cancel_incoming(order, if collared { CancelReason::Collar } else { CancelReason::ImmediateRemainder });
    }

    fn cancel_incoming(&mut self, order: TwinOrder, reason: CancelReason) {
        let event = Event::Canceled {
            order: order.tag(),
            reference: order.reference,
            side: order.side(),
            price: order.price,
            quantity: Quantity(order.leaves),
            leaves: Quantity(0),
            reason,
            shown: Quantity(0),
        };
        self.say(order.command.ticker, event);
    }

    fn rest(&mut self, mut order: TwinOrder, tell: bool) {
        let ticker = order.command.ticker;
        order.tip = order.tip_at_rest();
        if tell {
            let event = Event::Rested {
                order: order.tag(),
                reference: order.reference,
                side: order.side(),
                display: order.display,
                quantity: Quantity(order.leaves),
                shown: Quantity(order.shown()),
                price: order.price,
            };
            self.say(ticker, event);
        }
        self.books.get_mut(&ticker).unwrap().add(order);
    }

    pub(super) fn is_own(&self, incoming: &TwinOrder, resting: &TwinOrder) -> bool {
        let rule = incoming.command.self_match;
        let firm = |order: &TwinOrder| self.market.accounts[order.command.account.index()].firm;
        let same_account = incoming.command.account == resting.command.account;
        let same_firm = firm(incoming) == firm(resting);
        let group = incoming.command.self_match_group;
        rule.mode != SelfMatchMode::Off
            && (same_account || rule.firm_wide == 1 && same_firm)
            && (group == *b"  " || group == resting.command.self_match_group)
    }

    fn sweep(&mut self, mut incoming: TwinOrder, limit: u32) -> TwinOrder {
        let (ticker, other) = (incoming.command.ticker, incoming.side().opposite());
        // What pegs cost is what they cost when the order came.
        let quote = self.books[&ticker].quote();
        while incoming.leaves > 0 {
            let met = self.books[&ticker].first_met(other, limit, incoming.leaves, &quote);
            let Some((resting, price)) = met else { break };
            if self.is_own(&incoming, &resting) {
                self.prevent(&mut incoming, resting, price);
            } else {
                self.fill(&mut incoming, resting, price);
            }
        }
        incoming
    }

    /// Writes a changed resting order back where it was, or takes it out when nothing is left.
    pub(super) fn store(&mut self, order: &TwinOrder) {
        let book = self.books.get_mut(&order.command.ticker).unwrap();
        if order.leaves == 0 {
            book.take_out(order.slot);
        } else {
            *book.find(order.slot).unwrap() = order.clone();
        }
    }

    pub(super) fn fill(&mut self, incoming: &mut TwinOrder, mut resting: TwinOrder, price: Price) {
        let ticker = incoming.command.ticker;
        let quantity = incoming.leaves.min(resting.tip);
        for order in [&mut *incoming, &mut resting] {
            order.leaves -= quantity;
            order.executed += quantity;
        }
        incoming.tip = incoming.leaves;
        resting.tip -= quantity;
        self.print(ticker, price);
        let match_number = self.next_match(ticker);
        self.store(&resting);
        let event = Event::Filled {
            resting: resting.tag(),
            incoming: incoming.tag(),
            reference: resting.reference,
            match_number,
            price,
            quantity: Quantity(quantity),
            resting_leaves: Quantity(resting.leaves),
            incoming_leaves: Quantity(incoming.leaves),
            resting_side: resting.side(),
            displayed: resting.is_shown(),
            liquidity: liquidity(&resting),
        };
        self.keep(event);
        self.say(ticker, event);
        if resting.tip == 0 && resting.leaves > 0 {
            self.show_next_part(resting);
        }
    }

    pub(super) fn print(&mut self, ticker: TickerId, price: Price) {
        let book = self.books.get_mut(&ticker).unwrap();
        book.printed.push(price);
        book.last = Some(price);
    }

    pub(super) fn keep(&mut self, trade: Event) {
        self.trades.push_back((trade, false));
        if self.trades.len() > self.market.trades_kept as usize {
            self.trades.pop_front();
        }
    }

    pub(super) fn next_match(&mut self, ticker: TickerId) -> MatchNumber {
        let book = self.books.get_mut(&ticker).unwrap();
        book.matches += 1;
        MatchNumber((book.matches << 16) + u64::from(ticker.0) + 1)
    }

    /// The part of a reserve order that showed is gone: the next one goes to the end of the queue.
    pub(super) fn show_next_part(&mut self, mut order: TwinOrder) {
        let ticker = order.command.ticker;
        let old_reference = order.reference;
        order.tip = order.refill(self.market.tickers[ticker.index()].lot.0);
        order.terms.refills += 1;
        order.terms.refilled = true;
        order.reference = self.next_reference(ticker);
        let event = Event::Refreshed {
            order: order.tag(),
            old_reference,
            reference: order.reference,
            side: order.side(),
            display: order.display,
            price: order.price,
            quantity: Quantity(order.tip),
            reserve: Quantity(order.leaves - order.tip),
        };
        self.say(ticker, event);
        let book = self.books.get_mut(&ticker).unwrap();
        book.take_out(order.slot);
        book.add(order);
    }

    fn prevent(&mut self, incoming: &mut TwinOrder, mut resting: TwinOrder, execution_price: Price) {
        let smaller = incoming.leaves.min(resting.leaves);
        let rule = incoming.command.self_match;
        let (resting_loses, incoming_loses) = match rule.mode {
            SelfMatchMode::Off => unreachable!(),
            SelfMatchMode::CancelNewest => (0, incoming.leaves),
            SelfMatchMode::CancelOldest => (resting.leaves, 0),
            SelfMatchMode::CancelBoth => (resting.leaves, incoming.leaves),
            SelfMatchMode::Decrement => (smaller, smaller),
        };
        let told = |order: &mut TwinOrder, lost: u32, liquidity: Liquidity, rests: bool| {
            let shown = order.lose(lost);
            order.removed += lost;
            Event::SelfMatch {
                order: order.tag(),
                reference: order.reference,
                side: order.side(),
                price: order.price,
                quantity: Quantity(lost),
                leaves: Quantity(order.leaves),
                prevented: Quantity(smaller),
                execution_price,
                liquidity,
                strategy: rule.letter,
                detailed: rule.detailed == 1,
                shown: Quantity(if rests { shown } else { 0 }),
            }
        };
        let flag = liquidity(&resting);
        if resting_loses > 0 {
            let event = told(&mut resting, resting_loses, flag, true);
            self.store(&resting);
            self.say(resting.command.ticker, event);
        }
        if incoming_loses > 0 {
            let event = told(incoming, incoming_loses, remover(flag), false);
            self.say(incoming.command.ticker, event);
        }
    }

    /// The order a request means: in the slot of the verdict, still the session's, still under this number.
    fn meant(&mut self, record: &Sequenced, user_ref: UserRef) -> Option<&mut TwinOrder> {
        let (slot, session) = (record.verdict.slot, record.command.session);
        let order = self.books.values_mut().find_map(|book| book.find(slot))?;
        (order.command.session == session && order.command.user_ref == user_ref).then_some(order)
    }

    fn cancel(&mut self, record: &Sequenced) {
        let Some(order) = self.meant(record, record.command.user_ref) else { return };
        let still_wanted = record.command.quantity.0.saturating_sub(order.executed);
        if still_wanted >= order.leaves {
            // Said with the order's ticker, which the request itself need not know.
            let ticker = order.command.ticker;
            return self.say(ticker, Event::Nothing);
        }
        let taken = order.leaves - still_wanted;
        let shown = order.lose(taken);
        let order = order.clone();
        self.canceled(&order, taken, shown, CancelReason::User);
        self.store(&order);
    }

    /// The order leaves with all it has.
    pub(super) fn end(&mut self, order: &TwinOrder, reason: CancelReason) {
        let mut ended = order.clone();
        let shown = ended.lose(order.leaves);
        self.store(&ended);
        self.canceled(&ended, order.leaves, shown, reason);
    }

    fn canceled(&mut self, order: &TwinOrder, taken: u32, shown: u32, reason: CancelReason) {
        let event = Event::Canceled {
            order: order.tag(),
            reference: order.reference,
            side: order.side(),
            price: order.price,
            quantity: Quantity(taken),
            leaves: Quantity(order.leaves),
            reason,
            shown: Quantity(shown),
        };
        self.say(order.command.ticker, event);
    }

    fn modify(&mut self, record: &Sequenced) {
        let Some(order) = self.meant(record, record.command.user_ref) else { return };
        let (wanted, side) = (record.command.quantity.0, record.command.side);
        let changes_side = (order.command.side == SideCode::Buy) != (side == SideCode::Buy);
        if changes_side || wanted > order.executed + order.leaves {
            let ticker = order.command.ticker;
            return self.say(ticker, Event::Nothing);
        }
        let leaves = wanted.saturating_sub(order.executed);
        let taken = order.leaves - leaves;
        let shown = order.lose(taken);
        order.command.side = side;
        let order = order.clone();
        self.store(&order);
        let event = Event::Modified {
            order: order.tag(),
            reference: order.reference,
            side_code: side,
            price: order.price,
            taken: Quantity(taken),
            leaves: Quantity(leaves),
            shown: Quantity(shown),
        };
        self.say(order.command.ticker, event);
    }

    fn replace(&mut self, record: &Sequenced) {
        let command = &record.command;
        let refused = record.verdict.reject != Reject::None;
        let Some(old) = self.meant(record, command.original).cloned() else {
            if !refused {
                let order = OrderTag {
                    slot: record.verdict.slot,
                    user_ref: command.user_ref,
                    session: command.session,
                    account: command.account,
                    channel: command.channel,
                };
                self.say(command.ticker, Event::ReplaceIgnored { order });
            }
            return;
        };
        let ticker = old.command.ticker;
        let used = old.executed + old.removed;
        if refused || command.quantity.0 <= used {
            return self.end(&old, CancelReason::User);
        }
        self.books.get_mut(&ticker).unwrap().take_out(old.slot);
        let mut new = old.clone();
        new.leaves = command.quantity.0 - used;
        new.tip = new.leaves;
        new.price = command.price;
        new.display = if old.waits { Display::Hidden } else { command.display };
        new.command.user_ref = command.user_ref;
        new.command.post_only = match (command.has_tag(12), command.post_only, old.command.post_only) {
            (true, 0, _) | (false, _, 0) => 0,
            // The action is named, or stays what it was.
            (_, asked, _) if command.has_tag(8) => asked.max(1),
            (_, _, had) => had.max(1),
        };
        if command.has_tag(27) && (command.side == SideCode::Buy) == (old.command.side == SideCode::Buy) {
            new.command.side = command.side;
        }
        if command.has_tag(29) {
            new.command.self_match = command.self_match;
        }
        if command.has_tag(30) {
            new.command.self_match_group = command.self_match_group;
        }
        new.terms.peg = command.peg().filter(|_| !old.waits);
        let pegged = new.terms.peg.is_some();
        if pegged {
            (new.command.post_only, new.terms.stop) = (0, None);
        } else if !old.waits {
            new.price = self.in_band(&new, record);
            self.step_back(&mut new, record);
        }
        new.reference = self.next_reference(ticker);
        if !old.waits {
            self.fit(&mut new, record);
        }
        let crosses = self.books[&ticker].crosses(new.side().opposite(), self.limit(&new));
        let rests = old.waits || pegged || Self::stays(&new, record) && !crosses && new.terms.stop.is_none();
        let event = Event::Replaced {
            order: new.tag(),
            original: old.command.user_ref,
            old_reference: old.reference,
            reference: new.reference,
            side: new.side(),
            side_code: new.command.side,
            display: new.display,
            quantity: Quantity(new.leaves),
            price: new.price,
            limit: record.verdict.limit_price,
            old_quantity: Quantity(old.leaves),
            old_price: old.price,
            old_shown: Quantity(old.shown()),
            shown: Quantity(if new.is_shown() { new.tip_at_rest() } else { 0 }),
            rests,
        };
        self.say(ticker, event);
        if old.waits || pegged {
            return self.rest(new, false);
        }
        let stays = Self::stays(&new, record);
        self.act(new, stays, !rests);
    }

    /// Cancels what `takes` accepts: session by session, oldest first.
    pub(super) fn cancel_all(&mut self, reason: CancelReason, takes: impl Fn(&TwinOrder) -> bool) {
        let mut orders = self.all_orders();
        orders.retain(takes);
        orders.sort_by_key(|order| (order.command.session, order.entered));
        orders.iter().for_each(|order| self.end(order, reason));
    }
}

/// The flag an incoming order's fill has, by that of the resting one's.
pub(super) fn remover(added: Liquidity) -> Liquidity {
    if added == Liquidity::AddedMidpoint { Liquidity::RemovedMidpoint } else { Liquidity::Removed }
}

/// The flag a resting order's fill has.
pub(super) fn liquidity(resting: &TwinOrder) -> Liquidity {
    if resting.terms.peg == Some(Peg::Midpoint) {
        return Liquidity::AddedMidpoint;
    }
    match (resting.is_shown(), resting.terms.refilled) {
        (true, true) => Liquidity::AddedReserve,
        (true, false) => Liquidity::Added,
        (false, _) => Liquidity::AddedHidden,
    }
}
