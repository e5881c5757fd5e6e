//! The directory of a run: written whole, read with every fault named. Cold.

use super::histograms::{self, SeriesOf};
use super::{Case, FORMAT, Run};
use crate::measure::latency::Percentiles;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

/// The distributions.
pub const LOG: &str = "run.hlog";
/// Everything else.
pub const RUN: &str = "run.json";

/// Why a run cannot be read: file and cause, for people.
pub type Unreadable = String;

/// Writes all files but the histogram log, which is there already, from what it and the run say.
/// # Errors
/// What the system says, or the log.
pub fn write(directory: &Path, run: &Run) -> io::Result<()> {
    let series = histograms::read(&directory.join(LOG))?;
    for (name, intervals) in &series {
        let mut out = BufWriter::new(fs::File::create(directory.join(format!("{name}.hgrm")))?);
        histograms::merged(intervals).write_hgrm(&mut out)?;
        out.flush()?;
    }
    fs::write(directory.join("summary.csv"), summary(run))?;
    fs::write(directory.join("slices.csv"), slices(run))?;
    // Last: a directory with it is whole.
    fs::write(directory.join(RUN), serde_json::to_vec_pretty(run)?)
}

/// Reads a run and its distributions.
/// # Errors
/// The file and what is wrong with it.
pub fn read(directory: &Path) -> Result<(Run, SeriesOf), Unreadable> {
    let path = directory.join(RUN);
    let named = |fault: &dyn std::fmt::Display| format!("{}: {fault}", path.display());
    let bytes = fs::read(&path)
        .map_err(|fault| format!("{}; a directory that `pitlane measure` has written holds one", named(&fault)))?;
    let run: Run = serde_json::from_slice(&bytes).map_err(|fault| named(&fault))?;
    if run.format != FORMAT {
        return Err(named(&format!("format {}, this program reads {FORMAT}", run.format)));
    }
    let log = directory.join(LOG);
    let series = histograms::read(&log).map_err(|fault| format!("{}: {fault}", log.display()))?;
    // A figure without its distribution is somebody's edit, or half a copy.
    for case in &run.cases {
        let found = series.get(&case.name).map_or(0, |intervals| histograms::merged(intervals).count());
        if found != case.intended.count {
            let wanted = case.intended.count;
            let text = format!("{}: {} has {found} latencies, {RUN} says {wanted}", log.display(), case.name);
            return Err(text);
        }
    }
    Ok((run, series))
}

const COLUMNS: &str = "count,min_ns,p50_ns,p90_ns,p99_ns,p99_9_ns,p99_99_ns,max_ns";

fn columns(p: &Percentiles) -> String {
    format!("{},{},{},{},{},{},{},{}", p.count, p.min, p.p50, p.p90, p.p99, p.p99_9, p.p99_99, p.max)
}

fn summary(run: &Run) -> String {
    let mut text = format!("transport,rate,rate_sent,series,{COLUMNS},ratio_p50,ratio_p99,late,held,marks\n");
    let ratio = |case: &Case, of| case.ratio(of).map_or(String::new(), |spread| format!("{:.3}", spread.median));
    for case in &run.cases {
        let rows = [("intended", Some(case.intended)), ("service", Some(case.service)), ("floor", case.floor)];
        for (series, percentiles) in rows {
            let Some(percentiles) = percentiles else { continue };
            let ratios = match series {
                "intended" => [ratio(case, |p| p.p50), ratio(case, |p| p.p99)],
                _ => [String::new(), String::new()],
            };
            let marks = case.marks.join("; ").replace('"', "'");
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "{},{},{},{series},{},{},{},{},{},\"{marks}\"",
                case.transport,
                case.rate,
                case.rate_sent,
                columns(&percentiles),
                ratios[0],
                ratios[1],
                case.lateness.late,
                case.lateness.held,
            );
        }
    }
    text
}

fn slices(run: &Run) -> String {
    let mut text = format!("case,slice,series,{COLUMNS}\n");
    for case in &run.cases {
        for (index, slice) in case.slices.iter().enumerate() {
            let _ = writeln!(text, "{},{index},intended,{}", case.name, columns(&slice.own));
            if let Some(floor) = &slice.floor {
                let _ = writeln!(text, "{},{index},floor,{}", case.name, columns(floor));
            }
        }
    }
    text
}
