//! Readers of files and states fed with thousands of seeded harms: what `make fuzz` does for as long as it is left to, done
//! here for seconds and without a fuzzer.

#[path = "support/harm.rs"]
mod harm;
#[path = "support/journal.rs"]
mod journal_maker;
#[path = "support/random.rs"]
mod random;

use random::Random;

/// Feeds so many inputs of up to four harms, and says which one it was when one fails. Some must be accepted and some
/// refused, else the reader was not put to the test.
fn feed(inputs: u64, read: impl Fn(&[u8]) -> bool + std::panic::RefUnwindSafe) {
    let mut accepted = 0;
    for seed in 0..inputs {
        let mut random = Random::new(seed);
        let mut input = vec![random.bits() as u8];
        for _ in 0..random.below(5) {
            input.extend_from_slice(&(random.bits() as u32).to_le_bytes()[..3]);
        }
        match std::panic::catch_unwind(|| read(&input)) {
            Ok(is_accepted) => accepted += u64::from(is_accepted),
            Err(cause) => {
                eprintln!("seed {seed}: {input:?}");
                std::panic::resume_unwind(cause);
            }
        }
    }
    println!("{accepted} of {inputs} accepted");
    assert!(accepted > inputs / 100 && accepted < inputs, "{accepted} of {inputs} accepted");
}

#[test]
fn a_harmed_segment_gives_what_was_written_or_is_refused() {
    feed(40_000, harm::segment);
}

#[test]
fn a_harmed_log_gives_what_was_written_or_is_refused_and_its_next_start_agrees() {
    feed(40_000, harm::log);
}

#[test]
fn a_harmed_snapshot_gives_its_sections_or_is_refused() {
    feed(200_000, harm::snapshot);
}

#[test]
fn a_harmed_mark_of_a_clean_stop_speaks_for_no_other_end() {
    feed(20_000, harm::stop_mark);
}

#[test]
fn harmed_order_management_is_refused_or_a_state() {
    feed(20_000, harm::order_state);
}

#[test]
fn a_harmed_book_is_refused_or_a_state() {
    feed(20_000, harm::book_state);
}

#[test]
fn a_harmed_request_of_an_operator_is_refused_or_means_the_same_again() {
    let valid: [&[u8]; 4] = [
        br#"{"do": "set-limit", "account": "taker-one", "limit": "order-quantity", "value": "500"}"#,
        br#"{"do": "kill", "scope": "firm", "name": "ALFA"}"#,
        br#"{"do": "bust", "ticker": "AAPL", "match_number": 1441793}"#,
        br#"{"do": "phase", "ticker": "all", "phase": "pre-open"}"#,
    ];
    assert!(valid.iter().all(|line| harm::operator_request(line)));
    let mut accepted = 0;
    for (seed, line) in (0..20_000).zip(valid.iter().cycle()) {
        let mut random = Random::new(seed);
        let mut bytes = line.to_vec();
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len() as u64) as usize;
            match random.below(3) {
                0 => bytes[at] = random.bits() as u8,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, random.of(b"{}[]\",:0-.\\ue")),
            }
        }
        accepted += u64::from(harm::operator_request(&bytes));
    }
    assert!(accepted > 100 && accepted < 20_000, "{accepted} accepted");
}
