//! Two processes on one pair of shared rings: what crosses is what was sent, and the end of one is seen by the other.

use pitlane::client::floor::{self, Floor};
use std::process::Command;

/// This test program again, running nothing but the echo.
fn echo() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_other_process", "--nocapture"]);
    command
}

/// The other process' side; without the parent's environment variable there is nothing to do.
#[test]
fn the_other_process() {
    floor::echo_if_asked().unwrap();
}

#[test]
fn every_message_comes_back_from_the_other_process_as_it_was_sent() {
    let mut floor = Floor::start(echo()).unwrap();
    for round in 0..200u32 {
        for length in 1..=200usize {
            let sent: Vec<u8> = (0..length).map(|at| (at as u32 * 31 + round * 7 + length as u32) as u8).collect();
            floor.round_trip(&sent).unwrap();
            assert_eq!(floor.answer(), sent);
        }
    }
}

#[test]
fn the_end_of_the_other_process_ends_the_measurement() {
    let mut floor = Floor::start(echo()).unwrap();
    floor.end_echo();
    assert_eq!(floor.round_trip(&[1]).unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
}
