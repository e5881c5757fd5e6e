//! [`Shadow`]: the state once more, a step behind and away from every hot thread, to take snapshots of.
//!
//! It follows the segments, so that a snapshot never holds what a loss of power could take back, and applies each record to
//! a twin of its own; what the twin says goes to the derived files. At any record it can be taken down: derived files
//! synced first, then the snapshot that names their lengths, then that one is read again, whole, into another twin, because
//! a snapshot that cannot be read is found now and not when it is needed. Live stages never wait for any of this.
//!
//! Cold. Memory: books and order tables a second time, and a third time while a snapshot is verified.

use super::LaunchFault;
use super::checks::Checks;
use super::derived::{Derived, Places};
use super::home::group;
use super::restore;
use super::twin::{SECTION_DEPTHS, SECTION_OUTPUTS, Twin};
use crate::config::{Config, OldSegments, SegmentKnobs};
use crate::engine::digest;
use crate::journal::segments::Follower;
use crate::journal::snapshots::{self, Section, SnapshotHead};
use crate::journal::{Disk, JournalFault, archive};
use crate::types::bytes::Writer;
use crate::types::{Market, Nanos, Number, Sequenced};
use crate::wire::record::Link;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Price levels a side of what the feed has said; as many as the depth cache of a running exchange keeps.
const LEVELS_MAX: usize = super::seams::Rooms::RUNNING.cache_levels;

/// A snapshot that was written and read again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// The file.
    pub path: PathBuf,
    /// Last record in it.
    pub number: Number,
    /// Digest of the state.
    pub state: u64,
    /// Bytes of the state in it.
    pub bytes: usize,
    /// From the first byte written to the last one compared.
    pub took: Duration,
}

/// The shadow. See the module's words.
pub struct Shadow {
    market: Market,
    directory: PathBuf,
    old_segments: OldSegments,
    disk: Box<dyn Disk>,
    follower: Follower,
    twin: Twin,
    derived: Derived,
    checks: Checks,
    last: (Number, Nanos),
    link: Option<Link>,
    /// Last record of the newest snapshot.
    taken: Number,
}

impl Shadow {
    /// From the newest snapshot that can be used, or from the first record; derived files are cut back to there. `notes`
    /// gets what could not be used. Whatever it writes goes through `disk`.
    ///
    /// # Errors
    /// A market or a directory that nothing can be made from.
    pub fn open(
        config: &Config,
        knobs: &SegmentKnobs,
        notes: &mut Vec<String>,
        mut disk: Box<dyn Disk>,
    ) -> Result<Shadow, LaunchFault> {
        let (market, directory) = (&config.market, knobs.directory.as_path());
        let mut derived = None;
        let base = restore::newest(config, directory, notes, |base| {
            super::derived::check(directory, &base.places)?;
            let opened =
                Derived::open(market, LEVELS_MAX, &base.places, Some(&base.depths), Some(directory), disk.another());
            derived = Some(opened.map_err(|error| format!("derived files: {error}"))?);
            Ok(())
        })?;
        let derived = match derived {
            Some(derived) if base.is_some() => derived,
            _ => Derived::open(market, LEVELS_MAX, &Places::start(market), None, Some(directory), disk.another())
                .map_err(LaunchFault::system("making the derived files in", directory.display()))?,
        };
        set_aside_behind(directory, base.as_ref().map_or(Number(0), |base| base.head.number), &mut *disk)?;
        let behind = base.as_ref().map(|base| base.behind);
        let (twin, last, link) = match base {
            Some(base) => (base.twin, (base.head.number, base.head.time), Some(base.head.link)),
            None => {
                let twin = Twin::new(market).map_err(|fault| LaunchFault::Configuration(fault.to_string()))?;
                (twin, (Number(0), Nanos(0)), None)
            }
        };
        Ok(Shadow {
            market: market.clone(),
            directory: directory.to_path_buf(),
            old_segments: config.journal.snapshots.old_segments,
            disk,
            follower: Follower::new(directory, group(market), behind),
            twin,
            derived,
            checks: Checks::from(config.journal.snapshots.digest_records, 0),
            taken: last.0,
            last,
            link,
        })
    }

    /// Takes the next record, if the segments have it and it is at most number `synced`.
    ///
    /// # Errors
    /// The segments are not what was written, or the state is not what the journal says.
    #[inline]
    pub fn step(&mut self, synced: u64) -> Result<Option<Sequenced>, LaunchFault> {
        let Some(view) = self.follower.next_view(synced)? else { return Ok(None) };
        self.twin.apply(&view.record, &mut self.derived);
        self.last = (view.record.number, view.record.time);
        self.link = self.follower.link();
        self.checks.on(&view.record, &self.twin).map_err(LaunchFault::State)?;
        Ok(Some(view.record))
    }

    /// The last record taken.
    pub fn number(&self) -> Number {
        self.last.0
    }

    /// Last record of the newest snapshot, 0 without one.
    pub fn taken(&self) -> Number {
        self.taken
    }

    /// The state.
    pub fn twin(&self) -> &Twin {
        &self.twin
    }

    /// Digests of the state.
    pub fn checks(&mut self) -> &mut Checks {
        &mut self.checks
    }

    /// Writes a snapshot of where the shadow stands, reads it again, and takes away what is older than two.
    ///
    /// # Errors
    /// A disk that refuses, or a snapshot that does not read as it was written. Older ones stay.
    pub fn take(&mut self) -> Result<Taken, LaunchFault> {
        let started = Instant::now();
        let disk = |(path, error)| JournalFault::Disk { attempted: "keep the derived file", path, error };
        self.derived.sync().map_err(disk)?;
        let (number, time) = self.last;
        let Some(link) = self.link else {
            return Err(LaunchFault::Configuration("there is no record to take a snapshot behind".into()));
        };
        let state = self.twin.digest();
        let market = digest::of_market(&self.market);
        let head = SnapshotHead { group: group(&self.market), market, number, time, link, state };
        let sections = self.sections();
        let bytes = sections.iter().map(|section| section.bytes.len()).sum();
        let path = snapshots::write(&self.directory, &head, &sections, &mut *self.disk)?;
        drop(sections);
        if let Err(why) = self.verify(&path, &head) {
            let _ = self.disk.remove(&path);
            return Err(LaunchFault::Thread(format!("snapshot {} does not read as written: {why}", path.display())));
        }
        self.taken = number;
        Ok(Taken { path, number, state, bytes, took: started.elapsed() })
    }

    fn sections(&self) -> Vec<Section> {
        let mut sections = self.twin.save();
        let (mut places, mut depths) = (Writer::default(), Writer::default());
        self.derived.places().save(&mut places);
        self.derived.depths().save(&mut depths);
        sections.push(Section { kind: SECTION_OUTPUTS, index: 0, bytes: places.into_bytes() });
        sections.push(Section { kind: SECTION_DEPTHS, index: 0, bytes: depths.into_bytes() });
        sections
    }

    fn verify(&self, path: &Path, head: &SnapshotHead) -> Result<(), String> {
        let snapshot = snapshots::read(path).map_err(|fault| fault.to_string())?;
        if snapshot.head != *head {
            return Err("its header is another".into());
        }
        Twin::load(&self.market, &snapshot)?;
        let (places, _) = restore::outputs(&self.market, &snapshot)?;
        if places == self.derived.places() { Ok(()) } else { Err("its outputs stand elsewhere".into()) }
    }

    /// Takes away snapshots older than the two newest, and packs or takes away segments that both of these stand behind.
    /// Gives how many segments.
    ///
    /// # Errors
    /// A disk that refuses; nothing that is needed is gone then.
    pub fn tidy(&mut self) -> Result<usize, LaunchFault> {
        let disk = &mut *self.disk;
        let Some(number) = snapshots::prune(&self.directory, disk)? else { return Ok(0) };
        let due = archive::due(&self.directory, number.0)?;
        match self.old_segments {
            OldSegments::Keep => return Ok(0),
            OldSegments::Archive => due.iter().try_for_each(|path| archive::pack(path, disk).map(drop))?,
            OldSegments::Delete => archive::delete(&self.directory, &due, disk)?,
        }
        Ok(due.len())
    }
}

/// Snapshots behind the one that was used cannot be: they must not count as one of the two that are kept.
fn set_aside_behind(directory: &Path, used: Number, disk: &mut dyn Disk) -> Result<(), LaunchFault> {
    for (_, path) in snapshots::list(directory)?.into_iter().take_while(|(number, _)| *number > used) {
        let aside = path.with_extension("unusable");
        disk.rename(&path, &aside).map_err(LaunchFault::system("setting aside", path.display()))?;
    }
    Ok(())
}
