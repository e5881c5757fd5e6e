//! What a numbered record changes. Only the record and earlier records are looked at; of what events change, nothing
//! decides here, but for one thing: whether the order of a replace has ended already, and then the replace leaves what
//! its own event would leave. Hot; sequencer thread.

use super::Oms;
use super::life::{Life, Step};
use super::lookup::Key;
use super::orders::Order;
use crate::engine::risk::{Owner, Reservation};
use crate::types::{CommandKind, MatcherId, Sequenced};

impl Oms {
    /// Takes in a record. In number order, refused ones too.
    ///
    /// # Panics
    /// When the record takes a slot that is in use: see [`Oms::is_ready`].
    #[inline]
    pub fn apply(&mut self, record: &Sequenced) {
        match record.command.kind {
            CommandKind::Enter => self.apply_enter(record),
            CommandKind::Replace => self.apply_replace(record),
            CommandKind::Cancel | CommandKind::Modify | CommandKind::AccountQuery => self.count_message(record),
            CommandKind::MassCancel => self.take_number(record),
            CommandKind::DisableEntry => self.switch_entry(record, false),
            CommandKind::EnableEntry => self.switch_entry(record, true),
            CommandKind::SessionLost
            | CommandKind::DayStart
            | CommandKind::DayEnd
            | CommandKind::Halt
            | CommandKind::Resume
            | CommandKind::KillOn
            | CommandKind::KillOff
            | CommandKind::SetLimit
            | CommandKind::StateDigest
            | CommandKind::Phase
            | CommandKind::Tick
            | CommandKind::Bust => self.apply_venue(record),
        }
    }

    /// Whether `record` may be applied now: the events that freed its slot and its number are in. Always true where
    /// the record was decided, and in a replay that hands events in at once.
    pub fn is_ready(&self, record: &Sequenced) -> bool {
        let (verdict, kind) = (&record.verdict, record.command.kind);
        let takes_number = kind == CommandKind::Enter || kind == CommandKind::Replace;
        if !verdict.is_accepted() || !takes_number {
            return true;
        }
        let place = self.orders.place(self.matcher_of(record), verdict.slot);
        let is_vacant = kind == CommandKind::Replace || self.orders.at(place).life == Life::Free;
        is_vacant && self.lookup.find(key_of(record)).is_none()
    }

    #[inline]
    fn apply_enter(&mut self, record: &Sequenced) {
        self.take_number(record);
        let (command, verdict) = (&record.command, &record.verdict);
        if !verdict.is_accepted() {
            return;
        }
        let owner = Owner { account: command.account, ticker: command.ticker, side: command.side.side() };
        let counter = command.channel.counter();
        let mut order = Order::new(record.number, command.session, command.user_ref, counter, owner);
        (order.open, order.price) = (command.quantity, verdict.limit_price);
        (order.capacity, order.price_type) = (command.capacity, command.price_type);
        order.cross = if command.is_imbalance_only() { command.cross.to_ascii_lowercase() } else { command.cross };
        order.reserved = order.worst();
        let place = self.orders.take(self.matcher_of(record), verdict.slot, order);
        self.lookup.insert(key_of(record), place);
        self.risk.open_order(owner.account);
        self.tally.opened(command.session, owner.ticker);
        self.risk.reserve(owner, Reservation::NONE, order.reserved);
    }

    /// A replace that was refused takes no number: its order is cancelled, and events say so.
    #[inline]
    fn apply_replace(&mut self, record: &Sequenced) {
        self.count_message(record);
        let (command, verdict) = (&record.command, &record.verdict);
        if !verdict.is_accepted() {
            return;
        }
        let counter = command.channel.counter();
        self.marks.ask(command.session, counter, command.user_ref, record.number);
        let place = self.orders.place(self.matcher_of(record), verdict.slot);
        let order = self.orders.at_mut(place);
        order.life = order.life.after(Step::AskReplace);
        if order.life == Life::Free {
            return;
        }
        debug_assert!(order.user_ref == command.original, "a replace of another order than was found");
        (order.user_ref, order.price_type) = (command.user_ref, command.price_type);
        order.replace_last = record.number;
        order.asked_total = order.asked_total.max(command.quantity);
        order.asked_price = order.asked_price.max(verdict.limit_price);
        self.lookup.remove(Key::new(command.session, counter, command.original));
        self.lookup.insert(key_of(record), place);
        self.reserve_again(place);
    }

    fn apply_venue(&mut self, record: &Sequenced) {
        let command = &record.command;
        if !record.verdict.is_accepted() {
            return;
        }
        match command.kind {
            CommandKind::DayStart => self.risk.end_day(false),
            CommandKind::DayEnd => self.risk.end_day(true),
            CommandKind::Halt | CommandKind::Resume | CommandKind::Phase => {
                self.risk.change_phase(command, record.time);
            }
            CommandKind::KillOn => self.risk.kill(command, true),
            CommandKind::KillOff => self.risk.kill(command, false),
            CommandKind::SetLimit => self.risk.set_limit(command.account, command.limit, command.value),
            // A lost session's orders leave by events, and so does what a tick or a bust does; a digest is for whoever
            // compares it.
            CommandKind::SessionLost | CommandKind::StateDigest | CommandKind::Tick | CommandKind::Bust => {}
            CommandKind::Enter
            | CommandKind::Replace
            | CommandKind::Cancel
            | CommandKind::Modify
            | CommandKind::MassCancel
            | CommandKind::DisableEntry
            | CommandKind::EnableEntry
            | CommandKind::AccountQuery => unreachable!("records of clients are applied above"),
        }
    }

    fn switch_entry(&mut self, record: &Sequenced, enabled: bool) {
        self.take_number(record);
        if record.verdict.is_accepted() {
            self.sessions[record.command.session.index()].entry_enabled = enabled;
        }
    }

    #[inline]
    fn take_number(&mut self, record: &Sequenced) {
        let command = &record.command;
        self.count_message(record);
        self.marks.take(command.session, command.channel.counter(), command.user_ref);
    }

    #[inline]
    fn count_message(&mut self, record: &Sequenced) {
        self.risk.count_message(record.command.account, record.time);
    }

    /// The shard of an accepted record that has a slot.
    #[inline]
    fn matcher_of(&self, record: &Sequenced) -> MatcherId {
        self.risk.matcher(record.command.ticker).expect("a record with a slot names a listed ticker")
    }
}

#[inline]
fn key_of(record: &Sequenced) -> Key {
    let command = &record.command;
    Key::new(command.session, command.channel.counter(), command.user_ref)
}
