//! Requests that were sent and have no answer yet, oldest first, so that a connection that breaks loses none.
//!
//! Only requests that use up a number are kept: those the venue recognises when they come twice. A cancel or modify
//! that got lost is for the trading program to repeat, which is harmless too. The venue answers in the order in which
//! it received, over all channels; so an answer settles its request and every one before it (a replace that found its
//! order gone is never answered by itself). Bounded, all memory taken at start; a full list refuses the next request.

use crate::types::{Channel, UserRef};
use crate::wire::ouch::MESSAGE_MAX;

/// One request, as its bytes.
#[derive(Clone, Copy)]
struct Request {
    channel: u8,
    user_ref: UserRef,
    length: u8,
    bytes: [u8; MESSAGE_MAX],
}

const _: () = assert!(MESSAGE_MAX <= u8::MAX as usize, "a request's length has 8 bits");

/// The list: a ring of `capacity` requests.
pub(super) struct Unanswered {
    /// A power of two of places, so that going round is a mask; empty for a list that keeps none.
    requests: Box<[Request]>,
    capacity: usize,
    first: usize,
    count: usize,
    /// How many of the newest are still to be sent again.
    pending: usize,
}

impl Unanswered {
    /// For at most `capacity` requests; with 0 it keeps none and refuses none.
    pub fn new(capacity: usize) -> Unanswered {
        let blank = Request { channel: 0, user_ref: UserRef(0), length: 0, bytes: [0xEE; MESSAGE_MAX] };
        let places = if capacity == 0 { 0 } else { capacity.next_power_of_two() };
        Unanswered { requests: vec![blank; places].into_boxed_slice(), capacity, first: 0, count: 0, pending: 0 }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_full(&self) -> bool {
        self.count == self.capacity && self.capacity > 0
    }

    /// Keeps a request that was sent. The caller has made sure that the list is not full.
    #[inline]
    pub fn push(&mut self, channel: Channel, user_ref: UserRef, message: &[u8]) {
        if self.capacity == 0 {
            return;
        }
        assert!(self.count < self.capacity, "a full list refuses before anything is sent");
        let index = self.index(self.count);
        let request = &mut self.requests[index];
        (request.channel, request.user_ref, request.length) = (channel.counter(), user_ref, message.len() as u8);
        request.bytes[..message.len()].copy_from_slice(message);
        self.count += 1;
    }

    /// An answer to this request came: it and all before it are settled. An answer to none of them changes nothing.
    /// Cost: one step when answers come in the order sent; at most the list's length.
    #[inline]
    pub fn on_answer(&mut self, channel: Channel, user_ref: UserRef) {
        let channel = channel.counter();
        let found = (0..self.count).find(|&at| {
            let request = self.at(at);
            request.channel == channel && request.user_ref == user_ref
        });
        if let Some(at) = found {
            self.settle(at + 1);
        }
    }

    /// After a reconnect the venue said which number of a channel it takes next: what it has processed is settled
    /// (those answers came before this one), the rest of the channel is to be sent again.
    pub fn on_next(&mut self, channel: Channel, next: UserRef) {
        let channel = channel.counter();
        // The venue read one connection in order: everything before its last processed request is processed.
        let last = (0..self.count).rev().find(|&at| {
            let request = self.at(at);
            request.channel == channel && request.user_ref < next
        });
        self.settle(last.map_or(0, |at| at + 1));
    }

    /// Everything still kept shall be sent again; [`Unanswered::next_pending`] gives one after the other.
    pub fn resend_all(&mut self) {
        self.pending = self.count;
    }

    /// The next request to be sent again.
    pub fn next_pending(&self) -> Option<&[u8]> {
        let at = self.count.checked_sub(self.pending)?;
        (self.pending > 0).then(|| self.at(at)).map(|request| &request.bytes[..usize::from(request.length)])
    }

    /// The one that [`Unanswered::next_pending`] gave has been sent.
    pub fn sent_pending(&mut self) {
        self.pending -= 1;
    }

    /// Channels that have requests, each once.
    pub fn channels(&self) -> impl Iterator<Item = u8> + '_ {
        let is_first = |at: usize| (0..at).all(|before| self.at(before).channel != self.at(at).channel);
        (0..self.count).filter(move |&at| is_first(at)).map(|at| self.at(at).channel)
    }

    fn at(&self, at: usize) -> &Request {
        &self.requests[self.index(at)]
    }

    fn index(&self, at: usize) -> usize {
        (self.first + at) & (self.requests.len() - 1)
    }

    fn settle(&mut self, count: usize) {
        if count > 0 {
            self.first = self.index(count);
            self.count -= count;
            self.pending = self.pending.min(self.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(requests: &[(u8, u32)]) -> Unanswered {
        let mut list = Unanswered::new(8);
        for &(channel, user_ref) in requests {
            list.push(Channel::named(channel), UserRef(user_ref), &[channel, user_ref as u8]);
        }
        list
    }

    fn resent(list: &mut Unanswered) -> Vec<[u8; 2]> {
        list.resend_all();
        let mut all = Vec::new();
        while let Some(request) = list.next_pending() {
            all.push([request[0], request[1]]);
            list.sent_pending();
        }
        all
    }

    #[test]
    fn an_answer_settles_its_request_and_those_before_it() {
        let mut list = with(&[(0, 1), (0, 2), (3, 1), (0, 3)]);
        list.on_answer(Channel::named(3), UserRef(1));
        assert_eq!(resent(&mut list), [[0, 3]]);
        list.on_answer(Channel::named(0), UserRef(9));
        list.on_answer(Channel::NONE, UserRef(3));
        assert_eq!(list.len(), 0, "no channel counts as channel 0");
    }

    #[test]
    fn what_the_venue_has_processed_is_not_sent_again() {
        let mut list = with(&[(0, 5), (0, 6), (0, 8), (0, 9)]);
        list.on_next(Channel::NONE, UserRef(8));
        assert_eq!(resent(&mut list), [[0, 8], [0, 9]]);
        list.on_next(Channel::NONE, UserRef(1));
        assert_eq!(list.len(), 2);
    }

    #[test]
    fn each_channel_is_named_once() {
        let list = with(&[(2, 1), (0, 1), (2, 2), (7, 1), (0, 2)]);
        assert_eq!(list.channels().collect::<Vec<_>>(), [2, 0, 7]);
    }

    #[test]
    fn a_full_list_says_so_and_goes_round() {
        let mut list = with(&[]);
        for user_ref in 1..=100 {
            while list.is_full() {
                list.on_answer(Channel::NONE, UserRef(user_ref - 5));
            }
            list.push(Channel::NONE, UserRef(user_ref), &[0, user_ref as u8]);
        }
        let expected: Vec<[u8; 2]> = (101 - list.len() as u8..=100).map(|at| [0, at]).collect();
        assert_eq!(resent(&mut list), expected);
    }

    #[test]
    fn a_list_for_none_refuses_none() {
        let mut list = Unanswered::new(0);
        list.push(Channel::NONE, UserRef(1), &[1]);
        assert!(!list.is_full());
        assert_eq!(list.next_pending(), None);
        list.on_answer(Channel::NONE, UserRef(1));
        list.on_next(Channel::NONE, UserRef(1));
        assert_eq!(list.channels().count(), 0);
    }
}
