//! A slow, obvious venue: every order in one vector, the best found by looking at all of them.

use crate::desk::Books;
use pitlane::engine::oms::Route;
use pitlane::types::{
    CancelReason, CommandKind, Display, Event, Liquidity, Market, MatchNumber, OrderReference, OrderTag, Outcome,
    Price, Quantity, Scope, SelfMatchMode, Sequenced, Side, SideCode, Slot, TickerId, TimeInForce, UserRef,
};

#[derive(Clone, Copy, Debug)]
struct Order {
    tag: OrderTag,
    ticker: TickerId,
    side: Side,
    side_code: SideCode,
    reference: OrderReference,
    /// Limit in the book; for a market order the worst price.
    limit: Price,
    price: Price,
    leaves: u32,
    used: u32,
    seen: u64,
}

pub struct Venue {
    market: Market,
    orders: Vec<Order>,
    references: u64,
    matches: u64,
}

impl Venue {
    pub fn new(market: &Market) -> Venue {
        Venue { market: market.clone(), orders: Vec::new(), references: 0, matches: 0 }
    }

    /// Executes a record that was routed somewhere; the events in the order egress gives them.
    fn perform(&mut self, record: &Sequenced) -> Vec<Outcome> {
        let mut out = Vec::new();
        let command = &record.command;
        match command.kind {
            CommandKind::Enter => self.enter(record, &mut out),
            CommandKind::Replace => self.replace(record, &mut out),
            CommandKind::Cancel => self.shrink(record, &mut out),
            CommandKind::Modify => self.shrink(record, &mut out),
            CommandKind::MassCancel => self.cancel_all(record, CancelReason::User, &mut out, |o, c| {
                o.tag.session == c.session && (c.ticker == TickerId::ALL || c.ticker == o.ticker)
            }),
            CommandKind::SessionLost => {
                self.cancel_all(record, CancelReason::System, &mut out, |o, c| o.tag.session == c.session);
            }
            CommandKind::KillOn => {
                let firms: Vec<_> = self.market.accounts.iter().map(|a| a.firm).collect();
                self.cancel_all(record, CancelReason::Supervisory, &mut out, |o, c| match c.scope {
                    Scope::None => false,
                    Scope::Account => o.tag.account == c.account,
                    Scope::Firm => firms[o.tag.account.index()] == c.firm,
                    Scope::All => true,
                });
            }
            CommandKind::DayEnd => self.cancel_all(record, CancelReason::Expired, &mut out, |_, _| true),
            _ => {}
        }
        if out.is_empty() {
            out.push((TickerId::ALL, Event::Nothing));
        }
        let stamp = |(ticker, event)| Outcome { number: record.number, time: record.time, ticker, event };
        out.into_iter().map(stamp).collect()
    }

    fn tag(record: &Sequenced) -> OrderTag {
        let c = &record.command;
        OrderTag {
            slot: record.verdict.slot,
            user_ref: c.user_ref,
            session: c.session,
            account: c.account,
            channel: c.channel,
        }
    }

    fn limit(record: &Sequenced) -> Price {
        if record.command.price.is_market() { record.verdict.limit_price } else { record.command.price }
    }

    fn reference(&mut self) -> OrderReference {
        self.references += 1;
        OrderReference(self.references)
    }

    fn enter(&mut self, record: &Sequenced, out: &mut Vec<(TickerId, Event)>) {
        let c = &record.command;
        let reference = self.reference();
        let order = Order {
            tag: Self::tag(record),
            ticker: c.ticker,
            side: c.side.side(),
            side_code: c.side,
            reference,
            limit: Self::limit(record),
            price: c.price,
            leaves: c.quantity.0,
            used: 0,
            seen: record.number.0,
        };
        out.push((c.ticker, Event::Accepted { order: order.tag, reference, quantity: c.quantity, price: c.price }));
        self.trade(order, record, out);
    }

    fn find(&self, record: &Sequenced, user_ref: UserRef) -> Option<usize> {
        let (c, slot) = (&record.command, record.verdict.slot);
        let matcher = self.market.tickers[c.ticker.index()].matcher;
        self.orders.iter().position(|o| {
            o.tag.slot == slot
                && self.market.tickers[o.ticker.index()].matcher == matcher
                && o.tag.session == c.session
                && o.tag.user_ref == user_ref
        })
    }

    fn replace(&mut self, record: &Sequenced, out: &mut Vec<(TickerId, Event)>) {
        let c = &record.command;
        let found = self.find(record, c.original);
        let accepted = record.verdict.is_accepted();
        let Some(at) = found else {
            if accepted {
                out.push((c.ticker, Event::ReplaceIgnored { order: Self::tag(record) }));
            }
            return;
        };
        let old = self.orders.remove(at);
        if !accepted || c.quantity.0 <= old.used {
            out.push((old.ticker, canceled(&old, old.leaves, 0, CancelReason::User)));
            return;
        }
        let reference = self.reference();
        let leaves = c.quantity.0 - old.used;
        let new = Order {
            tag: OrderTag { user_ref: c.user_ref, ..old.tag },
            reference,
            limit: Self::limit(record),
            price: c.price,
            leaves,
            seen: record.number.0,
            ..old
        };
        out.push((
            old.ticker,
            Event::Replaced {
                order: new.tag,
                original: c.original,
                old_reference: old.reference,
                reference,
                side: old.side,
                side_code: old.side_code,
                display: Display::Anonymous,
                quantity: Quantity(leaves),
                price: c.price,
                limit: Self::limit(record),
                old_quantity: Quantity(old.leaves),
                old_price: old.price,
                old_shown: Quantity(old.leaves),
                shown: Quantity(leaves),
                rests: false,
            },
        ));
        self.trade(new, record, out);
    }

    fn shrink(&mut self, record: &Sequenced, out: &mut Vec<(TickerId, Event)>) {
        let c = &record.command;
        let Some(at) = self.find(record, c.user_ref) else { return };
        let order = &mut self.orders[at];
        let target = if c.quantity.is_zero() { 0 } else { c.quantity.0.saturating_sub(order.used) };
        let modify = c.kind == CommandKind::Modify;
        if target > order.leaves || (target == order.leaves && !modify) {
            return;
        }
        let taken = order.leaves - target;
        order.leaves = target;
        let order = *order;
        let (taken, leaves) = (Quantity(taken), Quantity(target));
        out.push((
            order.ticker,
            if modify {
                Event::Modified {
                    order: order.tag,
                    reference: order.reference,
                    side_code: c.side,
                    price: order.price,
                    taken,
                    leaves,
                    shown: taken,
                }
            } else {
                canceled(&order, taken.0, leaves.0, CancelReason::User)
            },
        ));
        if target == 0 {
            self.orders.remove(at);
        }
    }

    fn cancel_all(
        &mut self,
        record: &Sequenced,
        reason: CancelReason,
        out: &mut Vec<(TickerId, Event)>,
        whom: impl Fn(&Order, &pitlane::types::Command) -> bool,
    ) {
        let mut gone: Vec<Order> = self.orders.iter().copied().filter(|o| whom(o, &record.command)).collect();
        gone.sort_by_key(|o| (self.market.tickers[o.ticker.index()].matcher, o.seen));
        self.orders.retain(|o| !whom(o, &record.command));
        out.extend(gone.iter().map(|o| (o.ticker, canceled(o, o.leaves, 0, reason))));
    }

    /// The best order that `incoming` could meet, in price-time priority.
    fn best(&self, incoming: &Order) -> Option<usize> {
        let crosses = |o: &Order| match incoming.side {
            Side::Buy => o.limit <= incoming.limit,
            Side::Sell => o.limit >= incoming.limit,
        };
        let rank = |o: &Order| {
            let price = i64::from(o.limit.0);
            (if incoming.side == Side::Buy { price } else { -price }, o.seen)
        };
        let candidates = self.orders.iter().enumerate();
        candidates
            .filter(|(_, o)| o.ticker == incoming.ticker && o.side != incoming.side && crosses(o))
            .min_by_key(|(_, o)| rank(o))
            .map(|(i, _)| i)
    }

    fn available(&self, incoming: &Order) -> u32 {
        let mut rest = Venue { market: self.market.clone(), orders: self.orders.clone(), references: 0, matches: 0 };
        let mut sum = 0;
        while let Some(at) = rest.best(incoming) {
            sum += rest.orders.remove(at).leaves;
        }
        sum
    }

    fn trade(&mut self, mut incoming: Order, record: &Sequenced, out: &mut Vec<(TickerId, Event)>) {
        let c = &record.command;
        let ticker = incoming.ticker;
        if c.post_only == 1 && self.best(&incoming).is_some() {
            out.push((ticker, canceled(&incoming, incoming.leaves, 0, CancelReason::PostOnly)));
            return;
        }
        if self.available(&incoming) < c.min_quantity.0 {
            out.push((ticker, canceled(&incoming, incoming.leaves, 0, CancelReason::ImmediateRemainder)));
            return;
        }
        while incoming.leaves > 0 {
            let Some(at) = self.best(&incoming) else { break };
            let own = self.orders[at].tag.account == incoming.tag.account;
            if own && c.self_match.mode != SelfMatchMode::Off {
                self.prevent(at, &mut incoming, c.self_match.mode, out);
            } else {
                self.fill(at, &mut incoming, out);
            }
        }
        if incoming.leaves == 0 {
            return;
        }
        if c.price.is_market() {
            out.push((ticker, canceled(&incoming, incoming.leaves, 0, CancelReason::Collar)));
        } else if c.time_in_force == TimeInForce::ImmediateOrCancel {
            out.push((ticker, canceled(&incoming, incoming.leaves, 0, CancelReason::ImmediateRemainder)));
        } else {
            let (order, reference) = (incoming.tag, incoming.reference);
            let (side, quantity, price) = (incoming.side, Quantity(incoming.leaves), incoming.price);
            out.push((
                ticker,
                Event::Rested { order, reference, side, display: Display::Anonymous, quantity, shown: quantity, price },
            ));
            self.orders.push(incoming);
        }
    }

    fn fill(&mut self, at: usize, incoming: &mut Order, out: &mut Vec<(TickerId, Event)>) {
        self.matches += 1;
        let match_number = MatchNumber(self.matches);
        let resting = &mut self.orders[at];
        let shares = resting.leaves.min(incoming.leaves);
        for order in [&mut *resting, &mut *incoming] {
            order.leaves -= shares;
            order.used += shares;
        }
        out.push((
            incoming.ticker,
            Event::Filled {
                resting: resting.tag,
                incoming: incoming.tag,
                reference: resting.reference,
                match_number,
                price: resting.limit,
                quantity: Quantity(shares),
                resting_leaves: Quantity(resting.leaves),
                incoming_leaves: Quantity(incoming.leaves),
                resting_side: resting.side,
                displayed: true,
                liquidity: Liquidity::Added,
            },
        ));
        if resting.leaves == 0 {
            self.orders.remove(at);
        }
    }

    fn prevent(&mut self, at: usize, incoming: &mut Order, mode: SelfMatchMode, out: &mut Vec<(TickerId, Event)>) {
        let resting = &mut self.orders[at];
        let prevented = resting.leaves.min(incoming.leaves);
        let (from_resting, from_incoming) = match mode {
            SelfMatchMode::Off => (0, 0),
            SelfMatchMode::CancelNewest => (0, incoming.leaves),
            SelfMatchMode::CancelOldest => (resting.leaves, 0),
            SelfMatchMode::CancelBoth => (resting.leaves, incoming.leaves),
            SelfMatchMode::Decrement => (prevented, prevented),
        };
        let price = resting.limit;
        for (order, taken) in [(&mut *resting, from_resting), (&mut *incoming, from_incoming)] {
            if taken > 0 {
                order.leaves -= taken;
                order.used += taken;
                out.push((
                    order.ticker,
                    Event::SelfMatch {
                        order: order.tag,
                        reference: order.reference,
                        side: order.side,
                        price: order.price,
                        quantity: Quantity(taken),
                        leaves: Quantity(order.leaves),
                        prevented: Quantity(prevented),
                        execution_price: price,
                        liquidity: Liquidity::Added,
                        strategy: b'D',
                        detailed: true,
                        shown: Quantity(taken),
                    },
                ));
            }
        }
        if self.orders[at].leaves == 0 {
            self.orders.remove(at);
        }
    }

    /// Whose each open order is and how much of its chain is used up, by shard and slot.
    pub fn chains(&self) -> Vec<(u16, Slot, UserRef, u32)> {
        let line = |o: &Order| (self.shard(o), o.tag.slot, o.tag.user_ref, o.used);
        let mut chains: Vec<_> = self.orders.iter().map(line).collect();
        chains.sort();
        chains
    }

    fn shard(&self, order: &Order) -> u16 {
        self.market.tickers[order.ticker.index()].matcher.0
    }
}

impl Books for Venue {
    fn execute(&mut self, record: &Sequenced, route: Route) -> Vec<Outcome> {
        if route == Route::None { vec![] } else { self.perform(record) }
    }

    fn open(&self) -> Vec<(u16, u32, u32)> {
        let mut open: Vec<_> = self.orders.iter().map(|o| (self.shard(o), o.tag.slot.0, o.leaves)).collect();
        open.sort();
        open
    }
}

fn canceled(order: &Order, taken: u32, leaves: u32, reason: CancelReason) -> Event {
    Event::Canceled {
        order: order.tag,
        reference: order.reference,
        side: order.side,
        price: order.price,
        quantity: Quantity(taken),
        leaves: Quantity(leaves),
        reason,
        shown: Quantity(taken),
    }
}
