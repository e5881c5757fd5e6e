//! What all clients together must agree on once everything sent is answered, and what the venue's own tools say about
//! the journal it leaves.

use crate::site::Site;
use crate::trader::{Fill, Trader};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Fees of the example's tickers, of a maker and a taker, in 1/10,000 a share.
const FEES: [i128; 2] = [-20, 30];

/// Every trade has two sides that agree, and was told to each once.
pub fn trades_match(traders: &[Trader]) -> u64 {
    let mut trades: BTreeMap<u64, Vec<Fill>> = BTreeMap::new();
    for trader in traders {
        trader.fills.iter().for_each(|fill| trades.entry(fill.trade).or_default().push(*fill));
    }
    for (trade, sides) in &trades {
        let [one, other] = sides[..] else { panic!("trade {trade} has {} sides: {sides:?}", sides.len()) };
        let buys = |fill: &Fill| fill.side == b'B';
        assert!(buys(&one) != buys(&other) && one.is_maker != other.is_maker, "trade {trade}: {sides:?}");
        let facts = |fill: &Fill| (fill.symbol, fill.quantity, fill.price);
        assert_eq!(facts(&one), facts(&other), "trade {trade}");
    }
    trades.len() as u64
}

/// Positions, cash and open orders of each account are what its client's own record comes to; together they are
/// nothing.
pub fn accounts_agree(traders: &[Trader], operator: &Path, cash_at_start: &BTreeMap<&str, i128>) {
    let mut sums: BTreeMap<String, i128> = BTreeMap::new();
    for trader in traders {
        let (mut positions, mut cash) = (BTreeMap::<String, i128>::new(), cash_at_start[trader.account]);
        for fill in &trader.fills {
            let (shares, price) = (i128::from(fill.quantity), i128::from(fill.price));
            let signed = if fill.side == b'B' { shares } else { -shares };
            *positions.entry(String::from_utf8_lossy(&fill.symbol).trim().to_owned()).or_default() += signed;
            cash -= signed * price + shares * FEES[usize::from(!fill.is_maker)];
        }
        let told = portfolio(operator, trader.account);
        let account = trader.account;
        assert_eq!(amount(&told["cash"]), cash, "cash of {account}");
        assert_eq!(told["open_orders"].as_u64(), Some(trader.open_count()), "open orders of {account}");
        for (symbol, quantity) in &positions {
            let position = told["positions"].as_array().unwrap().iter().find(|found| found["ticker"] == **symbol);
            let found = position.map_or(0, |position| position["quantity"].as_i64().unwrap());
            assert_eq!(i128::from(found), *quantity, "{symbol} of {account}");
            *sums.entry(symbol.clone()).or_default() += quantity;
        }
    }
    assert!(sums.values().all(|sum| *sum == 0), "shares out of nothing: {sums:?}");
}

fn portfolio(operator: &Path, account: &str) -> Value {
    let mut stream = UnixStream::connect(operator).unwrap();
    writeln!(stream, "{{\"do\": \"portfolio\", \"account\": \"{account}\"}}").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    let answer: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(answer["ok"], true, "{answer}");
    answer["portfolio"].clone()
}

/// An amount with up to four decimals as 1/10,000.
fn amount(text: &Value) -> i128 {
    let text = text.as_str().unwrap_or_else(|| panic!("an amount: {text}"));
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits: i128 = format!("{}{part:0<4}", whole.trim_start_matches('-')).parse().unwrap();
    if text.starts_with('-') { -digits } else { digits }
}

/// The journal of a venue that was stopped: sound, and replayed it gives what the venue said at its end.
pub fn journal_is_sound(site: &Site) {
    for words in [&["verify"][..], &["replay", "--verify"]] {
        let output = site.output(words);
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{words:?}: {}\n{out}{error}", output.status);
    }
}
