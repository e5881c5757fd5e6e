//! A small venue on loopback: SoupBinTCP, OUCH and a plain book on one thread, to play loads against. It keeps the
//! rules that a client can see: answers in the order of requests, replace and cancel as the protocol has them.

use pitlane::types::{
    ClientOrderId, DayNanos, MatchNumber, OrderReference, Quantity, Side, SideCode, Symbol, TimeInForce, UserRef,
};
use pitlane::wire::ouch::inbound::{CancelOrder, EnterOrder, Inbound, ReplaceOrder};
use pitlane::wire::ouch::{MESSAGE_MAX, Outbound, Tags, outbound};
use pitlane::wire::soup::{ClientPacket, LoginAccepted, ServerPacket, SessionName};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Quantities above this are rejected.
pub const QUANTITY_MAX: u32 = 900_000;
/// With this code.
pub const QUANTITY_REJECT: u16 = 0x0013;

/// How the venue misbehaves.
#[derive(Clone, Copy, Default)]
pub struct Manners {
    /// Cancels do nothing and get no answer.
    pub cancels_swallowed: bool,
    /// It hangs up after so many requests of a session.
    pub hangs_up_after: Option<usize>,
    /// It does nothing at all for so long before it answers this request of a session.
    pub stalls_at: Option<(usize, Duration)>,
}

pub struct Venue {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Venue {
    pub fn start(manners: Manners) -> Venue {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let asked = stop.clone();
        let thread = std::thread::spawn(move || serve(listener, manners, &asked));
        Venue { address, stop, thread }
    }

    /// Stops; gives the number of orders that live.
    pub fn stop(self) -> usize {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    out: Vec<u8>,
    user_ref_next: u32,
    requests: usize,
    is_open: bool,
}

#[derive(Clone, Copy)]
struct Order {
    connection: usize,
    user_ref: UserRef,
    symbol: Symbol,
    side: SideCode,
    price: u64,
    executed: u32,
    leaves: u32,
}

#[derive(Default)]
struct State {
    orders: Vec<Order>,
    by_ref: HashMap<(usize, UserRef), usize>,
    books: HashMap<(Symbol, Side), BTreeMap<u64, VecDeque<usize>>>,
    matches: u64,
}

fn serve(listener: TcpListener, manners: Manners, stop: &AtomicBool) -> usize {
    let (mut connections, mut state): (Vec<Connection>, State) = (Vec::new(), State::default());
    while !stop.load(Ordering::Acquire) {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true).unwrap();
            stream.set_nodelay(true).unwrap();
            let (received, out) = (Vec::new(), Vec::new());
            connections.push(Connection { stream, received, out, user_ref_next: 1, requests: 0, is_open: true });
        }
        for index in 0..connections.len() {
            turn(&mut connections, index, &mut state, manners);
        }
        for connection in connections.iter_mut().filter(|c| c.is_open) {
            flush(connection);
        }
        std::thread::yield_now();
    }
    state.orders.iter().filter(|order| order.leaves > 0).count()
}

fn turn(connections: &mut [Connection], index: usize, state: &mut State, manners: Manners) {
    let connection = &mut connections[index];
    let mut bytes = [0; 4096];
    match connection.stream.read(&mut bytes) {
        Ok(0) => connection.is_open = false,
        Ok(count) => connection.received.extend_from_slice(&bytes[..count]),
        Err(fault) if fault.kind() == ErrorKind::WouldBlock => {}
        Err(_) => connection.is_open = false,
    }
    let mut taken = 0;
    let mut requests = Vec::new();
    while let Some((packet, length)) = ClientPacket::next(&connection.received[taken..]).unwrap() {
        taken += length;
        match packet {
            ClientPacket::Login(_) => {
                let session = SessionName::from_text("TESTDAY").unwrap();
                let accepted = ServerPacket::LoginAccepted(LoginAccepted { session, sequence: Some(1) });
                put(connection, &accepted);
            }
            ClientPacket::Unsequenced(message) => requests.push(Inbound::parse(message).unwrap()),
            ClientPacket::Debug(_) | ClientPacket::Heartbeat => {}
            ClientPacket::Logout => connection.is_open = false,
        }
    }
    connection.received.drain(..taken);
    for request in requests {
        connections[index].requests += 1;
        if let Some((at, pause)) = manners.stalls_at
            && connections[index].requests == at
        {
            std::thread::sleep(pause);
        }
        if manners.hangs_up_after.is_some_and(|most| connections[index].requests > most) {
            connections[index].is_open = false;
            let _ = connections[index].stream.shutdown(std::net::Shutdown::Both);
            return;
        }
        for (to, message) in state.on_request(index, &request, &mut connections[index].user_ref_next, manners) {
            let mut bytes = [0; MESSAGE_MAX];
            let length = message.encode(&mut bytes);
            put(&mut connections[to], &ServerPacket::Sequenced(&bytes[..length]));
        }
    }
}

fn put(connection: &mut Connection, packet: &ServerPacket<'_>) {
    let mut bytes = [0; MESSAGE_MAX + 64];
    let length = packet.encode(&mut bytes);
    connection.out.extend_from_slice(&bytes[..length]);
}

fn flush(connection: &mut Connection) {
    while !connection.out.is_empty() {
        match connection.stream.write(&connection.out) {
            Ok(count) => drop(connection.out.drain(..count)),
            Err(fault) if fault.kind() == ErrorKind::WouldBlock => return,
            Err(_) => return connection.is_open = false,
        }
    }
}

const TIME: DayNanos = DayNanos(0);

impl State {
    fn on_request(
        &mut self,
        from: usize,
        request: &Inbound,
        next: &mut u32,
        manners: Manners,
    ) -> Vec<(usize, Outbound)> {
        if let Some(user_ref) = request.user_ref_consumed() {
            assert!(user_ref.0 >= *next, "numbers rise");
        }
        let mut out = Vec::new();
        match request {
            Inbound::Enter(m) => {
                *next = m.user_ref.0 + 1;
                self.enter(from, m, &mut out);
            }
            Inbound::Replace(m) => self.replace(from, m, next, &mut out),
            Inbound::Cancel(m) if !manners.cancels_swallowed => self.cancel(from, m, &mut out),
            Inbound::AccountQuery(_) => {
                let (next_user_ref, tags) = (UserRef(*next), Tags::NONE);
                out.push((from, outbound::AccountQueryResponse { time: TIME, next_user_ref, tags }.into()));
            }
            _ => {}
        }
        out
    }

    fn enter(&mut self, from: usize, m: &EnterOrder, out: &mut Vec<(usize, Outbound)>) {
        let tags = Tags::NONE;
        if m.quantity.0 > QUANTITY_MAX {
            let (user_ref, client_order_id) = (m.user_ref, m.client_order_id);
            let rejected = outbound::Rejected { time: TIME, user_ref, reason: QUANTITY_REJECT, client_order_id, tags };
            return out.push((from, rejected.into()));
        }
        let accepted = outbound::Accepted {
            time: TIME,
            user_ref: m.user_ref,
            side: m.side,
            quantity: m.quantity,
            symbol: m.symbol,
            price: m.price,
            time_in_force: m.time_in_force,
            display: m.display,
            reference: OrderReference(1),
            capacity: m.capacity,
            sweep: m.sweep,
            cross: m.cross,
            state: outbound::STATE_LIVE,
            client_order_id: m.client_order_id,
            tags,
        };
        out.push((from, accepted.into()));
        let (user_ref, symbol, price, leaves) = (m.user_ref, m.symbol, m.price, m.quantity.0);
        let side = SideCode::from_letter(m.side).unwrap();
        let slot = self.orders.len();
        self.orders.push(Order { connection: from, user_ref, symbol, side, price, executed: 0, leaves });
        self.by_ref.insert((from, user_ref), slot);
        self.trade(slot, out);
        if m.time_in_force == TimeInForce::Day.letter() { self.rest(slot) } else { self.remove(slot, 0, b'I', out) }
    }

    fn replace(&mut self, from: usize, m: &ReplaceOrder, next: &mut u32, out: &mut Vec<(usize, Outbound)>) {
        let Some(slot) = self.live(from, m.original) else { return };
        self.unrest(slot);
        let open = m.quantity.0.saturating_sub(self.orders[slot].executed);
        if open == 0 || m.quantity.0 > QUANTITY_MAX {
            return self.remove(slot, 0, b'U', out);
        }
        *next = m.user_ref.0 + 1;
        let order = &mut self.orders[slot];
        (order.user_ref, order.price, order.leaves) = (m.user_ref, m.price, open);
        let replaced = outbound::Replaced {
            time: TIME,
            original: m.original,
            user_ref: m.user_ref,
            side: order.side.letter(),
            quantity: Quantity(open),
            symbol: order.symbol,
            price: m.price,
            time_in_force: m.time_in_force,
            display: m.display,
            reference: OrderReference(2),
            capacity: b'P',
            sweep: m.sweep,
            cross: b'N',
            state: outbound::STATE_LIVE,
            client_order_id: ClientOrderId::BLANK,
            tags: Tags::NONE,
        };
        out.push((from, replaced.into()));
        self.by_ref.remove(&(from, m.original));
        self.by_ref.insert((from, m.user_ref), slot);
        self.trade(slot, out);
        self.rest(slot);
    }

    fn cancel(&mut self, from: usize, m: &CancelOrder, out: &mut Vec<(usize, Outbound)>) {
        let Some(slot) = self.live(from, m.user_ref) else { return };
        let open = m.quantity.0.saturating_sub(self.orders[slot].executed);
        if open == 0 {
            self.unrest(slot);
        }
        self.remove(slot, open, b'U', out);
    }

    fn live(&self, from: usize, user_ref: UserRef) -> Option<usize> {
        self.by_ref.get(&(from, user_ref)).copied().filter(|&slot| self.orders[slot].leaves > 0)
    }

    fn trade(&mut self, slot: usize, out: &mut Vec<(usize, Outbound)>) {
        while self.orders[slot].leaves > 0 {
            let incoming = self.orders[slot];
            let side = incoming.side.side();
            let book = self.books.entry((incoming.symbol, side.opposite())).or_default();
            let best = if side == Side::Buy { book.first_key_value() } else { book.last_key_value() };
            let Some((&price, queue)) = best else { return };
            if if side == Side::Buy { price > incoming.price } else { price < incoming.price } {
                return;
            }
            let resting = queue[0];
            let quantity = self.orders[resting].leaves.min(incoming.leaves);
            self.matches += 1;
            for (slot, liquidity) in [(resting, b'A'), (slot, b'R')] {
                let order = &mut self.orders[slot];
                (order.leaves, order.executed) = (order.leaves - quantity, order.executed + quantity);
                let (user_ref, quantity, tags) = (order.user_ref, Quantity(quantity), Tags::NONE);
                let match_number = MatchNumber(self.matches);
                let executed =
                    outbound::Executed { time: TIME, user_ref, quantity, price, liquidity, match_number, tags };
                out.push((order.connection, executed.into()));
            }
            if self.orders[resting].leaves == 0 {
                self.unrest(resting);
            }
        }
    }

    fn rest(&mut self, slot: usize) {
        let order = self.orders[slot];
        if order.leaves > 0 {
            let book = self.books.entry((order.symbol, order.side.side())).or_default();
            book.entry(order.price).or_default().push_back(slot);
        }
    }

    fn unrest(&mut self, slot: usize) {
        let order = self.orders[slot];
        let book = self.books.get_mut(&(order.symbol, order.side.side())).unwrap();
        let queue = book.get_mut(&order.price).unwrap();
        queue.retain(|&other| other != slot);
        if queue.is_empty() {
            book.remove(&order.price);
        }
    }

    /// Leaves `open` shares; says so if that takes any off.
    fn remove(&mut self, slot: usize, open: u32, reason: u8, out: &mut Vec<(usize, Outbound)>) {
        let order = &mut self.orders[slot];
        let by = order.leaves.saturating_sub(open);
        if by > 0 {
            order.leaves -= by;
            let (user_ref, quantity, tags) = (order.user_ref, Quantity(by), Tags::NONE);
            out.push((order.connection, outbound::Canceled { time: TIME, user_ref, quantity, reason, tags }.into()));
        }
    }
}
