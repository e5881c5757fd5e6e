//! Random records that use everything a book serves, sane enough to have passed an OMS.

use super::lanes::{DEEP, Lane, MATCHERS, Open};
use super::random::Random;
use pitlane::types::*;

/// Records of a phase.
const PHASE_RECORDS: u64 = 5_000;
/// Records at the start of a wearing phase among which some sweep a whole side.
const STORM_RECORDS: u64 = 40;

/// The generator of one run.
pub struct Flow {
    pub random: Random,
    market: Market,
    number: u64,
    user_ref: u32,
    /// Where each ticker trades now, in ticks from its lowest price.
    centres: Vec<u64>,
}

impl Flow {
    pub fn new(seed: u64, market: &Market) -> Flow {
        let centres = market.tickers.iter().map(|t| ladder(t).1 / 2).collect();
        Flow { random: Random::new(seed), market: market.clone(), number: 0, user_ref: 0, centres }
    }

    /// The next record, and the shards it goes to.
    pub fn next(&mut self, lanes: &mut [Lane]) -> (std::ops::Range<usize>, Sequenced) {
        let all = 0..usize::from(MATCHERS);
        let at = self.random.below(u64::from(MATCHERS)) as usize;
        // Books fill in one phase and are worn down in the next: both ends matter.
        let kind = if self.is_building() { self.random.below(6_600) } else { self.random.below(10_000) };
        // A ticker that stopped goes on after a while; what it gathered meets in a cross.
        if self.random.below(1_000) < 4 {
            let record = if self.random.percent(60) { self.going_on() } else { self.changing_phase() };
            let ticker = record.command.ticker;
            return (if ticker == TickerId::ALL { all } else { self.lane_of(ticker) }, record);
        }
        let mut record = match kind {
            0..20 => return (all, self.record(CommandKind::Tick)),
            20..40 => self.bust(&lanes[at]),
            40..5_500 => return self.enter(lanes),
            5_500..7_000 => self.cancel(&lanes[at]),
            7_000..8_900 => self.replace(&lanes[at]),
            8_900..9_900 => self.modify(&lanes[at]),
            9_900..9_970 => {
                let record = self.mass_cancel();
                let ticker = record.command.ticker;
                let to = if ticker == TickerId::ALL { all } else { self.lane_of(ticker) };
                return (to, record);
            }
            9_970..9_994 => {
                let record = self.changing_phase();
                let ticker = record.command.ticker;
                return (if ticker == TickerId::ALL { all } else { self.lane_of(ticker) }, record);
            }
            _ => return (all, self.sweeping()),
        };
        record.number = Number(self.number);
        (at..at + 1, record)
    }

    /// One ticker or all enter some phase, by the operator's word or as a halt or resume.
    fn changing_phase(&mut self) -> Sequenced {
        let kind = self.random.of(&[CommandKind::Halt, CommandKind::Resume, CommandKind::Phase, CommandKind::Phase]);
        let mut record = self.record(kind);
        record.command.value = u64::from(self.random.of(&Phase::ALL).letter());
        if self.random.percent(80) {
            record.command.ticker = self.any_ticker();
        }
        record
    }

    fn going_on(&mut self) -> Sequenced {
        let mut record = self.record(CommandKind::Phase);
        record.command.value = u64::from(self.random.of(&[Phase::Trading, Phase::Trading, Phase::PreClose]).letter());
        if self.random.percent(80) {
            record.command.ticker = self.any_ticker();
        }
        record
    }

    /// Breaks one of the latest trades, perhaps again, or one that was not there.
    fn bust(&mut self, lane: &Lane) -> Sequenced {
        let mut record = self.record(CommandKind::Bust);
        record.command.ticker = TickerId(0);
        if !lane.traded.is_empty() {
            let at = self.random.below(lane.traded.len() as u64) as usize;
            (record.command.ticker, record.command.value) = (lane.traded[at].0, lane.traded[at].1.0);
        }
        if self.random.percent(5) {
            record.command.value += 1;
        }
        record
    }

    /// An order for a cross, where the ticker takes them.
    fn for_cross(&mut self, record: &mut Sequenced) {
        let command = &mut record.command;
        if !self.market.tickers[command.ticker.index()].auction.cross_orders || !self.random.percent(12) {
            return;
        }
        command.cross = self.random.of(b"OC");
        command.post_only = 0;
        if self.random.percent(40) {
            command.price = Price::MARKET;
        } else if self.random.percent(40) && !command.price.is_market() {
            command.tags |= Command::IMBALANCE_ONLY;
        }
    }

    fn is_building(&self) -> bool {
        (self.number / PHASE_RECORDS).is_multiple_of(2)
    }

    fn lane_of(&self, ticker: TickerId) -> std::ops::Range<usize> {
        let at = self.market.tickers[ticker.index()].matcher.index();
        at..at + 1
    }

    fn record(&mut self, kind: CommandKind) -> Sequenced {
        self.number += 1;
        Sequenced {
            number: Number(self.number),
            // A few milliseconds a record, so that orders of some seconds live through some thousand records.
            time: Nanos(self.number * 3_000_000),
            verdict: Verdict::ACCEPTED,
            command: Command::new(kind),
        }
    }

    fn next_ref(&mut self) -> UserRef {
        self.user_ref += 1;
        UserRef(self.user_ref)
    }

    fn any_ticker(&mut self) -> TickerId {
        TickerId(self.random.below(self.market.tickers.len() as u64) as u16)
    }

    /// Small sizes mostly, so that levels are long; now and then the largest there is, so that it sweeps everything.
    fn quantity(&mut self) -> u32 {
        1 + match self.random.below(100) {
            0..90 => self.random.below(10),
            90..99 => self.random.below(100),
            _ if self.random.percent(90) || self.is_building() => self.random.below(500),
            _ => 999_998,
        } as u32
    }

    /// A price near the centre, which drifts, mostly on the passive side of it; sometimes anywhere on the ladder.
    fn price(&mut self, ticker: TickerId, side: SideCode) -> Price {
        let (low, ticks) = ladder(&self.market.tickers[ticker.index()]);
        let passive = if self.is_building() { 97 } else { 80 };
        let centre = &mut self.centres[ticker.index()];
        if self.random.percent(2) {
            *centre = (*centre + self.random.below(3)).saturating_sub(1);
        }
        *centre = (*centre).min(ticks - 1);
        let spread = 1 + self.random.below(12);
        let away = self.random.below(spread);
        let below = (side == SideCode::Buy) == self.random.percent(passive);
        let at = match self.random.below(100) {
            0..3 => self.random.below(ticks),
            _ if below => centre.saturating_sub(away),
            _ => *centre + away,
        };
        Price(low + at.min(ticks - 1) as u32 * self.market.tickers[ticker.index()].tick.0)
    }

    /// A limit or a market price, and the limit of the verdict.
    fn priced(&mut self, ticker: TickerId, record: &mut Sequenced) {
        let limit = self.price(ticker, record.command.side);
        record.command.price = limit;
        record.verdict.limit_price = limit;
        if !self.is_building() && self.random.percent(3) {
            record.command.price = Price::MARKET;
            let off_tick = limit.0.saturating_add(self.random.below(150) as u32).saturating_sub(75);
            record.verdict.limit_price = Price(self.random.of(&[off_tick, off_tick, off_tick, 0, u32::MAX]));
        }
    }

    fn self_match(&mut self, command: &mut Command) {
        if self.random.percent(40) {
            use SelfMatchMode::{CancelBoth, CancelNewest, CancelOldest, Decrement};
            command.self_match = SelfMatch {
                mode: self.random.of(&[CancelNewest, CancelOldest, CancelBoth, Decrement]),
                firm_wide: self.random.below(2) as u8,
                detailed: self.random.below(2) as u8,
                letter: self.random.of(b"YDOW"),
            };
        }
        command.self_match_group = self.random.of(&[*b"  ", *b"  ", *b"G1", *b"G2"]);
    }

    fn terms(&mut self, command: &mut Command) {
        command.display = self.random.of(&[
            Display::Anonymous,
            Display::Anonymous,
            Display::Anonymous,
            Display::Attributed,
            Display::Hidden,
        ]);
        command.post_only = if self.random.percent(8) { self.random.of(&[1, 1, 2]) } else { 0 };
        command.group = self.random.below(3) as u16;
        if self.random.percent(20) {
            command.time_in_force = TimeInForce::GoodTillCancel;
        }
        if self.random.percent(20) {
            command.time_in_force = TimeInForce::ImmediateOrCancel;
            command.min_quantity = Quantity(match self.random.below(4) {
                0 => command.quantity.0,
                1 => 1 + self.random.below(u64::from(command.quantity.0)) as u32,
                _ => 0,
            });
        }
        self.self_match(command);
        if self.random.percent(30) {
            self.special_terms(command);
        }
    }

    /// Reserve, least quantity, expiry, good till cancel: any mixture, sensible or not.
    fn special_terms(&mut self, command: &mut Command) {
        let tag = |command: &mut Command, tag: u8, random: &mut Random| {
            let sent = random.percent(40);
            command.tags |= u32::from(sent) << tag;
            sent
        };
        if tag(command, 5, &mut self.random) {
            command.max_floor = Quantity(self.random.below(1 + u64::from(command.quantity.0) * 3 / 2) as u32);
            if command.quantity.0 > 100_000 {
                command.max_floor.0 = command.max_floor.0.max(command.quantity.0 / 500);
            }
        }
        if tag(command, 13, &mut self.random) {
            command.random_reserve = self.random.below(4 + u64::from(command.max_floor.0) / 2) as u32;
        }
        if tag(command, 3, &mut self.random) {
            command.display = self.random.of(&[Display::Hidden, Display::Hidden, Display::Hidden, Display::Anonymous]);
            command.min_quantity = Quantity(self.random.below(1 + u64::from(command.quantity.0).min(30)) as u32);
        }
        match self.random.below(5) {
            0 => command.time_in_force = TimeInForce::GoodTillCancel,
            1 => {
                command.time_in_force = TimeInForce::GoodTillTime;
                tag(command, 15, &mut self.random);
                command.expire_seconds = 1 + self.random.below(20) as u32;
            }
            _ => {}
        }
        tag(command, 0, &mut self.random);
    }

    /// A stop price, mostly where the market may come.
    fn stop(&mut self, ticker: TickerId, command: &mut Command) {
        let side = self.random.of(&[SideCode::Buy, SideCode::Sell]);
        command.value = u64::from(self.price(ticker, side).0);
        command.tags |= 1 << 31;
    }

    /// Says what the price follows.
    fn name_peg(&mut self, command: &mut Command) {
        command.price_type = self.random.of(b"MmRP");
        command.tags |= 1 << 6;
    }

    /// A limit or none, an offset perhaps; no peg shows, takes only at once, or keeps a part back.
    fn shape_peg(&mut self, record: &mut Sequenced) {
        let command = &mut record.command;
        if self.random.percent(50) {
            let tick = self.market.tickers.get(command.ticker.index()).map_or(1, |ticker| ticker.tick.0) as i32;
            command.peg_offset = (self.random.below(7) as i32 - 3) * tick;
            if command.peg() == Some(Peg::Midpoint) {
                command.peg_offset += self.random.below(3) as i32 - 1;
            }
            command.tags |= 1 << 7;
        }
        command.display = Display::Hidden;
        command.tags &= !(1 << 3 | 1 << 5 | 1 << 13 | 1 << 31);
        (command.post_only, command.max_floor, command.random_reserve) = (0, Quantity(0), 0);
        (command.min_quantity, command.value) = (Quantity(0), 0);
        if command.time_in_force == TimeInForce::ImmediateOrCancel {
            command.time_in_force = TimeInForce::Day;
        }
        if self.random.percent(50) {
            command.price = Price::MARKET;
            let free = if command.side == SideCode::Buy { u32::MAX } else { 0 };
            record.verdict.limit_price.0 = self.random.of(&[free, record.verdict.limit_price.0]);
        }
    }

    fn side(&mut self) -> SideCode {
        use SideCode::{Buy, Sell, SellShort, SellShortExempt};
        self.random.of(&[Buy, Buy, Buy, Buy, Sell, Sell, SellShort, SellShortExempt])
    }

    fn owner(&mut self, command: &mut Command) {
        let session = self.random.below(self.market.sessions.len() as u64) as u16;
        command.session = SessionId(session);
        command.account = self.market.sessions[usize::from(session)].account;
        command.firm = self.market.firm_of(command.session);
    }

    fn enter(&mut self, lanes: &mut [Lane]) -> (std::ops::Range<usize>, Sequenced) {
        // One ticker gets the most, so that its queues and sweeps become longer than a buffer of events.
        let ticker = if self.random.percent(40) { DEEP } else { self.any_ticker() };
        let to = self.lane_of(ticker);
        let Some(slot) = lanes[to.start].give_slot() else {
            return (to.clone(), self.cancel(&lanes[to.start]));
        };
        let mut record = self.record(CommandKind::Enter);
        let mut command = record.command;
        self.owner(&mut command);
        command.ticker = ticker;
        command.user_ref = self.next_ref();
        command.channel = self.random.of(&[Channel::NONE, Channel::named(0), Channel::named(7)]);
        command.side = self.side();
        command.quantity = Quantity(self.quantity());
        self.terms(&mut command);
        record.command = command;
        record.verdict.slot = slot;
        if self.random.percent(10) {
            self.stop(ticker, &mut record.command);
        }
        self.priced(ticker, &mut record);
        if self.random.percent(10) {
            self.name_peg(&mut record.command);
            self.shape_peg(&mut record);
        } else {
            self.for_cross(&mut record);
        }
        if !self.is_building() && self.number % PHASE_RECORDS < STORM_RECORDS && self.random.percent(30) {
            // The storm breaks: take all that has been built, in one record.
            record.command.quantity = Quantity::ORDER_MAX;
            record.command.price = Price::MARKET;
            (record.command.tags, record.command.price_type, record.command.cross) = (0, b'L', b'N');
            record.verdict.limit_price = if record.command.side == SideCode::Buy { Price(u32::MAX) } else { Price(0) };
        }
        (to, record)
    }

    /// An order to ask something of: mostly a live one, sometimes one that is gone.
    fn meant(&mut self, lane: &Lane) -> Option<Open> {
        let gone = self.random.percent(8);
        let found = if gone { lane.any_gone(&mut self.random) } else { None };
        found.or_else(|| lane.any_live(&mut self.random))
    }

    /// A request about that order, as its owner would send it; now and then somebody else does.
    fn about(&mut self, kind: CommandKind, lane: &Lane) -> (Sequenced, Option<Open>) {
        let mut record = self.record(kind);
        let meant = self.meant(lane);
        if let Some(open) = meant {
            record.verdict.slot = open.tag.slot;
            record.command.session = open.tag.session;
            record.command.account = open.tag.account;
            record.command.channel = open.tag.channel;
            record.command.user_ref = open.tag.user_ref;
            record.command.ticker = open.ticker;
        } else {
            record.command.session = SessionId(0);
            record.verdict.slot = Slot::NONE;
        }
        if self.random.percent(2) {
            self.owner(&mut record.command);
        }
        (record, meant)
    }

    /// An intended total around what the order has.
    fn total(&mut self, meant: Option<Open>) -> Quantity {
        let total = meant.map_or(1, |open| open.executed + open.leaves);
        Quantity(self.random.below(u64::from(total) + 3) as u32)
    }

    fn cancel(&mut self, lane: &Lane) -> Sequenced {
        let (mut record, meant) = self.about(CommandKind::Cancel, lane);
        if self.random.percent(40) {
            record.command.quantity = self.total(meant);
        }
        record
    }

    fn modify(&mut self, lane: &Lane) -> Sequenced {
        let (mut record, meant) = self.about(CommandKind::Modify, lane);
        record.command.side = self.side();
        record.command.quantity = self.total(meant);
        record
    }

    fn replace(&mut self, lane: &Lane) -> Sequenced {
        let (mut record, meant) = self.about(CommandKind::Replace, lane);
        record.command.original = record.command.user_ref;
        record.command.user_ref = self.next_ref();
        let more = self.quantity();
        record.command.quantity = self.total(meant);
        if self.random.percent(60) {
            record.command.quantity = Quantity(more + meant.map_or(0, |open| open.executed));
        }
        record.command.side = self.side();
        record.command.quantity.0 = record.command.quantity.0.max(1);
        self.terms(&mut record.command);
        record.command.tags |=
            [8, 12, 27, 29, 30].map(|tag| u32::from(self.random.percent(50)) << tag).iter().sum::<u32>();
        let ticker = meant.map_or(TickerId(0), |open| open.ticker);
        if self.random.percent(8) {
            self.stop(ticker, &mut record.command);
        }
        self.priced(ticker, &mut record);
        // What the OMS knows of the order: its side, and what its price follows.
        record.command.price_type = meant.map_or(b'L', |open| open.price_type);
        if self.random.percent(4) {
            self.name_peg(&mut record.command);
        } else if self.random.percent(4) {
            (record.command.price_type, record.command.tags) = (b'L', record.command.tags | 1 << 6);
        }
        if record.command.peg().is_some() {
            self.shape_peg(&mut record);
        }
        if self.random.percent(4) {
            record.verdict.reject = Reject::InvalidQuantity;
        }
        record
    }

    fn mass_cancel(&mut self) -> Sequenced {
        let mut record = self.record(CommandKind::MassCancel);
        self.owner(&mut record.command);
        record.command.user_ref = self.next_ref();
        if self.random.percent(70) {
            record.command.ticker = self.any_ticker();
        }
        if self.random.percent(50) {
            record.command.group = self.random.below(4) as u16;
            record.command.tags |= 1 << 24;
        }
        if self.random.percent(30) {
            record.command.side = self.side();
            record.command.tags |= 1 << 27;
        }
        record
    }

    /// The rare records that empty books, and those that say nothing to a book.
    fn sweeping(&mut self) -> Sequenced {
        let kind = self.random.of(&[
            CommandKind::SessionLost,
            CommandKind::SessionLost,
            CommandKind::SessionLost,
            CommandKind::KillOn,
            CommandKind::KillOn,
            CommandKind::KillOff,
            CommandKind::DayEnd,
            CommandKind::DayStart,
            CommandKind::StateDigest,
        ]);
        let mut record = self.record(kind);
        match kind {
            CommandKind::SessionLost => self.owner(&mut record.command),
            CommandKind::KillOn => {
                self.owner(&mut record.command);
                record.command.scope = self.random.of(&[Scope::None, Scope::Account, Scope::Firm, Scope::All]);
            }
            _ => {}
        }
        record
    }
}

/// Lowest price on the tick, and the number of ticks.
fn ladder(spec: &TickerSpec) -> (u32, u64) {
    let low = spec.price_min.0.div_ceil(spec.tick.0) * spec.tick.0;
    (low, u64::from((spec.price_max.0 - low) / spec.tick.0) + 1)
}
