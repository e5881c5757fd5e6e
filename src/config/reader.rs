//! Reads one TOML document knob by knob and collects every fault with its line. Cold; runs once at start.
//!
//! A knob is asked for by name with its range, its default and nothing else, so the place that declares a knob is
//! the place that checks it. What was not asked for is an unknown key, and unknown keys are faults: a mistyped
//! name must not silently leave a default in force.

use super::ConfigFault;
use crate::types::{Money, Price};
use rust_decimal::Decimal;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Collects faults while a document is read; one for each file.
pub struct Faults<'t> {
    text: &'t str,
    found: RefCell<Vec<ConfigFault>>,
}

impl<'t> Faults<'t> {
    /// For a document with this text.
    pub fn of(text: &'t str) -> Faults<'t> {
        Faults { text, found: RefCell::new(Vec::new()) }
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text.as_bytes()[..at.min(self.text.len())].iter().filter(|&&b| b == b'\n').count()
    }

    /// Notes a fault at a byte position.
    pub fn note(&self, at: usize, key: &str, found: impl Display, allowed: impl Display) {
        let fault = ConfigFault {
            line: self.line(at),
            key: key.to_owned(),
            found: found.to_string(),
            allowed: allowed.to_string(),
        };
        self.found.borrow_mut().push(fault);
    }

    /// Everything found, in the order of the lines.
    pub fn into_found(self) -> Vec<ConfigFault> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|f| f.line);
        found
    }
}

/// One table of the document, being read.
pub struct Section<'d, 't> {
    name: String,
    at: usize,
    table: Option<&'d DeTable<'d>>,
    asked: RefCell<BTreeSet<String>>,
    faults: &'d Faults<'t>,
}

impl<'d, 't> Section<'d, 't> {
    /// The document itself.
    pub fn root(document: &'d DeTable<'d>, faults: &'d Faults<'t>) -> Section<'d, 't> {
        Section { name: String::new(), at: 0, table: Some(document), asked: RefCell::default(), faults }
    }

    fn value(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.asked.borrow_mut().insert(key.to_owned());
        self.table.and_then(|t| t.iter().find(|(k, _)| k.get_ref().as_ref() == key).map(|(_, v)| v))
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Byte position to blame for `key`: its value, or the table when it is absent.
    pub fn position(&self, key: &str) -> usize {
        self.table
            .and_then(|t| t.iter().find(|(k, _)| k.get_ref().as_ref() == key))
            .map_or(self.at, |(_, v)| v.span().start)
    }

    /// Line to blame for `key`.
    pub fn line(&self, key: &str) -> usize {
        self.faults.line(self.position(key))
    }

    /// Notes a fault of `key` found by a check that needs more than one knob.
    pub fn refuse(&self, key: &str, found: impl Display, allowed: impl Display) {
        self.faults.note(self.position(key), &self.path(key), found, allowed);
    }

    /// A sub-table; absent reads as empty.
    pub fn section(&self, key: &str) -> Section<'d, 't> {
        let value = self.value(key);
        let table = value.and_then(|v| v.get_ref().as_table());
        if let (Some(v), None) = (value, table) {
            self.refuse(key, v.get_ref().type_str(), "a table");
        }
        let at = value.map_or(self.at, |v| v.span().start);
        Section { name: self.path(key), at, table, asked: RefCell::default(), faults: self.faults }
    }

    /// An array of tables, `[[key]]`.
    pub fn sections(&self, key: &str) -> Vec<Section<'d, 't>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.refuse(key, value.get_ref().type_str(), format!("tables, each headed [[{key}]]"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in array.iter().enumerate() {
            let name = format!("{}[{index}]", self.path(key));
            match item.get_ref().as_table() {
                Some(table) => sections.push(Section {
                    name,
                    at: item.span().start,
                    table: Some(table),
                    asked: RefCell::default(),
                    faults: self.faults,
                }),
                None => self.faults.note(item.span().start, &name, item.get_ref().type_str(), "a table"),
            }
        }
        sections
    }

    /// A whole number within `range`.
    pub fn integer(&self, key: &str, range: RangeInclusive<i64>, default: i64) -> i64 {
        debug_assert!(range.contains(&default), "default of {key} outside its range");
        self.integer_or_absent(key, range).unwrap_or(default)
    }

    /// A whole number within `range`, if there is one.
    pub fn integer_or_absent(&self, key: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.value(key)?;
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        let Some(number) = value.get_ref().as_integer() else {
            self.refuse(key, shown(value.get_ref()), allowed);
            return None;
        };
        let parsed = i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok();
        match parsed.filter(|n| range.contains(n)) {
            Some(n) => Some(n),
            None => {
                self.refuse(key, number.as_str(), allowed);
                None
            }
        }
    }

    /// Yes or no.
    pub fn switch(&self, key: &str, default: bool) -> bool {
        let Some(value) = self.value(key) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.refuse(key, shown(value.get_ref()), "true or false");
            default
        })
    }

    /// Text, if there is any.
    pub fn text_or_absent(&self, key: &str) -> Option<&'d str> {
        let value = self.value(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.refuse(key, shown(value.get_ref()), "text in quotes");
        }
        text
    }

    /// Text with a default.
    pub fn text(&self, key: &str, default: &str) -> String {
        self.text_or_absent(key).unwrap_or(default).to_owned()
    }

    /// Text that must be there.
    pub fn required_text(&self, key: &str, allowed: &str) -> String {
        match self.value(key) {
            Some(_) => self.text(key, ""),
            None => {
                self.refuse(key, "nothing", allowed);
                String::new()
            }
        }
    }

    /// Text that reads as a `T`: an address, say.
    pub fn parsed<T: FromStr>(&self, key: &str, default: &str, allowed: &str) -> Option<T> {
        let text = self.text(key, default);
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.refuse(key, format!("{text:?}"), allowed);
        }
        parsed
    }

    /// One of the words given, each with its meaning.
    pub fn word<T: Copy>(&self, key: &str, words: &[(&str, T)], default: T) -> T {
        let Some(text) = self.text_or_absent(key) else { return default };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => *meaning,
            None => {
                let list: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
                self.refuse(key, format!("{text:?}"), list.join(", "));
                default
            }
        }
    }

    /// A list of texts; absent reads as empty.
    pub fn texts(&self, key: &str) -> Vec<&'d str> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let items = value.get_ref().as_array().map(|a| a.iter().map(|i| i.get_ref().as_str()).collect::<Vec<_>>());
        match items {
            Some(items) if items.iter().all(Option::is_some) => items.into_iter().flatten().collect(),
            _ => {
                self.refuse(key, shown(value.get_ref()), "a list of texts");
                Vec::new()
            }
        }
    }

    /// A decimal amount in currency units, written as a number or as text, with at most four decimals.
    pub fn money(&self, key: &str, range: RangeInclusive<i64>, default: i64) -> Money {
        let Some(value) = self.value(key) else { return Money(i128::from(default) * i128::from(Price::SCALE)) };
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
            DeValue::Float(number) => number.as_str().to_owned(),
            other => shown(other),
        };
        let scaled = Decimal::from_str(&text.replace('_', ""))
            .ok()
            .and_then(|d| d.checked_mul(Decimal::from(Price::SCALE)))
            .filter(Decimal::is_integer)
            .and_then(|d| i128::try_from(d).ok());
        let low = i128::from(*range.start()) * i128::from(Price::SCALE);
        let high = i128::from(*range.end()) * i128::from(Price::SCALE);
        match scaled.filter(|s| (low..=high).contains(s)) {
            Some(scaled) => Money(scaled),
            None => {
                let allowed = format!("an amount from {} to {}, at most four decimals", range.start(), range.end());
                self.refuse(key, text, allowed);
                Money(i128::from(default) * i128::from(Price::SCALE))
            }
        }
    }

    /// A price with a default.
    pub fn price_or(&self, key: &str, default: Price) -> Price {
        if self.value(key).is_none() { default } else { self.price(key) }
    }

    /// A price; the same form as an amount, above zero.
    pub fn price(&self, key: &str) -> Price {
        if self.value(key).is_none() {
            self.refuse(key, "nothing", "a price such as 150.34");
            return Price(Price::SCALE);
        }
        let money = self.money(key, 0..=199_999, 1);
        match u32::try_from(money.0) {
            Ok(scaled) if scaled > 0 => Price(scaled),
            _ => {
                self.refuse(key, money, "a price above 0, at most 199,999");
                Price(Price::SCALE)
            }
        }
    }

    /// Ends the section: every key that was not asked for is a fault.
    pub fn finish(self) {
        let Some(table) = self.table else { return };
        let asked = self.asked.borrow();
        for (key, _) in table.iter().filter(|(k, _)| !asked.contains(k.get_ref().as_ref())) {
            let known: Vec<_> = asked.iter().map(String::as_str).collect();
            let name = self.path(key.get_ref());
            self.faults.note(key.span().start, &name, "an unknown key", format!("one of {}", known.join(", ")));
        }
    }
}

fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        other => format!("a value of type {}", other.type_str()),
    }
}
