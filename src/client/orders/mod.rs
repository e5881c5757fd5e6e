//! Order entry for a trading program: one [`OrderSession`], over TCP or over shared memory, with the same calls.
//!
//! The calling thread owns the session and spins on [`OrderSession::poll`]; each request goes out in the call that
//! makes it. Nothing here starts a thread, allocates a message or blocks, but for [`OrderSession::connect`] and
//! [`OrderSession::reconnect`], which wait for the login's answer.
//!
//! Exactly once. Answers are numbered by the venue: after a broken connection [`OrderSession::reconnect`] asks from
//! the next number, so that each is seen once. Requests carry rising numbers that the venue remembers: the session
//! keeps those without an answer, asks which number the venue takes next, and sends the others again; one that comes
//! twice is ignored there. Until that is done new requests are refused with [`Refusal::Recovering`], because a higher
//! number would overtake the lower ones and have them ignored.

mod door;
mod kept;
mod request;
mod shared;
mod stamped;
mod tcp;
mod terms;
mod transport;
mod unanswered;

pub use kept::Keep;
pub use request::{NewOrder, Replacement};
pub use stamped::KernelTimes;
pub use terms::{Address, Fault, Incoming, OrderOptions, Refusal};

use crate::os::clock::monotonic_ns;
use crate::types::order::SideCode;
use crate::types::{Channel, Firm, Quantity, Symbol, UserRef};
use crate::wire::ouch::inbound::{self, Inbound};
use crate::wire::ouch::{MESSAGE_MAX, Outbound, Tags};
use crate::wire::soup::SessionName;
use door::{Login, Packet};
use kept::Kept;
use std::io;
use std::time::{Duration, Instant};
use transport::Transport;
use unanswered::Unanswered;

/// Empty polls between two looks at the clock: a look at TCP already costs a system call, one at a ring a few
/// nanoseconds. At most some 20 us apart.
const POLLS_PER_LOOK: u32 = 256;
/// Time between two looks at whether a venue behind shared memory is still there.
const LOOK_NS: u64 = 10_000_000;

/// One login of a trading program.
pub struct OrderSession {
    options: OrderOptions,
    transport: Option<Transport>,
    session: SessionName,
    /// Number of the next message of the stream.
    sequence: u64,
    /// Next request number of each channel.
    user_refs: Box<[u32; 256]>,
    unanswered: Unanswered,
    /// Account queries of the recovery whose answers have not come.
    queries: usize,
    recovering: bool,
    kept: Kept,
    polls: u32,
    /// Something was sent since the last look at the clock; likewise received.
    spoke: bool,
    heard: bool,
    spoke_ns: u64,
    heard_ns: u64,
}

impl OrderSession {
    /// Connects and logs in. Cold; waits for the answer.
    ///
    /// # Errors
    /// A [`Fault`], [`Fault::Rejected`] among them.
    pub fn connect(options: OrderOptions) -> Result<OrderSession, Fault> {
        let (session, sequence) = (options.session, options.sequence);
        let mut new = OrderSession {
            transport: None,
            session,
            sequence,
            user_refs: Box::new([1; 256]),
            unanswered: Unanswered::new(options.unanswered_max),
            queries: 0,
            recovering: false,
            kept: Kept::new(options.keep),
            polls: 0,
            spoke: false,
            heard: false,
            spoke_ns: 0,
            heard_ns: 0,
            options,
        };
        new.log_in()?;
        Ok(new)
    }

    /// Connects again to the same session, right behind the last message received, and sees to it that requests
    /// without an answer reach the venue: [`OrderSession::is_recovering`] until then. Cold; waits for the login's
    /// answer. Can be called again after it failed.
    ///
    /// # Errors
    /// A [`Fault`]; [`Fault::Rejected`] when the session has ended meanwhile.
    pub fn reconnect(&mut self) -> Result<(), Fault> {
        self.transport = None;
        self.log_in()?;
        self.recovering = self.unanswered.len() > 0;
        // One query for each channel that has requests; the answers say what is missing.
        let channels: Vec<u8> = self.unanswered.channels().collect();
        self.queries = channels.len();
        for channel in channels {
            let tags = if channel == 0 { Tags::NONE } else { Tags::NONE.with_user_ref_index(channel) };
            if self.transmit(&Inbound::AccountQuery(inbound::AccountQuery { tags })).is_err() {
                return Err(self.lose(Fault::Closed));
            }
        }
        Ok(())
    }

    fn log_in(&mut self) -> Result<(), Fault> {
        let wanted = self.sequence;
        let login = Login { options: &self.options, session: self.session, sequence: wanted };
        let (transport, accepted) = Transport::connect(&login)?;
        let Some(sequence) = accepted.sequence else { return Err(Fault::Protocol) };
        // 0 asked for whatever comes next; any other number must be the one that goes on.
        if wanted != 0 && sequence != wanted {
            return Err(Fault::Protocol);
        }
        self.transport = Some(transport);
        (self.session, self.sequence) = (accepted.session, sequence);
        (self.spoke_ns, self.heard_ns) = (monotonic_ns(), monotonic_ns());
        (self.spoke, self.heard, self.recovering, self.queries) = (false, false, false, 0);
        Ok(())
    }

    /// Leaves in order: the venue closes the connection.
    pub fn logout(&mut self) {
        if let Some(mut transport) = self.transport.take() {
            transport.logout();
        }
    }

    /// Drops the connection without a word, as a crash would.
    pub fn disconnect(&mut self) {
        self.transport = None;
    }

    /// Requests made from here on leave together, in one system call, at [`OrderSession::release`] or the next
    /// [`OrderSession::poll`]: for a program that has several to send. Over shared memory they leave at once as ever.
    pub fn hold(&mut self) {
        if let Some(transport) = &mut self.transport {
            transport.hold();
        }
    }

    /// Sends what was held.
    ///
    /// # Errors
    /// [`Refusal::NotConnected`]: the connection is gone, and what was sent is as lost as with any other request.
    pub fn release(&mut self) -> Result<(), Refusal> {
        let Some(transport) = &mut self.transport else { return Err(Refusal::NotConnected) };
        transport.release().map_err(|fault| self.lose_sending(fault))
    }

    /// Has the kernel stamp requests that are to be followed ([`OrderSession::follow_next`]), for who measures. To be called
    /// when every request has its answer; gone with the connection. False over shared memory, where no kernel is on the way.
    ///
    /// # Errors
    /// What the system says; where it has no such stamps, that.
    pub fn stamp_by_kernel(&mut self) -> io::Result<bool> {
        self.transport.as_mut().map_or(Ok(false), Transport::stamp_by_kernel)
    }

    /// Has the kernel stamp the next request, in place of one that is still followed. False where stamps are not on.
    pub fn follow_next(&mut self) -> bool {
        self.transport.as_mut().is_some_and(Transport::follow_next)
    }

    /// The kernel's times of the request that was followed and of its answer, which must be the last thing that
    /// [`OrderSession::poll`] gave.
    pub fn kernel_times(&mut self) -> KernelTimes {
        self.transport.as_mut().map_or(KernelTimes::default(), Transport::kernel_times)
    }

    /// Enters an order; gives the number by which its answers call it.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was sent.
    #[inline]
    pub fn enter(&mut self, order: &NewOrder) -> Result<UserRef, Refusal> {
        let channel = order.tags.channel();
        let user_ref = self.next_user_ref(channel);
        self.request(channel, user_ref, |out| order.message(user_ref).encode(out))
    }

    /// Replaces a live order; gives the number it has once that is done.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was sent.
    #[inline]
    pub fn replace(&mut self, original: UserRef, by: &Replacement) -> Result<UserRef, Refusal> {
        let channel = by.tags.channel();
        let user_ref = self.next_user_ref(channel);
        self.request(channel, user_ref, |out| by.message(original, user_ref).encode(out))
    }

    /// Reduces an order to `total` shares, executed ones included; 0 cancels all that is open. `channel` is the
    /// order's.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was sent.
    #[inline]
    pub fn cancel(&mut self, channel: Channel, user_ref: UserRef, total: Quantity) -> Result<(), Refusal> {
        let message = inbound::CancelOrder { user_ref, quantity: total, tags: Tags::echo(channel) };
        self.send(|out| message.encode(out))
    }

    /// Changes an order's kind of selling, or reduces it to `total` shares.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was sent.
    pub fn modify(
        &mut self,
        channel: Channel,
        user_ref: UserRef,
        side: SideCode,
        total: Quantity,
    ) -> Result<(), Refusal> {
        let (side, tags) = (side.letter(), Tags::echo(channel));
        self.transmit(&Inbound::Modify(inbound::ModifyOrder { user_ref, side, quantity: total, tags }))
    }

    /// Cancels every order of `firm` in `symbol` (blank: in all), or those that `tags` narrow it to.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was sent.
    pub fn mass_cancel(&mut self, firm: Firm, symbol: Symbol, tags: Tags) -> Result<UserRef, Refusal> {
        let user_ref = self.next_user_ref(tags.channel());
        let message = inbound::MassCancel { user_ref, firm, symbol, tags };
        self.request(tags.channel(), user_ref, |out| message.encode(out))
    }

    /// Switches order entry of this session off, until [`OrderSession::enable`].
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was sent.
    pub fn disable(&mut self, firm: Firm) -> Result<UserRef, Refusal> {
        let user_ref = self.next_user_ref(Channel::NONE);
        let message = inbound::DisableEntry { user_ref, firm, tags: Tags::NONE };
        self.request(Channel::NONE, user_ref, |out| message.encode(out))
    }

    /// Switches it on again.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was sent.
    pub fn enable(&mut self, firm: Firm) -> Result<UserRef, Refusal> {
        let user_ref = self.next_user_ref(Channel::NONE);
        let message = inbound::EnableEntry { user_ref, firm, tags: Tags::NONE };
        self.request(Channel::NONE, user_ref, |out| message.encode(out))
    }

    /// Asks which number of a channel the venue takes next. The answer also sets the session's own count, so a
    /// program that starts in the middle of the day asks first.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was sent.
    pub fn query(&mut self, channel: Channel) -> Result<(), Refusal> {
        self.transmit(&Inbound::AccountQuery(inbound::AccountQuery { tags: Tags::echo(channel) }))
    }

    /// Sends any message as it is, its number included: nothing is kept to be sent again, no count moves.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was sent.
    #[inline]
    pub fn transmit(&mut self, message: &Inbound) -> Result<(), Refusal> {
        self.send(|out| message.encode(out))
    }

    /// Sends bytes as they are, right or wrong: for tests, and for programs with an encoder of their own.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was sent.
    #[inline]
    pub fn transmit_bytes(&mut self, message: &[u8]) -> Result<(), Refusal> {
        if message.is_empty() || message.len() > MESSAGE_MAX {
            return Err(Refusal::Length);
        }
        self.send(|out| {
            out[..message.len()].copy_from_slice(message);
            message.len()
        })
    }

    /// What came in, if anything. Also sends heartbeats and what waits to be sent again, so it is to be called all
    /// the time. Hot.
    ///
    /// # Errors
    /// A [`Fault`]: the connection is gone.
    #[inline]
    pub fn poll(&mut self) -> Result<Option<Incoming>, Fault> {
        let Some(transport) = &mut self.transport else { return Err(Fault::Closed) };
        let (message, bytes) = match transport.poll() {
            Ok(Some(Packet::Sequenced(bytes))) => match Outbound::parse(bytes) {
                Ok(message) => (message, bytes),
                Err(fault) => return Err(self.lose(Fault::Ouch(fault))),
            },
            Ok(Some(Packet::EndOfSession)) => return Ok(Some(Incoming::EndOfSession)),
            Ok(Some(Packet::Other)) => {
                self.heard = true;
                return Ok(None);
            }
            Ok(None) => return self.on_nothing().map(|()| None),
            Err(fault) => return Err(self.lose(fault)),
        };
        self.kept.on_message(bytes);
        self.heard = true;
        let sequence = self.sequence;
        self.sequence += 1;
        self.on_message(&message);
        Ok(Some(Incoming::Message { sequence, message }))
    }

    /// Polls until something comes or the time is over; gives the core away in between. For tools and tests.
    ///
    /// # Errors
    /// As [`OrderSession::poll`].
    pub fn wait(&mut self, limit: Duration) -> Result<Option<Incoming>, Fault> {
        let until = Instant::now() + limit;
        loop {
            if let Some(incoming) = self.poll()? {
                return Ok(Some(incoming));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            std::thread::yield_now();
        }
    }

    /// The session logged in to.
    pub fn session(&self) -> SessionName {
        self.session
    }

    /// Number of the next message of the stream.
    pub fn next_sequence(&self) -> u64 {
        self.sequence
    }

    /// The number the next request of a channel will have.
    #[inline]
    pub fn next_user_ref(&self, channel: Channel) -> UserRef {
        UserRef(self.user_refs[usize::from(channel.counter())])
    }

    /// Whether there is a connection, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.transport.is_some()
    }

    /// Whether requests of before a reconnect are still to be sent again.
    pub fn is_recovering(&self) -> bool {
        self.recovering
    }

    /// Requests without an answer.
    pub fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// Length and checksum of everything received, comparable with the venue's own; 0 unless kept.
    pub fn stream_digest(&self) -> u64 {
        self.kept.digest()
    }

    /// Everything received, as SoupBinTCP Sequenced Data packets; empty unless kept.
    pub fn stream_bytes(&self) -> &[u8] {
        self.kept.bytes()
    }

    /// A request that uses up its number: sent, counted and kept.
    #[inline]
    fn request(
        &mut self,
        channel: Channel,
        user_ref: UserRef,
        encode: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<UserRef, Refusal> {
        if self.recovering {
            return Err(Refusal::Recovering);
        }
        if self.unanswered.is_full() {
            return Err(Refusal::Unanswered);
        }
        // Not through `send`: the bytes are kept from where they went out.
        let Some(transport) = &mut self.transport else { return Err(Refusal::NotConnected) };
        match transport.try_send(encode) {
            Ok(Some(message)) => self.unanswered.push(channel, user_ref, message),
            Ok(None) => return Err(Refusal::Full),
            Err(fault) => return Err(self.lose_sending(fault)),
        }
        self.spoke = true;
        self.user_refs[usize::from(channel.counter())] = user_ref.0.saturating_add(1);
        Ok(user_ref)
    }

    /// Sends one message.
    #[inline]
    fn send(&mut self, encode: impl FnOnce(&mut [u8]) -> usize) -> Result<(), Refusal> {
        let Some(transport) = &mut self.transport else { return Err(Refusal::NotConnected) };
        match transport.try_send(encode) {
            Ok(Some(_)) => {
                self.spoke = true;
                Ok(())
            }
            Ok(None) => Err(Refusal::Full),
            Err(fault) => Err(self.lose_sending(fault)),
        }
    }

    /// What an answer says about our own requests.
    #[inline]
    fn on_message(&mut self, message: &Outbound) {
        let channel = message.tags().channel();
        let user_ref = match message {
            Outbound::Accepted(m) => m.user_ref,
            Outbound::Replaced(m) => m.user_ref,
            Outbound::Rejected(m) => m.user_ref,
            Outbound::MassCancelResponse(m) => m.user_ref,
            Outbound::DisableResponse(m) => m.user_ref,
            Outbound::EnableResponse(m) => m.user_ref,
            Outbound::AccountQueryResponse(m) => return self.on_query_answer(channel, m.next_user_ref),
            _ => return,
        };
        self.raise(channel, user_ref.0.saturating_add(1));
        self.unanswered.on_answer(channel, user_ref);
    }

    #[cold]
    fn on_query_answer(&mut self, channel: Channel, next: UserRef) {
        self.raise(channel, next.0);
        if !self.recovering || self.queries == 0 {
            return;
        }
        self.unanswered.on_next(channel, next);
        self.queries -= 1;
        if self.queries == 0 {
            self.unanswered.resend_all();
        }
    }

    /// The venue has gone further than we knew: an earlier run of this program sent those.
    #[inline]
    fn raise(&mut self, channel: Channel, next: u32) {
        let count = &mut self.user_refs[usize::from(channel.counter())];
        *count = (*count).max(next);
    }

    /// Nothing came: time for what is not urgent.
    #[inline]
    fn on_nothing(&mut self) -> Result<(), Fault> {
        self.polls = self.polls.wrapping_add(1);
        if self.polls.is_multiple_of(POLLS_PER_LOOK) || self.recovering { self.look() } else { Ok(()) }
    }

    #[cold]
    fn look(&mut self) -> Result<(), Fault> {
        self.resend();
        let now = monotonic_ns();
        if std::mem::take(&mut self.spoke) {
            self.spoke_ns = now;
        }
        if std::mem::take(&mut self.heard) {
            self.heard_ns = now;
        }
        let (heartbeat_ns, silence_ns) = (self.options.heartbeat.as_nanos(), self.options.silence.as_nanos());
        let (own, theirs) = (u128::from(now - self.spoke_ns), u128::from(now - self.heard_ns));
        let looked = match &mut self.transport {
            None => Err(Fault::Closed),
            Some(Transport::Tcp(_)) if theirs > silence_ns => Err(Fault::Silent),
            Some(Transport::Tcp(tcp)) if own > heartbeat_ns => {
                self.spoke_ns = now;
                tcp.heartbeat()
            }
            Some(Transport::Tcp(_)) => Ok(()),
            Some(Transport::Shared(shared)) if now - self.heard_ns > LOOK_NS => {
                self.heard_ns = now;
                shared.look()
            }
            Some(Transport::Shared(_)) => Ok(()),
        };
        looked.map_err(|fault| self.lose(fault))
    }

    /// Sends again what the venue missed, as far as there is room.
    fn resend(&mut self) {
        if !self.recovering || self.queries > 0 {
            return;
        }
        while let (Some(message), Some(transport)) = (self.unanswered.next_pending(), &mut self.transport) {
            let encode = |out: &mut [u8]| {
                out[..message.len()].copy_from_slice(message);
                message.len()
            };
            match transport.try_send(encode) {
                Ok(Some(_)) => self.unanswered.sent_pending(),
                Ok(None) => return,
                Err(fault) => {
                    self.lose(fault);
                    return;
                }
            }
        }
        self.recovering = false;
    }

    #[cold]
    fn lose_sending(&mut self, fault: Fault) -> Refusal {
        self.lose(fault);
        Refusal::NotConnected
    }

    #[cold]
    fn lose(&mut self, fault: Fault) -> Fault {
        self.transport = None;
        fault
    }
}
