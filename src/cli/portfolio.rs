//! `pitlane portfolio`: one account of a running exchange, at one moment, from the stage that owns it.

use super::admin::ask;
use super::{ConfigArgument, Outcome};
use clap::Args;
use serde_json::{Value, json};

/// Arguments of `portfolio`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Account, as the configuration names it.
    account: String,
    #[command(flatten)]
    config: ConfigArgument,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

/// Shows it.
///
/// # Errors
/// No running exchange, or no such account.
pub fn main(arguments: Arguments) -> Outcome {
    let answer = ask(&arguments.config, &json!({"do": "portfolio", "account": arguments.account}))?;
    let portfolio = &answer["portfolio"];
    if arguments.json {
        println!("{portfolio}");
    } else {
        print(portfolio);
    }
    Ok(())
}

fn print(portfolio: &Value) {
    let field = |name: &str| portfolio[name].as_str().unwrap_or("-").to_owned();
    println!("{}{}", field("account"), if portfolio["killed"] == json!(true) { "  (kill switch on)" } else { "" });
    for (name, label) in [
        ("cash", "cash"),
        ("realised", "realised profit"),
        ("unrealised", "unrealised profit"),
        ("fees", "fees"),
        ("reserved", "reserved for open orders"),
        ("gross_exposure", "gross exposure"),
    ] {
        println!("  {label:<26} {:>20}", field(name));
    }
    println!("  {:<26} {:>20}", "open orders", portfolio["open_orders"].to_string());
    let positions = portfolio["positions"].as_array().map_or(&[][..], Vec::as_slice);
    if positions.is_empty() {
        return;
    }
    println!("  ticker     position    average       mark       realised     unrealised   open buys  open sells");
    for p in positions {
        let text = |name: &str| p[name].as_str().unwrap_or("-").to_owned();
        println!(
            "  {:<8} {:>10} {:>10} {:>10} {:>14} {:>14} {:>11} {:>11}",
            text("ticker"),
            p["quantity"].to_string(),
            text("average"),
            text("mark"),
            text("realised"),
            text("unrealised"),
            p["open_buys"].to_string(),
            p["open_sells"].to_string()
        );
    }
}
