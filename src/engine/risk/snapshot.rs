//! Accounts, positions, limits, switches and phases as bytes and back. Cold; part of the order management's snapshot.
//!
//! Everything that records and events change is written, the ceilings of the proof that limits hold included; what stands
//! in the reference data is not. How many of each there are is the market's to say, so that no count stands here.

use super::Risk;
use super::account::{Account, Ceiling, Grace};
use super::holding::Holding;
use super::phases::CalendarMark;
use super::rate::RING;
use crate::types::bytes::{Malformed, Reader, Writer};
use crate::types::{Limits, MatchNumber, Money, Nanos, Price, Quantity};

impl Risk {
    pub(crate) fn save(&self, out: &mut Writer) {
        for (account, ceiling) in self.accounts.iter().zip(&self.ceilings) {
            save_account(account, out);
            save_ceiling(ceiling, out);
        }
        for holding in &self.holdings {
            out.i64(holding.quantity);
            holding.open.iter().for_each(|open| out.i64(*open));
            out.i128(holding.cost.0);
            out.i128(holding.realised.0);
        }
        for (ticker, day) in self.tickers.iter().zip(&self.days) {
            out.u32(ticker.mark.0);
            out.u32(ticker.last.0);
            out.bytes(&ticker.phase);
            out.u64(day.limit_since.0);
            out.u64(day.paused_since.0);
        }
        self.firms.iter().for_each(|(_, killed)| out.bytes(killed));
        out.bytes(&[self.venue_killed, self.day_ended]);
        out.u64(self.calendar.second);
        out.u32(self.calendar.count);
        out.u16(self.broken.next as u16);
        self.broken.numbers.iter().for_each(|number| out.u64(number.0));
    }

    pub(crate) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Malformed> {
        for (account, ceiling) in self.accounts.iter_mut().zip(&mut self.ceilings) {
            load_account(account, from)?;
            *ceiling = load_ceiling(from)?;
        }
        for holding in &mut self.holdings {
            *holding = Holding {
                quantity: from.i64("position")?,
                open: [from.i64("open buys")?, from.i64("open sells")?],
                cost: Money(from.i128("cost of a position")?),
                realised: Money(from.i128("realised profit")?),
            };
        }
        for (ticker, day) in self.tickers.iter_mut().zip(&mut self.days) {
            ticker.mark = Price(from.u32("mark")?);
            ticker.last = Price(from.u32("last trade")?);
            ticker.phase = from.value("phase")?;
            day.limit_since = Nanos(from.u64("begin of a limit state")?);
            day.paused_since = Nanos(from.u64("begin of a pause")?);
        }
        for (_, killed) in &mut self.firms {
            *killed = from.flag("kill switch of a firm")?;
        }
        (self.venue_killed, self.day_ended) = (from.flag("kill switch of the venue")?, from.flag("end of the day")?);
        self.calendar = CalendarMark { second: from.u64("calendar")?, count: from.u32("calendar")? };
        self.broken.next = usize::from(from.u16("broken trades")?);
        from.check(self.broken.next < self.broken.numbers.len(), "broken trades")?;
        for number in self.broken.numbers.iter_mut() {
            *number = MatchNumber(from.u64("broken trade")?);
        }
        Ok(())
    }
}

fn save_account(account: &Account, out: &mut Writer) {
    let Account { limits, cash, reserved, exposure, fees, open_orders, firm: _, killed, rate } = account;
    [cash, reserved, exposure, fees].iter().for_each(|amount| out.i128(amount.0));
    out.u32(*open_orders);
    out.bytes(&[*killed, limits.enabled]);
    out.u32(limits.order_quantity_max.0);
    out.u32(limits.open_orders_max);
    out.u32(limits.messages_per_second_max);
    out.u32(limits.price_collar);
    out.u64(limits.position_max);
    let amounts = [limits.order_notional_max, limits.gross_exposure_max, limits.credit];
    amounts.iter().for_each(|amount| out.i128(amount.0));
    out.u64(rate.newest);
    out.u32(rate.total);
    rate.counts.iter().for_each(|count| out.u32(*count));
}

fn load_account(account: &mut Account, from: &mut Reader<'_>) -> Result<(), Malformed> {
    let amount = |from: &mut Reader<'_>| from.i128("money of an account").map(Money);
    (account.cash, account.reserved) = (amount(from)?, amount(from)?);
    (account.exposure, account.fees) = (amount(from)?, amount(from)?);
    account.open_orders = from.u32("open orders")?;
    account.killed = from.flag("kill switch")?;
    account.limits = Limits {
        enabled: from.flag("whether an account is enabled")?,
        order_quantity_max: Quantity(from.u32("limit")?),
        open_orders_max: from.u32("limit")?,
        messages_per_second_max: from.u32("limit")?,
        price_collar: from.u32("limit")?,
        position_max: from.u64("limit")?,
        order_notional_max: amount(from)?,
        gross_exposure_max: amount(from)?,
        credit: amount(from)?,
    };
    (account.rate.newest, account.rate.total) = (from.u64("message rate")?, from.u32("message rate")?);
    for count in &mut account.rate.counts[..RING] {
        *count = from.u32("message rate")?;
    }
    Ok(())
}

fn save_ceiling(ceiling: &Ceiling, out: &mut Writer) {
    let Ceiling { open_orders, position, exposure, available, broken } = ceiling;
    out.u32(*open_orders);
    out.i64(*position);
    out.i64(broken.position);
    [exposure, available, &broken.exposure, &broken.cash].iter().for_each(|amount| out.i128(amount.0));
}

fn load_ceiling(from: &mut Reader<'_>) -> Result<Ceiling, Malformed> {
    let (open_orders, position) = (from.u32("ceiling")?, from.i64("ceiling")?);
    let broken = from.i64("ceiling")?;
    let amount = |from: &mut Reader<'_>| from.i128("ceiling").map(Money);
    let (exposure, available) = (amount(from)?, amount(from)?);
    let broken = Grace { position: broken, exposure: amount(from)?, cash: amount(from)? };
    Ok(Ceiling { open_orders, position, exposure, available, broken })
}
