//! From the newest snapshot that can be used back to the state behind it, and to where every output stood. Cold.
//!
//! A snapshot is used when every byte of it is sound, it is of this market, partition and journal (the record behind it
//! carries the chain value it names), and the state it gives has the digest it says. Then the outputs: whoever asks brings
//! what takes them over, and may refuse, because a derived file is missing, short or wrong. What is refused is said once,
//! and the next older one is tried; without any the journal is replayed from its beginning.

use super::derived::{Place, Places, feed_path, read_into, session_path};
use super::home::group;
use super::stores::Stores;
use super::twin::{SECTION_DEPTHS, SECTION_OUTPUTS, Twin};
use crate::config::Config;
use crate::engine::digest;
use crate::feed::FeedStream;
use crate::gateway::streams::Streams;
use crate::journal::JournalFault;
use crate::journal::segments::{self, Behind};
use crate::journal::snapshots::{self, Snapshot, SnapshotHead};
use crate::types::bytes::Reader;
use crate::types::{Market, SessionId};
use std::io;
use std::path::Path;

/// A state to go on from.
pub struct Base {
    /// What the snapshot says of itself.
    pub head: SnapshotHead,
    /// The state.
    pub twin: Twin,
    /// Where every output stood.
    pub places: Places,
    /// What the feed had said, as it was taken down.
    pub depths: Vec<u8>,
    /// Its place in the segments.
    pub behind: Behind,
}

/// The newest snapshot in the segments' directory that can be used and that `take` takes over. What cannot be used is
/// noted, each once.
///
/// # Errors
/// A directory or a segment that cannot be read.
pub fn newest(
    config: &Config,
    directory: &Path,
    notes: &mut Vec<String>,
    mut take: impl FnMut(&Base) -> Result<(), String>,
) -> Result<Option<Base>, JournalFault> {
    for (_, path) in snapshots::list(directory)? {
        let snapshot = match snapshots::read(&path) {
            Ok(snapshot) => snapshot,
            Err(fault) => {
                notes.push(fault.to_string());
                continue;
            }
        };
        let used = match segments::find(directory, snapshot.head.link)? {
            Some(behind) => open(config, &snapshot, behind).and_then(|base| take(&base).map(|()| base)),
            None => Err("the segments do not have the record behind it, or another history".to_owned()),
        };
        match used {
            Ok(base) => return Ok(Some(base)),
            Err(why) => notes.push(format!("snapshot {} is not used: {why}", path.display())),
        }
    }
    Ok(None)
}

/// Whether a snapshot and the derived files up to it can be used; for people who ask.
///
/// # Errors
/// Why not, or a segment that cannot be read.
pub fn check(config: &Config, directory: &Path, path: &Path) -> Result<Base, String> {
    let snapshot = snapshots::read(path).map_err(|fault| fault.why)?;
    let behind = segments::find(directory, snapshot.head.link).map_err(|fault| fault.to_string())?;
    let behind = behind.ok_or("the segments do not have the record behind it, or another history")?;
    let base = open(config, &snapshot, behind)?;
    super::derived::check(directory, &base.places).map(|()| base)
}

fn open(config: &Config, snapshot: &Snapshot, behind: Behind) -> Result<Base, String> {
    let market = &config.market;
    let head = snapshot.head;
    if head.group != group(market) {
        return Err(format!("it is of group {:#x}, not {:#x}", head.group, group(market)));
    }
    let expected = digest::of_market(market);
    if head.market != expected {
        return Err(format!(
            "it is of other tickers, accounts, logins or shards (digest {:016x}, the configuration gives {expected:016x})",
            head.market
        ));
    }
    let twin = Twin::load(market, snapshot)?;
    let (places, depths) = outputs(market, snapshot)?;
    Ok(Base { head, twin, places, depths: depths.to_vec(), behind })
}

/// Where a snapshot says that the outputs stand, and what it kept of the feed.
///
/// # Errors
/// Why it does not say it.
pub fn outputs<'a>(market: &Market, snapshot: &'a Snapshot) -> Result<(Places, &'a [u8]), String> {
    let missing = || "where its outputs stand is missing".to_owned();
    let mut from = Reader::new(snapshot.section(SECTION_OUTPUTS, 0).ok_or_else(missing)?);
    let places = Places::load(market, &mut from).map_err(|malformed| malformed.to_string())?;
    from.finish().map_err(|malformed| malformed.to_string())?;
    Ok((places, snapshot.section(SECTION_DEPTHS, 0).ok_or_else(missing)?))
}

/// Puts the outputs of a base into the stores, from the derived files. When it refuses, the stores are empty.
///
/// # Errors
/// Which file is missing, short, or not what it was.
pub fn fill(stores: &mut Stores, base: &Base, directory: &Path) -> Result<(), String> {
    let Base { places, depths, .. } = base;
    let Stores { streams, feed, .. } = stores;
    // Reading and adding up a day's bytes is most of such a start: the two halves go side by side.
    let filled = std::thread::scope(|scope| {
        let feed = scope.spawn(|| fill_feed(feed, places.feed, depths, directory));
        let streams = fill_streams(streams, &places.sessions, directory);
        streams.and(feed.join().expect("reading a file does not panic"))
    });
    if filled.is_err() {
        stores.clear(base.places.sessions.len());
    }
    filled
}

fn fill_streams(streams: &mut Streams, places: &[Place], directory: &Path) -> Result<(), String> {
    for (index, place) in places.iter().enumerate() {
        let session = SessionId(index as u16);
        let path = session_path(directory, session);
        let refuse = |error: io::Error| format!("derived file {}: {error}", path.display());
        if place.bytes == 0 {
            continue;
        }
        let ends = (place.messages, place.ended);
        streams.fill(session, place.bytes, ends, |out| read_into(&path, out)).map_err(refuse)?;
        // The lower half of a stream's digest is that of its bytes, the upper half its length.
        if streams.digest(session) as u32 != place.digest as u32 {
            return Err(refuse(io::Error::new(io::ErrorKind::InvalidData, "its bytes are not what they were")));
        }
    }
    Ok(())
}

fn fill_feed(feed: &mut FeedStream, place: Place, depths: &[u8], directory: &Path) -> Result<(), String> {
    let path = feed_path(directory);
    let refuse = |error: io::Error| format!("derived file {}: {error}", path.display());
    let position = (place.bytes, place.messages, place.ended);
    feed.restore(position, depths, |out| read_into(&path, out)).map_err(refuse)?;
    if feed.store().digest() != place.digest {
        return Err(refuse(io::Error::new(io::ErrorKind::InvalidData, "its bytes are not what they were")));
    }
    Ok(())
}
