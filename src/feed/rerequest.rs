//! The request server: a receiver that missed messages asks by unicast and gets them from the store.
//!
//! Turned by the publisher's agent, which owns the store. One datagram of answer a request; who wants more asks again.
//! What cannot be answered (too far, another session, no count) gets nothing, because the protocol has no refusal.
//! A request of 20 bytes draws up to 1472, so a forged source address would make the server an amplifier: each source
//! has a number of answers a second, kept in a small fixed table. Answers end where multicast has got to, so that
//! asking is never a way to know earlier.

use super::port::Port;
use super::store::{Cursor, FeedStore};
use crate::runtime::counters::{Counter, Counters};
use crate::wire::mold::{COUNT_MAX, DATAGRAM_MAX, HEADER_BYTES, Header, Request, Session};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use zerocopy::IntoBytes;

/// Requests taken in one turn: the live feed waits for at most so many, some 2 us each.
const REQUESTS_TURN_MAX: usize = 8;
/// Sources remembered: sets times ways.
const LIMIT_SETS: usize = 64;
const LIMIT_WAYS: usize = 4;
const SECOND_NS: u64 = 1_000_000_000;

/// The server. See the module's words.
pub struct RequestServer<P = UdpSocket> {
    socket: P,
    session: Session,
    limits: SourceLimits,
    datagram: Box<[u8; DATAGRAM_MAX]>,
    answered: Counter,
    ignored: Counter,
    limited: Counter,
}

impl<P: Port> RequestServer<P> {
    /// On a bound socket. Each source gets `answers_per_second_max` answers.
    pub fn new(socket: P, session: Session, answers_per_second_max: u32, counters: &mut Counters) -> RequestServer<P> {
        RequestServer {
            socket,
            session,
            limits: SourceLimits::new(answers_per_second_max),
            datagram: Box::new([0; DATAGRAM_MAX]),
            answered: counters.add("feed.requests_answered"),
            ignored: counters.add("feed.requests_ignored"),
            limited: counters.add("feed.requests_limited"),
        }
    }

    /// Where it listens.
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Answers what has come, from messages before `until`. Says how many requests it looked at.
    pub fn work(&mut self, store: &FeedStore, until: Cursor, now_ns: u64) -> usize {
        // One byte more than a request, so that a longer datagram is seen to be none.
        let mut request = [0; HEADER_BYTES + 1];
        for taken in 0..REQUESTS_TURN_MAX {
            // An error here is either "nothing came" or the report of an answer that nobody took: neither is ours.
            let Ok((length, source)) = self.socket.recv_from(&mut request) else { return taken };
            let Some(run_from) = self.wanted(&request[..length], store, until) else {
                self.ignored.add(1);
                continue;
            };
            if !self.limits.permits(source.ip(), now_ns) {
                self.limited.add(1);
                continue;
            }
            self.answer(run_from, store, until, source);
        }
        REQUESTS_TURN_MAX
    }

    /// Where the messages asked for start and how many are wanted, if they can be given.
    fn wanted(&self, datagram: &[u8], store: &FeedStore, until: Cursor) -> Option<(Cursor, u16)> {
        let request = Request::parse(datagram).ok()?;
        let answerable = request.session == self.session
            && (1..=COUNT_MAX).contains(&request.count)
            && (1..until.sequence()).contains(&request.sequence);
        let from = answerable.then(|| store.seek(request.sequence))??;
        Some((from, request.count))
    }

    /// An answer the socket does not take now is dropped: the client asks again.
    fn answer(&mut self, (from, count): (Cursor, u16), store: &FeedStore, until: Cursor, source: SocketAddr) {
        let run = store.run(from, until, count, DATAGRAM_MAX - HEADER_BYTES);
        let header = Header { session: self.session, sequence: from.sequence().into(), count: run.count.into() };
        let end = HEADER_BYTES + run.blocks.len();
        self.datagram[..HEADER_BYTES].copy_from_slice(header.as_bytes());
        self.datagram[HEADER_BYTES..end].copy_from_slice(run.blocks);
        match self.socket.send_to(&self.datagram[..end], source) {
            Ok(_) => self.answered.add(1),
            Err(_) => self.ignored.add(1),
        }
    }
}

/// Answers given to a source in one second.
#[derive(Clone, Copy)]
struct Source {
    address: Option<IpAddr>,
    second: u64,
    count: u32,
}

/// How often each source was answered in the current second. Bounded: a source that finds its set full takes the
/// place of the quietest, so that a flood of forged addresses cannot shut a real one out.
struct SourceLimits {
    per_second_max: u32,
    sets: Box<[[Source; LIMIT_WAYS]; LIMIT_SETS]>,
}

impl SourceLimits {
    fn new(per_second_max: u32) -> SourceLimits {
        let empty = Source { address: None, second: 0, count: 0 };
        SourceLimits { per_second_max, sets: Box::new([[empty; LIMIT_WAYS]; LIMIT_SETS]) }
    }

    /// Whether this source may have another answer; if so it is counted.
    fn permits(&mut self, address: IpAddr, now_ns: u64) -> bool {
        let second = now_ns / SECOND_NS;
        let set = &mut self.sets[set_of(address)];
        let way = set.iter().position(|source| source.address == Some(address)).unwrap_or_else(|| {
            let load = |way: &usize| if set[*way].second == second { set[*way].count } else { 0 };
            (0..LIMIT_WAYS).min_by_key(load).expect("a set has ways")
        });
        let source = &mut set[way];
        if source.address != Some(address) || source.second != second {
            *source = Source { address: Some(address), second, count: 0 };
        }
        source.count += 1;
        if source.count > self.per_second_max {
            source.count = self.per_second_max;
            return false;
        }
        true
    }
}

/// Spreads addresses over the sets by their last bytes, where neighbours of one network differ.
fn set_of(address: IpAddr) -> usize {
    let fold =
        |octets: &[u8]| octets.iter().fold(0usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let hash = match address {
        IpAddr::V4(address) => fold(&address.octets()),
        IpAddr::V6(address) => fold(&address.octets()),
    };
    hash % LIMIT_SETS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::udp;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    const SESSION: Session = *b"PITLANE001";
    const PER_SECOND: u32 = 5;

    struct Rig {
        server: RequestServer,
        client: UdpSocket,
        store: FeedStore,
        counters: Counters,
    }

    impl Rig {
        fn new(messages: u64) -> Rig {
            let mut counters = Counters::anonymous(8).unwrap();
            let socket = udp::unicast((Ipv4Addr::LOCALHOST, 0).into(), 1 << 20).unwrap();
            let server = RequestServer::new(socket, SESSION, PER_SECOND, &mut counters);
            let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            client.connect(server.address().unwrap()).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut store = FeedStore::new(1 << 16);
            (1..=messages).for_each(|n| store.append(&[n as u8; 36]).unwrap());
            Rig { server, client, store, counters }
        }

        fn ask(&mut self, session: Session, sequence: u64, count: u16, until: u64, now_ns: u64) {
            self.send(&Request { session, sequence, count }.encode(), until, now_ns);
        }

        fn send(&mut self, datagram: &[u8], until: u64, now_ns: u64) {
            self.client.send(datagram).unwrap();
            let until = self.store.seek(until).unwrap();
            while self.server.work(&self.store, until, now_ns) == 0 {
                std::thread::yield_now();
            }
        }

        fn answer(&self) -> Vec<u8> {
            let mut bytes = [0; 2048];
            let length = self.client.recv(&mut bytes).unwrap();
            bytes[..length].to_vec()
        }

        fn counted(&self) -> Vec<u64> {
            self.counters.values().into_iter().map(|(_, value)| value).collect()
        }
    }

    fn packet(sequence: u64, numbers: std::ops::RangeInclusive<u64>) -> Vec<u8> {
        let count = numbers.clone().count() as u16;
        let mut bytes = Header { session: SESSION, sequence: sequence.into(), count: count.into() }.as_bytes().to_vec();
        for n in numbers {
            bytes.extend_from_slice(&36u16.to_be_bytes());
            bytes.extend_from_slice(&[n as u8; 36]);
        }
        bytes
    }

    #[test]
    fn a_request_is_answered_with_one_datagram_of_what_it_asked() {
        let mut rig = Rig::new(100);
        rig.ask(SESSION, 7, 3, 101, 0);
        assert_eq!(rig.answer(), packet(7, 7..=9));
        rig.ask(SESSION, 99, COUNT_MAX, 101, 0);
        assert_eq!(rig.answer(), packet(99, 99..=100));
        rig.ask(SESSION, 1, 100, 101, 0);
        assert_eq!(rig.answer(), packet(1, 1..=38), "38 added orders fill a datagram");
        assert_eq!(rig.counted(), [3, 0, 0]);
    }

    #[test]
    fn what_cannot_be_answered_gets_no_answer() {
        let mut rig = Rig::new(100);
        rig.ask(*b"ELSEWHERE1", 7, 3, 101, 0);
        rig.ask(SESSION, 0, 3, 101, 0);
        rig.ask(SESSION, 101, 3, 101, 0);
        rig.ask(SESSION, u64::MAX, 3, 101, 0);
        rig.ask(SESSION, 7, 0, 101, 0);
        rig.ask(SESSION, 7, 0xFFFF, 101, 0);
        let whole = Request { session: SESSION, sequence: 1, count: 1 }.encode();
        rig.send(&whole[..19], 101, 0);
        rig.send(&[&whole[..], &[0]].concat(), 101, 0);
        rig.send(&[], 101, 0);
        assert_eq!(rig.counted(), [0, 9, 0]);
        rig.ask(SESSION, 50, 9, 51, 0);
        assert_eq!(rig.answer(), packet(50, 50..=50), "not further than multicast has got to");
    }

    #[test]
    fn a_source_gets_so_many_answers_a_second() {
        let mut rig = Rig::new(1);
        for _ in 0..PER_SECOND + 2 {
            rig.ask(SESSION, 1, 1, 2, 10);
        }
        assert_eq!(rig.counted(), [u64::from(PER_SECOND), 0, 2]);
        rig.ask(SESSION, 1, 1, 2, SECOND_NS);
        assert_eq!(rig.counted(), [u64::from(PER_SECOND) + 1, 0, 2]);
    }

    #[test]
    fn a_flood_of_addresses_neither_grows_the_table_nor_shuts_out() {
        let mut limits = SourceLimits::new(2);
        for n in 0..100_000u32 {
            limits.permits(Ipv4Addr::from(n).into(), 0);
        }
        let late = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!([(); 3].map(|()| limits.permits(late, 0)), [true, true, false]);
    }
}
