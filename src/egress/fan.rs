//! Who hears what: turns a record and its events into reports and public facts. Pure; live egress and replay both
//! call it, which is why a replayed stream has the same bytes.
//!
//! A record opens (answers that need no matcher), its events follow, and it closes (what must come after the last
//! event). Refusals are answered at the opening; a refused replace that names a live order is not, because what the
//! protocol prescribes there is that the order is cancelled, and the matcher says so.

use crate::types::{
    Answer, CommandKind, Event, OrderReference, OrderTag, Party, Price, PublicFact, Published, Quantity, Report,
    ReportBody, Sequenced, SessionId, Slot, TickerId,
};

/// Takes what goes outward, in order.
pub trait Outlet {
    /// For one session's stream.
    fn report(&mut self, report: Report);
    /// For the feed.
    fn publish(&mut self, published: Published);
}

/// What is said before any event of the record.
pub fn opening(record: &Sequenced, sessions: u16, outlet: &mut impl Outlet) {
    let command = &record.command;
    match command.kind {
        CommandKind::DayStart => {
            outlet.publish(public(record, TickerId::ALL, PublicFact::DayStart));
            to_everyone(record, sessions, ReportBody::DayStart, outlet);
        }
        CommandKind::Replace if record.verdict.slot != Slot::NONE => {}
        CommandKind::Enter | CommandKind::Replace if record.verdict.is_accepted() => {}
        CommandKind::Enter
        | CommandKind::Replace
        | CommandKind::MassCancel
        | CommandKind::DisableEntry
        | CommandKind::EnableEntry
        | CommandKind::AccountQuery => {
            answer(record, OrderReference(0), Quantity(0), Price(0), outlet);
        }
        CommandKind::Cancel
        | CommandKind::Modify
        | CommandKind::SessionLost
        | CommandKind::DayEnd
        | CommandKind::Halt
        | CommandKind::Resume
        | CommandKind::KillOn
        | CommandKind::KillOff
        | CommandKind::SetLimit
        | CommandKind::StateDigest
        | CommandKind::Phase
        | CommandKind::Tick
        | CommandKind::Bust => {}
    }
}

/// What is said because of one event.
pub fn event(record: &Sequenced, ticker: TickerId, event: &Event, outlet: &mut impl Outlet) {
    match *event {
        Event::Nothing | Event::ReplaceIgnored { .. } | Event::Rested { .. } | Event::State { .. } => {}
        Event::Triggered { .. } | Event::CrossDone { .. } | Event::Imbalance { .. } | Event::Band { .. } => {}
        Event::Refreshed { order, .. } | Event::Repriced { order, .. } => {
            to_owner(record, order, *event, Party::Incoming, outlet);
        }
        Event::Crossed { buy, sell, .. } | Event::Broken { buy, sell, .. } => {
            to_owner(record, buy, *event, Party::Resting, outlet);
            to_owner(record, sell, *event, Party::Incoming, outlet);
        }
        Event::Accepted { reference, quantity, price, .. } => answer(record, reference, quantity, price, outlet),
        Event::Replaced { reference, quantity, price, side_code, .. } => {
            // The request does not name the side; the book knows how the order sells by now.
            let mut record = *record;
            record.command.side = side_code;
            answer(&record, reference, quantity, price, outlet);
        }
        Event::Filled { resting, incoming, .. } => {
            to_owner(record, resting, *event, Party::Resting, outlet);
            to_owner(record, incoming, *event, Party::Incoming, outlet);
        }
        Event::Canceled { order, .. } | Event::SelfMatch { order, .. } | Event::Modified { order, .. } => {
            to_owner(record, order, *event, Party::Incoming, outlet);
        }
    }
    if is_public(event) {
        let fact = PublicFact::Book { event: *event, firm: record.command.firm };
        outlet.publish(public(record, ticker, fact));
    }
}

/// What is said after the last event of the record.
pub fn closing(record: &Sequenced, sessions: u16, outlet: &mut impl Outlet) {
    if record.command.kind == CommandKind::DayEnd {
        to_everyone(record, sessions, ReportBody::DayEnd, outlet);
        outlet.publish(public(record, TickerId::ALL, PublicFact::DayEnd));
    }
}

/// Whether the feed says anything about it: what shows in the book, and every trade.
fn is_public(event: &Event) -> bool {
    match event {
        Event::Nothing | Event::Accepted { .. } | Event::ReplaceIgnored { .. } => false,
        Event::Filled { .. } | Event::State { .. } => true,
        Event::Crossed { .. } | Event::CrossDone { .. } | Event::Imbalance { .. } => true,
        Event::Band { .. } | Event::Broken { .. } => true,
        Event::Triggered { .. } => false,
        Event::Refreshed { display, .. } | Event::Repriced { display, .. } => display.is_shown(),
        Event::Rested { display, .. } => display.is_shown(),
        Event::Canceled { shown, .. } | Event::SelfMatch { shown, .. } | Event::Modified { shown, .. } => {
            !shown.is_zero()
        }
        Event::Replaced { old_shown, rests, shown, .. } => !old_shown.is_zero() || (*rests && !shown.is_zero()),
    }
}

fn answer(record: &Sequenced, reference: OrderReference, quantity: Quantity, price: Price, outlet: &mut impl Outlet) {
    let session = record.command.session;
    if session != SessionId::VENUE {
        let body = ReportBody::Answer(Answer { record: *record, reference, quantity, price });
        outlet.report(Report { session, number: record.number, time: record.time, body });
    }
}

fn to_owner(record: &Sequenced, order: OrderTag, event: Event, party: Party, outlet: &mut impl Outlet) {
    let body = ReportBody::Order(event, party);
    outlet.report(Report { session: order.session, number: record.number, time: record.time, body });
}

fn to_everyone(record: &Sequenced, sessions: u16, body: ReportBody, outlet: &mut impl Outlet) {
    for session in (0..sessions).map(SessionId) {
        outlet.report(Report { session, number: record.number, time: record.time, body });
    }
}

fn public(record: &Sequenced, ticker: TickerId, fact: PublicFact) -> Published {
    Published { number: record.number, time: record.time, ticker, fact }
}
