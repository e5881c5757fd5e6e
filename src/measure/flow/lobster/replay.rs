//! From recorded events to what clients would have sent, and to the orders that must already rest.
//!
//! A recording names only the orders entered while it ran, and shows only ten levels. What rests from before is
//! found by a pass over the whole file:
//! - the first line shows ten levels a side; its own event's effect is taken off again;
//! - a level that comes into view later without an event that fills it rested there all the time (*revealed*): it is
//!   seeded too, because it was in the market at the start;
//! - a level that comes back into view with another size than it left with was changed while nobody looked: the
//!   change is played just before it is seen (*unseen change*).
//!
//! Each can be switched off, to see what it explains. Seeds are one order a level. Executions take the oldest order
//! at the price, as the exchange will; cancels of orders nobody saw entered take from the seed, and what an order no
//! longer has (another one was executed in its place) is taken from its neighbours, so that a level's size follows
//! the recording even where its queue is unknown.

use super::super::{FlowAction, FlowStep};
use super::{Recorded, RecordedKind, Recording, Snapshot};
use crate::types::{Price, Quantity, Side, TickerId};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Keys of orders the recording does not name count up from here; its own ids lie far below.
const OWN_KEYS: u64 = 1 << 62;

/// Who plays what, and what is read out of the file beforehand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplayOptions {
    /// The ticker to play in.
    pub ticker: TickerId,
    /// Sessions `0..makers` share the resting orders. At least 1.
    pub makers: u16,
    /// Session of the incoming orders; another account than the makers', or self-match prevention would stop them.
    pub taker: u16,
    /// Seed levels that come into view later.
    pub reveal: bool,
    /// Play changes that happened out of view.
    pub infer: bool,
}

impl ReplayOptions {
    /// Everything on, two sessions: 0 rests, 1 takes.
    pub const fn new(ticker: TickerId) -> ReplayOptions {
        ReplayOptions { ticker, makers: 1, taker: 1, reveal: true, infer: true }
    }
}

/// How the events were turned into steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReplayCounts {
    /// Levels seeded from the first line.
    pub seeds: u64,
    /// Levels seeded because a later line shows them.
    pub seeds_revealed: u64,
    /// Changes out of view that were played.
    pub changes_unseen: u64,
    /// Cancels and executions of orders that rest from before the recording.
    pub orders_unknown: u64,
    /// Of these, shares that no seed accounts for; they are left out.
    pub shares_not_visible: u64,
    /// Executions of another order than the oldest at its price.
    pub executions_out_of_turn: u64,
    /// Executions behind the best price; played as a cancel, because an incoming order would meet the better one.
    pub executions_behind_best: u64,
    /// Hidden executions at or behind the displayed best, or across the other side's; left out for the same reason.
    pub hidden_not_inside: u64,
    /// Hidden executions played: a hidden order and the one that takes it.
    pub hidden: u64,
    /// Auction trades and halts; left out.
    pub skipped: u64,
}

/// A recording as a flow: what rests at the start, then the steps of each event.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Orders that rest from before, best first; to be played before the rest.
    pub seeds: Vec<FlowStep>,
    /// All steps after the seeds, in order.
    pub steps: Vec<FlowStep>,
    /// How it went.
    pub counts: ReplayCounts,
    /// End of each event's steps in `steps`.
    ends: Vec<usize>,
    unseen: Unseen,
}

impl Replay {
    /// Turns a recording into steps.
    pub fn new(recording: &Recording, options: ReplayOptions) -> Replay {
        let unseen = Unseen::find(recording);
        let mut plan = Plan::new(options);
        let mut seeds = Vec::new();
        for (&(side, price), level) in &unseen.levels {
            let seeded = level.quantity > 0 && (options.reveal || level.seen_at == 0);
            if seeded {
                plan.counts.seeds += u64::from(level.seen_at == 0);
                plan.counts.seeds_revealed += u64::from(level.seen_at != 0);
                seeds.push((side, price, level.quantity));
            }
        }
        seeds.sort_by_key(|&(side, price, _)| (side, if side == Side::Buy { u32::MAX - price.0 } else { price.0 }));
        seeds.iter().for_each(|&(side, price, quantity)| plan.rest_own(side, price, quantity));
        let seeds = core::mem::take(&mut plan.steps);
        let start = recording.events[0].time;
        let mut ends = Vec::with_capacity(recording.events.len());
        for (index, event) in recording.events.iter().enumerate() {
            plan.now = event.time.since(start).max(plan.now);
            if options.infer {
                unseen.changes_at(index).for_each(|change| plan.on_change(change));
            }
            plan.on_event(event);
            ends.push(plan.steps.len());
        }
        Replay { seeds, steps: plan.steps, counts: plan.counts, ends, unseen }
    }

    /// Number of events.
    pub fn events(&self) -> usize {
        self.ends.len()
    }

    /// The steps of one event (index from 0). The recorded book of that index holds after them.
    pub fn event(&self, index: usize) -> &[FlowStep] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.steps[start..self.ends[index]]
    }

    pub(super) fn unseen(&self) -> &Unseen {
        &self.unseen
    }
}

/// Whether `a` is the better price for an order of `side`.
pub(super) const fn is_better(side: Side, a: Price, b: Price) -> bool {
    match side {
        Side::Buy => a.0 > b.0,
        Side::Sell => a.0 < b.0,
    }
}

/// What the recording does not say by events: initial levels, and changes out of view.
#[derive(Clone, Debug, Default)]
pub(super) struct Unseen {
    levels: BTreeMap<(Side, Price), InitialLevel>,
    changes: Vec<UnseenChange>,
    /// First change of each level that has any.
    changed: BTreeMap<(Side, Price), usize>,
    /// Worst price of each side that a book has covered so far.
    covered: [Option<Price>; 2],
}

#[derive(Clone, Copy, Debug)]
struct InitialLevel {
    quantity: i64,
    /// The event whose book first shows it.
    seen_at: usize,
}

/// A level was seen again with another size than events explain.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnseenChange {
    event: usize,
    side: Side,
    price: Price,
    by: i64,
}

impl Unseen {
    fn find(recording: &Recording) -> Unseen {
        let mut unseen = Unseen::default();
        // Shares that events (and changes found) have added at each level since the start, while it is not empty.
        let mut moved: BTreeMap<(Side, Price), i64> = BTreeMap::new();
        for (index, (event, book)) in recording.events.iter().zip(&recording.books).enumerate() {
            let by = i64::from(event.quantity.0);
            let by = match event.kind {
                RecordedKind::New => by,
                RecordedKind::Reduced | RecordedKind::Deleted | RecordedKind::Executed => -by,
                RecordedKind::ExecutedHidden | RecordedKind::Other => 0,
            };
            if by != 0 {
                let key = (event.side, event.price);
                *moved.entry(key).or_insert_with(|| -unseen.initial(key)) += by;
            }
            for side in [Side::Buy, Side::Sell] {
                for level in book.side(side) {
                    unseen.settle(index, (side, level.price), level.quantity as i64, &mut moved);
                }
                let is_gone = |price| book.covers(side, price) && !book.side(side).iter().any(|l| l.price == price);
                let live = moved.range((side, Price(0))..=(side, Price(u32::MAX)));
                let gone: Vec<(Side, Price)> = live.map(|(&key, _)| key).filter(|key| is_gone(key.1)).collect();
                for key in gone {
                    unseen.settle(index, key, 0, &mut moved);
                    // Known to be empty: out of the table, which so stays as small as the book.
                    moved.remove(&key);
                }
                unseen.cover(side, book);
            }
        }
        unseen
    }

    /// The recording shows `shown` shares at a level. The first time, that tells what was there at the start; later,
    /// what is not explained by events is an unseen change.
    fn settle(&mut self, event: usize, key: (Side, Price), shown: i64, moved: &mut BTreeMap<(Side, Price), i64>) {
        let moved = moved.entry(key).or_insert_with(|| -self.initial(key));
        // A price that an earlier book covered without listing it was empty then, and so at the start.
        let was_covered = self.covered[key.0.index()].is_some_and(|worst| !is_better(key.0, worst, key.1));
        let quantity = if was_covered { 0 } else { (shown - *moved).max(0) };
        let level = self.levels.entry(key).or_insert(InitialLevel { quantity, seen_at: event });
        let by = shown - (level.quantity + *moved);
        if by != 0 {
            *moved += by;
            self.changes.push(UnseenChange { event, side: key.0, price: key.1, by });
            self.changed.entry(key).or_insert(event);
        }
    }

    /// Remembers the worst price of a side that any book so far says something about.
    fn cover(&mut self, side: Side, book: &Snapshot) {
        let whole = if side == Side::Buy { Price(0) } else { Price(u32::MAX) };
        let worst =
            book.side(side).last().map_or(whole, |last| if book.covers(side, whole) { whole } else { last.price });
        let covered = &mut self.covered[side.index()];
        if covered.is_none_or(|before| is_better(side, before, worst)) {
            *covered = Some(worst);
        }
    }

    /// Shares at a level at the start, as far as known: a level that left the table was empty, so that what has been
    /// moved since the start is the opposite of this.
    fn initial(&self, key: (Side, Price)) -> i64 {
        self.levels.get(&key).map_or(0, |level| level.quantity)
    }

    fn changes_at(&self, event: usize) -> impl Iterator<Item = &UnseenChange> {
        let start = self.changes.partition_point(|change| change.event < event);
        self.changes[start..].iter().take_while(move |change| change.event == event)
    }

    /// Whether a level rested from before and was out of view at the start.
    pub(super) fn is_revealed(&self, side: Side, price: Price) -> bool {
        self.levels.get(&(side, price)).is_some_and(|level| level.seen_at > 0 && level.quantity > 0)
    }

    /// Whether a level was changed out of view at or before an event.
    pub(super) fn is_changed(&self, side: Side, price: Price, event: usize) -> bool {
        self.changed.get(&(side, price)).is_some_and(|&first| first <= event)
    }
}

/// The book the steps so far would leave, with the keys of its orders.
struct Plan {
    options: ReplayOptions,
    now: u64,
    steps: Vec<FlowStep>,
    counts: ReplayCounts,
    own_keys: u64,
    /// Queue of each price: (key, shares left), oldest first. No empty queues.
    queues: [BTreeMap<Price, VecDeque<(u64, u32)>>; 2],
    /// Session of each live order.
    sessions: HashMap<u64, u16>,
}

impl Plan {
    fn new(options: ReplayOptions) -> Plan {
        Plan {
            options,
            now: 0,
            steps: Vec::new(),
            counts: ReplayCounts::default(),
            own_keys: OWN_KEYS,
            queues: [BTreeMap::new(), BTreeMap::new()],
            sessions: HashMap::new(),
        }
    }

    fn on_event(&mut self, event: &Recorded) {
        let &Recorded { kind, id, quantity, price, side, .. } = event;
        match kind {
            RecordedKind::New => self.rest(id, side, quantity, price),
            RecordedKind::Reduced | RecordedKind::Deleted => {
                self.counts.orders_unknown += u64::from(!self.sessions.contains_key(&id));
                self.take_off(Some(id), side, price, quantity.0);
            }
            RecordedKind::Executed => self.on_executed(event),
            RecordedKind::ExecutedHidden => self.on_executed_hidden(side, quantity, price),
            RecordedKind::Other => self.counts.skipped += 1,
        }
    }

    fn on_change(&mut self, change: &UnseenChange) {
        self.counts.changes_unseen += 1;
        if change.by > 0 {
            self.rest_own(change.side, change.price, change.by);
        } else {
            self.take_off(None, change.side, change.price, change.by.unsigned_abs() as u32);
        }
    }

    fn on_executed(&mut self, event: &Recorded) {
        let &Recorded { id, quantity, price, side, .. } = event;
        self.counts.orders_unknown += u64::from(!self.sessions.contains_key(&id));
        if self.best(side).is_some_and(|best| is_better(side, best, price)) {
            self.counts.executions_behind_best += 1;
            self.take_off(Some(id), side, price, quantity.0);
            return;
        }
        let known = self.sessions.contains_key(&id);
        let mut left = quantity.0;
        while left > 0
            && let Some(&mut (key, shares)) = self.front(side, price)
        {
            self.counts.executions_out_of_turn += u64::from(known && key != id);
            left -= self.drop_shares(side, price, key, shares.min(left));
        }
        self.counts.shares_not_visible += u64::from(left);
        if left < quantity.0 {
            let key = self.own_key();
            let taken = Quantity(quantity.0 - left);
            self.push(self.options.taker, FlowAction::take(key, side.opposite(), taken, price));
        }
    }

    /// A hidden order is entered just before it is met. Only inside the spread: displayed orders go first.
    fn on_executed_hidden(&mut self, side: Side, quantity: Quantity, price: Price) {
        let ahead = self.best(side).is_some_and(|best| !is_better(side, price, best));
        let across = self.best(side.opposite()).is_some_and(|best| !is_better(side.opposite(), price, best));
        if ahead || across {
            self.counts.hidden_not_inside += 1;
            return;
        }
        self.counts.hidden += 1;
        let (hidden, incoming) = (self.own_key(), self.own_key());
        self.push(self.maker(hidden), FlowAction::hide(hidden, side, quantity, price));
        self.push(self.options.taker, FlowAction::take(incoming, side.opposite(), quantity, price));
    }

    fn rest(&mut self, key: u64, side: Side, quantity: Quantity, price: Price) {
        let session = self.maker(key);
        self.queues[side.index()].entry(price).or_default().push_back((key, quantity.0));
        self.sessions.insert(key, session);
        self.push(session, FlowAction::rest(key, side, quantity, price));
    }

    /// Orders the recording does not name, as few as the protocol's largest quantity allows.
    fn rest_own(&mut self, side: Side, price: Price, quantity: i64) {
        let mut left = quantity;
        while left > 0 {
            let slice = left.min(i64::from(Quantity::ORDER_MAX.0));
            let key = self.own_key();
            self.rest(key, side, Quantity(slice as u32), price);
            left -= slice;
        }
    }

    /// Takes shares off a level: from the order named while it has some, then from the oldest.
    fn take_off(&mut self, id: Option<u64>, side: Side, price: Price, quantity: u32) {
        let mut left = quantity;
        while left > 0
            && let Some(queue) = self.queues[side.index()].get(&price)
        {
            let named = queue.iter().find(|&&(key, _)| Some(key) == id);
            let &(key, shares) = named.unwrap_or(&queue[0]);
            let session = self.sessions[&key];
            let by = shares.min(left);
            let action =
                if by == shares { FlowAction::Cancel { key } } else { FlowAction::Reduce { key, by: Quantity(by) } };
            self.push(session, action);
            left -= self.drop_shares(side, price, key, by);
        }
        self.counts.shares_not_visible += u64::from(left);
    }

    /// Takes shares off an order of the plan's own book. It has them: the caller looked.
    fn drop_shares(&mut self, side: Side, price: Price, key: u64, by: u32) -> u32 {
        let queue = self.queues[side.index()].get_mut(&price).expect("a queue that was just read");
        let at = queue.iter().position(|&(k, _)| k == key).expect("an order that was just read");
        queue[at].1 -= by;
        if queue[at].1 == 0 {
            queue.remove(at);
            self.sessions.remove(&key);
        }
        if queue.is_empty() {
            self.queues[side.index()].remove(&price);
        }
        by
    }

    fn best(&self, side: Side) -> Option<Price> {
        let queues = &self.queues[side.index()];
        let best = match side {
            Side::Buy => queues.last_key_value(),
            Side::Sell => queues.first_key_value(),
        };
        best.map(|(&price, _)| price)
    }

    fn front(&mut self, side: Side, price: Price) -> Option<&mut (u64, u32)> {
        self.queues[side.index()].get_mut(&price)?.front_mut()
    }

    /// An order's session is a matter of its key, so that the same recording always plays the same.
    fn maker(&self, key: u64) -> u16 {
        (key % u64::from(self.options.makers.max(1))) as u16
    }

    fn own_key(&mut self) -> u64 {
        self.own_keys += 1;
        self.own_keys
    }

    fn push(&mut self, session: u16, action: FlowAction) {
        self.steps.push(FlowStep { at_ns: self.now, ticker: self.options.ticker, session, action });
    }
}
