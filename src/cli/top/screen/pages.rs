//! What stands on the screen: trouble, pace and journal on top, then the page, then the keys.

use super::super::board::{Board, LinkRow, SessionRow, StageRow, TickerRow, age, bytes, grouped};
use super::super::lines::{LOG_WORDS, journal, percent};
use super::grid::{Column, Grid, LINES_BESIDE, QUIET, Value, figures, fitting, words};
use super::view::{Order, Page, View};
use crate::measure::latency::time;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Sparkline};

/// Alarms shown at once; more are counted.
const ALARMS_MAX: usize = 3;
/// From this width on the first page has two columns.
const WIDE: u16 = 150;
/// Bytes behind from which on a login stands out.
const BEHIND_MUCH: u64 = 64 << 10;

const TROUBLE: Style = Style::new().fg(Color::White).bg(Color::Red).add_modifier(Modifier::BOLD);
const WARNING: Style = Style::new().fg(Color::Yellow);
const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const GOOD: Style = Style::new().fg(Color::Green);

const LOGINS: [Column; 13] = [
    words("login", 6),
    words("account", 11),
    words("via", 6),
    figures("open", 7),
    figures("in/s", 8),
    figures("out/s", 8),
    figures("refused", 8),
    figures("behind", 9),
    figures("idle", 9),
    figures("messages in", 13),
    figures("messages out", 13),
    figures("stream", 9),
    figures("logins", 6),
];
const TICKERS: [Column; 11] = [
    words("ticker", 8),
    words("state", 10),
    figures("bid", 9),
    figures("ask", 9),
    figures("last", 9),
    figures("trades/s", 8),
    figures("volume", 11),
    figures("open", 7),
    figures("trades", 10),
    figures("bid shares", 10),
    figures("ask shares", 10),
];
const STAGES: [Column; 6] = [
    words("step", 23),
    figures("p50", 9),
    figures("p99", 9),
    figures("p99.9", 9),
    figures("longest", 9),
    figures("stamped", 9),
];
const LINKS: [Column; 6] = [
    words("link: what waited in it", 25),
    figures("longest", 7),
    figures("holds", 7),
    figures("p50", 7),
    figures("p99", 7),
    figures("looks", 11),
];
const COUNTERS: [Column; 3] = [words("counter", 32), figures("value", 26), figures("a second", 14)];

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, board: &Board, view: &mut View) {
    let alarms = board.alarms.len().min(ALARMS_MAX) as u16;
    let [title, trouble, pace, disk, page, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(alarms),
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    title_line(frame, title, board, view);
    for (row, alarm) in trouble.rows().zip(alarm_lines(board)) {
        frame.render_widget(Paragraph::new(alarm).style(TROUBLE), row);
    }
    frame.render_widget(Line::from(format!(" {}", board.pace().join("   "))), pace);
    frame.render_widget(Paragraph::new(journal_lines(board)), disk);
    match view.page {
        Page::Overview => overview(frame, page, board, view),
        Page::Logins => {
            view.columns = fitting(&LOGINS, page.width).len();
            view.first = logins(board, view.logins, view.first).draw(frame, page);
        }
        Page::Tickers => {
            view.columns = fitting(&TICKERS, page.width).len();
            view.first = tickers(board, view.tickers, view.first).draw(frame, page);
        }
        Page::Path => {
            view.first = 0;
            stack(frame, page, vec![stages(board), links(board)]);
        }
        Page::Counters => view.first = counters(board, view.first).draw(frame, page),
    }
    foot_line(frame, foot, view);
    if view.is_helping {
        help(frame);
    }
}

fn title_line(frame: &mut Frame<'_>, area: Rect, board: &Board, view: &View) {
    let ground = Style::new().add_modifier(Modifier::REVERSED);
    let left = format!(" Pitlane {}   up {}", board.session, age(board.seconds));
    let state = match (board.alarms.len(), view.is_paused) {
        (_, true) => " PAUSED ".to_owned(),
        (0, false) => " ok ".to_owned(),
        (1, false) => " 1 ALARM ".to_owned(),
        (count, false) => format!(" {count} ALARMS "),
    };
    let look = match (board.alarms.len(), view.is_paused) {
        (_, true) => Style::new().fg(Color::Black).bg(Color::Yellow),
        (0, false) => Style::new().fg(Color::Black).bg(Color::Green),
        (_, false) => TROUBLE,
    };
    frame.render_widget(Line::styled(format!("{left:<width$}", width = usize::from(area.width)), ground), area);
    let width = state.len().min(usize::from(area.width)) as u16;
    let at = Rect { x: area.right() - width, width, ..area };
    frame.render_widget(Line::styled(state, look), at);
}

fn alarm_lines(board: &Board) -> impl Iterator<Item = String> + '_ {
    let beyond = board.alarms.len().saturating_sub(ALARMS_MAX);
    board.alarms.iter().take(ALARMS_MAX).enumerate().map(move |(at, alarm)| {
        let more = if at + 1 == ALARMS_MAX && beyond > 0 { format!(" (and {beyond} more)") } else { String::new() };
        format!(" {alarm}{more}")
    })
}

/// The log, and below it the disk and the snapshots.
fn journal_lines(board: &Board) -> Vec<Line<'static>> {
    let used = match percent(board.journal.log_used, board.journal.log_records) {
        0..50 => Style::new(),
        50..80 => WARNING,
        _ => BAD,
    };
    let word = |word: &String| {
        let style = if word.starts_with("log ") { used } else { Style::new() };
        [Span::styled(word.clone(), style), Span::styled(" · ", QUIET)]
    };
    let line = |words: &[String]| {
        let mut spans: Vec<Span<'static>> =
            std::iter::once(Span::raw(" ")).chain(words.iter().flat_map(word)).collect();
        spans.pop();
        Line::from(spans)
    };
    let words = journal(board);
    let (log, beneath) = words.split_at(LOG_WORDS.min(words.len()));
    vec![line(log), line(beneath)]
}

/// The head of everything: first what a table needs at least, then what is left, to the tables in turn.
fn overview(frame: &mut Frame<'_>, area: Rect, board: &Board, view: &mut View) {
    view.columns = fitting(&LOGINS, area.width).len();
    view.first = 0;
    let logins = logins(board, view.logins, 0);
    let tickers = tickers(board, view.tickers, 0);
    let (stages, links) = (stages(board), links(board));
    if area.width >= WIDE {
        let [left, _, right] =
            Layout::horizontal([Constraint::Fill(1), Constraint::Length(2), Constraint::Fill(1)]).areas(area);
        stack(frame, left, vec![logins, tickers]);
        let rest = stack(frame, right, vec![stages, links]);
        curve(frame, rest, board, view);
    } else {
        let path = stages.rows.len().max(links.rows.len()) as u16 + LINES_BESIDE;
        let wanted = [logins.rows.len() as u16 + LINES_BESIDE, tickers.rows.len() as u16 + LINES_BESIDE, path];
        let mut given = heights(&wanted, area.height);
        let path = given.pop().unwrap_or(0);
        let upper = Rect { height: given.iter().sum(), ..area };
        let lower = Rect { y: upper.bottom(), height: path, ..area };
        stack(frame, upper, vec![logins, tickers]);
        let [left, _, right] =
            Layout::horizontal([Constraint::Fill(5), Constraint::Length(1), Constraint::Fill(4)]).areas(lower);
        stages.draw(frame, left);
        links.draw(frame, right);
        let rest = Rect { y: lower.bottom(), height: area.bottom() - lower.bottom(), ..area };
        curve(frame, rest, board, view);
    }
}

/// Draws tables below each other; gives what is left of the area. Where they do not fit, each keeps as much as the others,
/// and who needs less leaves the rest.
fn stack(frame: &mut Frame<'_>, area: Rect, grids: Vec<Grid<'_>>) -> Rect {
    let wanted: Vec<u16> = grids.iter().map(|grid| grid.rows.len() as u16 + LINES_BESIDE).collect();
    let mut top = area.y;
    for (grid, height) in grids.into_iter().zip(heights(&wanted, area.height)) {
        grid.draw(frame, Rect { y: top, height, ..area });
        top += height;
    }
    Rect { y: top, height: area.bottom() - top, ..area }
}

/// Heights that together fit into `room`, a line at a time to those that still want one.
fn heights(wanted: &[u16], room: u16) -> Vec<u16> {
    let mut given = vec![0u16; wanted.len()];
    let mut left = room;
    while left > 0 && given.iter().zip(wanted).any(|(given, wanted)| given < wanted) {
        for (given, wanted) in given.iter_mut().zip(wanted) {
            let more = u16::from(*given < *wanted && left > 0);
            *given += more;
            left -= more;
        }
    }
    given
}

fn curve(frame: &mut Frame<'_>, area: Rect, board: &Board, view: &View) {
    // Below that it says nothing.
    if area.height < 4 {
        return;
    }
    let [heading, below] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
    let now = grouped(board.rate("gateway.messages_in"));
    frame.render_widget(Line::styled(format!(" messages in, {now} a second now"), QUIET), heading);
    let shown = usize::from(area.width);
    let data: Vec<u64> = view.history.iter().skip(view.history.len().saturating_sub(shown)).copied().collect();
    let below = Rect { height: below.height.min(8), ..below };
    frame.render_widget(Sparkline::default().data(&data).style(Style::new().fg(Color::Cyan)), below);
}

fn count(value: u64) -> Value {
    Value::figure(value as f64, grouped(value))
}

fn logins(board: &Board, order: Order, first: usize) -> Grid<'static> {
    Grid { title: "logins", columns: &LOGINS, rows: board.sessions.iter().map(login).collect(), order, first }
}

fn login(row: &SessionRow) -> Vec<Value> {
    let s = &row.seen;
    let is_off = s.transport.is_empty();
    let behind = match s.behind_bytes() {
        0 => Style::new(),
        1..BEHIND_MUCH => WARNING,
        _ => BAD,
    };
    let idle = s.idle_ms.map_or("never".to_owned(), |ms| age(ms / 1_000));
    let via = Value::words(if is_off { "off" } else { &s.transport });
    vec![
        Value::words(&s.user),
        Value::words(&s.account),
        via.styled(if is_off { QUIET } else { GOOD }),
        count(s.open_orders),
        count(row.in_per_second),
        count(row.out_per_second),
        count(s.refused),
        Value::figure(s.behind_bytes() as f64, bytes(s.behind_bytes())).styled(behind),
        Value::figure(s.idle_ms.map_or(f64::MAX, |ms| ms as f64), idle),
        count(s.messages_in),
        count(s.messages_out),
        Value::figure(s.stream_bytes as f64, bytes(s.stream_bytes)),
        count(s.logins),
    ]
}

fn tickers(board: &Board, order: Order, first: usize) -> Grid<'static> {
    Grid { title: "tickers", columns: &TICKERS, rows: board.tickers.iter().map(ticker).collect(), order, first }
}

fn ticker(row: &TickerRow) -> Vec<Value> {
    let t = &row.seen;
    let price = |text: &str| Value::figure(text.parse().unwrap_or(0.0), text.to_owned());
    let state = Value::words(&t.state).styled(if t.state == "trading" { GOOD } else { WARNING });
    vec![
        Value::words(&t.ticker),
        state,
        price(&t.bid),
        price(&t.ask),
        price(&t.last),
        count(row.trades_per_second),
        count(t.volume),
        count(t.open_orders),
        count(t.trades),
        count(t.bid_quantity),
        count(t.ask_quantity),
    ]
}

fn stages(board: &Board) -> Grid<'static> {
    let row = |stage: &StageRow| {
        let ns = |ns: u64| Value::figure(ns as f64, if stage.count == 0 { String::new() } else { time(ns) });
        let times = [stage.p50, stage.p99, stage.p99_9, stage.longest].map(ns);
        let mut row = vec![Value::words(&stage.step)];
        row.extend(times);
        row.push(count(stage.count));
        row
    };
    // The whole way first, which comes last of the stages: where a table is cut, it stays.
    let whole = board.stages.iter().rev().take(1);
    let rows = whole.chain(board.stages.iter().rev().skip(1).rev()).map(row).collect();
    Grid { title: "time from stage to stage", columns: &STAGES, rows, order: Order::default(), first: 0 }
}

fn links(board: &Board) -> Grid<'static> {
    let row = |link: &LinkRow| {
        let look = match (link.is_full(), link.was_full()) {
            (true, _) => BAD,
            (false, true) => WARNING,
            (false, false) => Style::new(),
        };
        vec![
            Value::words(&link.link),
            count(link.longest).styled(look),
            count(link.capacity),
            count(link.p50),
            count(link.p99),
            count(link.looks),
        ]
    };
    let rows = board.links.iter().map(row).collect();
    Grid { title: "links between stages", columns: &LINKS, rows, order: Order::default(), first: 0 }
}

fn counters(board: &Board, first: usize) -> Grid<'static> {
    let moved = board.counters.iter().filter(|rate| rate.value > 0);
    let row =
        |rate: &super::super::board::Rate| vec![Value::words(&rate.name), count(rate.value), count(rate.per_second)];
    Grid {
        title: "counters that are not 0",
        columns: &COUNTERS,
        rows: moved.map(row).collect(),
        order: Order::default(),
        first,
    }
}

fn foot_line(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let mut spans = vec![Span::raw(" ")];
    for (at, page) in Page::ALL.into_iter().enumerate() {
        let style = if page == view.page { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        spans.extend([Span::styled(format!(" {} {} ", at + 1, page.name()), style), Span::raw(" ")]);
    }
    spans.push(Span::styled("  s sort  ? keys  q quit", QUIET));
    frame.render_widget(Line::from(spans), area);
}

const HELP: [&str; 13] = [
    "1 to 5, Tab      page: all, logins, tickers, path, counters",
    "s                sort by the next column; behind the last, as configured",
    "r                turn the order round",
    "arrows, j k      move in a long table; PgUp, PgDn, Home, End",
    "p, space         hold the picture still",
    "q, Esc           end",
    "",
    "behind: bytes of its stream that a login has not taken: not sent, or",
    "unread in its ring. What its socket holds is not known.",
    "links: how much waited in each, in the looks that found something.",
    "Figures are of the time since the last look, but for totals.",
    "",
    "any key goes back",
];

fn help(frame: &mut Frame<'_>) {
    let area = frame.area();
    let (width, height) = ((74).min(area.width), (HELP.len() as u16 + 2).min(area.height));
    let at = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    frame.render_widget(Clear, at);
    let block = Block::bordered().title(" keys ");
    frame.render_widget(Paragraph::new(HELP.map(Line::from).to_vec()).block(block), at);
}

#[cfg(test)]
mod tests {
    use super::super::super::board::tests::looks;
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn drawn(width: u16, height: u16, view: &mut View, board: &Board) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, board, view)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..height).map(row).collect()
    }

    fn board(more: &[(&str, u64)]) -> Board {
        let (before, now) = looks(0, more);
        Board::between(&before, &now)
    }

    fn has(rows: &[String], words: &str) -> bool {
        rows.iter().any(|row| row.contains(words))
    }

    #[test]
    fn eighty_by_twenty_four_has_the_head_of_everything_and_nothing_is_cut_off() {
        let rows = drawn(80, 24, &mut View::default(), &board(&[]));
        let text = rows.join("\n");
        assert!(rows[0].starts_with(" Pitlane PITLANE001   up 1 h 02 min") && rows[0].ends_with(" ok "), "{text}");
        assert!(rows[1].contains("in 4,467,134/s   out 0/s   trades 100/s   refused 0/s   logins 2 of 2"), "{text}");
        assert!(
            rows[2].starts_with(" record 120 · 0/s · log 2 % full · 10 not committed · 20 not delivered "),
            "{text}"
        );
        assert!(rows[3].starts_with(" no segments "), "{text}");
        for words in [" logins ", " tickers ", " time from stage to stage ", " links between stages "] {
            assert!(has(&rows, words), "{words}\n{text}");
        }
        assert!(
            has(&rows, "login  account     via       open     in/s    out/s  refused    behind      idle"),
            "{text}"
        );
        assert!(
            has(&rows, "USER01 maker-one   tcp          0    1,000        0        0       0 B     never"),
            "{text}"
        );
        assert!(rows[23].contains(" 1 all ") && rows[23].trim_end().ends_with("q quit"), "{text}");
    }

    #[test]
    fn trouble_stands_on_top_in_words_and_in_red() {
        let board =
            board(&[("sequencer.intake", 2), ("disk.slow", 1), ("persister.disk_full", 1), ("feed.store_full", 1)]);
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(frame, &board, &mut View::default())).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let rows: Vec<String> = (0..24).map(|y| (0..80).map(|x| buffer[(x, y)].symbol()).collect()).collect();
        assert!(rows[0].ends_with(" 4 ALARMS ") && rows[1].contains("clients may only cancel"), "{rows:?}");
        assert!(rows[3].contains("(and 1 more)"), "{rows:?}");
        assert_eq!((buffer[(1, 1)].bg, buffer[(79, 0)].bg), (Color::Red, Color::Red));
    }

    #[test]
    fn every_page_and_the_help_are_drawn_at_any_size() {
        let board = board(&[("disk.slow", 1)]);
        for (width, height) in [(1, 1), (10, 3), (40, 10), (80, 24), (120, 40), (200, 60), (300, 100)] {
            for page in Page::ALL {
                let mut view = View { page, first: 1_000, is_helping: height % 20 == 0, ..View::default() };
                drawn(width, height, &mut view, &board);
                assert!(view.first < 1_000, "a place behind the end is drawn back");
            }
        }
    }

    #[test]
    fn sorting_orders_figures_from_the_largest_and_a_long_table_says_what_is_missing() {
        let mut board = board(&[]);
        let one = board.sessions[1].clone();
        for index in 3..40u64 {
            let mut row = one.clone();
            (row.seen.user, row.in_per_second) = (format!("USER{index:02}"), index);
            board.sessions.push(row);
        }
        let column = LOGINS.iter().position(|column| column.heading == "in/s");
        let mut view = View { page: Page::Logins, ..View::default() };
        view.logins.column = column;
        let rows = drawn(80, 24, &mut view, &board);
        assert!(has(&rows, " logins 1-17 of 39 ") && has(&rows, "in/s▾"), "{rows:?}");
        let users: Vec<&str> = rows.iter().filter(|row| row.starts_with("USER")).map(|row| &row[..6]).collect();
        assert_eq!(users[..3], ["USER01", "USER39", "USER38"]);
        (view.logins.is_turned, view.first) = (true, 30);
        let rows = drawn(80, 24, &mut view, &board);
        assert!(has(&rows, " logins 23-39 of 39 "), "{rows:?}");
        assert!(rows.iter().rfind(|row| row.starts_with("USER")).unwrap().starts_with("USER01"), "{rows:?}");
    }

    #[test]
    fn tables_that_do_not_fit_share_the_room() {
        assert_eq!(heights(&[6, 7, 8, 9], 40), [6, 7, 8, 9]);
        assert_eq!(heights(&[6, 7, 8, 9], 20), [5, 5, 5, 5]);
        assert_eq!(heights(&[3, 20, 20], 23), [3, 10, 10]);
        assert_eq!(heights(&[3, 3], 0), [0, 0]);
    }
}
