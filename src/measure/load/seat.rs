//! One session of the player: sends a step, and makes of each report an answered request or a change of an order.
//!
//! Runs on the player's thread; no allocation. Orders are the player's, because their keys are the flow's; latencies
//! are recorded by transport.

use super::kernel::{Follower, KernelSample};
use super::orders::{Order, Orders};
use super::report::{Measured, SessionCounts};
use super::schedule::Sample;
use super::waiting::{Asked, Request, Waiting};
use crate::client::orders::{Fault, Incoming, NewOrder, OrderSession, Refusal, Replacement};
use crate::measure::flow::FlowAction;
use crate::os::clock::monotonic_ns;
use crate::runtime::way_file::Who;
use crate::types::{CancelReason, Channel, ClientOrderId, Price, Quantity, SessionId, Symbol, TimeInForce, UserRef};
use crate::wire::ouch::{Outbound, Tags, outbound};

/// What became of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Sent,
    /// It cannot be sent, now or later; counted.
    Skipped,
    /// It cannot be sent now.
    Held,
}

/// One session.
pub(super) struct Seat {
    pub session: OrderSession,
    pub index: u16,
    pub waiting: Waiting,
    pub counts: SessionCounts,
    /// Which of the player's measures it records into.
    pub measured: usize,
    /// When the venue last said something, or was asked the question that it always answers.
    pub heard_ns: u64,
    /// When it last said something.
    pub answered_ns: u64,
    pub is_over: bool,
    /// The question at the end of a run has been asked.
    pub asked_last: bool,
    /// Which request is followed through the kernel, where any is.
    follower: Option<Follower>,
}

impl Seat {
    pub fn new(session: OrderSession, index: u16, measured: usize, in_flight_max: usize) -> Seat {
        let (waiting, counts) = (Waiting::new(in_flight_max), SessionCounts::default());
        Seat {
            session,
            index,
            waiting,
            counts,
            measured,
            heard_ns: 0,
            answered_ns: 0,
            is_over: false,
            asked_last: false,
            follower: None,
        }
    }

    /// Follows some of its requests, if its session has the kernel stamp.
    pub fn following(self) -> Seat {
        Seat { follower: Some(Follower::new()), ..self }
    }

    /// Sends a step of this session, if it may. `slot` is the order meant, `None` for a new one.
    pub fn send(
        &mut self,
        action: &FlowAction,
        slot: Option<u32>,
        symbol: Symbol,
        orders: &mut Orders,
        due_ns: Option<u64>,
        measured: bool,
    ) -> Step {
        if self.is_over {
            self.counts.steps_disconnected += 1;
            return Step::Skipped;
        }
        if self.waiting.is_full() {
            return Step::Held;
        }
        let sent_ns = monotonic_ns();
        let request = Request::new(Asked::Cancel, UserRef(0), 0, due_ns.unwrap_or(sent_ns), sent_ns, measured);
        let is_followed = measured
            && self.follower.as_mut().is_some_and(|follower| follower.is_due(sent_ns))
            && self.session.follow_next();
        let sent = match (action, slot) {
            (FlowAction::Enter { key, .. }, _) if orders.is_full() || orders.is_known(*key) => {
                self.counts.steps_no_room += 1;
                return Step::Skipped;
            }
            (FlowAction::Enter { .. }, _) => self.enter(action, symbol, orders, request),
            (&FlowAction::Replace { new_key, quantity, price, .. }, Some(slot)) => {
                self.replace(slot, new_key, quantity, price, orders, request)
            }
            (&FlowAction::Reduce { by, .. }, Some(slot)) => self.cancel(slot, by.0, orders, request),
            (FlowAction::Cancel { .. }, Some(slot)) => self.cancel(slot, u32::MAX, orders, request),
            (FlowAction::Replace { .. } | FlowAction::Reduce { .. } | FlowAction::Cancel { .. }, None) => {
                self.counts.steps_gone += 1;
                return Step::Skipped;
            }
        };
        match sent {
            Ok(mut request) => {
                if let Some(follower) = self.follower.as_mut().filter(|_| is_followed) {
                    request.mark = follower.follow(sent_ns);
                }
                self.waiting.push(request);
                Step::Sent
            }
            Err(refusal) => self.on_refusal(refusal),
        }
    }

    fn enter(
        &mut self,
        action: &FlowAction,
        symbol: Symbol,
        orders: &mut Orders,
        request: Request,
    ) -> Result<Request, Refusal> {
        let order = new_order(action, symbol);
        let user_ref = self.session.enter(&order)?;
        self.counts.entered += 1;
        let slot = orders.enter(action.key(), self.index, user_ref, order.quantity, order.display);
        Ok(request.asks(Asked::Enter, user_ref, slot))
    }

    fn replace(
        &mut self,
        slot: u32,
        new_key: u64,
        quantity: Quantity,
        price: Price,
        orders: &mut Orders,
        request: Request,
    ) -> Result<Request, Refusal> {
        let order = *orders.order(slot);
        // The protocol counts the chain: what has traded, as far as known here, and what is wanted.
        let total = Quantity(order.executed.saturating_add(quantity.0).min(Quantity::ORDER_MAX.0));
        let user_ref = self.session.replace(order.user_ref, &replacement(&order, total, price))?;
        self.counts.replaced += 1;
        orders.rename(slot, new_key, user_ref, total.0);
        Ok(request.asks(Asked::Replace, user_ref, slot).of(order.user_ref))
    }

    /// Takes `by` shares off an order; all of them when it has no more. The protocol wants the total that is left.
    fn cancel(&mut self, slot: u32, by: u32, orders: &mut Orders, request: Request) -> Result<Request, Refusal> {
        let order = orders.order(slot);
        let total = order.total.saturating_sub(by);
        self.session.cancel(Channel::NONE, order.user_ref, Quantity(total))?;
        self.counts.cancelled += 1;
        order.total = total;
        order.waiting += 1;
        Ok(request.asks(Asked::Cancel, order.user_ref, slot))
    }

    #[cold]
    fn on_refusal(&mut self, refusal: Refusal) -> Step {
        match refusal {
            Refusal::Full | Refusal::Unanswered | Refusal::Recovering => Step::Held,
            // The reason comes with the next poll.
            Refusal::NotConnected | Refusal::Length => {
                self.counts.steps_disconnected += 1;
                Step::Skipped
            }
        }
    }

    /// Takes at most `messages_max` messages in; says how many.
    pub fn poll(&mut self, orders: &mut Orders, measured: &mut Measured, messages_max: usize) -> usize {
        for taken in 0..messages_max {
            if self.is_over {
                return taken;
            }
            match self.session.poll() {
                Ok(None) => return taken,
                Ok(Some(Incoming::Message { message, .. })) => {
                    let now = monotonic_ns();
                    (self.heard_ns, self.answered_ns) = (now, now);
                    self.on_message(&message, now, orders, measured);
                }
                // In the midst of a run an end in order is as much a loss as one without.
                ended @ (Ok(Some(Incoming::EndOfSession)) | Err(_)) => {
                    self.is_over = true;
                    self.counts.fault = Some(ended.err().unwrap_or(Fault::Closed));
                }
            }
        }
        messages_max
    }

    fn on_message(&mut self, message: &Outbound, now: u64, orders: &mut Orders, measured: &mut Measured) {
        match message {
            Outbound::Accepted(m) => {
                let request = self.answer(orders, |r| r.asked == Asked::Enter && r.user_ref == m.user_ref);
                let Some(request) = request else { return self.counts.foreign += 1 };
                self.counts.answers_accepted += 1;
                self.record(&request, now, measured);
                if m.state == outbound::STATE_DEAD {
                    self.end(request.slot, orders);
                }
                orders.answered(request.slot);
            }
            Outbound::Replaced(m) => {
                let request = self.answer(orders, |r| r.asked == Asked::Replace && r.user_ref == m.user_ref);
                let Some(request) = request else { return self.counts.foreign += 1 };
                self.counts.answers_replaced += 1;
                self.record(&request, now, measured);
                orders.confirm(request.slot, m.user_ref, m.quantity);
                if m.state == outbound::STATE_DEAD {
                    self.end(request.slot, orders);
                }
                orders.answered(request.slot);
            }
            Outbound::Rejected(m) => self.on_rejected(m, now, orders, measured),
            Outbound::Canceled(m) => self.on_canceled(m, now, orders, measured),
            Outbound::SelfMatchCanceled(m) => {
                self.counts.cancels_unasked += 1;
                self.take_off(m.user_ref, m.quantity, orders);
            }
            Outbound::Executed(m) => {
                self.counts.fills += 1;
                self.counts.fill_shares += u64::from(m.quantity.0);
                if let Some(slot) = self.take_off(m.user_ref, m.quantity, orders) {
                    orders.order(slot).executed += m.quantity.0;
                }
            }
            Outbound::AccountQueryResponse(_) => {
                self.answer(orders, |r| r.asked == Asked::Query);
            }
            Outbound::SystemEvent(_)
            | Outbound::BrokenTrade(_)
            | Outbound::CancelPending(_)
            | Outbound::CancelReject(_)
            | Outbound::PriorityUpdate(_)
            | Outbound::Modified(_)
            | Outbound::Restated(_)
            | Outbound::MassCancelResponse(_)
            | Outbound::DisableResponse(_)
            | Outbound::EnableResponse(_) => {}
        }
    }

    fn on_rejected(&mut self, m: &outbound::Rejected, now: u64, orders: &mut Orders, measured: &mut Measured) {
        let names = |r: &Request| matches!(r.asked, Asked::Enter | Asked::Replace) && r.user_ref == m.user_ref;
        let Some(request) = self.answer(orders, names) else { return self.counts.foreign += 1 };
        self.counts.rejects.count(m.reason);
        self.record(&request, now, measured);
        match request.asked {
            Asked::Replace => orders.unname(request.slot, request.user_ref),
            Asked::Enter | Asked::Cancel | Asked::Query => self.end(request.slot, orders),
        }
        orders.answered(request.slot);
    }

    /// A cancel that was asked for is an answer, and so is one that stands for a replace with terms that do not hold.
    fn on_canceled(&mut self, m: &outbound::Canceled, now: u64, orders: &mut Orders, measured: &mut Measured) {
        let mut request = None;
        if m.reason == CancelReason::User.letter() {
            request = self.answer(orders, |r| match r.asked {
                Asked::Cancel => r.user_ref == m.user_ref,
                Asked::Replace => r.original == m.user_ref,
                Asked::Enter | Asked::Query => false,
            });
        }
        if let Some(request) = &request {
            self.counts.answers_canceled += 1;
            self.record(request, now, measured);
            if request.asked == Asked::Replace {
                orders.unname(request.slot, request.user_ref);
            }
        } else if m.reason == CancelReason::ImmediateRemainder.letter() {
            self.counts.remainders += 1;
        } else {
            self.counts.cancels_unasked += 1;
        }
        self.take_off(m.user_ref, m.quantity, orders);
        if let Some(request) = request {
            orders.answered(request.slot);
        }
    }

    /// Shares left an order, by trade or cancel; one without shares has ended. Gives the order while it lives.
    fn take_off(&mut self, user_ref: UserRef, quantity: Quantity, orders: &mut Orders) -> Option<u32> {
        let Some(slot) = orders.by_ref(self.index, user_ref) else {
            self.counts.foreign += 1;
            return None;
        };
        let order = orders.order(slot);
        order.leaves = order.leaves.saturating_sub(quantity.0);
        if order.leaves == 0 {
            self.end(slot, orders);
            return None;
        }
        Some(slot)
    }

    /// An order ended: what else was asked about it gets no answer.
    fn end(&mut self, slot: u32, orders: &mut Orders) {
        orders.end(slot);
        if orders.order(slot).waiting > 0 {
            let overtaken = &mut self.counts.overtaken;
            self.waiting.settle_order(slot, |request| overtake(request, overtaken, orders));
        }
    }

    #[inline]
    fn record(&mut self, request: &Request, now: u64, measured: &mut Measured) {
        if !request.measured {
            return;
        }
        if request.mark != 0 {
            self.record_followed(request, now, measured);
        }
        measured.intended.record(now.saturating_sub(request.due_ns));
        measured.service.record(now.saturating_sub(request.sent_ns));
        measured.slip.record(request.sent_ns.saturating_sub(request.due_ns));
        let who = match request.asked {
            Asked::Enter | Asked::Replace => Who::of(SessionId(self.index), Channel::NONE, request.user_ref),
            // A cancel goes by its order's number.
            Asked::Cancel | Asked::Query => Who::NOBODY,
        };
        let (due_ns, sent_ns) = (request.due_ns, request.sent_ns);
        measured.samples.push(Sample { due_ns, sent_ns, answered_ns: now, who });
    }

    #[cold]
    fn record_followed(&mut self, request: &Request, now: u64, measured: &mut Measured) {
        if self.follower.as_mut().is_some_and(|follower| follower.is_answered(request.mark)) {
            let (sent_ns, kernel) = (request.sent_ns, self.session.kernel_times());
            measured.kernel.push(KernelSample { sent_ns, kernel, answered_ns: now });
        }
    }

    fn answer(&mut self, orders: &mut Orders, fits: impl Fn(&Request) -> bool) -> Option<Request> {
        let overtaken = &mut self.counts.overtaken;
        self.waiting.answer(fits, |request| overtake(request, overtaken, orders))
    }

    /// Asks what is answered always, so that all before it is known to be answered or not.
    pub fn query(&mut self, now: u64) -> Result<(), Refusal> {
        if !self.waiting.has_place() {
            return Err(Refusal::Unanswered);
        }
        self.session.query(Channel::NONE)?;
        self.waiting.push(Request::new(Asked::Query, UserRef(0), 0, now, now, false));
        Ok(())
    }

    /// Steps wait and the venue is silent: perhaps nothing of what was asked will be answered. Asks, and at most once
    /// in a while.
    #[cold]
    pub fn unblock(&mut self, now: u64) {
        self.heard_ns = now;
        // A transport that is full says so the next time, too.
        let _ = self.query(now);
    }

    /// The run is over: what has no answer now counts as lost, and an order nobody answered for with it.
    pub fn give_up(&mut self, orders: &mut Orders) {
        while !self.waiting.is_empty() {
            let Some(request) = self.waiting.pop() else { continue };
            if request.asked == Asked::Query {
                continue;
            }
            self.counts.lost += 1;
            if request.asked == Asked::Enter {
                orders.end(request.slot);
            }
            orders.answered(request.slot);
        }
    }
}

/// A request turned out to get no answer.
fn overtake(request: &Request, overtaken: &mut u64, orders: &mut Orders) {
    match request.asked {
        Asked::Query => return,
        Asked::Replace => orders.unname(request.slot, request.user_ref),
        // The venue passed the order over as one it has seen: it will not report on it.
        Asked::Enter => orders.end(request.slot),
        Asked::Cancel => {}
    }
    *overtaken += 1;
    orders.answered(request.slot);
}

fn new_order(action: &FlowAction, symbol: Symbol) -> NewOrder {
    let &FlowAction::Enter { side, quantity, price, time_in_force, display, post_only, min_quantity, .. } = action
    else {
        unreachable!("only an Enter is made an order of");
    };
    let mut tags = Tags::NONE;
    if post_only {
        tags = tags.with_post_only(b'P');
    }
    if !min_quantity.is_zero() {
        tags = tags.with_min_quantity(min_quantity);
    }
    NewOrder { time_in_force, display, tags, ..NewOrder::limit(side, quantity, symbol, price) }
}

fn replacement(order: &Order, total: Quantity, price: Price) -> Replacement {
    Replacement {
        quantity: total,
        price,
        time_in_force: TimeInForce::Day,
        display: order.display,
        client_order_id: ClientOrderId::BLANK,
        tags: Tags::NONE,
    }
}
