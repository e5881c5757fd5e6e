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
    pub leaves: u32,
    pub price: Price,
    pub display: Display,
    pub executed: u32,
    pub removed: u32,
    /// It waits for a cross.
    pub waits: bool,
    pub command: Command,
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
}

type Levels = BTreeMap<Price, VecDeque<TwinOrder>>;

/// The two sides of a ticker and its counters.
#[derive(Clone, Debug)]
pub struct TwinBook {
    pub(super) spec: TickerSpec,
    pub(super) phase: Phase,
    pub(super) last: Price,
    pub(super) last_cross: Price,
    /// Lower and upper bound and whether orders press against one; zeros without a band.
    pub(super) band: (Price, Price, bool),
    /// Orders for a cross, in the order of arrival.
    pub(super) waiting: Vec<TwinOrder>,
    bids: Levels,
    offers: Levels,
    /// Side and price of each order, by slot.
    places: BTreeMap<Slot, (Side, Price)>,
    references: u64,
    matches: u64,
}

impl TwinBook {
    fn new(spec: &TickerSpec) -> TwinBook {
        TwinBook {
            spec: spec.clone(),
            phase: spec.auction.phase_start,
            last: spec.reference,
            last_cross: spec.reference,
            band: (Price(0), Price(0), false),
            waiting: Vec::new(),
            bids: Levels::new(),
            offers: Levels::new(),
            places: BTreeMap::new(),
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

    /// The side's best order, if an incoming order with this limit may trade with it.
    fn first_within(&self, side: Side, limit: u32) -> Option<TwinOrder> {
        let (price, queue) = match side {
            Side::Buy => self.bids.last_key_value()?,
            Side::Sell => self.offers.first_key_value()?,
        };
        let within = if side == Side::Buy { price.0 >= limit } else { price.0 <= limit };
        let first = queue.iter().find(|order| order.is_shown()).or(queue.front());
        first.filter(|_| within).cloned()
    }

    fn find(&mut self, slot: Slot) -> Option<&mut TwinOrder> {
        if let Some(at) = self.waiting.iter().position(|order| order.slot == slot) {
            return Some(&mut self.waiting[at]);
        }
        let (side, price) = *self.places.get(&slot)?;
        self.levels(side).get_mut(&price)?.iter_mut().find(|order| order.slot == slot)
    }

    fn add(&mut self, order: TwinOrder) {
        if order.waits {
            return self.waiting.push(order);
        }
        self.places.insert(order.slot, (order.side(), order.price));
        self.levels(order.side()).entry(order.price).or_default().push_back(order);
    }

    pub(super) fn take_out(&mut self, slot: Slot) -> TwinOrder {
        if let Some(at) = self.waiting.iter().position(|order| order.slot == slot) {
            return self.waiting.remove(at);
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
            (price, shown.clone().map(|order| u64::from(order.leaves)).sum(), shown.count() as u32)
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
                self.cancel_all(CancelReason::Expired, |_| true);
                self.each(TickerId::ALL, |twin, ticker| twin.enter_phase(ticker, Phase::Closed));
            }
            CommandKind::Halt | CommandKind::Resume | CommandKind::Phase => {
                self.each(command.ticker, |twin, ticker| {
                    let to = twin.phase_after(ticker, command);
                    twin.change_phase(ticker, to);
                })
            }
            CommandKind::Tick => self.each(TickerId::ALL, Twin::tick),
            CommandKind::Bust => self.bust(command),
            _ => {}
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
            reference: self.next_reference(command.ticker),
            leaves: command.quantity.0,
            price: command.price,
            display: command.display,
            executed: 0,
            removed: 0,
            waits: command.cross != b'N',
            command,
        };
        if order.waits {
            order.display = Display::Hidden;
        } else {
            order.price = self.in_band(&order);
        }
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
        self.trade(order, record, true);
    }

    /// What the order's limit is in trading: a market order's is the verdict's; the band bounds both, and while the ticker
    /// does not match nothing is within it.
    fn limit(&self, order: &TwinOrder, record: &Sequenced) -> u32 {
        let book = &self.books[&order.command.ticker];
        let limit = if order.price == Price::MARKET { record.verdict.limit_price.0 } else { order.price.0 };
        let (lower, upper, _) = book.band;
        match order.side() {
            Side::Buy if !book.phase.matches() => 0,
            Side::Sell if !book.phase.matches() => u32::MAX,
            _ if upper == Price(0) => limit,
            Side::Buy => limit.min(upper.0),
            Side::Sell => limit.max(lower.0),
        }
    }

    fn stays(order: &TwinOrder, record: &Sequenced) -> bool {
        order.price != Price::MARKET && record.command.time_in_force != TimeInForce::ImmediateOrCancel
    }

    /// The incoming order trades as far as it can; the rest rests or is cancelled.
    fn trade(&mut self, mut order: TwinOrder, record: &Sequenced, tell_rest: bool) {
        let (ticker, other) = (order.command.ticker, order.side().opposite());
        let limit = self.limit(&order, record);
        let crosses = self.books[&ticker].first_within(other, limit).is_some();
        if order.command.post_only != 0 && crosses {
            return self.cancel_incoming(order, CancelReason::PostOnly);
        }
        let immediate = record.command.time_in_force == TimeInForce::ImmediateOrCancel;
        let least = if immediate { record.command.min_quantity.0 } else { 0 };
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
                return self.cancel_incoming(order, CancelReason::ImmediateRemainder);
            }
        }
        order = self.sweep(order, limit);
        if order.leaves == 0 {
            return;
        }
        if Self::stays(&order, record) {
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
            displayed: false,
        };
        self.say(order.command.ticker, event);
    }

    fn rest(&mut self, order: TwinOrder, tell: bool) {
        let ticker = order.command.ticker;
        if tell {
            let event = Event::Rested {
                order: order.tag(),
                reference: order.reference,
                side: order.side(),
                display: order.display,
                quantity: Quantity(order.leaves),
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
        while incoming.leaves > 0 {
            let Some(resting) = self.books[&ticker].first_within(other, limit) else { break };
            if self.is_own(&incoming, &resting) {
                self.prevent(&mut incoming, resting);
            } else {
                self.fill(&mut incoming, resting);
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

    fn fill(&mut self, incoming: &mut TwinOrder, mut resting: TwinOrder) {
        let ticker = incoming.command.ticker;
        let quantity = incoming.leaves.min(resting.leaves);
        for order in [&mut *incoming, &mut resting] {
            order.leaves -= quantity;
            order.executed += quantity;
        }
        let book = self.books.get_mut(&ticker).unwrap();
        book.last = resting.price;
        let match_number = self.next_match(ticker);
        self.store(&resting);
        let event = Event::Filled {
            resting: resting.tag(),
            incoming: incoming.tag(),
            reference: resting.reference,
            match_number,
            price: resting.price,
            quantity: Quantity(quantity),
            resting_leaves: Quantity(resting.leaves),
            incoming_leaves: Quantity(incoming.leaves),
            resting_side: resting.side(),
            displayed: resting.is_shown(),
        };
        self.keep(event);
        self.say(ticker, event);
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

    fn prevent(&mut self, incoming: &mut TwinOrder, mut resting: TwinOrder) {
        let smaller = incoming.leaves.min(resting.leaves);
        let rule = incoming.command.self_match;
        let (resting_loses, incoming_loses) = match rule.mode {
            SelfMatchMode::Off => unreachable!(),
            SelfMatchMode::CancelNewest => (0, incoming.leaves),
            SelfMatchMode::CancelOldest => (resting.leaves, 0),
            SelfMatchMode::CancelBoth => (resting.leaves, incoming.leaves),
            SelfMatchMode::Decrement => (smaller, smaller),
        };
        let execution_price = resting.price;
        let told = |order: &mut TwinOrder, lost: u32, liquidity: Liquidity, displayed: bool| {
            order.leaves -= lost;
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
                displayed,
            }
        };
        if resting_loses > 0 {
            let shown = resting.is_shown();
            let liquidity = if shown { Liquidity::Added } else { Liquidity::AddedHidden };
            let event = told(&mut resting, resting_loses, liquidity, shown);
            self.store(&resting);
            self.say(resting.command.ticker, event);
        }
        if incoming_loses > 0 {
            let event = told(incoming, incoming_loses, Liquidity::Removed, false);
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
        order.leaves = still_wanted;
        let order = order.clone();
        self.canceled(&order, taken, CancelReason::User);
        self.store(&order);
    }

    pub(super) fn canceled(&mut self, order: &TwinOrder, taken: u32, reason: CancelReason) {
        let event = Event::Canceled {
            order: order.tag(),
            reference: order.reference,
            side: order.side(),
            price: order.price,
            quantity: Quantity(taken),
            leaves: Quantity(order.leaves),
            reason,
            displayed: order.is_shown(),
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
        order.leaves = leaves;
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
            displayed: order.is_shown(),
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
        self.books.get_mut(&ticker).unwrap().take_out(old.slot);
        let used = old.executed + old.removed;
        if refused || command.quantity.0 <= used {
            let ended = TwinOrder { leaves: 0, ..old.clone() };
            return self.canceled(&ended, old.leaves, CancelReason::User);
        }
        let mut new = old.clone();
        new.reference = self.next_reference(ticker);
        new.leaves = command.quantity.0 - used;
        new.price = command.price;
        new.display = if old.waits { Display::Hidden } else { command.display };
        new.command.user_ref = command.user_ref;
        new.command.time_in_force = command.time_in_force;
        if command.has_tag(12) {
            new.command.post_only = command.post_only;
        }
        if command.has_tag(27) && (command.side == SideCode::Buy) == (old.command.side == SideCode::Buy) {
            new.command.side = command.side;
        }
        if command.has_tag(29) {
            new.command.self_match = command.self_match;
        }
        if command.has_tag(30) {
            new.command.self_match_group = command.self_match_group;
        }
        if !old.waits {
            new.price = self.in_band(&new);
        }
        let limit = self.limit(&new, record);
        let crosses = self.books[&ticker].first_within(new.side().opposite(), limit).is_some();
        let rests = old.waits || Self::stays(&new, record) && !crosses;
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
            old_quantity: Quantity(old.leaves),
            old_price: old.price,
            was_displayed: old.is_shown(),
            rests,
        };
        self.say(ticker, event);
        if old.waits {
            return self.rest(new, false);
        }
        self.trade(new, record, !rests);
    }

    /// Cancels what `takes` accepts: session by session, oldest first.
    pub(super) fn cancel_all(&mut self, reason: CancelReason, takes: impl Fn(&TwinOrder) -> bool) {
        let both = |book: &TwinBook| [book.orders(Side::Buy), book.orders(Side::Sell), book.waiting.clone()].concat();
        let mut orders: Vec<_> = self.books.values().flat_map(both).filter(takes).collect();
        orders.sort_by_key(|order| (order.command.session, order.entered));
        for order in orders {
            let ended = TwinOrder { leaves: 0, ..order.clone() };
            self.store(&ended);
            self.canceled(&ended, order.leaves, reason);
        }
    }
}
