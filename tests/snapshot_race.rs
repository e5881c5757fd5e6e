//! Books taken down at any moment and built again from the bytes go on as if nothing had happened.
//!
//! The race of the books against their slow twin, with its crosses, stops, pegs, reserves and bands, but every few records a
//! shard is exchanged for one that was read from its bytes. `PITLANE_RACE_COMMANDS` and `PITLANE_RACE_SEED` scale it.

mod support;

use pitlane::engine::book::{Events, Shard};
use pitlane::types::bytes::{Reader, Writer};
use pitlane::types::{Market, MatcherId};
use support::flow::Flow;
use support::lanes::{Lane, MATCHERS, market};
use support::random::Random;

const COMMANDS_DEFAULT: u64 = 60_000;
const RUN_COMMANDS: u64 = 20_000;
/// Slots a shard: a small one is always full, a large one has long queues.
const ORDERS_MAX: [u32; 3] = [600, 3_000, 24];

fn saved(shard: &Shard) -> Vec<u8> {
    let mut out = Writer::new(shard.saved_bytes());
    shard.save(&mut out);
    out.into_bytes()
}

fn loaded(market: &Market, matcher: u16, bytes: &[u8]) -> Result<Shard, pitlane::types::bytes::Malformed> {
    let mut from = Reader::new(bytes);
    let shard = Shard::new(market, MatcherId(matcher)).unwrap().load(&mut from)?;
    from.finish()?;
    Ok(shard)
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Exchanges a lane's shard for one read from its bytes.
fn exchange(lane: &mut Lane, market: &Market, matcher: u16) {
    let bytes = saved(&lane.shard);
    let shard = loaded(market, matcher, &bytes).expect("what a shard wrote");
    assert_eq!((shard.digest(), shard.summary()), (lane.shard.digest(), lane.shard.summary()));
    assert!(saved(&shard) == bytes, "the same bytes again");
    lane.shard = shard;
}

#[test]
fn a_shard_read_from_its_bytes_goes_on_as_its_twin_does() {
    let commands = setting("PITLANE_RACE_COMMANDS", COMMANDS_DEFAULT);
    let first_seed = setting("PITLANE_RACE_SEED", 1);
    for at in 0..commands.div_ceil(RUN_COMMANDS) {
        let seed = first_seed + at;
        println!("PITLANE_RACE_SEED={seed}");
        let market = market(ORDERS_MAX[seed as usize % ORDERS_MAX.len()]);
        let mut lanes: Vec<_> = (0..MATCHERS).map(|m| Lane::new(&market, MatcherId(m))).collect();
        let (mut flow, mut random, mut events) = (Flow::new(seed, &market), Random::new(seed), Events::new());
        for _ in 0..RUN_COMMANDS {
            let (to, record) = flow.next(&mut lanes);
            for matcher in to {
                lanes[matcher].play(&record, &mut events);
                if random.below(300) == 0 {
                    exchange(&mut lanes[matcher], &market, matcher as u16);
                }
            }
        }
        lanes.iter_mut().for_each(|lane| lane.check(&market));
    }
}

#[test]
fn damaged_bytes_of_a_shard_are_refused_or_read_but_never_a_panic() {
    let market = market(150);
    let mut lanes: Vec<_> = (0..MATCHERS).map(|m| Lane::new(&market, MatcherId(m))).collect();
    let (mut flow, mut random, mut events) = (Flow::new(5, &market), Random::new(9), Events::new());
    for _ in 0..6_000 {
        let (to, record) = flow.next(&mut lanes);
        lanes[to].iter_mut().for_each(|lane| drop(lane.play(&record, &mut events)));
    }
    let (mut refused, mut taken) = (0, 0);
    for matcher in 0..MATCHERS {
        let whole = saved(&lanes[usize::from(matcher)].shard);
        assert!(lanes[usize::from(matcher)].open_count() > 10, "a book with something in it");
        for length in (0..whole.len()).step_by(whole.len() / 30 + 1) {
            assert!(loaded(&market, matcher, &whole[..length]).is_err(), "cut at {length}");
        }
        for _ in 0..100 {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << random.below(8);
            }
            match loaded(&market, matcher, &bytes) {
                Err(_) => refused += 1,
                Ok(shard) => {
                    // What it means now is the digest's to judge.
                    taken += 1;
                    assert_eq!(saved(&shard).len(), bytes.len());
                }
            }
        }
    }
    println!("{refused} refused, {taken} read as another state");
    assert!(refused > 40, "nothing is checked");
}
