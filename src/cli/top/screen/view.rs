//! What the person at the screen has chosen: page, order of rows, place in a long table; and the rates of a while.

use super::super::board::Board;
use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};
use std::collections::VecDeque;

/// Looks kept for the curve of the rate.
const HISTORY: usize = 240;
/// Rows that a page key moves.
const PAGE_ROWS: usize = 10;

/// What is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Page {
    /// The head of everything.
    #[default]
    Overview,
    /// Logins.
    Logins,
    /// Tickers.
    Tickers,
    /// Times from stage to stage, and the links between.
    Path,
    /// Counters.
    Counters,
}

impl Page {
    /// All, by the digit that shows them.
    pub const ALL: [Page; 5] = [Page::Overview, Page::Logins, Page::Tickers, Page::Path, Page::Counters];

    /// Its name at the foot of the screen.
    pub const fn name(self) -> &'static str {
        match self {
            Page::Overview => "all",
            Page::Logins => "logins",
            Page::Tickers => "tickers",
            Page::Path => "path",
            Page::Counters => "counters",
        }
    }
}

/// How the rows of a table are ordered: by a column, or as the configuration has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Order {
    /// The column.
    pub column: Option<usize>,
    /// The other way round.
    pub is_turned: bool,
}

impl Order {
    /// The next column of so many, and behind the last none again.
    fn step(&mut self, columns: usize) {
        self.column = match self.column {
            None => Some(0),
            Some(column) if column + 1 < columns => Some(column + 1),
            Some(_) => None,
        };
    }
}

/// What a key asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// To see it anew.
    Draw,
    /// To end.
    End,
}

/// The person's choices.
#[derive(Debug, Default)]
pub struct View {
    /// The page.
    pub page: Page,
    /// Order of logins, and of tickers.
    pub logins: Order,
    /// See `logins`.
    pub tickers: Order,
    /// First row of the page's table.
    pub first: usize,
    /// The board stands still.
    pub is_paused: bool,
    /// The keys are explained.
    pub is_helping: bool,
    /// Columns of the table that `s` steps through, as drawn last.
    pub columns: usize,
    /// Messages in a second at the looks so far.
    pub history: VecDeque<u64>,
}

impl View {
    /// Takes a board's rates in.
    pub fn note(&mut self, board: &Board) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(board.rate("gateway.messages_in"));
    }

    /// Takes a key in.
    pub fn on(&mut self, event: &Event) -> Wish {
        let Event::Key(key) = event else { return Wish::Draw };
        if key.kind == KeyEventKind::Release {
            return Wish::Draw;
        }
        let interrupts = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            _ if interrupts => return Wish::End,
            // Whoever reads the help wants to be rid of it, not of the program.
            _ if self.is_helping => self.is_helping = false,
            KeyCode::Char('q') | KeyCode::Esc => return Wish::End,
            KeyCode::Char('?' | 'h') => self.is_helping = true,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char(digit @ '1'..='5') => self.turn_to(Page::ALL[digit as usize - '1' as usize]),
            KeyCode::Tab | KeyCode::Right => self.turn_by(1),
            KeyCode::BackTab | KeyCode::Left => self.turn_by(Page::ALL.len() - 1),
            KeyCode::Char('s') => {
                let columns = self.columns;
                self.order().step(columns);
            }
            KeyCode::Char('r') => {
                let order = self.order();
                order.is_turned = !order.is_turned;
            }
            KeyCode::Down | KeyCode::Char('j') => self.first += 1,
            KeyCode::Up | KeyCode::Char('k') => self.first = self.first.saturating_sub(1),
            KeyCode::PageDown => self.first += PAGE_ROWS,
            KeyCode::PageUp => self.first = self.first.saturating_sub(PAGE_ROWS),
            KeyCode::Home => self.first = 0,
            KeyCode::End => self.first = usize::MAX / 2,
            _ => {}
        }
        Wish::Draw
    }

    fn turn_to(&mut self, page: Page) {
        (self.page, self.first) = (page, 0);
    }

    fn turn_by(&mut self, steps: usize) {
        let at = Page::ALL.iter().position(|&page| page == self.page).unwrap_or(0);
        self.turn_to(Page::ALL[(at + steps) % Page::ALL.len()]);
    }

    /// The order of the page's table; on the first page of the logins.
    fn order(&mut self) -> &mut Order {
        if self.page == Page::Tickers { &mut self.tickers } else { &mut self.logins }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::crossterm::event::KeyEvent;

    fn press(view: &mut View, keys: &[KeyCode]) -> Wish {
        let press = |wish, &code| if wish == Wish::End { wish } else { view.on(&Event::Key(KeyEvent::from(code))) };
        keys.iter().fold(Wish::Draw, press)
    }

    #[test]
    fn digits_and_tab_turn_pages_and_begin_at_the_top() {
        let mut view = View::default();
        press(&mut view, &[KeyCode::Char('3'), KeyCode::Down, KeyCode::PageDown]);
        assert_eq!((view.page, view.first), (Page::Tickers, 11));
        press(&mut view, &[KeyCode::Tab]);
        assert_eq!((view.page, view.first), (Page::Path, 0));
        press(&mut view, &[KeyCode::Tab, KeyCode::Tab, KeyCode::BackTab]);
        assert_eq!(view.page, Page::Counters);
    }

    #[test]
    fn sorting_steps_through_the_columns_of_its_page_and_out_again() {
        let mut view = View { columns: 2, ..View::default() };
        let mut seen = Vec::new();
        for _ in 0..4 {
            press(&mut view, &[KeyCode::Char('s')]);
            seen.push(view.logins.column);
        }
        assert_eq!((seen, view.tickers.column), (vec![Some(0), Some(1), None, Some(0)], None));
        press(&mut view, &[KeyCode::Char('3'), KeyCode::Char('s'), KeyCode::Char('r')]);
        assert_eq!((view.tickers, view.logins.is_turned), (Order { column: Some(0), is_turned: true }, false));
    }

    #[test]
    fn any_key_ends_the_help_and_q_ends_the_program() {
        let mut view = View::default();
        assert_eq!(press(&mut view, &[KeyCode::Char('?'), KeyCode::Char('q')]), Wish::Draw);
        assert!(!view.is_helping);
        assert_eq!(press(&mut view, &[KeyCode::Char('q')]), Wish::End);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        let mut view = View { is_helping: true, ..View::default() };
        assert_eq!(view.on(&Event::Key(interrupt)), Wish::End);
    }
}
