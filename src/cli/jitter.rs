//! `pitlane jitter`: what each core does to a loop that does nothing, so that a bad tail is put to the right account.

use super::{Failure, Outcome};
use crate::measure::jitter::{SIZES_NS, look};
use crate::measure::latency::time;
use crate::measure::result::CoreGaps;
use crate::os::affinity;
use clap::Args;
use std::fmt::Write;

/// Arguments of `jitter`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Cores, such as 0,2-3; without it all that this process may use.
    #[arg(long)]
    cores: Option<String>,
    /// Seconds to look.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

/// Looks and tells.
///
/// # Errors
/// A core that this process may not use.
pub fn main(arguments: Arguments) -> Outcome {
    let fault = |e: std::io::Error| Failure::Fault(format!("looking at the cores: {e}"));
    let cores = match &arguments.cores {
        Some(text) => affinity::parse_list(text).map_err(|e| Failure::Usage(format!("--cores: {e}")))?,
        None => affinity::allowed().map_err(fault)?,
    };
    let seen = look(&cores, arguments.seconds * 1_000_000_000).map_err(fault)?;
    if arguments.json {
        println!("{}", serde_json::json!(seen));
    } else {
        print!("{}", table(&seen));
    }
    Ok(())
}

/// A row a core: gaps a second by size, what they cost, the longest.
fn table(seen: &[CoreGaps]) -> String {
    let mut text = String::from("Times a second that a busy loop was kept from running, by how long\n\n");
    // Writing to a text cannot fail.
    let _ = write!(text, "{:<9}", "");
    for from in SIZES_NS {
        let _ = write!(text, " {:>10}", format!("≥ {}", time(from)));
    }
    let _ = writeln!(text, " {:>9} {:>9}", "time lost", "longest");
    for core in seen {
        let looked = core.looked_ns.max(1);
        let _ = write!(text, "{:<9}", format!("core {}", core.core));
        for &(_, count) in &core.gaps {
            let _ = write!(text, " {:>10.1}", count as f64 * 1e9 / looked as f64);
        }
        let part = 100.0 * core.lost_ns as f64 / looked as f64;
        let _ = writeln!(text, " {part:>7.2} % {:>9}", time(core.longest_ns));
    }
    text.push_str(
        "\nA timer tick shows as gaps of some microseconds 100 to 1,000 times a second, other tasks as gaps of\n",
    );
    text.push_str("milliseconds; on a virtual machine the rest is the host. `pitlane doctor` says what can be done.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_told_in_gaps_a_second() {
        let gaps = SIZES_NS.into_iter().zip([500, 0, 0, 0, 2, 0]).collect();
        let seen = CoreGaps { core: 1, looked_ns: 2_000_000_000, gaps, lost_ns: 20_000_000, longest_ns: 8_000_000 };
        let text = table(&[seen]);
        let row = text.lines().find(|line| line.starts_with("core 1")).unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells, ["core", "1", "250.0", "0.0", "0.0", "0.0", "1.0", "0.0", "1.00", "%", "8.00", "ms"]);
    }
}
