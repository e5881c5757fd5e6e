//! What the gateway shows of its sessions to others on the host: a row each in a mapped table.
//!
//! Gateway thread, in the sweep that comes every ten milliseconds: a sixteenth of the sessions each time, so that a row is
//! at most a sixth of a second old and a sweep stays short with a thousand of them. The path of a message pays one addition
//! in its session's place; everything else is there already and is only copied here.

use crate::gateway::core::{Backlog, Core, Transport};
use crate::runtime::table::Row;
use crate::types::SessionId;

/// The gateway's group of columns. `transport` is 0 for nobody connected, else one more than the transport's index;
/// `active_ns` the host's steady time at which it was seen that the session had sent something, 0 for never.
pub const COLUMNS: [&str; 8] =
    ["transport", "logins", "messages_in", "messages_out", "stream_bytes", "unsent_bytes", "unread_bytes", "active_ns"];
/// Sweeps in which every session is shown once.
const SWEEPS_A_ROUND: usize = 16;

/// The rows, and whose turn it is.
#[derive(Default)]
pub struct Shown {
    rows: Vec<Row>,
    /// Messages as of the last look at the session, and since when there were so many.
    seen: Vec<(u64, u64)>,
    next: usize,
}

impl Shown {
    /// In these rows, by session.
    pub fn new(rows: Vec<Row>) -> Shown {
        Shown { seen: vec![(0, 0); rows.len()], rows, next: 0 }
    }

    /// Nobody looks.
    pub fn nowhere() -> Shown {
        Shown::default()
    }

    /// Shows the next few sessions.
    pub(super) fn refresh(&mut self, core: &Core, transports: &[Box<dyn Transport>]) {
        for _ in 0..self.rows.len().div_ceil(SWEEPS_A_ROUND) {
            let session = SessionId(self.next as u16);
            self.show(session, core, transports);
            self.next = if self.next + 1 < self.rows.len() { self.next + 1 } else { 0 };
        }
    }

    fn show(&mut self, session: SessionId, core: &Core, transports: &[Box<dyn Transport>]) {
        let holder = core.holder(session);
        let backlog = holder.map_or(Backlog::default(), |holder| {
            transports[usize::from(holder.transport)].backlog(core, holder.connection)
        });
        let (logins, messages) = core.heard(session);
        let (before, active_ns) = &mut self.seen[session.index()];
        if *before != messages {
            (*before, *active_ns) = (messages, core.now_ns());
        }
        let values = [
            holder.map_or(0, |holder| 1 + u64::from(holder.transport)),
            logins,
            messages,
            core.streams.next_sequence(session) - 1,
            core.streams.end(session) as u64,
            backlog.unsent,
            backlog.unread,
            *active_ns,
        ];
        let row = &self.rows[session.index()];
        values.into_iter().enumerate().for_each(|(column, value)| row.set(column, value));
    }
}
