//! What happened, for people: counts, rejects, accounts, latency.

use super::subscriber::Heard;
use crate::config::Config;
use crate::launch::replayed::Replayed;
use crate::measure::latency::Latencies;
use crate::measure::load::{LoadReport, Transport};
use crate::measure::table::Table;
use crate::types::{AccountId, Money, TickerId};

/// Prints all of it.
pub fn print(config: &Config, replayed: &Replayed, reports: &[LoadReport], heard: &Heard) {
    counts(replayed, heard);
    accounts(config, replayed);
    latency(reports);
}

fn counts(replayed: &Replayed, heard: &Heard) {
    let tally = &replayed.tally;
    let refused: u64 = tally.refused.iter().map(|(_, count)| count).sum();
    println!(
        "{} records: {} orders, {} fills of {} shares, {refused} rejects",
        tally.records, tally.orders, tally.fills, tally.fill_shares
    );
    for (reject, count) in &tally.refused {
        println!("  rejected {count:>8}  {}", reject.text());
    }
    let counts = heard.counts;
    println!(
        "{} feed messages in {} datagrams; {} came ahead of a gap that re-requests filled",
        heard.messages, counts.packets, counts.early
    );
}

fn accounts(config: &Config, replayed: &Replayed) {
    let oms = replayed.twin.oms();
    println!("\nAccounts");
    println!("  account           realised     unrealised         profit           fees  open orders  positions");
    let (mut profit, mut fees) = (Money::ZERO, Money::ZERO);
    for (index, spec) in config.market.accounts.iter().enumerate() {
        let account = AccountId(index as u16);
        let view = oms.account(account);
        let own = view.realised + view.unrealised;
        profit += own;
        fees += view.fees;
        let positions: Vec<String> = config
            .market
            .tickers
            .iter()
            .enumerate()
            .map(|(t, ticker)| (ticker.symbol, oms.position(account, TickerId(t as u16)).quantity))
            .filter(|(_, quantity)| *quantity != 0)
            .map(|(symbol, quantity)| format!("{symbol} {quantity:+}"))
            .collect();
        println!(
            "  {:<12} {:>13} {:>14} {:>14} {:>14} {:>12}  {}",
            spec.name,
            view.realised,
            view.unrealised,
            own,
            view.fees,
            view.open_orders,
            positions.join(", ")
        );
    }
    let shares: i64 = (0..config.market.tickers.len() as u16)
        .map(|t| {
            (0..config.market.accounts.len() as u16)
                .map(|a| oms.position(AccountId(a), TickerId(t)).quantity)
                .sum::<i64>()
                .abs()
        })
        .sum();
    println!("  {:<12} {:>13} {:>14} {profit:>14} {fees:>14} {:>12}  net shares {shares}", "sum", "", "", "");
}

fn latency(reports: &[LoadReport]) {
    let mut table = Table::new();
    for transport in Transport::ALL {
        let (mut intended, mut service) = (Latencies::new(), Latencies::new());
        for measured in reports.iter().flat_map(|r| &r.measured).filter(|m| m.transport == transport) {
            intended.merge(&measured.intended);
            service.merge(&measured.service);
        }
        if intended.count() > 0 {
            table = table.row(&format!("{}, from intended send", transport.text()), intended.percentiles());
            table = table.row(&format!("{}, from actual send", transport.text()), service.percentiles());
        }
    }
    println!("\nLatency of the first answer, as the client feels it");
    print!("{table}");
}
