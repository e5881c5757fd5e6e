//! `pitlane order`: order entry by hand, over TCP or shared memory, with the library any client links.

use super::order_terms::{Terms, parse_price};
use super::{ConfigArgument, Failure, Outcome, endpoints};
use crate::client::orders::{Address, Incoming, NewOrder, OrderOptions, OrderSession, Replacement};
use crate::types::{CancelReason, Channel, Display, Quantity, Reject, SideCode, Symbol, UserRef};
use crate::wire::ouch::{Outbound, Tags, price_from_wire};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a request's answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// After an answer, what else belongs to it (fills, a remainder's cancel) follows at once; this long is listened.
const REST: Duration = Duration::from_millis(50);

/// Arguments of `order`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// User name.
    #[arg(long)]
    user: String,
    /// Password; without it the environment's PITLANE_PASSWORD.
    #[arg(long)]
    password: Option<String>,
    /// How to reach the exchange.
    #[arg(long, value_enum, default_value_t = Way::Tcp)]
    transport: Way,
    /// One JSON object a message.
    #[arg(long)]
    json: bool,
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

/// How a client reaches the exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Way {
    /// OUCH over SoupBinTCP.
    Tcp,
    /// OUCH over shared rings, on the same host.
    Shared,
}

/// Requests.
#[derive(Subcommand, Debug)]
enum Action {
    /// Enter an order; prints its number and everything that happens to it at once.
    Enter {
        /// buy, sell, short or exempt.
        side: String,
        /// Shares.
        quantity: u32,
        /// Ticker.
        ticker: String,
        /// Limit price, or "market".
        price: String,
        /// Cancel at once what cannot trade at once.
        #[arg(long)]
        ioc: bool,
        /// Trade wholly at once or not at all.
        #[arg(long)]
        fok: bool,
        /// Do not show it on the feed.
        #[arg(long)]
        hidden: bool,
        /// Cancel it rather than take.
        #[arg(long)]
        post_only: bool,
        /// Least quantity of an immediate or a hidden order.
        #[arg(long)]
        min_quantity: Option<u32>,
        #[command(flatten)]
        terms: Terms,
    },
    /// Cancel an order, or reduce it to a total of so many shares.
    Cancel {
        /// Number that `enter` printed.
        order: u32,
        /// Most shares that may trade in all; 0 cancels what is open.
        #[arg(long, default_value_t = 0)]
        to: u32,
    },
    /// Replace an order: new total of shares and price; loses its place.
    Replace {
        /// Number that `enter` printed.
        order: u32,
        /// Shares in all, with those already traded.
        quantity: u32,
        /// Limit price.
        price: String,
    },
    /// Cancel all one's orders, or those of one ticker.
    CancelAll {
        /// Ticker.
        ticker: Option<String>,
    },
    /// Print one's own reports as they come.
    Watch {
        /// First report: 1 for the whole day, 0 for new ones only.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// Stop after so many seconds.
        #[arg(long)]
        seconds: Option<u64>,
    },
}

/// Logs in, does it, prints the answers.
///
/// # Errors
/// No exchange, a wrong login, a wrong argument, or a rejected order.
pub fn main(arguments: Arguments) -> Outcome {
    let endpoints = endpoints(&arguments.config)?;
    let password = arguments.password.clone().or_else(|| std::env::var("PITLANE_PASSWORD").ok());
    let password = password.ok_or_else(|| Failure::Usage("give --password or set PITLANE_PASSWORD".to_owned()))?;
    let address = match (arguments.transport, endpoints.shared) {
        (Way::Tcp, _) => Address::Tcp(endpoints.orders),
        (Way::Shared, Some(path)) => Address::Shared(path),
        (Way::Shared, None) => {
            return Err(Failure::Usage("this exchange has gateway.shared_memory = false".to_owned()));
        }
    };
    let mut options = OrderOptions::new(address, &arguments.user, &password);
    options.sequence = if let Action::Watch { from, .. } = arguments.action { from } else { 0 };
    let mut session = OrderSession::connect(options)
        .map_err(|fault| Failure::Refused(format!("logging in as {}: {fault}", arguments.user)))?;
    act(&mut session, &arguments)
}

fn act(session: &mut OrderSession, arguments: &Arguments) -> Outcome {
    let config = arguments.config.load()?;
    if let Action::Watch { seconds, .. } = arguments.action {
        return watch(session, arguments.json, seconds);
    }
    // The venue knows which numbers are used; the answer also shows that the way is open.
    session.query(Channel::NONE).map_err(refusal)?;
    listen(session, arguments.json, |message| matches!(message, Outbound::AccountQueryResponse(_)), false)?;
    let request = match &arguments.action {
        Action::Enter { .. } => {
            let order = new_order(&arguments.action)?;
            session.enter(&order).map_err(refusal)?
        }
        Action::Cancel { order, to } => {
            session.cancel(Channel::NONE, UserRef(*order), Quantity(*to)).map_err(refusal)?;
            UserRef(*order)
        }
        Action::Replace { order, quantity, price } => {
            let by = Replacement::limit(Quantity(*quantity), parse_price(price)?);
            session.replace(UserRef(*order), &by).map_err(refusal)?
        }
        Action::CancelAll { ticker } => {
            let symbol = ticker.as_deref().map_or(Ok(Symbol::BLANK), parse_symbol)?;
            let own = config.market.session(&arguments.user);
            let firm = own.map(|s| config.market.firm_of(s));
            let firm =
                firm.ok_or_else(|| Failure::Usage(format!("the configuration has no login {}", arguments.user)))?;
            session.mass_cancel(firm, symbol, Tags::NONE).map_err(refusal)?
        }
        Action::Watch { .. } => return Ok(()),
    };
    let is_answer = |message: &Outbound| about(message) == Some(request);
    match listen(session, arguments.json, is_answer, true)? {
        Some(Outbound::Rejected(rejected)) => {
            let known = Reject::ALL.iter().find(|r| r.code() == rejected.reason);
            let text = known.map_or("no reason known here", |r| r.text());
            Err(Failure::Refused(format!("order {request} was rejected: {text} ({:#06x})", rejected.reason)))
        }
        Some(_) => Ok(()),
        None => Err(Failure::Refused(format!("no answer: the exchange has no live order {request} of this login"))),
    }
}

fn refusal(refusal: crate::client::orders::Refusal) -> Failure {
    Failure::Fault(format!("sending: {refusal:?}"))
}

/// Waits for the answer, printing it and all that follows at once; `None` when there is none.
fn listen(
    session: &mut OrderSession,
    as_json: bool,
    is_answer: impl Fn(&Outbound) -> bool,
    loud: bool,
) -> Result<Option<Outbound>, Failure> {
    let started = Instant::now();
    let mut answer = None;
    let limit = if loud { Duration::from_secs(1) } else { ANSWER_MAX };
    while answer.is_none() && started.elapsed() < limit || answer.is_some() && loud {
        let wait = if answer.is_some() { REST } else { Duration::from_millis(100) };
        let incoming = session.wait(wait).map_err(|fault| Failure::Fault(format!("listening: {fault}")))?;
        match incoming {
            Some(Incoming::Message { sequence, message }) => {
                if loud {
                    print(sequence, &message, as_json);
                }
                if answer.is_none() && is_answer(&message) {
                    answer = Some(message);
                }
            }
            Some(Incoming::EndOfSession) => {
                return Err(Failure::Refused("the exchange has ended the session".to_owned()));
            }
            None if answer.is_some() => break,
            None => {}
        }
    }
    Ok(answer)
}

fn watch(session: &mut OrderSession, as_json: bool, seconds: Option<u64>) -> Outcome {
    let started = Instant::now();
    while seconds.is_none_or(|s| started.elapsed() < Duration::from_secs(s)) {
        match session.wait(Duration::from_millis(20)).map_err(|fault| Failure::Fault(format!("listening: {fault}")))? {
            Some(Incoming::Message { sequence, message }) => print(sequence, &message, as_json),
            Some(Incoming::EndOfSession) => break,
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    Ok(())
}

/// The order a message is about, by the newest number the client gave it.
fn about(message: &Outbound) -> Option<UserRef> {
    match message {
        Outbound::Accepted(m) => Some(m.user_ref),
        Outbound::Replaced(m) => Some(m.user_ref),
        Outbound::Canceled(m) => Some(m.user_ref),
        Outbound::SelfMatchCanceled(m) => Some(m.user_ref),
        Outbound::Executed(m) => Some(m.user_ref),
        Outbound::Rejected(m) => Some(m.user_ref),
        Outbound::Modified(m) => Some(m.user_ref),
        Outbound::MassCancelResponse(m) => Some(m.user_ref),
        Outbound::SystemEvent(_)
        | Outbound::BrokenTrade(_)
        | Outbound::CancelPending(_)
        | Outbound::CancelReject(_)
        | Outbound::PriorityUpdate(_)
        | Outbound::Restated(_)
        | Outbound::DisableResponse(_)
        | Outbound::EnableResponse(_)
        | Outbound::AccountQueryResponse(_) => None,
    }
}

fn price_text(wire: u64) -> String {
    price_from_wire(wire).map_or_else(|| wire.to_string(), |price| price.to_string())
}

/// What happened, in words and as fields.
fn facts(message: &Outbound) -> (String, Value) {
    match message {
        Outbound::Accepted(m) => (
            format!("order {} accepted: {} {} at {}", m.user_ref, m.quantity, m.symbol, price_text(m.price)),
            json!({"event": "accepted", "quantity": m.quantity.0, "price": price_text(m.price), "reference": m.reference.0}),
        ),
        Outbound::Replaced(m) => (
            format!("order {} replaces {}: {} open at {}", m.user_ref, m.original, m.quantity, price_text(m.price)),
            json!({"event": "replaced", "original": m.original.0, "quantity": m.quantity.0, "price": price_text(m.price)}),
        ),
        Outbound::Executed(m) => (
            format!("order {} traded {} at {} (match {})", m.user_ref, m.quantity, price_text(m.price), m.match_number),
            json!({"event": "executed", "quantity": m.quantity.0, "price": price_text(m.price), "match": m.match_number.0}),
        ),
        Outbound::Canceled(m) => {
            let reason = CancelReason::from_letter(m.reason).map_or("?".to_owned(), |r| format!("{r:?}"));
            (
                format!("order {} cancelled: {} taken off ({reason})", m.user_ref, m.quantity),
                json!({"event": "canceled", "quantity": m.quantity.0, "reason": reason}),
            )
        }
        Outbound::Rejected(m) => (
            format!("order {} rejected: {:#06x}", m.user_ref, m.reason),
            json!({"event": "rejected", "reason": m.reason}),
        ),
        other => (format!("{other:?}"), json!({"event": format!("{other:?}")})),
    }
}

fn print(sequence: u64, message: &Outbound, as_json: bool) {
    let (text, mut fields) = facts(message);
    if as_json {
        fields["sequence"] = json!(sequence);
        fields["order"] = about(message).map_or(Value::Null, |r| json!(r.0));
        println!("{fields}");
    } else {
        println!("{sequence:>6}  {text}");
    }
}

fn new_order(action: &Action) -> Result<NewOrder, Failure> {
    let Action::Enter { side, quantity, ticker, price, ioc, fok, hidden, post_only, min_quantity, terms } = action
    else {
        unreachable!("the caller has matched an entry")
    };
    let side = match side.as_str() {
        "buy" => SideCode::Buy,
        "sell" => SideCode::Sell,
        "short" => SideCode::SellShort,
        "exempt" => SideCode::SellShortExempt,
        other => return Err(Failure::Usage(format!("{other:?} is no side: buy, sell, short or exempt"))),
    };
    let mut order = NewOrder::limit(side, Quantity(*quantity), parse_symbol(ticker)?, parse_price(price)?);
    if *ioc || *fok {
        order = order.immediate();
    }
    if *hidden {
        order.display = Display::Hidden;
    }
    if *post_only {
        order.tags = order.tags.with_post_only(b'P');
    }
    let least = if *fok { Some(*quantity) } else { *min_quantity };
    if let Some(least) = least {
        order.tags = order.tags.with_min_quantity(Quantity(least));
    }
    terms.of(order)
}

fn parse_symbol(text: &str) -> Result<Symbol, Failure> {
    Symbol::from_text(&text.to_ascii_uppercase())
        .ok_or_else(|| Failure::Usage(format!("{text:?} is no ticker: at most eight letters or digits")))
}
