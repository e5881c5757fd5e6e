//! The screen of `pitlane top`: one page of five at a time, drawn anew at each look and at each key. Cold.
//!
//! What matters first stands on top whatever the page: trouble in words, then what moves, then the journal. The first page
//! has the head of everything, the others all of one thing. It looks right from 80 by 24 letters on. This file holds the
//! loop; [`view`] what keys change, [`pages`] what is drawn, [`grid`] how a table of it is.

mod grid;
mod pages;
mod view;

use super::board::Board;
use super::{Arguments, End, Failure, look};
use crate::launch::endpoints::Endpoints;
use ratatui::crossterm::event;
use std::io;
use std::time::{Duration, Instant};
use view::{View, Wish};

/// Shows until `q`, the last look, or the end of the exchange; then leaves the last board on the terminal as lines.
///
/// # Errors
/// A terminal that cannot be drawn on, files of the exchange that cannot be read.
pub fn show(arguments: &Arguments, endpoints: &Endpoints) -> Result<End, Failure> {
    let mut terminal = ratatui::init();
    let mut last = None;
    let end = run(arguments, endpoints, &mut terminal, &mut last);
    ratatui::restore();
    if let (Ok(End::Stopped), Some(board)) = (&end, &last) {
        print!("{board}");
    }
    end
}

fn run(
    arguments: &Arguments,
    endpoints: &Endpoints,
    terminal: &mut ratatui::DefaultTerminal,
    last: &mut Option<Board>,
) -> Result<End, Failure> {
    let fault = |e: io::Error| Failure::Fault(format!("drawing the screen: {e}"));
    let Some(mut before) = look(endpoints)? else { return Ok(End::Stopped) };
    let (mut view, mut shown) = (View::default(), 0);
    // The first board comes soon, with rates over a short stretch; then one each period.
    let mut due = Instant::now() + Duration::from_millis(arguments.every_ms.min(200));
    while arguments.looks.is_none_or(|looks| shown < looks) {
        if event::poll(due.saturating_duration_since(Instant::now())).map_err(fault)? {
            if view.on(&event::read().map_err(fault)?) == Wish::End {
                return Ok(End::Seen);
            }
        } else {
            let Some(now) = look(endpoints)? else { return Ok(End::Stopped) };
            due = Instant::now() + Duration::from_millis(arguments.every_ms);
            if !view.is_paused {
                let board = Board::between(&before, &now);
                view.note(&board);
                *last = Some(board);
                shown += 1;
            }
            before = now;
        }
        if let Some(board) = &*last {
            terminal.draw(|frame| pages::draw(frame, board, &mut view)).map_err(fault)?;
        }
    }
    Ok(End::Seen)
}
