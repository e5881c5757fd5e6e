//! Every client's stream and the feed as files beside the segments, and where each stands: what a start behind a snapshot
//! puts into the stores without making it anew.
//!
//! The bytes are those of the stores: the encoders are the same, fed by the same twin. They are appended by plain buffered
//! writes as the shadow goes, and made durable when a snapshot is written, which keeps their lengths and digests. What
//! stands behind those lengths counts for nothing and is cut off. Deleting a file costs a replay, no data. No file stays
//! open, so that their number is not bounded by the process' descriptors. Cold.

use crate::egress::fan::Outlet;
use crate::feed::{Depths, FeedEncoder, FeedStore};
use crate::gateway::outbound::Outbound;
use crate::journal::Disk;
use crate::journal::disk::open;
use crate::types::bytes::{Malformed, Reader, Writer};
use crate::types::{Market, PublicFact, Published, Report, ReportBody, SessionId};
use crate::wire::ouch::MESSAGE_MAX;
use crate::wire::record::NUMBER_MAX;
use crate::wire::soup::{self, HEADER_BYTES};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Bytes of one output that wait in memory at most, beside one message.
const WAITING_BYTES_MAX: usize = 64 << 10;
/// Room for the messages of one fact: the start of a day names every ticker.
const FACT_BYTES_MIN: usize = 1 << 12;
const FACT_BYTES_A_TICKER: usize = 64;

/// How far an output stream has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// Its bytes.
    pub bytes: u64,
    /// Its messages.
    pub messages: u64,
    /// Digest of all bytes: CRC32C of a session's stream, the store's own digest of the feed.
    pub digest: u64,
    /// Whether the day has ended.
    pub ended: bool,
}

/// How far all of them have come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Places {
    /// By session.
    pub sessions: Vec<Place>,
    /// The feed.
    pub feed: Place,
}

impl Places {
    /// Nothing has been said yet.
    pub fn start(market: &Market) -> Places {
        Places { sessions: vec![Place::default(); market.sessions.len()], feed: Place::default() }
    }

    /// Takes them down.
    pub fn save(&self, out: &mut Writer) {
        for place in self.sessions.iter().chain([&self.feed]) {
            out.u64(place.bytes);
            out.u64(place.messages);
            out.u64(place.digest);
            out.bytes(&place.ended);
        }
    }

    /// Those that were taken down.
    /// # Errors
    /// Bytes that are not of this market's outputs.
    pub fn load(market: &Market, from: &mut Reader<'_>) -> Result<Places, Malformed> {
        let mut places = Places::start(market);
        for place in places.sessions.iter_mut().chain([&mut places.feed]) {
            *place = Place {
                bytes: from.u64("bytes of an output")?,
                messages: from.u64("messages of an output")?,
                digest: from.u64("digest of an output")?,
                ended: from.flag("end of an output")?,
            };
            // No message is empty, and none that counts on from here overflows.
            from.check(place.messages <= place.bytes && place.bytes <= NUMBER_MAX, "messages of an output")?;
        }
        Ok(places)
    }
}

/// Where the files are.
pub fn directory(segments: &Path) -> PathBuf {
    segments.join("derived")
}

/// The file of a session's stream.
pub fn session_path(segments: &Path, session: SessionId) -> PathBuf {
    directory(segments).join(format!("session-{:05}", session.0))
}

/// The file of the feed.
pub fn feed_path(segments: &Path) -> PathBuf {
    directory(segments).join("feed")
}

/// An output on its way to its file.
struct Output {
    path: Option<PathBuf>,
    /// Of all that was said, what waits in memory too.
    place: Place,
    waiting: Vec<u8>,
    /// Whether something was written since the last sync.
    is_unsynced: bool,
}

impl Output {
    fn write_out(&mut self, disk: &mut dyn Disk) -> io::Result<()> {
        if let Some(path) = self.path.as_ref().filter(|_| !self.waiting.is_empty()) {
            disk.write(&open(path)?, self.place.bytes - self.waiting.len() as u64, &self.waiting)?;
            self.is_unsynced = true;
        }
        self.waiting.clear();
        Ok(())
    }

    fn sync(&mut self, disk: &mut dyn Disk) -> io::Result<()> {
        self.write_out(disk)?;
        if let Some(path) = self.path.as_ref().filter(|_| self.is_unsynced) {
            disk.sync(&open(path)?)?;
            self.is_unsynced = false;
        }
        Ok(())
    }
}

/// Follows the outputs of a twin, and keeps their files where there is a place for them.
pub struct Derived {
    outbound: Outbound,
    encoder: FeedEncoder,
    /// Holds the messages of one fact.
    fact: FeedStore,
    depths: Depths,
    sessions: Vec<Output>,
    feed: Output,
    disk: Box<dyn Disk>,
    failed: Option<(PathBuf, io::Error)>,
}

impl Derived {
    /// From `places` on; of the depths there `depths` is what was taken down. With `segments`, the files there are cut back
    /// to the places and go on.
    /// # Errors
    /// A file that is shorter, or holds something else; what the system says; depths of another market.
    pub fn open(
        market: &Market,
        levels_max: usize,
        places: &Places,
        depths: Option<&[u8]>,
        segments: Option<&Path>,
        mut disk: Box<dyn Disk>,
    ) -> io::Result<Derived> {
        let mut known = Depths::new(market, levels_max);
        if let Some(bytes) = depths {
            let mut from = Reader::new(bytes);
            let loaded = known.load(&mut from).and_then(|()| from.finish());
            loaded.map_err(|malformed| io::Error::new(io::ErrorKind::InvalidData, malformed))?;
        }
        if let Some(segments) = segments {
            disk.make_directory(&directory(segments))?;
        }
        let mut output = |place: &Place, path: Option<PathBuf>| -> io::Result<Output> {
            if let Some(path) = &path {
                cut_back(path, place.bytes, &mut *disk)?;
            }
            Ok(Output { path, place: *place, waiting: Vec::new(), is_unsynced: true })
        };
        let of_session = |(session, place): (usize, &Place)| {
            output(place, segments.map(|segments| session_path(segments, SessionId(session as u16))))
        };
        let sessions = places.sessions.iter().enumerate().map(of_session).collect::<io::Result<_>>()?;
        let feed = output(&places.feed, segments.map(feed_path))?;
        if let Some(segments) = segments {
            // Their names must be there after a loss of power, too.
            disk.sync_names(&directory(segments))?;
            disk.sync_names(segments)?;
        }
        Ok(Derived {
            outbound: Outbound::new(market),
            encoder: FeedEncoder::new(market),
            fact: FeedStore::new(FACT_BYTES_MIN + FACT_BYTES_A_TICKER * market.tickers.len()),
            depths: known,
            sessions,
            feed,
            disk,
            failed: None,
        })
    }

    /// How far everything has come.
    pub fn places(&self) -> Places {
        Places { sessions: self.sessions.iter().map(|output| output.place).collect(), feed: self.feed.place }
    }

    /// What the feed has said of each ticker.
    pub fn depths(&self) -> &Depths {
        &self.depths
    }

    /// Makes all of it durable.
    /// # Errors
    /// The file and what the system says of it, also about an earlier write. Nothing is tried again.
    pub fn sync(&mut self) -> Result<(), (PathBuf, io::Error)> {
        for output in self.sessions.iter_mut().chain([&mut self.feed]) {
            if self.failed.is_none()
                && let Err(error) = output.sync(&mut *self.disk)
            {
                self.failed = Some((output.path.clone().unwrap_or_default(), error));
            }
        }
        match &self.failed {
            Some((path, error)) => Err((path.clone(), io::Error::new(error.kind(), error.to_string()))),
            None => Ok(()),
        }
    }
}

/// Cuts a file to its first `bytes` bytes; makes one that is not there when that are none.
fn cut_back(path: &Path, bytes: u64, disk: &mut dyn Disk) -> io::Result<()> {
    if bytes == 0 {
        return disk.create(path).map(drop);
    }
    let file = open(path)?;
    if file.metadata()?.len() < bytes {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is shorter than the snapshot says"));
    }
    disk.cut(&file, bytes)
}

/// Keeps the first failure of a write; what comes after it is only counted.
fn advance(output: &mut Output, failed: &mut Option<(PathBuf, io::Error)>, disk: &mut dyn Disk) {
    if failed.is_some() {
        output.waiting.clear();
    } else if output.waiting.len() >= WAITING_BYTES_MAX
        && let Err(error) = output.write_out(disk)
    {
        *failed = Some((output.path.clone().unwrap_or_default(), error));
    }
}

impl Outlet for Derived {
    fn report(&mut self, report: Report) {
        let mut packet = [0; HEADER_BYTES + MESSAGE_MAX];
        let output = &mut self.sessions[report.session.index()];
        let Some(length) = self.outbound.encode(&report, &mut packet[HEADER_BYTES..]) else { return };
        packet[..HEADER_BYTES].copy_from_slice(&soup::sequenced_header(length));
        let packet = &packet[..HEADER_BYTES + length];
        output.waiting.extend_from_slice(packet);
        output.place.bytes += packet.len() as u64;
        output.place.messages += 1;
        output.place.digest = u64::from(crc32c::crc32c_append(output.place.digest as u32, packet));
        output.place.ended |= report.body == ReportBody::DayEnd;
        advance(output, &mut self.failed, &mut *self.disk);
    }

    fn publish(&mut self, published: Published) {
        self.fact.clear();
        let said = self.encoder.on(&published, &mut self.fact);
        let said = said.unwrap_or_else(|_| unreachable!("room for the messages of one fact"));
        let place = &mut self.feed.place;
        place.bytes += self.fact.bytes().len() as u64;
        place.messages += u64::from(said);
        place.digest = self.fact.digest_after(place.digest);
        place.ended |= published.fact == PublicFact::DayEnd;
        self.feed.waiting.extend_from_slice(self.fact.bytes());
        if said > 0 {
            self.depths.on(&published, self.feed.place.messages);
        }
        advance(&mut self.feed, &mut self.failed, &mut *self.disk);
    }
}

/// Reads the first bytes of a file into memory that waits for them.
/// # Errors
/// What the system says, with the file.
pub fn read_into(path: &Path, out: &mut [u8]) -> io::Result<()> {
    File::open(path)?.read_exact(out)
}

/// Whether the files hold what a snapshot says they do, up to where it stands.
/// # Errors
/// Which one does not, and why.
pub fn check(segments: &Path, places: &Places) -> Result<(), String> {
    for (index, place) in places.sessions.iter().enumerate().filter(|(_, place)| place.bytes > 0) {
        let path = session_path(segments, SessionId(index as u16));
        let bytes =
            first_bytes(&path, place.bytes).map_err(|error| format!("derived file {}: {error}", path.display()))?;
        if crc32c::crc32c(&bytes) != place.digest as u32 {
            return Err(format!("derived file {}: its bytes are not what they were", path.display()));
        }
    }
    let (path, place) = (feed_path(segments), &places.feed);
    let refuse = |error: io::Error| format!("derived file {}: {error}", path.display());
    let bytes = first_bytes(&path, place.bytes).map_err(refuse)?;
    let mut store = FeedStore::new(bytes.len());
    store
        .fill(place.bytes, place.messages, |out| {
            out.copy_from_slice(&bytes);
            Ok(())
        })
        .map_err(refuse)?;
    if store.digest() == place.digest {
        Ok(())
    } else {
        Err(refuse(io::Error::new(io::ErrorKind::InvalidData, "its bytes are not what they were")))
    }
}

/// The length is the file's to prove before memory is taken for it.
fn first_bytes(path: &Path, count: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.len() < count {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is shorter than the snapshot says"));
    }
    let mut bytes = Vec::with_capacity(count as usize);
    file.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}
