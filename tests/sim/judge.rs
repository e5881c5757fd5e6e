//! The judge: holds everything anybody was told against a straight replay of the journal that survived.

use crate::client::Client;
use crate::feed::Air;
use crate::files;
use crate::person::Person;
use crate::trace::Trace;
use pitlane::config::Config;
use pitlane::journal::History;
use pitlane::launch::closing::Closing;
use pitlane::launch::home::log_path;
use pitlane::launch::replayed::{Replayed, replay_whole};
use pitlane::types::{CommandKind, Sequenced, SessionId};
use pitlane::wire::soup::ServerPacket;
use std::collections::BTreeMap;
use zerocopy::IntoBytes;

/// The journal as it was found last, and how far it may not fall behind.
#[derive(Default)]
pub struct Judge {
    /// Checksum of each record.
    records: Vec<u32>,
    /// Records that must be there: what was acknowledged, or, where only the process died, all.
    pub floor: u64,
    /// Highest record whose outputs have ever left.
    pub acknowledged: u64,
    /// Orders among the records found last.
    pub orders: u64,
}

impl Judge {
    /// Replays what is there and compares. `may_lose` says that the promise does not cover what has just happened; then
    /// everybody forgets what is gone. Gives the end that a venue in this state has.
    pub fn check(
        &mut self,
        config: &Config,
        may_lose: bool,
        (clients, air, person): (&mut [Client], &Air, &mut Person),
        trace: &Trace,
    ) -> Closing {
        let config = &files::whole_journal(config);
        let replayed =
            replay_whole(config, &log_path(&config.directory)).unwrap_or_else(|fault| panic!("replay: {fault}"));
        let records = self.records_of(config);
        assert_eq!(records.len() as u64, replayed.closing.number, "records read and replayed");
        trace.note("journal", &[records.len() as u64, self.floor, u64::from(may_lose)]);
        if !may_lose {
            assert!(records.len() as u64 >= self.floor, "{} records must be there, {} are", self.floor, records.len());
        }
        self.check_history(&records, may_lose);
        assert_eq!(replayed.breaches, Vec::<String>::new(), "risk limits held at each step");
        assert!(replayed.twin.oms().is_balanced(), "positions and cash sum up");
        if may_lose {
            forget(&replayed, clients, air, person);
        }
        check_streams(&replayed, clients);
        check_feed(&replayed, air);
        check_person(config, person, records.len() as u64);
        if may_lose {
            self.acknowledged = self.acknowledged.min(records.len() as u64);
            self.floor = records.len() as u64;
        }
        self.records = records;
        replayed.closing
    }

    /// What stands in the journal is what stood there, as far as it had to.
    fn check_history(&self, records: &[u32], may_lose: bool) {
        let same = if may_lose { self.records.len() } else { self.floor as usize };
        for (index, (before, now)) in self.records.iter().zip(records).take(same).enumerate() {
            assert_eq!(before, now, "record {} is another than it was", index + 1);
        }
    }

    /// Checksums of all records; each numbered request stands there once at most.
    fn records_of(&mut self, config: &Config) -> Vec<u32> {
        let directory = config.journal.segments.as_ref().map(|knobs| knobs.directory.as_path());
        let mut history = History::open(&log_path(&config.directory), directory).expect("the journal opens");
        let (mut records, mut requests) = (Vec::new(), BTreeMap::new());
        self.orders = 0;
        while let Some(view) = history.next_view().unwrap_or_else(|fault| panic!("reading the journal: {fault}")) {
            let Sequenced { command, .. } = view.record;
            self.orders += u64::from(command.kind == CommandKind::Enter);
            // A replace that is refused takes no number and cancels its order; sent again it may be refused again.
            let takes_number = command.kind != CommandKind::Replace || view.record.verdict.is_accepted();
            if command.kind.consumes_user_ref() && takes_number {
                let key = (command.session.0, command.channel.counter(), command.user_ref.0);
                if let Some(before) = requests.insert(key, view.record) {
                    panic!("a request was executed twice: {before:?} and {:?}", view.record);
                }
            }
            records.push(crc32c::crc32c(view.record.as_bytes()));
        }
        records
    }

    /// At the end everybody has heard everything.
    pub fn check_all_heard(&self, config: &Config, clients: &[Client], air: &Air) {
        let config = &files::whole_journal(config);
        let replayed = replay_whole(config, &log_path(&config.directory)).expect("it was replayed before");
        for (index, client) in clients.iter().enumerate() {
            let (heard, said) = (client.heard().len(), messages_of(&replayed, index).len());
            assert_eq!(heard, said, "{} hears all that the journal says", client.user);
        }
        assert_eq!(air.heard().len() as u64, replayed.feed.store().count(), "the feed's listener hears all of it");
    }

    /// Number of records found last.
    pub fn records(&self) -> u64 {
        self.records.len() as u64
    }
}

/// The stream's messages, as a client hears them.
pub fn messages_of(replayed: &Replayed, client: usize) -> Vec<&[u8]> {
    let mut rest = replayed.streams.bytes(SessionId(client as u16));
    let mut messages = Vec::new();
    while let Some((packet, length)) = ServerPacket::next(rest).expect("a stream is made of packets") {
        let ServerPacket::Sequenced(message) = packet else { panic!("a stream holds {packet:?}") };
        messages.push(message);
        rest = &rest[length..];
    }
    messages
}

fn forget(replayed: &Replayed, clients: &mut [Client], air: &Air, person: &mut Person) {
    for (index, client) in clients.iter_mut().enumerate() {
        client.forget_after(messages_of(replayed, index).len());
    }
    air.forget_after(replayed.feed.store().count() as usize);
    person.forget_after(replayed.closing.number);
}

fn check_streams(replayed: &Replayed, clients: &[Client]) {
    for (index, client) in clients.iter().enumerate() {
        let messages = messages_of(replayed, index);
        let heard = client.heard();
        let (count, all) = (heard.len(), messages.len());
        assert!(count <= all, "{} heard {count} messages, the journal says {all}", client.user);
        for (at, (heard, said)) in heard.iter().zip(&messages).enumerate() {
            assert_eq!(&heard.as_slice(), said, "{} heard another message {}", client.user, at + 1);
        }
    }
}

fn check_feed(replayed: &Replayed, air: &Air) {
    let store = replayed.feed.store();
    for (index, heard) in air.heard().iter().enumerate() {
        let sequence = index as u64 + 1;
        assert_eq!(Some(heard.as_slice()), store.message(sequence), "feed message {sequence}");
    }
}

/// What the operator was told of stands where he was told.
fn check_person(config: &Config, person: &Person, last: u64) {
    if person.told().is_empty() {
        return;
    }
    let directory = config.journal.segments.as_ref().map(|knobs| knobs.directory.as_path());
    let mut history = History::open(&log_path(&config.directory), directory).expect("the journal opens");
    let mut told = person.told().to_vec();
    told.sort_by_key(|told| told.0);
    let mut told = told.into_iter().peekable();
    while let Some(view) = history.next_view().expect("it was read before") {
        while let Some((_, kind)) = told.next_if(|told| told.0 == view.record.number.0) {
            assert_eq!(view.record.command.kind, kind, "the operator's record {}", view.record.number.0);
        }
    }
    assert_eq!(told.next(), None, "the operator was told of a record that is not among {last}");
}
