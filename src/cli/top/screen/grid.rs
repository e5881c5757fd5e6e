//! A table of the screen: columns as wide as there is room, rows in the wished order, as many as fit, and how many do not.

use super::view::Order;
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Cell, Row, Table};
use std::cmp::Ordering;

/// Headings, titles, and what is of no account: a colour that shows on a dark and on a light ground.
pub const QUIET: Style = Style::new().fg(Color::DarkGray);
const TITLE: Style = Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD);
const HEADING: Style = Style::new().add_modifier(Modifier::BOLD);

/// A column: its heading, its width, and whether it holds words, which stand at its left.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// What stands above it.
    pub heading: &'static str,
    /// Letters.
    pub width: u16,
    /// Words, or else figures.
    pub is_words: bool,
}

/// A column of words.
pub const fn words(heading: &'static str, width: u16) -> Column {
    Column { heading, width, is_words: true }
}

/// A column of figures.
pub const fn figures(heading: &'static str, width: u16) -> Column {
    Column { heading, width, is_words: false }
}

/// What stands in a row's column: as text, as what it is sorted by, and how it looks.
#[derive(Clone, Debug)]
pub struct Value {
    text: String,
    rank: Rank,
    style: Style,
}

#[derive(Clone, PartialEq, PartialOrd, Debug)]
enum Rank {
    Words(String),
    Figure(f64),
}

impl Value {
    /// Words.
    pub fn words(text: &str) -> Value {
        Value { text: text.to_owned(), rank: Rank::Words(text.to_owned()), style: Style::new() }
    }

    /// A figure written as `text`.
    pub fn figure(figure: f64, text: String) -> Value {
        Value { text, rank: Rank::Figure(figure), style: Style::new() }
    }

    /// In this look.
    pub fn styled(mut self, style: Style) -> Value {
        self.style = style;
        self
    }
}

/// A table.
pub struct Grid<'a> {
    /// What it is of; the count of rows that do not fit is added.
    pub title: &'a str,
    /// Columns; those at the end that do not fit are left out.
    pub columns: &'a [Column],
    /// Rows, each with a value for every column.
    pub rows: Vec<Vec<Value>>,
    /// Their order.
    pub order: Order,
    /// First row shown.
    pub first: usize,
}

/// Lines that a table takes beside its rows.
pub const LINES_BESIDE: u16 = 2;

/// Columns that fit into `width`.
pub fn fitting(columns: &[Column], width: u16) -> &[Column] {
    let mut taken = 0u16;
    let fits = |column: &&Column| {
        taken += column.width + u16::from(taken > 0);
        taken <= width
    };
    &columns[..columns.iter().take_while(fits).count()]
}

impl Grid<'_> {
    /// Figures largest first, words from A on; turned the other way round. Rows that are level stay as they are.
    fn sort(&mut self) {
        let Some(column) = self.order.column else {
            if self.order.is_turned {
                self.rows.reverse();
            }
            return;
        };
        let is_turned = self.order.is_turned;
        self.rows.sort_by(|a, b| {
            let (a, b) = (&a[column].rank, &b[column].rank);
            let order = match (a, b) {
                (Rank::Words(a), Rank::Words(b)) => a.cmp(b),
                _ => b.partial_cmp(a).unwrap_or(Ordering::Equal),
            };
            if is_turned { order.reverse() } else { order }
        });
    }

    /// Draws it. Gives the first row shown, which is an earlier one where the table ends before.
    pub fn draw(mut self, frame: &mut Frame<'_>, area: Rect) -> usize {
        let columns = fitting(self.columns, area.width);
        if self.order.column.is_some_and(|column| column >= columns.len()) {
            self.order.column = None;
        }
        self.sort();
        let room = usize::from(area.height.saturating_sub(LINES_BESIDE));
        let first = self.first.min(self.rows.len().saturating_sub(room));
        let end = (first + room).min(self.rows.len());
        let missing = self.rows.len() - (end - first);
        let title = match missing {
            0 => format!(" {} ", self.title),
            _ => format!(" {} {}-{} of {} ", self.title, (first + 1).min(end), end, self.rows.len()),
        };
        let heading = columns.iter().enumerate().map(|(at, column)| {
            let mark = match (self.order.column == Some(at), self.order.is_turned) {
                (false, _) => "",
                // Figures fall, words rise.
                (true, is_turned) => {
                    if column.is_words == is_turned {
                        "▾"
                    } else {
                        "▴"
                    }
                }
            };
            aligned(column, format!("{}{mark}", column.heading))
        });
        let row = |values: &Vec<Value>| {
            let cell = |(column, value): (&Column, &Value)| aligned(column, value.text.clone()).style(value.style);
            Row::new(columns.iter().zip(values).map(cell))
        };
        let widths = columns.iter().map(|column| Constraint::Length(column.width));
        let block = Block::new().borders(Borders::TOP).border_style(QUIET).title(Line::styled(title, TITLE));
        let rows: Vec<Row<'_>> = self.rows[first..end].iter().map(row).collect();
        let table = Table::new(rows, widths).header(Row::new(heading).style(HEADING)).column_spacing(1).block(block);
        frame.render_widget(table, area);
        first
    }
}

fn aligned(column: &Column, text: String) -> Cell<'static> {
    let line = Line::from(text);
    Cell::from(if column.is_words { line } else { line.right_aligned() })
}
