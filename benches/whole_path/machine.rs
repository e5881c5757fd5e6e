//! Where and when it was measured: printed beside the figures, because without it they mean nothing.

use pitlane::os::affinity;
use std::fs;
use std::io;

/// Runnable processes beside ours above which the figures are somebody else's.
const LOAD_MAX: f64 = 1.5;

fn first_line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

fn load() -> f64 {
    first_line("/proc/loadavg").split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// Processor time that the host gave to others, in ticks, and all of it.
fn stolen() -> (u64, u64) {
    let line = first_line("/proc/stat");
    let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    (ticks.get(7).copied().unwrap_or_default(), ticks.iter().sum())
}

/// Machine, kernel, cores, command.
pub fn describe(arguments: &[String]) -> io::Result<()> {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let kernel = first_line("/proc/sys/kernel/osrelease");
    let cores = affinity::devices_first()?;
    println!("machine    {}, cores {cores:?}", model.trim_start_matches(['\t', ' ', ':']));
    println!(
        "kernel     {kernel}, clock {}",
        first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    );
    println!("command    whole_path {}", arguments.join(" "));
    println!("placement  client on core {:?}, exchange and floors on core {:?}", cores.first(), cores.last());
    if cores.len() < 2 {
        println!("FLAG: one core; client and exchange take each other's time, and no figure below means anything");
    }
    if load() > LOAD_MAX {
        println!("FLAG: load is {:.1} before the start; others use these cores", load());
    }
    Ok(())
}

/// Load and stolen time, once the run is over.
pub fn conclude() -> io::Result<()> {
    let (stolen, all) = stolen();
    println!(
        "\nload {:.1} at the end; since boot the host kept {:.1} % to itself",
        load(),
        100.0 * stolen as f64 / all.max(1) as f64
    );
    Ok(())
}
