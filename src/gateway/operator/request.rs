//! What operators may ask, and the command each request becomes.
//!
//! Read strictly: a field that is not known is an error, because a mistyped limit must not pass as another one.
//! Names and amounts are what people use; here they become ids and units.

use crate::config::PHASES;
use crate::types::{
    AccountId, ClientOrderId, Command, CommandKind, Firm, Limit, Market, Phase, Price, Scope, Symbol, TickerId,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What an operator may ask. On the wire: `{"do": "halt", "ticker": "AAPL"}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// No orders are taken in a ticker, or in `all`; cancels pass.
    Halt {
        /// Symbol, or `all`.
        ticker: String,
    },
    /// Trading goes on.
    Resume {
        /// Symbol, or `all`.
        ticker: String,
    },
    /// A ticker, or `all`, enters a phase; leaving an auction runs its cross.
    Phase {
        /// Symbol, or `all`.
        ticker: String,
        /// `closed`, `pre-open`, `trading` (or `open`), `pre-close`, `halted` (or `halt`), `halt-auction` (or `auction`),
        /// `paused`; `close` is `closed`.
        phase: String,
    },
    /// Breaks a trade: both parties, their positions and the feed learn of it.
    Bust {
        /// Symbol.
        ticker: String,
        /// Its match number, as reports and feed say it.
        match_number: u64,
    },
    /// Cancels what is open and refuses what comes, until [`Request::Unkill`].
    Kill {
        /// Whom the name means.
        scope: KillScope,
        /// Account or firm; nothing with scope `all`.
        #[serde(default)]
        name: Option<String>,
    },
    /// Ends a kill of the same scope.
    Unkill {
        /// Whom the name means.
        scope: KillScope,
        /// Account or firm; nothing with scope `all`.
        #[serde(default)]
        name: Option<String>,
    },
    /// Changes a limit of an account.
    SetLimit {
        /// Name of the account.
        account: String,
        /// Which limit.
        limit: LimitName,
        /// In people's units: shares, orders, messages a second, basis points of the collar, currency with up to
        /// four decimals; 0 or 1 for `enabled`.
        value: String,
    },
    /// How the venue is.
    Status,
    /// Positions, cash and open orders of an account.
    Portfolio {
        /// Its name.
        account: String,
    },
    /// Ends the day for clients and feed.
    EndDay,
    /// Stops the process in order.
    Stop,
}

/// Whom a kill switch covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KillScope {
    /// One account.
    Account,
    /// All accounts of a firm.
    Firm,
    /// Everybody.
    All,
}

/// A limit by the name people use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitName {
    /// Whether the account may trade.
    Enabled,
    /// Largest order in shares.
    OrderQuantity,
    /// Largest order in currency.
    OrderNotional,
    /// Most open orders.
    OpenOrders,
    /// Largest position in shares.
    Position,
    /// Largest gross exposure in currency.
    GrossExposure,
    /// Messages a second, 0 for no limit.
    MessageRate,
    /// Basis points from the reference, 0 for no limit.
    PriceCollar,
    /// Credit in currency.
    Credit,
}

impl LimitName {
    const fn limit(self) -> Limit {
        match self {
            LimitName::Enabled => Limit::Enabled,
            LimitName::OrderQuantity => Limit::OrderQuantity,
            LimitName::OrderNotional => Limit::OrderNotional,
            LimitName::OpenOrders => Limit::OpenOrders,
            LimitName::Position => Limit::Position,
            LimitName::GrossExposure => Limit::GrossExposure,
            LimitName::MessageRate => Limit::MessageRate,
            LimitName::PriceCollar => Limit::PriceCollar,
            LimitName::Credit => Limit::Credit,
        }
    }

    /// The value as the record holds it: whole units, or 1/10,000 of the currency.
    fn parse(self, text: &str) -> Option<u64> {
        let max = match self {
            LimitName::OrderNotional | LimitName::GrossExposure | LimitName::Credit => return money(text),
            LimitName::Enabled => 1,
            LimitName::OrderQuantity | LimitName::OpenOrders | LimitName::MessageRate | LimitName::PriceCollar => {
                u64::from(u32::MAX)
            }
            LimitName::Position => u64::MAX,
        };
        text.trim().parse().ok().filter(|&value| value <= max)
    }
}

/// Currency with up to four decimals in units of 1/10,000; not negative.
fn money(text: &str) -> Option<u64> {
    let scaled = text.trim().parse::<Decimal>().ok()?.checked_mul(Decimal::from(Price::SCALE))?;
    if !scaled.is_integer() { None } else { u64::try_from(scaled).ok() }
}

/// Why a request cannot become a command. Answered with its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BadRequest {
    /// Not JSON, or not one of the requests.
    Unreadable(String),
    /// No such ticker, account or firm.
    Unknown {
        /// What kind of thing.
        what: &'static str,
        /// The name given.
        name: String,
    },
    /// A scope without its name, or `all` with one.
    Scope,
    /// Not a value of this limit.
    Value(String),
}

impl std::fmt::Display for BadRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BadRequest::Unreadable(cause) => write!(f, "request not understood: {cause}"),
            BadRequest::Unknown { what, name } => write!(f, "no {what} {name:?} here"),
            BadRequest::Scope => f.write_str("scope account or firm needs a name, scope all takes none"),
            BadRequest::Value(value) => write!(f, "{value:?} is not a value of this limit"),
        }
    }
}

impl std::error::Error for BadRequest {}

/// Names of the market, to read requests by.
#[derive(Clone, Debug)]
pub(super) struct Names {
    tickers: Vec<Symbol>,
    accounts: Vec<(String, Firm)>,
}

impl Names {
    pub(super) fn new(market: &Market) -> Names {
        Names {
            tickers: market.tickers.iter().map(|ticker| ticker.symbol).collect(),
            accounts: market.accounts.iter().map(|account| (account.name.clone(), account.firm)).collect(),
        }
    }

    fn ticker(&self, name: &str) -> Result<TickerId, BadRequest> {
        if name.eq_ignore_ascii_case("all") {
            return Ok(TickerId::ALL);
        }
        let found = self.tickers.iter().position(|symbol| Some(*symbol) == Symbol::from_text(name));
        let unknown = || BadRequest::Unknown { what: "ticker", name: name.to_owned() };
        found.map(|index| TickerId(index as u16)).ok_or_else(unknown)
    }

    pub(super) fn account(&self, name: &str) -> Result<AccountId, BadRequest> {
        let found = self.accounts.iter().position(|(account, _)| account == name);
        let unknown = || BadRequest::Unknown { what: "account", name: name.to_owned() };
        found.map(|index| AccountId(index as u16)).ok_or_else(unknown)
    }

    fn firm(&self, name: &str) -> Result<Firm, BadRequest> {
        let found = self.accounts.iter().find(|(_, firm)| Some(*firm) == Firm::from_text(name));
        let unknown = || BadRequest::Unknown { what: "firm", name: name.to_owned() };
        found.map(|(_, firm)| *firm).ok_or_else(unknown)
    }

    /// The command a request asks for; `None` when it asks for no change of state.
    pub(super) fn command(&self, request: &Request) -> Result<Option<Command>, BadRequest> {
        let mut command;
        match request {
            Request::Halt { ticker } => {
                command = Command::new(CommandKind::Halt);
                command.ticker = self.ticker(ticker)?;
            }
            Request::Resume { ticker } => {
                command = Command::new(CommandKind::Resume);
                command.ticker = self.ticker(ticker)?;
            }
            Request::Phase { ticker, phase } => {
                command = Command::new(CommandKind::Phase);
                command.ticker = self.ticker(ticker)?;
                let unknown = || BadRequest::Unknown { what: "phase", name: phase.clone() };
                command.value = u64::from(phase_named(phase).ok_or_else(unknown)?.letter());
            }
            Request::Bust { ticker, match_number } => {
                command = Command::new(CommandKind::Bust);
                command.ticker = self.ticker(ticker)?;
                command.value = *match_number;
            }
            Request::Kill { scope, name } => {
                command = Command::new(CommandKind::KillOn);
                self.scope(&mut command, *scope, name.as_deref())?;
            }
            Request::Unkill { scope, name } => {
                command = Command::new(CommandKind::KillOff);
                self.scope(&mut command, *scope, name.as_deref())?;
            }
            Request::SetLimit { account, limit, value } => {
                command = Command::new(CommandKind::SetLimit);
                command.account = self.account(account)?;
                command.limit = limit.limit();
                command.value = limit.parse(value).ok_or_else(|| BadRequest::Value(value.clone()))?;
            }
            Request::EndDay => command = Command::new(CommandKind::DayEnd),
            Request::Status | Request::Portfolio { .. } | Request::Stop => return Ok(None),
        }
        Ok(Some(command))
    }

    fn scope(&self, command: &mut Command, scope: KillScope, name: Option<&str>) -> Result<(), BadRequest> {
        match (scope, name) {
            (KillScope::Account, Some(name)) => {
                command.scope = Scope::Account;
                command.account = self.account(name)?;
                command.firm = self.accounts[command.account.index()].1;
            }
            (KillScope::Firm, Some(name)) => {
                command.scope = Scope::Firm;
                command.firm = self.firm(name)?;
            }
            (KillScope::All, None) => command.scope = Scope::All,
            (KillScope::Account | KillScope::Firm, None) | (KillScope::All, Some(_)) => return Err(BadRequest::Scope),
        }
        Ok(())
    }
}

/// Phases by their words, and by the shorter ones that people say.
fn phase_named(word: &str) -> Option<Phase> {
    let word = match word {
        "open" => "trading",
        "close" => "closed",
        "halt" => "halted",
        "auction" => "halt-auction",
        "pause" => "paused",
        word => word,
    };
    PHASES.iter().find(|(name, _)| *name == word).map(|(_, phase)| *phase)
}

/// The author as records hold it; the longest fits exactly.
pub(super) fn author(uid: u32) -> ClientOrderId {
    ClientOrderId::from_text(&format!("uid:{uid}")).expect("at most 14 characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_as_they_are_documented() {
        let cases = [
            (r#"{"do":"halt","ticker":"AAPL"}"#, Request::Halt { ticker: "AAPL".into() }),
            (r#"{"do":"kill","scope":"all"}"#, Request::Kill { scope: KillScope::All, name: None }),
            (
                r#"{"do":"unkill","scope":"firm","name":"ALFA"}"#,
                Request::Unkill { scope: KillScope::Firm, name: Some("ALFA".into()) },
            ),
            (
                r#"{"do":"set-limit","account":"alpha","limit":"order-notional","value":"1500000.25"}"#,
                Request::SetLimit {
                    account: "alpha".into(),
                    limit: LimitName::OrderNotional,
                    value: "1500000.25".into(),
                },
            ),
            (r#"{"do":"end-day"}"#, Request::EndDay),
            (
                r#"{"do":"phase","ticker":"AAPL","phase":"pre-open"}"#,
                Request::Phase { ticker: "AAPL".into(), phase: "pre-open".into() },
            ),
            (
                r#"{"do":"bust","ticker":"AAPL","match_number":65537}"#,
                Request::Bust { ticker: "AAPL".into(), match_number: 65_537 },
            ),
        ];
        for (text, request) in cases {
            assert_eq!(serde_json::from_str::<Request>(text).unwrap(), request);
            let again = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<Request>(&again).unwrap(), request);
        }
        for text in ["", "halt", r#"{"do":"dance"}"#, r#"{"do":"halt"}"#, r#"{"do":"halt","ticker":"A","at":1}"#] {
            assert!(serde_json::from_str::<Request>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_are_read_in_peoples_units() {
        let cases = [
            (LimitName::OrderNotional, "1500000.25", Some(15_000_002_500)),
            (LimitName::Credit, "0.0001", Some(1)),
            (LimitName::Credit, "0.00001", None),
            (LimitName::GrossExposure, "-1", None),
            (LimitName::GrossExposure, "99999999999999999999", None),
            (LimitName::Position, " 5000 ", Some(5000)),
            (LimitName::Position, "5000.5", None),
            (LimitName::Enabled, "2", None),
            (LimitName::OpenOrders, "4294967296", None),
            (LimitName::PriceCollar, "1000", Some(1000)),
        ];
        for (limit, text, value) in cases {
            assert_eq!(limit.parse(text), value, "{limit:?} {text}");
        }
    }

    #[test]
    fn every_phase_has_its_word() {
        for phase in Phase::ALL {
            assert!(PHASES.iter().any(|(word, named)| *named == phase && phase_named(word) == Some(phase)));
        }
        assert_eq!(phase_named("auction"), Some(Phase::HaltAuction));
        assert_eq!(phase_named("lunch"), None);
    }

    #[test]
    fn the_longest_author_fits() {
        assert_eq!(author(u32::MAX).text(), "uid:4294967295");
    }
}
