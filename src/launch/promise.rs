//! What an acknowledged order survives, held against the file systems found. Cold, at start.
//!
//! A promise that the machine cannot keep refuses the start; one that it keeps is printed with what was found, so that
//! nobody has to guess which one is in force.

use super::LaunchFault;
use super::home::log_home;
use crate::config::{self, Config, JournalKnobs, SegmentKnobs, Survives};
use crate::journal::clean::LastStop;
use crate::journal::{self, PressureLimits};
use crate::os::pages::{Room, room};
use crate::types::Number;
use std::path::Path;

/// Looks at the file systems of log and segments; gives the lines to print.
/// # Errors
/// A promise that they cannot keep, or what the system says.
pub fn check(config: &Config) -> Result<Vec<String>, LaunchFault> {
    let home = log_home(config);
    let log = at(home)?;
    let mut lines = vec![format!("promise    {}", words(config.journal.survives))];
    let mut found = format!("found      log on {} in {}", log.kind, home.display());
    if log.kind == HUGE {
        found += ", in whole huge pages";
    } else if !log.in_memory {
        found += ", which is no memory: its write-back can hold up every order";
    }
    if let Some(segments) = &config.journal.segments {
        let disk = at(&segments.directory)?;
        found += &format!("; segments on {} in {}", disk.kind, segments.directory.display());
        if disk.in_memory && config.journal.survives == Survives::PowerLoss {
            return Err(LaunchFault::Configuration(refusal(segments, disk)));
        }
        if disk.in_memory {
            found += ", which is memory: they do not outlive the power";
        }
    }
    lines.push(found);
    Ok(lines)
}

/// The limits of a log of so many records.
pub fn limits(knobs: &JournalKnobs, records: usize) -> PressureLimits {
    PressureLimits {
        reserve: records as u64 * u64::from(knobs.reserve_percent) / 100,
        unsynced_max: knobs.unsynced_records_max,
        acknowledges_on_disk: knobs.survives == Survives::PowerLoss,
    }
}

/// What to say about how the run before ended, if there was one: `last` is the journal's last record.
pub fn words_of(last_stop: LastStop, last: Number) -> Option<String> {
    match last_stop {
        _ if last == Number(0) => None,
        LastStop::Clean => Some(format!("last stop  in order, after record {last}")),
        LastStop::Unknown => {
            Some("last stop  not in order: the process was killed or died; its journal is whole".into())
        }
    }
}

/// The file system of huge pages, by the name that [`room`] gives it.
const HUGE: &str = "hugetlbfs";

fn at(directory: &Path) -> Result<Room, LaunchFault> {
    // The segments' directory may be made by this very start: what counts is where it will lie.
    let there = directory.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    room(there).map_err(LaunchFault::system("looking at the file system of", directory.display()))
}

fn refusal(segments: &SegmentKnobs, disk: Room) -> String {
    format!(
        "line {}: journal.segments: found {} on {}; allowed with survives = \"power-loss\": a directory on a disk, because \
         what is in memory goes with the power",
        segments.line,
        segments.directory.display(),
        disk.kind
    )
}

const _: () = assert!(config::RECORD_BYTES == journal::RECORD_BYTES, "what a configuration is checked by");

fn words(survives: Survives) -> &'static str {
    match survives {
        Survives::ProcessCrash => {
            "survives = \"process-crash\": an acknowledged order is in memory that outlives the process, not the power"
        }
        Survives::PowerLoss => {
            "survives = \"power-loss\": an acknowledged order is synced on the segments' disk; nothing leaves before"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(segments: &Path, survives: Survives) -> Config {
        let mut config = Config::example();
        config.directory = "/dev/shm".into();
        config.journal.survives = survives;
        config.journal.segments = Some(SegmentKnobs { directory: segments.into(), bytes: 1 << 20, line: 12 });
        config
    }

    #[test]
    fn power_loss_on_a_file_system_in_memory_is_refused_with_its_line() {
        let shared = Path::new("/dev/shm/pitlane-not-there/segments");
        if !at(shared).unwrap().in_memory {
            eprintln!("not checked: /dev/shm is no memory here");
            return;
        }
        let refused = check(&config(shared, Survives::PowerLoss)).unwrap_err().to_string();
        assert!(
            refused.starts_with("line 12: journal.segments: found /dev/shm") && refused.contains("tmpfs"),
            "{refused}"
        );
        let lines = check(&config(shared, Survives::ProcessCrash)).unwrap();
        assert!(lines[0].contains("not the power") && lines[1].contains("which is memory"), "{lines:?}");
    }
}
