//! `pitlane inspect`: a journal's records, as text or JSON, from segments and log. Reads the files without taking them,
//! so that a living exchange's journal can be looked at too.

use super::replay::failure;
use super::{ConfigArgument, Failure, Outcome};
use crate::journal::snapshots;
use crate::journal::{History, RecordView};
use crate::launch::LaunchFault;
use crate::launch::home::{log_home, log_path};
use crate::types::{Command, CommandKind, Market, Sequenced, SessionId, Slot, TickerId};
use clap::Args;
use serde_json::{Value, json};
use std::io::{BufWriter, ErrorKind, Write, stdout};
use std::path::PathBuf;

/// Arguments of `inspect`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// One file, a log, a segment, an archive of one or a snapshot; without it the configuration's segments and log.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// First record to print.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many records to print.
    #[arg(long, default_value_t = u64::MAX)]
    count: u64,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Prints records.
///
/// # Errors
/// A file that is no log, or damage, with the record's number.
pub fn main(arguments: Arguments) -> Outcome {
    let config = arguments.config.load()?;
    if let Some(snapshot) = arguments.log.as_deref().filter(|path| snapshots::is_snapshot(path)) {
        return super::snapshot::show(&config, snapshot);
    }
    let directory = config.journal.segments.as_ref().map(|knobs| knobs.directory.as_path());
    let opened = match &arguments.log {
        Some(file) => History::of_file(file),
        None => History::open(&log_path(log_home(&config)), directory),
    };
    let mut reader = opened.map_err(|fault| failure(LaunchFault::Journal(fault)))?;
    let mut out = BufWriter::new(stdout().lock());
    let mut printed = 0;
    while printed < arguments.count {
        let next = reader.next_view().map_err(|fault| failure(LaunchFault::Journal(fault)))?;
        let Some(view) = next else { break };
        if view.record.number.0 < arguments.from {
            continue;
        }
        let line =
            if arguments.json { as_json(&view, &config.market).to_string() } else { as_text(&view, &config.market) };
        match writeln!(out, "{line}") {
            // The reader of our output has seen enough.
            Err(e) if e.kind() == ErrorKind::BrokenPipe => return Ok(()),
            other => other.map_err(|e| Failure::Fault(format!("writing to standard output: {e}")))?,
        }
        printed += 1;
    }
    out.flush().or(Ok(()))
}

fn session_name(market: &Market, session: SessionId) -> String {
    market.sessions.get(session.index()).map_or_else(|| "venue".to_owned(), |s| s.user.clone())
}

fn ticker_name(market: &Market, ticker: TickerId) -> String {
    match market.tickers.get(ticker.index()) {
        Some(spec) => spec.symbol.text(),
        None if ticker == TickerId::ALL => "*".to_owned(),
        None => "?".to_owned(),
    }
}

fn as_text(view: &RecordView, market: &Market) -> String {
    let Sequenced { number, time, verdict, command } = view.record;
    let Command { kind, user_ref, .. } = command;
    let who = session_name(market, command.session);
    let what = match kind {
        CommandKind::Enter | CommandKind::Replace => format!(
            "{} {} {} {} {} {}{}",
            command.side.letter() as char,
            command.quantity,
            ticker_name(market, command.ticker),
            command.price,
            command.time_in_force.letter() as char,
            command.display.letter() as char,
            if kind == CommandKind::Replace { format!(" of {}", command.original) } else { String::new() },
        ),
        CommandKind::Cancel | CommandKind::Modify => format!("to {}", command.quantity),
        CommandKind::SetLimit => format!("{:?} of account {} = {}", command.limit, command.account, command.value),
        CommandKind::KillOn | CommandKind::KillOff => format!("{:?} by {}", command.scope, command.client_order_id),
        CommandKind::DayStart => format!("market {:016x}", command.value),
        _ => ticker_name(market, command.ticker),
    };
    let verdict_text =
        if verdict.is_accepted() { String::new() } else { format!("  refused: {}", verdict.reject.text()) };
    let slot = if verdict.slot == Slot::NONE { String::new() } else { format!("  slot {}", verdict.slot) };
    format!("{number:>10}  {}  {who:<6}  {kind:?} #{user_ref} {what}{slot}{verdict_text}", time.of_day())
}

fn as_json(view: &RecordView, market: &Market) -> Value {
    let Sequenced { number, time, verdict, command } = view.record;
    json!({
        "number": number.0,
        "time_ns": time.0,
        "at": view.at,
        "kind": format!("{:?}", command.kind),
        "session": session_name(market, command.session),
        "account": market.accounts.get(command.account.index()).map(|a| a.name.clone()),
        "ticker": ticker_name(market, command.ticker),
        "user_ref": command.user_ref.0,
        "original": command.original.0,
        "side": (command.side.letter() as char).to_string(),
        "quantity": command.quantity.0,
        "price": command.price.to_string(),
        "time_in_force": (command.time_in_force.letter() as char).to_string(),
        "display": (command.display.letter() as char).to_string(),
        "min_quantity": command.min_quantity.0,
        "client_order_id": command.client_order_id.text(),
        "value": command.value,
        "reject": if verdict.is_accepted() { Value::Null } else { json!(verdict.reject.text()) },
        "slot": if verdict.slot == Slot::NONE { Value::Null } else { json!(verdict.slot.0) },
        "limit_price": verdict.limit_price.to_string(),
    })
}
