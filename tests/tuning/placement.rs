//! The chosen cores as a configuration: shown, written, and taken by `pitlane run`.

use crate::fake::{machine, pitlane, put, said, untuned};
use pitlane::config::{Config, EXAMPLE, Placement};
use pitlane::os::affinity;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn the_choice_is_shown_with_its_reasons() {
    let shown = said(&pitlane(untuned().path(), &["tune", "cores"]));
    assert!(shown.contains("# hot cores 4-7; everything else on 0-3"), "{shown}");
    assert!(shown.contains("all on memory node 1: the network card's"), "{shown}");
    assert!(shown.contains("\n[[threads.map]]\ncore = 4\nagents = [\"gateway\"]\n"), "{shown}");
}

#[test]
fn the_written_configuration_differs_in_its_threads_only_and_no_file_is_overwritten() {
    let root = untuned();
    let path = root.path().join("site.toml");
    let write = ["tune", "cores", "--write", path.to_str().unwrap()];
    let written = pitlane(root.path(), &write);
    assert!(written.status.success(), "{}", said(&written));
    let config = Config::load(&path).unwrap();
    let Placement::Map(map) = &config.threads.placement else { panic!("{:?}", config.threads) };
    assert_eq!(map.iter().map(|(core, _)| *core).collect::<Vec<_>>(), [4, 5, 6, 7]);
    assert_eq!(config.market.tickers.len(), Config::example().market.tickers.len());
    let again = pitlane(root.path(), &write);
    assert!(again.status.code() == Some(3) && said(&again).contains("exists"), "{}", said(&again));
}

#[test]
fn a_configuration_that_is_wrong_is_refused_with_its_line() {
    let root = untuned();
    put(root.path(), "bad.toml", &EXAMPLE.replace("orders_max = 1_048_576", "orders_max = 1"));
    let bad = root.path().join("bad.toml");
    let refused = pitlane(root.path(), &["tune", "cores", "--config", bad.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("bad.toml:"), "{}", said(&refused));
}

#[test]
fn small_machines_get_a_choice_too() {
    for (online, hot) in [("0", "hot cores 0;"), ("0-1", "hot cores 1;"), ("0-3", "hot cores 1-3;")] {
        let root = machine(&[("sys/devices/system/cpu/online", online)]);
        let shown = said(&pitlane(root.path(), &["tune", "cores"]));
        assert!(shown.contains(hot), "{online}: {shown}");
    }
}

/// Names of a process' threads, and the cores each may run on.
fn threads(process: u32) -> Vec<(String, Vec<usize>)> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let thread = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let value =
            |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(|text| text.trim().to_owned());
        Some((value("Name:")?, affinity::parse_list(&value("Cpus_allowed_list:")?).ok()?))
    };
    tasks.flatten().filter_map(thread).collect()
}

/// A small exchange of the embedded example, on this machine's own choice of cores.
#[test]
fn the_exchange_runs_with_what_was_written_for_this_machine() {
    let directory = tempfile::tempdir().unwrap();
    let (small, placed) = (directory.path().join("small.toml"), directory.path().join("placed.toml"));
    let text = EXAMPLE
        .replace("orders_max = 1_048_576", "orders_max = 16_384")
        .replace("log_mebibytes = 512", "log_mebibytes = 8")
        .replace("stream_mebibytes = 64", "stream_mebibytes = 2")
        .replace("lag_mebibytes_max = 16", "lag_mebibytes_max = 1")
        .replace("store_mebibytes = 256", "store_mebibytes = 4")
        .replace("idle = \"auto\"", "idle = \"yield\"");
    fs::write(&small, text).unwrap();
    let paths = [small.to_str().unwrap(), placed.to_str().unwrap()];
    let chosen = pitlane(Path::new("/"), &["tune", "cores", "--config", paths[0], "--write", paths[1]]);
    assert!(chosen.status.success(), "{}", said(&chosen));
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let partition = directory.path().join("partition");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pitlane"));
    command.args(["run", "--config", paths[1], "--listen", "127.0.0.1:0", "--rerequest", "127.0.0.1:0"]);
    command.args(["--feed", &format!("239.195.7.7:{free}")]).arg("--directory").arg(&partition);
    let mut exchange = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(exchange.stdout.take().unwrap()).lines().map_while(Result::ok);
    let said_before: Vec<String> = lines.by_ref().take_while(|line| line != "ready").collect();
    let threads = threads(exchange.id());
    exchange.kill().unwrap();
    exchange.wait().unwrap();
    assert!(said_before.iter().any(|line| line.starts_with("cores      ")), "{said_before:#?}");
    let is_hot =
        |name: &str| ["hot", "gateway", "sequencer", "egress", "feed"].contains(&name) || name.starts_with("matcher");
    let hot: Vec<usize> =
        threads.iter().filter(|(name, _)| is_hot(name)).flat_map(|(_, cores)| cores.clone()).collect();
    let (_, cold) = threads.iter().find(|(name, _)| name == "cold").unwrap_or_else(|| panic!("{threads:?}"));
    assert!(!hot.is_empty(), "{threads:?}");
    if affinity::allowed().unwrap().len() > 1 {
        assert!(hot.iter().all(|core| !cold.contains(core)), "cold threads keep off: {threads:?}");
    }
    assert!(said_before.iter().any(|line| line.contains("placement  map: as configured")), "{said_before:#?}");
    assert!(partition.join("endpoints.json").exists(), "it was ready: {said_before:#?}");
}
