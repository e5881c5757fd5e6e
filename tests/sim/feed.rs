//! Simulated datagrams of the feed: sent to a listener that loses some, asks for what it missed, and keeps every message
//! by its number, so that the feed can be held against the journal.

use crate::support::random::Random;
use crate::trace::Trace;
use pitlane::feed::{FeedPorts, Port};
use pitlane::wire::mold::{Kind, MoldPacket, Request};
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

struct State {
    random: Random,
    trace: Trace,
    /// Datagrams in a hundred that get lost, and sends in a hundred that find the socket full.
    lost: u64,
    full: u64,
    /// Requests on their way to the venue.
    requests: VecDeque<Vec<u8>>,
    /// Messages by number, from 1 on, without a gap.
    heard: Vec<Vec<u8>>,
    /// What the venue has said comes next.
    next: u64,
    session: [u8; 10],
}

/// The listener and all sockets; clones are the same.
#[derive(Clone)]
pub struct Air(Arc<Mutex<State>>);

impl Air {
    pub fn new(random: Random, trace: Trace, lost: u64, full: u64) -> Air {
        let (requests, heard) = (VecDeque::new(), Vec::new());
        Air(Arc::new(Mutex::new(State { random, trace, lost, full, requests, heard, next: 1, session: [b' '; 10] })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn ports(&self) -> FeedPorts<Air> {
        self.state().requests.clear();
        FeedPorts { out: self.clone(), requests: self.clone() }
    }

    pub fn heal(&self) {
        let mut state = self.state();
        (state.lost, state.full) = (0, 0);
    }

    /// Asks for what is known to be missing.
    pub fn turn(&self) {
        let mut state = self.state();
        let sequence = state.heard.len() as u64 + 1;
        if sequence < state.next && state.requests.len() < 2 {
            let count = (state.next - sequence).min(50) as u16;
            let request = Request { session: state.session, sequence, count }.encode();
            state.requests.push_back(request.to_vec());
        }
    }

    /// Messages it has without a gap.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        self.state().heard.clone()
    }

    /// Whether it has all that it knows of.
    pub fn is_settled(&self) -> bool {
        let state = self.state();
        state.heard.len() as u64 + 1 == state.next
    }

    /// The promise allowed the venue to forget what came after the first `count` messages.
    pub fn forget_after(&self, count: usize) {
        let mut state = self.state();
        state.heard.truncate(count);
        state.next = state.heard.len() as u64 + 1;
    }
}

impl State {
    fn take(&mut self, datagram: &[u8]) {
        let packet = MoldPacket::parse(datagram).expect("the feed sends packets");
        self.session = packet.session();
        self.next = self.next.max(packet.next_sequence());
        if packet.kind() != Kind::Data {
            return;
        }
        for (sequence, message) in packet.messages() {
            let at = sequence as usize - 1;
            match self.heard.get(at) {
                Some(before) => assert_eq!(before, message, "feed message {sequence} comes with other bytes"),
                None if at == self.heard.len() => {
                    self.trace.bytes("feed", sequence, message);
                    self.trace.add("feed messages delivered", 1);
                    self.heard.push(message.to_vec());
                }
                // A gap: asked for, and taken then.
                None => {}
            }
        }
    }
}

impl Port for Air {
    fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        let full = state.full;
        if state.random.percent(full) {
            return Err(io::Error::from(io::ErrorKind::WouldBlock));
        }
        let lost = state.lost;
        if state.random.percent(lost) {
            state.trace.count("datagram lost", &[datagram.len() as u64]);
        } else {
            state.take(datagram);
        }
        Ok(datagram.len())
    }

    fn send_to(&self, datagram: &[u8], _receiver: SocketAddr) -> io::Result<usize> {
        self.send(datagram)
    }

    fn recv_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let request = self.state().requests.pop_front().ok_or_else(|| io::Error::from(io::ErrorKind::WouldBlock))?;
        into[..request.len()].copy_from_slice(&request);
        Ok((request.len(), self.local_addr()?))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok((Ipv4Addr::LOCALHOST, 1).into())
    }
}
