//! Snapshots and starting from them: the same state, streams and feed, byte for byte, with or without; and whatever is
//! wrong with a snapshot or a derived file costs a longer start and nothing else.

#[path = "support/exchange.rs"]
mod exchange;
#[path = "support/journal.rs"]
mod journal;

use exchange::config;
use journal::{Maker, knobs, with_segments};
use pitlane::client::depth::DepthReader;
use pitlane::config::{Config, OldSegments};
use pitlane::journal::{SystemDisk, snapshots};
use pitlane::launch::Exchange;
use pitlane::launch::closing::Closing;
use pitlane::launch::home::log_path;
use pitlane::launch::replayed::replay_whole;
use pitlane::launch::shadow::{Shadow, Taken};
use pitlane::launch::twin::Twin;
use pitlane::os::pages;
use pitlane::types::{Number, TickerId};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A small venue with a journal of some thousand records in several segments.
struct Site {
    _directory: TempDir,
    config: Config,
    last: Number,
}

impl Site {
    fn new(seed: u64, steps: usize) -> Site {
        // In memory where there is a tmpfs: what survives which loss is not the question here.
        let directory = tempfile::tempdir_in(pages::memory_backed(256 << 20)).unwrap();
        let mut config = config(&directory.path().join("memory"));
        fs::create_dir_all(&config.directory).unwrap();
        config.market.orders_max = 1 << 12;
        with_segments(&mut config, &directory.path().join("segments"), 1 << 17);
        let mut maker = Maker::new(&config, seed);
        (0..steps).for_each(|_| maker.step());
        let last = maker.number;
        maker.finish();
        Site { _directory: directory, config, last }
    }

    fn segments(&self) -> &Path {
        &knobs(&self.config).directory
    }

    fn shadow(&self) -> Shadow {
        let mut notes = Vec::new();
        let shadow =
            Shadow::open(&self.config, knobs(&self.config), &mut notes, Box::new(SystemDisk::plain())).unwrap();
        assert_eq!(notes, Vec::<String>::new());
        shadow
    }

    /// A snapshot behind each of these records.
    fn take(&self, numbers: &[u64]) -> Vec<Taken> {
        let mut shadow = self.shadow();
        let mut at = |number: &u64| {
            while shadow.number().0 < *number {
                shadow.step(*number).unwrap().expect("the journal is longer");
            }
            shadow.take().unwrap()
        };
        numbers.iter().map(&mut at).collect()
    }

    /// What a replay of everything gives.
    fn replayed(&self) -> Closing {
        replay_whole(&self.config, &log_path(&self.config.directory)).unwrap().closing
    }

    /// Starts and stops; gives how it ended, what it said at its start, and what its depth cache showed.
    fn started(&self) -> (Closing, String, Vec<String>) {
        let exchange = Exchange::open(self.config.clone()).unwrap();
        let said = exchange.announcement().join("\n");
        let cache = DepthReader::open(&exchange.endpoints().depth).unwrap();
        let tickers = 0..self.config.market.tickers.len() as u16;
        let depth = tickers.map(|ticker| format!("{:?}", cache.read(TickerId(ticker)).unwrap())).collect();
        (exchange.close().unwrap(), said, depth)
    }
}

#[test]
fn a_start_behind_a_snapshot_gives_what_a_replay_of_everything_gives() {
    for seed in [1, 2, 3] {
        let site = Site::new(seed, 3_000);
        let replayed = site.replayed();
        let (plain, said, depth) = site.started();
        assert!(!said.contains("snapshot"), "{said}");
        assert_eq!(plain.differences(&replayed), Vec::<String>::new());
        let numbers = [site.last.0 / 3, site.last.0 - 17];
        let taken = site.take(&numbers);
        assert_eq!(taken.iter().map(|taken| taken.number.0).collect::<Vec<_>>(), numbers);
        let (behind, said, depth_behind) = site.started();
        assert!(said.contains(&format!("from the snapshot behind record {}", numbers[1])), "{said}");
        assert_eq!(behind.differences(&replayed), Vec::<String>::new());
        assert_eq!(depth_behind, depth, "the depth cache shows the same");
    }
}

#[test]
fn a_snapshot_is_the_same_whether_it_is_reached_from_the_beginning_or_from_an_earlier_one() {
    let site = Site::new(4, 2_500);
    let at = site.last.0 - 5;
    let straight = fs::read(&site.take(&[at])[0].path).unwrap();
    fs::remove_dir_all(site.segments().join("derived")).unwrap();
    fs::remove_file(snapshots::snapshot_path(site.segments(), Number(at))).unwrap();
    site.take(&[700]);
    let mut shadow = site.shadow();
    assert_eq!(shadow.number(), Number(700), "it goes on behind the earlier one");
    while shadow.step(at).unwrap().is_some() {}
    assert_eq!(fs::read(shadow.take().unwrap().path).unwrap(), straight);
}

/// What is done to the files, and what a start behind the older of two snapshots, or behind none, says of it.
#[test]
fn whatever_is_wrong_with_a_snapshot_or_a_derived_file_is_said_and_changes_nothing() {
    let site = Site::new(5, 2_500);
    let replayed = site.replayed();
    let numbers = [900, site.last.0 - 40];
    let taken = site.take(&numbers);
    let derived = site.segments().join("derived");
    let kept = site.segments().with_file_name("kept");
    copy(site.segments(), &kept);
    let cut = |path: &Path, off: u64| {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() - off).unwrap();
    };
    let flip = |path: &Path, at: usize| {
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 0x10;
        fs::write(path, bytes).unwrap();
    };
    let (newest, feed) = (&taken[1].path, derived.join("feed"));
    type Harm<'a> = (&'a str, Box<dyn Fn() + 'a>, Option<u64>, &'a str);
    let harms: Vec<Harm<'_>> = vec![
        ("newest snapshot flipped", Box::new(|| flip(newest, 5_000)), Some(numbers[0]), "cannot be used"),
        ("newest snapshot cut", Box::new(|| cut(newest, 1)), Some(numbers[0]), "not as long as it says"),
        ("newest snapshot empty", Box::new(|| fs::write(newest, b"").unwrap()), Some(numbers[0]), "cannot be used"),
        ("newest snapshot gone", Box::new(|| fs::remove_file(newest).unwrap()), Some(numbers[0]), ""),
        ("both gone", Box::new(|| taken.iter().for_each(|t| fs::remove_file(&t.path).unwrap())), None, ""),
        ("feed cut behind the older", Box::new(|| cut(&feed, 1)), Some(numbers[0]), "derived file"),
        (
            "feed flipped near its end",
            Box::new(|| flip(&feed, fs::read(&feed).unwrap().len() - 2)),
            Some(numbers[0]),
            "derived file",
        ),
        ("feed flipped at its begin", Box::new(|| flip(&feed, 30)), None, "derived file"),
        ("a stream gone", Box::new(|| fs::remove_file(derived.join("session-00001")).unwrap()), None, "session-00001"),
        ("all derived files gone", Box::new(|| fs::remove_dir_all(&derived).unwrap()), None, "derived file"),
    ];
    for (what, harm, behind, word) in harms {
        fs::remove_dir_all(site.segments()).unwrap();
        copy(&kept, site.segments());
        harm();
        let (closing, said, _) = site.started();
        assert_eq!(closing.differences(&replayed), Vec::<String>::new(), "{what}");
        let used = behind.map(|number| format!("from the snapshot behind record {number}"));
        assert_eq!(said.contains("from the snapshot behind"), used.is_some(), "{what}: {said}");
        assert!(used.is_none_or(|used| said.contains(&used)) && said.contains(word), "{what}: {said}");
    }
}

#[test]
fn every_part_of_a_snapshot_that_is_flipped_or_cut_is_refused() {
    let site = Site::new(6, 400);
    let path = site.take(&[300]).remove(0).path;
    let whole = fs::read(&path).unwrap();
    let victim = site.segments().join("victim");
    // All of header and table, and a place in every line behind.
    for at in (0..400).chain((400..whole.len()).step_by(61)) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&victim, bytes).unwrap();
        assert!(snapshots::read(&victim).is_err(), "byte {at}");
    }
    for length in (0..400).chain((400..whole.len()).step_by(997)) {
        fs::write(&victim, &whole[..length]).unwrap();
        assert!(snapshots::read(&victim).is_err(), "cut at {length}");
    }
    fs::write(&victim, &whole).unwrap();
    assert!(snapshots::read(&victim).is_ok());
}

#[test]
fn a_snapshot_of_another_journal_or_another_market_is_refused_with_words() {
    let (site, other) = (Site::new(7, 1_200), Site::new(8, 1_200));
    let foreign = other.take(&[800]).remove(0).path;
    let name = foreign.file_name().unwrap();
    fs::copy(&foreign, site.segments().join(name)).unwrap();
    let (closing, said, _) = site.started();
    assert!(said.contains("another history"), "{said}");
    assert_eq!(closing.differences(&site.replayed()), Vec::<String>::new());
    let mut site = site;
    fs::remove_file(site.segments().join(name)).unwrap();
    site.take(&[800]);
    site.config.market.accounts[0].cash.0 += 1;
    let refused = Exchange::open(site.config.clone()).err().expect("the journal is of another market, too").to_string();
    assert!(refused.contains("was begun with other tickers"), "{refused}");
}

#[test]
fn two_snapshots_are_kept_and_segments_behind_them_are_packed_and_still_read() {
    let site = Site::new(9, 5_000);
    let replayed = site.replayed();
    let mut shadow = site.shadow();
    let third = site.last.0 / 4;
    let mut packed = 0;
    for number in [third, 2 * third, 3 * third, site.last.0] {
        while shadow.step(number).unwrap().is_some() {}
        shadow.take().unwrap();
        packed += shadow.tidy().unwrap();
    }
    let numbers: Vec<_> = snapshots::list(site.segments()).unwrap().iter().map(|(number, _)| number.0).collect();
    assert_eq!(numbers, [site.last.0, 3 * third]);
    let archives = names(site.segments(), ".lz4");
    assert!(packed > 2 && archives.len() == packed, "{packed} packed, {archives:?}");
    assert!(names(site.segments(), ".new").is_empty());
    assert_eq!(site.replayed(), replayed, "a replay reads archives");
    let (closing, said, _) = site.started();
    assert!(said.contains(&format!("behind record {}", site.last)), "{said}");
    assert_eq!(closing.differences(&replayed), Vec::<String>::new());
    // Without snapshots and derived files a start unpacks all of it.
    snapshots::list(site.segments()).unwrap().iter().for_each(|(_, path)| fs::remove_file(path).unwrap());
    fs::remove_dir_all(site.segments().join("derived")).unwrap();
    assert_eq!(site.started().0.differences(&replayed), Vec::<String>::new());
    // A damaged archive is damage, and says so.
    let archive = site.segments().join(&archives[0]);
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&archive, bytes).unwrap();
    let refused = Exchange::open(site.config.clone()).err().expect("a damaged archive").to_string();
    assert!(refused.contains("cannot be unpacked"), "{refused}");
}

#[test]
fn segments_that_were_taken_away_leave_a_start_behind_a_snapshot_and_no_other() {
    let mut site = Site::new(10, 5_000);
    site.config.journal.snapshots.old_segments = OldSegments::Delete;
    let replayed = site.replayed();
    let mut shadow = site.shadow();
    for number in [site.last.0 - 900, site.last.0 - 10] {
        while shadow.step(number).unwrap().is_some() {}
        shadow.take().unwrap();
    }
    assert!(shadow.tidy().unwrap() > 2);
    assert_eq!(site.started().0.differences(&replayed), Vec::<String>::new());
    for (_, path) in snapshots::list(site.segments()).unwrap() {
        fs::write(path, b"spoilt").unwrap();
    }
    let refused = Exchange::open(site.config.clone()).err().expect("nothing to begin with").to_string();
    assert!(refused.contains("is not there") && refused.contains("no snapshot could be used"), "{refused}");
}

#[test]
fn a_state_that_is_not_what_the_journal_says_stops_a_replay() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(&directory.path().join("memory"));
    fs::create_dir_all(&config.directory).unwrap();
    config.market.orders_max = 1 << 10;
    with_segments(&mut config, &directory.path().join("segments"), 16 << 20);
    let mut maker = Maker::new(&config, 11);
    let mut told: Option<(Number, u64)> = None;
    while maker.number.0 < (1 << 16) + 50 {
        maker.step();
        if maker.number.0 == 1 << 16 {
            told = Some((maker.number, Twin::digest(&maker.twin)));
        }
    }
    let (number, digest) = told.expect("one record at a time");
    maker.send(pitlane::types::Command::state_digest(number, digest));
    maker.step();
    let right = maker.number;
    maker.send(pitlane::types::Command::state_digest(number, digest ^ 1));
    maker.finish();
    let mut shadow = Shadow::open(&config, knobs(&config), &mut Vec::new(), Box::new(SystemDisk::plain())).unwrap();
    while shadow.number() < right {
        shadow.step(right.0).unwrap();
    }
    assert_eq!(shadow.checks().compared(), 1, "the right one was compared and agreed");
    let stopped = shadow.step(u64::MAX).unwrap_err().to_string();
    assert!(stopped.contains("the state behind record 65536 is another than it was"), "{stopped}");
    let refused = Exchange::open(config.clone()).err().expect("nor does it start").to_string();
    assert!(refused.contains("record 65536"), "{refused}");
    let refused = replay_whole(&config, &log_path(&config.directory)).err().expect("nor replay").to_string();
    assert!(refused.contains("record 65536"), "{refused}");
}

fn names(directory: &Path, ending: &str) -> Vec<String> {
    let all = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<_> = all.filter(|name| name.ends_with(ending)).collect();
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { fs::copy(&path, &target).map(drop).unwrap() }
    }
}

/// The example with small tables, segments and a directory of its own, as a file.
fn file_of(directory: &Path) -> PathBuf {
    let memory = directory.join("memory");
    let mut text = pitlane::config::EXAMPLE.to_owned();
    let mut put = |key: &str, value: String| {
        let line = text.lines().find(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = "))).unwrap();
        text = text.replacen(&line.to_owned(), &format!("{key} = {value}"), 1);
    };
    put("directory", format!("{memory:?}"));
    put("orders_max", "4096".into());
    put("segments", format!("{:?}", directory.join("segments")));
    put("segment_mebibytes", "1".into());
    put("stream_mebibytes", "2".into());
    put("store_mebibytes", "4".into());
    let path = directory.join("venue.toml");
    fs::create_dir_all(memory).unwrap();
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_command_line_takes_shows_and_checks_a_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    let file = file_of(directory.path());
    let config = Config::load(&file).unwrap();
    let mut maker = Maker::new(&config, 12);
    (0..8_000).for_each(|_| maker.step());
    let last = maker.number;
    maker.finish();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pitlane"));
        let given = command.args(arguments).args(["--config", file.to_str().unwrap()]).output().unwrap();
        let said = String::from_utf8_lossy(&[given.stdout, given.stderr].concat()).into_owned();
        (given.status.code().unwrap(), said)
    };
    let (code, said) = run(&["snapshot"]);
    assert!(code == 0 && said.contains(&format!("behind record {last}")), "{code}: {said}");
    let path = snapshots::snapshot_path(&knobs(&config).directory, last);
    let (code, said) = run(&["inspect", "--log", path.to_str().unwrap()]);
    let words = ["output     USER01", "output     feed", "ticker     AAPL: Trading", "account    maker-one"];
    assert!(code == 0 && words.iter().all(|word| said.contains(word)), "{code}: {said}");
    let (code, said) = run(&["verify"]);
    assert!(code == 0 && said.contains("feed messages are as they were"), "{code}: {said}");
    let feed = knobs(&config).directory.join("derived/feed");
    fs::write(&feed, b"spoilt").unwrap();
    let (code, said) = run(&["verify"]);
    assert!(code == 1 && said.contains("cannot be used"), "{code}: {said}");
    let (code, said) = run(&["replay"]);
    assert!(code == 0 && said.contains(&format!("replayed {last} records")), "{code}: {said}");
}
