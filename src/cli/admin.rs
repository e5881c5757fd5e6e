//! `pitlane admin`: what an operator may do to a running exchange. Every change becomes a numbered record with its
//! author before it is answered, so "done" holds across a restart.

use super::{ConfigArgument, Failure, Outcome, endpoints};
use crate::client::operator;
use crate::os::signal;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::time::Duration;

/// How long an answer may take; the exchange itself gives a command up after ten seconds.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// Arguments of `admin`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

/// Operator's requests.
#[derive(Subcommand, Debug)]
enum Action {
    /// Take no orders in a ticker, or in "all"; cancels still pass.
    Halt {
        /// Ticker or "all".
        ticker: String,
    },
    /// Trade again.
    Resume {
        /// Ticker or "all".
        ticker: String,
    },
    /// Take a ticker, or "all", to a phase; leaving an auction runs its cross.
    Phase {
        /// Ticker or "all".
        ticker: String,
        /// pre-open, open, pre-close, close, halt, auction or pause.
        phase: String,
    },
    /// Break a trade: both parties, their positions and the feed learn of it.
    Bust {
        /// Ticker.
        ticker: String,
        /// Its match number, as reports and feed say it.
        match_number: u64,
    },
    /// Cancel everything of an account, a firm or everybody, and refuse what comes, until `unkill`.
    Kill {
        /// account, firm or all.
        scope: String,
        /// Its name; not with "all".
        name: Option<String>,
    },
    /// End a kill of the same scope.
    Unkill {
        /// account, firm or all.
        scope: String,
        /// Its name; not with "all".
        name: Option<String>,
    },
    /// Change a limit of an account.
    SetLimit {
        /// Account.
        account: String,
        /// enabled, order-quantity, order-notional, open-orders, position, gross-exposure, message-rate,
        /// price-collar or credit.
        limit: String,
        /// Shares, orders, messages a second, 1/10,000 of the price, or currency; 0 or 1 for "enabled".
        value: String,
    },
    /// Show how far the stages are and what they counted.
    Status,
    /// End the day for clients and feed: day orders expire, sessions end.
    EndDay,
    /// Stop the process in order; the day goes on at the next start.
    Stop,
}

/// Asks, prints the answer.
///
/// # Errors
/// No running exchange, not allowed, or refused with its reason.
pub fn main(arguments: Arguments) -> Outcome {
    let request = request(&arguments.action);
    let answer = ask(&arguments.config, &request)?;
    if arguments.json {
        println!("{answer}");
        return Ok(());
    }
    match &arguments.action {
        Action::Status => print_status(&answer["status"]),
        Action::Stop => println!("stopping"),
        _ => println!("done, record {}", answer["number"]),
    }
    Ok(())
}

/// Sends one request to the exchange of this configuration.
///
/// # Errors
/// As [`main`].
pub fn ask(config: &ConfigArgument, request: &Value) -> Result<Value, Failure> {
    let path = endpoints(config)?.operator;
    let asked = operator::ask(&path, request, ANSWER_MAX);
    // The socket is done with; what follows only prints.
    signal::end_with_closed_pipe();
    let answer = asked.map_err(|e| Failure::Fault(format!("asking the exchange at {}: {e}", path.display())))?;
    if answer["ok"] == json!(true) {
        return Ok(answer);
    }
    Err(Failure::Refused(answer["error"].as_str().unwrap_or("refused without a reason").to_owned()))
}

fn request(action: &Action) -> Value {
    match action {
        Action::Halt { ticker } => json!({"do": "halt", "ticker": ticker}),
        Action::Resume { ticker } => json!({"do": "resume", "ticker": ticker}),
        Action::Phase { ticker, phase } => json!({"do": "phase", "ticker": ticker, "phase": phase}),
        Action::Bust { ticker, match_number } => {
            json!({"do": "bust", "ticker": ticker, "match_number": match_number})
        }
        Action::Kill { scope, name } => json!({"do": "kill", "scope": scope, "name": name}),
        Action::Unkill { scope, name } => json!({"do": "unkill", "scope": scope, "name": name}),
        Action::SetLimit { account, limit, value } => {
            json!({"do": "set-limit", "account": account, "limit": limit, "value": value})
        }
        Action::Status => json!({"do": "status"}),
        Action::EndDay => json!({"do": "end-day"}),
        Action::Stop => json!({"do": "stop"}),
    }
}

fn print_status(status: &Value) {
    println!(
        "{}: up {} s, record {} committed, {} delivered",
        status["session"].as_str().unwrap_or("?"),
        status["seconds"],
        status["committed"],
        status["delivered"]
    );
    for alarm in status["alarms"].as_array().into_iter().flatten() {
        println!("  ALARM    {}", alarm.as_str().unwrap_or("?"));
    }
    for ticker in status["tickers"].as_array().into_iter().flatten() {
        let word = |key: &str| ticker[key].as_str().unwrap_or("?").to_owned();
        println!(
            "  {:<8} {:<14} last {:>10}  volume {}",
            word("ticker"),
            word("state"),
            word("last"),
            ticker["volume"]
        );
    }
    for session in status["sessions"].as_array().into_iter().flatten() {
        let word = |key: &str| session[key].as_str().unwrap_or("?");
        let how = if word("transport").is_empty() { "not connected" } else { word("transport") };
        println!(
            "  {:<8} {:<14} {how:<14} open {:>6}  in {:>10}  refused {:>8}",
            word("user"),
            word("account"),
            session["open_orders"].to_string(),
            session["messages_in"].to_string(),
            session["refused"].to_string(),
        );
    }
    let counters = status["counters"].as_object().into_iter().flatten();
    for (name, value) in counters.filter(|(_, value)| value.as_u64() != Some(0)) {
        println!("  {name:<36} {:>14}", value.to_string());
    }
}
