//! Where a command will touch memory, for a caller that knows the next commands and may fetch those lines early. Hot.
//!
//! With a million orders open, a command that names one waits for memory twice: for the entry under its number, and for
//! the order. A sequencer with several commands waiting can ask for the lines of a later one while it decides on an
//! earlier one: first [`Oms::line_of_number`], some commands later [`Oms::line_of_order`], then `decide`. Hints only.

use super::Oms;
use super::lookup::Key;
use crate::types::{Command, CommandKind, Slot};
use core::ptr::from_ref;

impl Oms {
    /// The entry under the number the command names, or under which its order will stand.
    #[inline]
    pub fn line_of_number(&self, command: &Command) -> *const u8 {
        self.lookup.line(key_of(command))
    }

    /// The order the command names and its slot, if it names one that is there.
    #[inline]
    pub fn line_of_order(&self, command: &Command) -> Option<(Slot, *const u8)> {
        if command.kind == CommandKind::Enter {
            return None;
        }
        let place = self.lookup.find(key_of(command))?;
        Some((self.orders.slot(place), from_ref(self.orders.at(place)).cast()))
    }
}

#[inline]
fn key_of(command: &Command) -> Key {
    let named = if command.kind == CommandKind::Replace { command.original } else { command.user_ref };
    Key::new(command.session, command.channel.counter(), named)
}
