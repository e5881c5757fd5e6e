//! How the program ends: in order, and when the ground goes from under it; and what the next start says of it.

#[path = "support/disk.rs"]
mod disk;
#[path = "support/process.rs"]
mod process;
#[path = "support/exchange.rs"]
mod support;

use pitlane::client::orders::OrderSession;
use pitlane::types::SideCode;
use process::Site;
use std::fs::OpenOptions;
use support::{accepted, limit, login_at};

/// Enters orders one after another and waits for each answer.
fn trade(session: &mut OrderSession, count: usize) {
    for _ in 0..count {
        let order = session.enter(&limit(SideCode::Sell, 1, 5_855_000)).unwrap();
        accepted(session, order);
    }
}

#[test]
fn a_file_cut_short_under_the_venue_ends_it_with_code_5_and_its_name() {
    let Some(site) = Site::new("process-crash", &[]) else { return };
    // Files that the venue has mapped and writes; the log last, for the venue does not go on after that.
    for name in ["counters", "depth", "log"] {
        let venue = site.start();
        let mut session = login_at(&venue.endpoints, "USER01", true);
        trade(&mut session, 3);
        OpenOptions::new().write(true).open(site.venue().join(name)).unwrap().set_len(0).unwrap();
        let _ = session.enter(&limit(SideCode::Sell, 1, 5_855_000));
        let (code, said) = venue.end();
        assert_eq!(code, Some(5), "{said}");
        let path = site.venue().join(name);
        assert!(said.contains("SIGBUS at 0x0000") && said.contains(path.to_str().unwrap()), "{said}");
    }
    // Its records were not all on the disk, perhaps: nobody guesses.
    let start = site.output(&["run"]);
    let said = String::from_utf8_lossy(&start.stderr);
    assert_eq!(start.status.code(), Some(3), "{said}");
    assert!(said.contains("is not a usable log: it is empty"), "{said}");
}
