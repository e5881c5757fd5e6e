//! The screen of `pitlane top`: stages, rates, lags and tickers, drawn anew at each look. Cold.

use super::board::{Board, Look, Rate, grouped};
use super::{Arguments, look};
use crate::cli::{Failure, Outcome};
use crate::launch::endpoints::Endpoints;
use crate::measure::latency::time;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Cell, Row, Sparkline, Table};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// Looks kept for the curve of the rate.
const HISTORY: usize = 240;
/// How long it waits for a key at a time.
const KEY_WAIT: Duration = Duration::from_millis(50);
const HEADING: Style = Style::new().fg(Color::DarkGray).add_modifier(Modifier::BOLD);

/// Shows until `q`, the last look, or the end of the exchange.
///
/// # Errors
/// As [`super::main`].
pub fn show(arguments: &Arguments, endpoints: &Endpoints) -> Outcome {
    let mut before = look(endpoints)?;
    let mut terminal = ratatui::init();
    let outcome = run(arguments, endpoints, &mut before, &mut terminal);
    ratatui::restore();
    outcome
}

fn run(
    arguments: &Arguments,
    endpoints: &Endpoints,
    before: &mut Look,
    terminal: &mut ratatui::DefaultTerminal,
) -> Outcome {
    let fault = |e: io::Error| Failure::Fault(format!("drawing the screen: {e}"));
    let (mut shown, mut history) = (0, VecDeque::with_capacity(HISTORY));
    while arguments.looks.is_none_or(|looks| shown < looks) {
        let waits = arguments.every_ms.div_ceil(KEY_WAIT.as_millis() as u64);
        for _ in 0..waits {
            if event::poll(KEY_WAIT).map_err(fault)? && ends(&event::read().map_err(fault)?) {
                return Ok(());
            }
        }
        if !endpoints.operator.exists() {
            return Err(Failure::Fault("the exchange has ended".to_owned()));
        }
        let now = look(endpoints)?;
        let board = Board::between(before, &now);
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(rate_of(&board, "gateway", "messages_in"));
        terminal.draw(|frame| draw(frame, &board, &history)).map_err(fault)?;
        *before = now;
        shown += 1;
    }
    Ok(())
}

fn ends(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let interrupts = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    interrupts || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
}

fn rate_of(board: &Board, group: &str, name: &str) -> u64 {
    let rates = board.groups.get(group).into_iter().flatten();
    rates.filter(|rate| rate.name == name).map(|rate| rate.per_second).sum()
}

fn draw(frame: &mut Frame<'_>, board: &Board, history: &VecDeque<u64>) {
    let stages = board.stages.len() as u16 + 3;
    let lower = (board.tickers.len().max(board.lags.len()) as u16 + 3).min(14);
    let rows = [
        Constraint::Length(1),
        Constraint::Length(5),
        Constraint::Length(stages),
        Constraint::Min(6),
        Constraint::Length(lower),
    ];
    let [title, curve, times, counts, bottom] = Layout::vertical(rows).areas(frame.area());
    let text = format!(" Pitlane  {}   q ends", board.title);
    frame.render_widget(Line::styled(text, Style::new().fg(Color::Black).bg(Color::Cyan)), title);
    messages(frame, curve, board, history);
    self::times(frame, times, board);
    self::counts(frame, counts, board);
    let [left, right] = Layout::horizontal([Constraint::Percentage(50); 2]).areas(bottom);
    tickers(frame, left, board);
    lags(frame, right, board);
}

fn messages(frame: &mut Frame<'_>, area: Rect, board: &Board, history: &VecDeque<u64>) {
    let now = grouped(rate_of(board, "gateway", "messages_in"));
    let block = Block::bordered().title(format!(" messages in, {now} a second "));
    let width = area.width.saturating_sub(2) as usize;
    let data: Vec<u64> = history.iter().skip(history.len().saturating_sub(width)).copied().collect();
    frame.render_widget(Sparkline::default().block(block).data(&data).style(Style::new().fg(Color::Cyan)), area);
}

fn times(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let heading = Row::new(["step", "stamped", "p50", "p99", "p99.9", "longest"]).style(HEADING);
    let rows = board.stages.iter().map(|stage| {
        let times = stage.ns.map(|ns| Cell::from(Line::from(time(ns)).right_aligned()));
        let [p50, p99, p99_9, max] = times;
        Row::new([
            Cell::from(stage.name.clone()),
            Cell::from(Line::from(grouped(stage.count)).right_aligned()),
            p50,
            p99,
            p99_9,
            max,
        ])
    });
    let widths = [
        Constraint::Min(24),
        Constraint::Length(12),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(10),
    ];
    let block = Block::bordered().title(" time from stage to stage, since the last look ");
    frame.render_widget(Table::new(rows, widths).header(heading).block(block), area);
}

fn counts(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let block = Block::bordered().title(" counters that are not 0 ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let shown: Vec<(String, &Rate)> = board
        .groups
        .iter()
        .flat_map(|(group, rates)| {
            rates.iter().filter(|r| r.value > 0).map(move |r| (format!("{group}.{}", r.name), r))
        })
        .collect();
    let columns = Layout::horizontal([Constraint::Percentage(50); 2]).split(inner);
    let half = (inner.height as usize).max(1);
    for (column, part) in columns.iter().zip(shown.chunks(half)) {
        let rows = part.iter().map(|(name, rate)| {
            let figures = [grouped(rate.value), format!("{}/s", grouped(rate.per_second))];
            let [value, more] = figures.map(|text| Cell::from(Line::from(text).right_aligned()));
            Row::new([Cell::from(name.clone()), value, more])
        });
        let widths = [Constraint::Min(20), Constraint::Length(16), Constraint::Length(14)];
        frame.render_widget(Table::new(rows, widths), *column);
    }
}

fn tickers(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let heading = Row::new(["ticker", "state", "last", "volume"]).style(HEADING);
    let rows = board.tickers.iter().map(|ticker| Row::new(ticker.clone()));
    let widths = [Constraint::Length(9), Constraint::Length(14), Constraint::Length(12), Constraint::Min(8)];
    frame.render_widget(Table::new(rows, widths).header(heading).block(Block::bordered().title(" tickers ")), area);
}

fn lags(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let rows = board.lags.iter().map(|(name, records)| {
        let colour = if *records > 10_000 { Color::Red } else { Color::Reset };
        Row::new([(*name).to_owned(), grouped(*records)]).style(Style::new().fg(colour))
    });
    let block = Block::bordered().title(" records that wait ");
    frame.render_widget(Table::new(rows, [Constraint::Min(30), Constraint::Length(12)]).block(block), area);
}
