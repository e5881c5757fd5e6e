//! The order management as bytes and back, the portfolio with it. Cold; when every event of the records applied is in.
//!
//! Of the order table only live orders are written, each with its place; the table of numbers and the free slots follow
//! from them. (In which order free slots are offered is no state: a slot stands in its order's record.) Marks of used
//! numbers are written where one is set. Reading checks places and uniqueness, so that nothing later can meet an order
//! twice or a slot outside the table; what the values mean is judged by the digest of what comes out.

use super::Oms;
use super::life::Life;
use super::lookup::Key;
use super::marks::Mark;
use super::orders::{Order, Place};
use crate::engine::risk::{Owner, Reservation};
use crate::types::bytes::{Malformed, Reader, Writer};
use crate::types::{AccountId, Number, Price, Quantity, SessionId, Side, TickerId, UserRef};

/// Version of this layout.
const VERSION: u16 = 1;
/// Bytes of an order, for taking memory at once.
const ORDER_BYTES: usize = 67;
/// The place of no order.
const NO_PLACE: u32 = u32::MAX;

impl Oms {
    /// Takes the state down.
    pub fn save(&self, out: &mut Writer) {
        out.u16(VERSION);
        out.u32(self.orders.len() as u32);
        out.u16(self.sessions.len() as u16);
        self.risk.save(out);
        self.sessions.iter().for_each(|session| out.bytes(&session.entry_enabled));
        for (place, mark) in self.marks.set() {
            out.u32(place as u32);
            out.u32(mark.taken.0);
            out.u32(mark.asked.0);
            out.u64(mark.asked_by.0);
        }
        out.u32(NO_PLACE);
        for (place, order) in self.orders.iter() {
            out.u32(place.to_bits());
            save_order(order, out);
        }
        out.u32(NO_PLACE);
    }

    /// Bytes that [`Oms::save`] will about need.
    pub fn saved_bytes(&self) -> usize {
        self.orders.iter().count() * ORDER_BYTES + (1 << 16)
    }

    /// A new one becomes the one that was taken down.
    ///
    /// # Errors
    /// Bytes that no order management of this market wrote.
    pub fn load(mut self, from: &mut Reader<'_>) -> Result<Oms, Malformed> {
        let version = from.u16("version of the order management")?;
        from.check(version == VERSION, "version of the order management")?;
        let shape = (from.u32("order slots")?, from.u16("sessions")?);
        from.check(shape == (self.orders.len() as u32, self.sessions.len() as u16), "size of the order management")?;
        self.risk.load(from)?;
        for session in &mut self.sessions {
            session.entry_enabled = from.flag("whether a session may enter")?;
        }
        loop {
            let place = from.u32("place of a mark")?;
            if place == NO_PLACE {
                break;
            }
            let mark = Mark {
                taken: UserRef(from.u32("number taken")?),
                asked: UserRef(from.u32("number asked for")?),
                asked_by: Number(from.u64("record that asks")?),
            };
            from.check(self.marks.restore(place as usize, mark), "place of a mark")?;
        }
        loop {
            let place = from.u32("place of an order")?;
            if place == NO_PLACE {
                return Ok(self);
            }
            from.check((place as usize) < self.orders.len(), "place of an order")?;
            self.load_order(Place::from_bits(place), from)?;
        }
    }

    fn load_order(&mut self, place: Place, from: &mut Reader<'_>) -> Result<(), Malformed> {
        from.check(self.orders.at(place).life == Life::Free, "place of an order")?;
        let order = self.read_order(from)?;
        let (matcher, slot) = (self.orders.matcher(place), self.orders.slot(place));
        from.check(self.risk.matcher(order.ticker) == Some(matcher), "shard of an order")?;
        let key = Key::new(order.session, order.counter, order.user_ref);
        from.check(self.lookup.find(key).is_none(), "number of an order")?;
        self.orders.take(matcher, slot, order);
        self.orders.at_mut(place).life = order.life;
        self.lookup.insert(key, place);
        self.tally.opened(order.session, order.ticker);
        Ok(())
    }

    fn read_order(&self, from: &mut Reader<'_>) -> Result<Order, Malformed> {
        let (entered, replace_last) = (Number(from.u64("record that entered")?), Number(from.u64("last replace")?));
        let user_ref = UserRef(from.u32("user reference")?);
        let mut words = [0; 7];
        for word in &mut words {
            *word = from.u32("amounts of an order")?;
        }
        let session = SessionId(from.u16("session")?);
        let (account, ticker) = (AccountId(from.u16("account")?), TickerId(from.u16("ticker")?));
        let known = self.sessions.get(session.index()).is_some_and(|known| known.account == account);
        from.check(known, "session of an order")?;
        let [counter, capacity, life, cross, price_type]: [u8; 5] = from.value("letters of an order")?;
        let owner = Owner { account, ticker, side: from.value::<Side>("side")? };
        let mut order = Order::new(entered, session, user_ref, counter, owner);
        let [open, price, used, asked_total, asked_price, reserved_quantity, reserved_price] = words;
        (order.replace_last, order.open, order.price) = (replace_last, Quantity(open), Price(price));
        (order.used, order.asked_total, order.asked_price) =
            (Quantity(used), Quantity(asked_total), Price(asked_price));
        order.reserved = Reservation { quantity: Quantity(reserved_quantity), price: Price(reserved_price) };
        (order.capacity, order.cross, order.price_type) = (capacity, cross, price_type);
        order.life = match life {
            1 => Life::New,
            2 => Life::Live,
            3 => Life::Replacing,
            _ => return Err(from.malformed("life of an order")),
        };
        Ok(order)
    }
}

fn save_order(order: &Order, out: &mut Writer) {
    out.u64(order.entered.0);
    out.u64(order.replace_last.0);
    out.u32(order.user_ref.0);
    let reserved = [order.reserved.quantity.0, order.reserved.price.0];
    let [quantity, price] = reserved;
    let words = [order.open.0, order.price.0, order.used.0, order.asked_total.0, order.asked_price.0, quantity, price];
    words.iter().for_each(|word| out.u32(*word));
    out.u16(order.session.0);
    out.u16(order.account.0);
    out.u16(order.ticker.0);
    out.bytes(&[order.counter, order.capacity, order.life as u8, order.cross, order.price_type]);
    out.bytes(&order.side);
}
