//! Requests of one session that wait for their first answer, in the order sent.
//!
//! The venue answers the requests of a session in the order in which it received them. Some are never answered: a
//! cancel or replace that found its order gone. So an answer also settles every request before it; those were
//! *overtaken*, and no latency is recorded for them. Bounded: a full list holds the next request back.

use crate::types::UserRef;

/// What was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    Enter,
    Replace,
    /// All of the order, or part of it.
    Cancel,
    /// An account query: answered always, and so settles everything before it.
    Query,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub asked: Asked,
    /// The number by which the answer calls it: a new one for enter and replace, the order's for cancel.
    pub user_ref: UserRef,
    /// Replace: the number of the order meant.
    pub original: UserRef,
    /// The order's place in the table.
    pub slot: u32,
    /// When it was meant to be sent.
    pub due_ns: u64,
    /// When it was sent.
    pub sent_ns: u64,
    /// Whether its latency counts.
    pub measured: bool,
    /// By what its session knows it when it is followed through the kernel; 0 when it is not.
    pub mark: u32,
    /// Known to get no answer: its order has ended.
    settled: bool,
}

impl Request {
    pub fn new(asked: Asked, user_ref: UserRef, slot: u32, due_ns: u64, sent_ns: u64, measured: bool) -> Request {
        Request { asked, user_ref, original: UserRef(0), slot, due_ns, sent_ns, measured, mark: 0, settled: false }
    }

    /// What is asked, and about which order.
    pub fn asks(mut self, asked: Asked, user_ref: UserRef, slot: u32) -> Request {
        (self.asked, self.user_ref, self.slot) = (asked, user_ref, slot);
        self
    }

    /// A replace of this order.
    pub fn of(mut self, original: UserRef) -> Request {
        self.original = original;
        self
    }
}

/// The list: a ring.
pub(super) struct Waiting {
    requests: Box<[Request]>,
    first: usize,
    count: usize,
    /// Of these, not settled.
    open: usize,
    open_max: usize,
}

impl Waiting {
    /// For at most `open_max` requests without an answer.
    pub fn new(open_max: usize) -> Waiting {
        let open_max = open_max.max(1);
        let blank = Request::new(Asked::Query, UserRef(0), 0, 0, 0, false);
        // Settled requests behind an open one keep their places; twice the window is room for as many.
        let places = (open_max * 2 + 1).next_power_of_two();
        Waiting { requests: vec![blank; places].into_boxed_slice(), first: 0, count: 0, open: 0, open_max }
    }

    /// Requests without an answer.
    pub fn open(&self) -> usize {
        self.open
    }

    #[inline]
    pub fn is_full(&self) -> bool {
        // One place is kept for a query, which may be what gets things moving again.
        self.open >= self.open_max || self.count + 1 >= self.requests.len()
    }

    /// Whether there is a place for a query, full window or not.
    pub fn has_place(&self) -> bool {
        self.count < self.requests.len()
    }

    /// Adds a request that was sent. The caller has looked that there is room.
    #[inline]
    pub fn push(&mut self, request: Request) {
        assert!(self.count < self.requests.len(), "a full list holds requests back before they are sent");
        let at = self.at(self.count);
        self.requests[at] = request;
        self.count += 1;
        self.open += 1;
    }

    /// An answer came: the first request it fits is taken out and given back; each open one before it goes to
    /// `overtaken`. `None` when it answers nothing asked here.
    #[inline]
    pub fn answer(&mut self, fits: impl Fn(&Request) -> bool, mut overtaken: impl FnMut(&Request)) -> Option<Request> {
        let found = (0..self.count).find(|&n| {
            let request = &self.requests[self.at(n)];
            !request.settled && fits(request)
        })?;
        for _ in 0..found {
            if let Some(request) = self.pop() {
                overtaken(&request);
            }
        }
        let request = self.pop();
        self.drop_settled();
        request
    }

    /// An order ended: its open requests get no answer any more. Gives each to `overtaken`.
    #[cold]
    pub fn settle_order(&mut self, slot: u32, mut overtaken: impl FnMut(&Request)) {
        for n in 0..self.count {
            let at = self.at(n);
            let request = &mut self.requests[at];
            if !request.settled && request.slot == slot && request.asked != Asked::Query {
                request.settled = true;
                self.open -= 1;
                overtaken(request);
            }
        }
        self.drop_settled();
    }

    /// Takes the oldest out, whatever it is; `None` for a settled one and for an empty list.
    pub fn pop(&mut self) -> Option<Request> {
        if self.count == 0 {
            return None;
        }
        let request = self.requests[self.first];
        self.first = self.at(1);
        self.count -= 1;
        if request.settled {
            return None;
        }
        self.open -= 1;
        Some(request)
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn drop_settled(&mut self) {
        while self.count > 0 && self.requests[self.first].settled {
            self.first = self.at(1);
            self.count -= 1;
        }
    }

    #[inline]
    fn at(&self, n: usize) -> usize {
        (self.first + n) & (self.requests.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(requests: &[(Asked, u32, u32)]) -> Waiting {
        let mut waiting = Waiting::new(4);
        for &(asked, user_ref, slot) in requests {
            waiting.push(Request::new(asked, UserRef(user_ref), slot, 0, 0, true));
        }
        waiting
    }

    #[test]
    fn an_answer_settles_what_was_asked_before() {
        let mut waiting = with(&[(Asked::Enter, 1, 0), (Asked::Cancel, 1, 0), (Asked::Enter, 2, 1)]);
        let mut overtaken = Vec::new();
        let fits = |r: &Request| r.asked == Asked::Enter && r.user_ref == UserRef(2);
        let answered = waiting.answer(fits, |r| overtaken.push((r.asked, r.user_ref.0)));
        assert_eq!(answered.map(|r| r.slot), Some(1));
        assert_eq!(overtaken, [(Asked::Enter, 1), (Asked::Cancel, 1)]);
        assert!(waiting.is_empty() && waiting.open() == 0);
        assert!(waiting.answer(|_| true, |_| ()).is_none(), "nothing was asked");
    }

    #[test]
    fn an_order_that_ended_frees_the_window() {
        let mut waiting =
            with(&[(Asked::Enter, 1, 0), (Asked::Cancel, 7, 5), (Asked::Cancel, 7, 5), (Asked::Enter, 2, 1)]);
        assert!(waiting.is_full());
        let mut overtaken = 0;
        waiting.settle_order(5, |_| overtaken += 1);
        assert_eq!((overtaken, waiting.open(), waiting.is_full()), (2, 2, false));
        // The settled ones are gone without being told again.
        let answered = waiting.answer(|r| r.user_ref == UserRef(2), |r| assert_eq!(r.user_ref, UserRef(1)));
        assert!(answered.is_some() && waiting.is_empty());
    }

    #[test]
    fn places_are_used_again_for_ever() {
        let mut waiting = Waiting::new(3);
        for user_ref in 0..1_000 {
            waiting.push(Request::new(Asked::Enter, UserRef(user_ref), user_ref, 0, 0, true));
            if waiting.is_full() {
                assert_eq!(waiting.pop().map(|r| r.user_ref.0), Some(user_ref - 2));
            }
        }
        assert_eq!(waiting.open(), 2);
    }
}
