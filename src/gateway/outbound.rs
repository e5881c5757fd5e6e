//! A [`Report`] as the OUCH 5.0 message a client reads. A pure function of the report and the ticker names, because a
//! replay of the journal must give the same bytes.
//!
//! | report | message |
//! |---|---|
//! | answer, refused | `J`; nothing for a Replace that cancels its order (the cancel is reported instead) |
//! | answer, accepted | `A` `U` `X` `G` `K` `Q` by the kind of request; nothing for cancel and modify |
//! | order event | `E` `C` `D` `M`; nothing for what the answers already say |
//! | day | `S` |
//!
//! Accepted and Replaced give back the options that the client sent, with the values that stand in the record. The
//! names of side, capacity and ticker of a Replaced come from its record too: who completes the record of a Replace
//! (the client names none of them there) decides what is shown. The messages of an order's later life carry the
//! channel alone, when it is above 0.
//!
//! Hot: a fixed-size copy and, for most messages, no loop.

use crate::gateway::inbound::{TAG_VALUE_LOCATED, TAG_VALUE_TRADE_NOW, TAG_VALUE_TRADE_NOW_SPACE};
use crate::types::{
    Answer, CancelReason, ClientOrderId, CommandKind, DayNanos, Event, Market, OrderReference, OrderTag, Party,
    Quantity, Reject, Report, ReportBody, Slot, Symbol, TickerId, TimeInForce,
};
use crate::wire::ouch::{Tags, outbound as ouch, price_to_wire};

/// Encodes reports of one market.
#[derive(Clone, Debug)]
pub struct Outbound {
    symbols: Box<[Symbol]>,
}

impl Outbound {
    /// For the tickers of `market`.
    pub fn new(market: &Market) -> Outbound {
        Outbound { symbols: market.tickers.iter().map(|ticker| ticker.symbol).collect() }
    }

    /// Writes the message to the front of `out` and gives its length; `None` when the report has none.
    /// # Panics
    /// `out` is shorter than [`crate::wire::ouch::MESSAGE_MAX`].
    #[inline]
    pub fn encode(&self, report: &Report, out: &mut [u8]) -> Option<usize> {
        let time = report.time.of_day();
        match &report.body {
            ReportBody::Answer(answer) => self.answer(answer, time, out),
            ReportBody::Order(event, party) => order(event, *party, time, out),
            ReportBody::DayStart => Some(system_event(ouch::DAY_START, time, out)),
            ReportBody::DayEnd => Some(system_event(ouch::DAY_END, time, out)),
        }
    }

    fn answer(&self, answer: &Answer, time: DayNanos, out: &mut [u8]) -> Option<usize> {
        let (command, verdict) = (&answer.record.command, &answer.record.verdict);
        if verdict.reject != Reject::None {
            let cancels_its_order = command.kind == CommandKind::Replace && verdict.slot != Slot::NONE;
            return (!cancels_its_order).then(|| rejected(answer, time, out));
        }
        let (user_ref, firm) = (command.user_ref, command.firm);
        match command.kind {
            CommandKind::Enter => Some(self.accepted(answer, time, out)),
            CommandKind::Replace => Some(self.replaced(answer, time, out)),
            CommandKind::MassCancel => {
                let mut tags = channel_as_sent(answer);
                if command.has_tag(24) {
                    tags = tags.with_group(command.group);
                }
                if command.has_tag(27) {
                    tags = tags.with_side(command.side.letter());
                }
                let symbol = self.symbol(command.ticker);
                Some(ouch::MassCancelResponse { time, user_ref, firm, symbol, tags }.encode(out))
            }
            CommandKind::DisableEntry => {
                Some(ouch::DisableResponse { time, user_ref, firm, tags: channel_as_sent(answer) }.encode(out))
            }
            CommandKind::EnableEntry => {
                Some(ouch::EnableResponse { time, user_ref, firm, tags: channel_as_sent(answer) }.encode(out))
            }
            CommandKind::AccountQuery => {
                let next_user_ref = verdict.next_user_ref;
                let tags = Tags::echo(command.channel);
                Some(ouch::AccountQueryResponse { time, next_user_ref, tags }.encode(out))
            }
            // Their effect is an order event; the rest is no client's request.
            CommandKind::Cancel
            | CommandKind::Modify
            | CommandKind::SessionLost
            | CommandKind::DayStart
            | CommandKind::DayEnd
            | CommandKind::Halt
            | CommandKind::Resume
            | CommandKind::KillOn
            | CommandKind::KillOff
            | CommandKind::SetLimit
            | CommandKind::StateDigest
            | CommandKind::Phase
            | CommandKind::Tick
            | CommandKind::Bust => None,
        }
    }

    fn accepted(&self, answer: &Answer, time: DayNanos, out: &mut [u8]) -> usize {
        let command = &answer.record.command;
        let message = ouch::Accepted {
            time,
            user_ref: command.user_ref,
            side: command.side.letter(),
            quantity: answer.quantity,
            symbol: self.symbol_of(answer.reference),
            price: price_to_wire(answer.price),
            time_in_force: letter_of(command.time_in_force),
            display: command.display.letter(),
            reference: answer.reference,
            capacity: command.capacity,
            sweep: command.sweep,
            cross: command.cross,
            state: ouch::STATE_LIVE,
            client_order_id: command.client_order_id,
            tags: tags_as_sent(answer),
        };
        message.encode(out)
    }

    fn replaced(&self, answer: &Answer, time: DayNanos, out: &mut [u8]) -> usize {
        let command = &answer.record.command;
        let message = ouch::Replaced {
            time,
            original: command.original,
            user_ref: command.user_ref,
            side: command.side.letter(),
            quantity: answer.quantity,
            symbol: self.symbol_of(answer.reference),
            price: price_to_wire(answer.price),
            time_in_force: letter_of(command.time_in_force),
            display: command.display.letter(),
            reference: answer.reference,
            capacity: command.capacity,
            sweep: command.sweep,
            cross: command.cross,
            state: ouch::STATE_LIVE,
            client_order_id: command.client_order_id,
            tags: tags_as_sent(answer),
        };
        message.encode(out)
    }

    /// The ticker's name; blank for "all tickers".
    fn symbol(&self, ticker: TickerId) -> Symbol {
        self.symbols.get(ticker.index()).copied().unwrap_or(Symbol::BLANK)
    }

    /// The name of the ticker an order reference belongs to: its low 16 bits are the locate.
    fn symbol_of(&self, reference: OrderReference) -> Symbol {
        self.symbol(TickerId((reference.0 as u16).wrapping_sub(1)))
    }
}

fn rejected(answer: &Answer, time: DayNanos, out: &mut [u8]) -> usize {
    let (command, verdict) = (&answer.record.command, &answer.record.verdict);
    let message = ouch::Rejected {
        time,
        user_ref: command.user_ref,
        reason: verdict.reject.wire(),
        client_order_id: command.client_order_id,
        tags: Tags::echo(command.channel),
    };
    message.encode(out)
}

fn system_event(event: u8, time: DayNanos, out: &mut [u8]) -> usize {
    ouch::SystemEvent { time, event, tags: Tags::NONE }.encode(out)
}

fn order(event: &Event, party: Party, time: DayNanos, out: &mut [u8]) -> Option<usize> {
    match *event {
        Event::Filled { resting, incoming, match_number, price, quantity, liquidity, .. } => {
            let (OrderTag { user_ref, channel, .. }, liquidity) = match party {
                Party::Resting => (resting, liquidity),
                Party::Incoming => (incoming, liquidity.of_remover()),
            };
            let (price, liquidity, tags) = (price_to_wire(price), liquidity.letter(), Tags::echo(channel));
            Some(ouch::Executed { time, user_ref, quantity, price, liquidity, match_number, tags }.encode(out))
        }
        Event::Canceled { order, quantity, reason, .. } => Some(canceled(&order, time, quantity, reason, out)),
        Event::SelfMatch { order, quantity, detailed: false, .. } => {
            Some(canceled(&order, time, quantity, CancelReason::SelfMatch, out))
        }
        Event::SelfMatch { order, quantity, prevented, execution_price, liquidity, strategy, .. } => {
            let message = ouch::SelfMatchCanceled {
                time,
                user_ref: order.user_ref,
                quantity,
                reason: CancelReason::SelfMatch.letter(),
                prevented,
                price: price_to_wire(execution_price),
                liquidity: liquidity.letter(),
                strategy,
                tags: Tags::echo(order.channel),
            };
            Some(message.encode(out))
        }
        Event::Modified { order, side_code, leaves, .. } => {
            let (user_ref, side, tags) = (order.user_ref, side_code.letter(), Tags::echo(order.channel));
            Some(ouch::Modified { time, user_ref, side, quantity: leaves, tags }.encode(out))
        }
        Event::Refreshed { order, reference, quantity, .. } => {
            let tags = Tags::echo(order.channel).with_secondary_reference(reference).with_display_quantity(quantity);
            Some(ouch::Restated { time, user_ref: order.user_ref, reason: ouch::DISPLAY_REFRESHED, tags }.encode(out))
        }
        Event::Repriced { order, reference, display, price, .. } => {
            let message = ouch::PriorityUpdate {
                time,
                user_ref: order.user_ref,
                price: price_to_wire(price),
                display: display.letter(),
                reference,
                tags: Tags::echo(order.channel),
            };
            Some(message.encode(out))
        }
        Event::Crossed { buy, sell, match_number, price, quantity, buy_liquidity, sell_liquidity, .. } => {
            let (OrderTag { user_ref, channel, .. }, liquidity) = match party {
                Party::Resting => (buy, buy_liquidity),
                Party::Incoming => (sell, sell_liquidity),
            };
            let (price, liquidity, tags) = (price_to_wire(price), liquidity.letter(), Tags::echo(channel));
            Some(ouch::Executed { time, user_ref, quantity, price, liquidity, match_number, tags }.encode(out))
        }
        Event::Broken { buy, sell, match_number, .. } => {
            let OrderTag { user_ref, channel, .. } = if party == Party::Resting { buy } else { sell };
            let (reason, client_order_id, tags) = (ouch::BROKEN_ERRONEOUS, ClientOrderId::BLANK, Tags::echo(channel));
            Some(ouch::BrokenTrade { time, user_ref, match_number, reason, client_order_id, tags }.encode(out))
        }
        // The protocol has no message for a stop that wakes up: what it then does is told.
        Event::Triggered { .. } => None,
        Event::CrossDone { .. } | Event::Imbalance { .. } | Event::Band { .. } => None,
        // Answers say these, with the request's own fields.
        Event::Accepted { .. } | Event::Replaced { .. } => None,
        Event::Nothing | Event::Rested { .. } | Event::ReplaceIgnored { .. } | Event::State { .. } => None,
    }
}

fn canceled(order: &OrderTag, time: DayNanos, quantity: Quantity, reason: CancelReason, out: &mut [u8]) -> usize {
    let (user_ref, reason, tags) = (order.user_ref, reason.letter(), Tags::echo(order.channel));
    ouch::Canceled { time, user_ref, quantity, reason, tags }.encode(out)
}

/// The channel when the client sent one, 0 too: these answers always have an appendage.
fn channel_as_sent(answer: &Answer) -> Tags {
    match answer.record.command.channel.echo() {
        Some(index) => Tags::NONE.with_user_ref_index(index),
        None => Tags::NONE,
    }
}

/// The letter of a time in force: good till cancel is a day order with an option.
fn letter_of(time_in_force: TimeInForce) -> u8 {
    if time_in_force == TimeInForce::GoodTillCancel { TimeInForce::Day.letter() } else { time_in_force.letter() }
}

/// The options of the request with the values of its record. The encoder leaves out those that the message cannot
/// carry. Options that are refused whenever they are sent (discretion) cannot stand in an accepted record.
#[inline]
fn tags_as_sent(answer: &Answer) -> Tags {
    let command = &answer.record.command;
    let mut tags = channel_as_sent(answer);
    // The channel is in already; most orders have nothing else.
    if command.tags & !(1 << 28) == 0 {
        return tags;
    }
    if command.has_tag(2) {
        tags = tags.with_firm(command.firm);
    }
    if command.has_tag(3) {
        tags = tags.with_min_quantity(command.min_quantity);
    }
    if command.has_tag(4) {
        tags = tags.with_customer_type(command.customer_type);
    }
    if command.has_tag(5) {
        tags = tags.with_max_floor(command.max_floor);
    }
    if command.has_tag(6) {
        tags = tags.with_price_type(command.price_type);
    }
    if command.has_tag(7) {
        tags = tags.with_peg_offset(command.peg_offset);
    }
    if command.has_tag(12) {
        tags = tags.with_post_only(if command.post_only != 0 { b'P' } else { b'N' });
    }
    if command.has_tag(13) {
        tags = tags.with_random_reserves(Quantity(command.random_reserve));
    }
    rare_tags_as_sent(answer, tags)
}

fn rare_tags_as_sent(answer: &Answer, mut tags: Tags) -> Tags {
    let command = &answer.record.command;
    if command.has_tag(15) {
        tags = tags.with_expire_seconds(command.expire_seconds);
    }
    if command.has_tag(16) {
        let letter = match (command.tags & TAG_VALUE_TRADE_NOW, command.tags & TAG_VALUE_TRADE_NOW_SPACE) {
            (0, 0) => b'N',
            (_, 0) => b'Y',
            (_, _) => b' ',
        };
        tags = tags.with_trade_now(letter);
    }
    if command.has_tag(17) {
        tags = tags.with_handle_inst(if command.is_imbalance_only() { b'I' } else { b' ' });
    }
    if command.has_tag(24) {
        tags = tags.with_group(command.group);
    }
    if command.has_tag(25) {
        tags = tags.with_shares_located(if command.tags & TAG_VALUE_LOCATED == 0 { b'N' } else { b'Y' });
    }
    if command.has_tag(31) {
        tags = tags.with_stop_price(price_to_wire(command.stop_price()));
    }
    if command.has_tag(0) {
        let kept = command.time_in_force == TimeInForce::GoodTillCancel;
        tags = tags.with_good_till_cancel(if kept { b'Y' } else { b'N' });
    }
    if command.has_tag(8) {
        tags = tags.with_post_only_action(if command.post_only == 2 { b'R' } else { b'N' });
    }
    if command.has_tag(29) {
        tags = tags.with_self_match(command.self_match.letter);
    }
    if command.has_tag(30) {
        tags = tags.with_self_match_group(command.self_match_group);
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::fixture::{ALICE, market};
    use crate::types::*;
    use crate::wire::ouch::{MESSAGE_MAX, Outbound as Message};

    const TIME: Nanos = Nanos(3 * Nanos::DAY + 17);

    fn message(body: ReportBody) -> Option<Message> {
        let mut bytes = [0u8; MESSAGE_MAX];
        let report = Report { session: ALICE, number: Number(1), time: TIME, body };
        let length = Outbound::new(&market()).encode(&report, &mut bytes)?;
        Some(Message::parse(&bytes[..length]).unwrap())
    }

    fn answer(kind: CommandKind, verdict: Verdict, change: impl FnOnce(&mut Command)) -> ReportBody {
        let mut command = Command::new(kind);
        command.user_ref = UserRef(8);
        command.firm = Firm::from_text("ALFA").unwrap();
        change(&mut command);
        let record = Sequenced { number: Number(1), time: TIME, verdict, command };
        let (reference, quantity, price) = (OrderReference(4 << 16 | 2), Quantity(300), Price(1_503_400));
        ReportBody::Answer(Answer { record, reference, quantity, price })
    }

    fn tag(channel: Channel) -> OrderTag {
        OrderTag { slot: Slot(1), user_ref: UserRef(8), session: ALICE, account: AccountId(0), channel }
    }

    #[test]
    fn an_accepted_order_is_told_as_it_was_entered_with_its_options() {
        let body = answer(CommandKind::Enter, Verdict::ACCEPTED, |command| {
            command.side = SideCode::SellShort;
            command.channel = Channel::named(0);
            command.min_quantity = Quantity(100);
            command.post_only = 1;
            command.tags = 1 << 28 | 1 << 3 | 1 << 12 | 1 << 16 | 1 << 25 | TAG_VALUE_TRADE_NOW;
        });
        let Some(Message::Accepted(accepted)) = message(body) else { panic!("not accepted") };
        assert_eq!((accepted.time, accepted.symbol.text()), (DayNanos(17), "MSFT".into()));
        assert_eq!((accepted.side, accepted.quantity, accepted.price), (b'T', Quantity(300), 1_503_400));
        assert_eq!((accepted.state, accepted.reference), (b'L', OrderReference(4 << 16 | 2)));
        let expected = Tags::NONE
            .with_user_ref_index(0)
            .with_min_quantity(Quantity(100))
            .with_post_only(b'P')
            .with_trade_now(b'Y')
            .with_shares_located(b'N');
        assert_eq!(accepted.tags, expected);
    }

    #[test]
    fn the_options_of_the_house_come_back_as_they_were_sent() {
        let body = answer(CommandKind::Enter, Verdict::ACCEPTED, |command| {
            command.time_in_force = TimeInForce::GoodTillCancel;
            (command.value, command.post_only) = (1_400_000, 2);
            command.tags = 1 << 31 | 1 | 1 << 8 | 1 << 12;
        });
        let Some(Message::Accepted(accepted)) = message(body) else { panic!("not accepted") };
        assert_eq!(accepted.time_in_force, b'0', "good till cancel has no letter");
        let expected = Tags::NONE.with_stop_price(1_400_000).with_good_till_cancel(b'Y').with_post_only_action(b'R');
        assert_eq!(accepted.tags, expected.with_post_only(b'P'));
    }

    #[test]
    fn a_refusal_is_told_with_the_code_of_the_protocol() {
        let body = answer(CommandKind::Enter, Verdict::refused(Reject::BuyingPower), |command| {
            command.channel = Channel::named(5);
        });
        let Some(Message::Rejected(rejected)) = message(body) else { panic!("not rejected") };
        assert_eq!((rejected.user_ref, rejected.reason), (UserRef(8), Reject::GrossExposure.code()));
        assert_eq!(rejected.tags, Tags::NONE.with_user_ref_index(5));
    }

    #[test]
    fn a_refused_replace_that_cancels_its_order_is_told_by_the_cancel() {
        let refused = Verdict { slot: Slot(3), ..Verdict::refused(Reject::InvalidQuantity) };
        assert_eq!(message(answer(CommandKind::Replace, refused, |_| {})), None);
        let unplaced = Verdict::refused(Reject::InvalidQuantity);
        assert!(matches!(message(answer(CommandKind::Replace, unplaced, |_| {})), Some(Message::Rejected(_))));
    }

    #[test]
    fn each_request_has_its_answer() {
        let told = |kind| message(answer(kind, Verdict::ACCEPTED, |_| {})).map(|message| message.kind());
        let kinds = [
            (CommandKind::Enter, Some(b'A')),
            (CommandKind::Replace, Some(b'U')),
            (CommandKind::MassCancel, Some(b'X')),
            (CommandKind::DisableEntry, Some(b'G')),
            (CommandKind::EnableEntry, Some(b'K')),
            (CommandKind::AccountQuery, Some(b'Q')),
            (CommandKind::Cancel, None),
            (CommandKind::Modify, None),
        ];
        assert_eq!(kinds.map(|(kind, _)| told(kind)), kinds.map(|(_, expected)| expected));
        assert_eq!(message(ReportBody::DayStart).unwrap().kind(), b'S');
        assert_eq!(message(ReportBody::DayEnd).unwrap().kind(), b'S');
    }

    #[test]
    fn a_fill_is_told_to_each_party_with_its_own_flag() {
        let fill = |displayed| Event::Filled {
            resting: tag(Channel::named(2)),
            incoming: OrderTag { user_ref: UserRef(9), ..tag(Channel::NONE) },
            reference: OrderReference(1),
            match_number: MatchNumber(77),
            price: Price(100),
            quantity: Quantity(5),
            resting_leaves: Quantity(0),
            incoming_leaves: Quantity(1),
            resting_side: Side::Buy,
            displayed,
            liquidity: if displayed { Liquidity::Added } else { Liquidity::AddedHidden },
        };
        let told = |displayed, party| match message(ReportBody::Order(fill(displayed), party)) {
            Some(Message::Executed(executed)) => (executed.user_ref.0, executed.liquidity, executed.tags.channel()),
            other => panic!("not a fill: {other:?}"),
        };
        assert_eq!(told(true, Party::Resting), (8, b'A', Channel::named(2)));
        assert_eq!(told(false, Party::Resting), (8, b'J', Channel::named(2)));
        assert_eq!(told(true, Party::Incoming), (9, b'R', Channel::NONE));
    }

    #[test]
    fn a_self_match_is_told_in_detail_only_where_its_rule_says_so() {
        let event = |detailed| Event::SelfMatch {
            order: tag(Channel::NONE),
            reference: OrderReference(1),
            side: Side::Buy,
            price: Price(100),
            quantity: Quantity(5),
            leaves: Quantity(0),
            prevented: Quantity(4),
            execution_price: Price(99),
            liquidity: Liquidity::Removed,
            strategy: b'D',
            detailed,
            shown: Quantity(0),
        };
        match message(ReportBody::Order(event(true), Party::Incoming)) {
            Some(Message::SelfMatchCanceled(told)) => {
                assert_eq!((told.quantity, told.prevented, told.price), (Quantity(5), Quantity(4), 99));
                assert_eq!((told.reason, told.strategy, told.liquidity), (b'Q', b'D', b'R'));
            }
            other => panic!("not in detail: {other:?}"),
        }
        match message(ReportBody::Order(event(false), Party::Incoming)) {
            Some(Message::Canceled(told)) => assert_eq!((told.quantity, told.reason), (Quantity(5), b'Q')),
            other => panic!("not plain: {other:?}"),
        }
    }

    #[test]
    fn what_answers_say_is_not_said_twice() {
        let rested = Event::Rested {
            order: tag(Channel::NONE),
            reference: OrderReference(1),
            side: Side::Buy,
            display: Display::Anonymous,
            quantity: Quantity(1),
            shown: Quantity(1),
            price: Price(100),
        };
        for event in [rested, Event::Nothing, Event::ReplaceIgnored { order: tag(Channel::NONE) }] {
            assert_eq!(message(ReportBody::Order(event, Party::Incoming)), None);
        }
    }
}
