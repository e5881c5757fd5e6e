//! Builds every stage and every link between them. Cold.
//!
//! Read it top-down: recover the log into the stores and the twin; make the links; give each agent its ends. The
//! order of `hot` is the order of an order's way; which of them share a thread, and in which order they take turns
//! there, is the plan's to say.

use super::LaunchFault;
use super::closing::Closing;
use super::endpoints::Endpoints;
use super::following::{Cause, Following, FollowingCounters, FollowingLinks};
use super::home::{group, mark_home};
use super::metrics::Metrics;
use super::placement::Plan;
use super::pulse::{Pulse, PulseMarks};
use super::rebuild::{Rebuilt, rebuild};
use super::seams::Seams;
use super::seen::session_name;
use super::spent::{Phase, Spent};
use super::stores::Stores;
use super::supply::SupplyCounters;
use super::watched::Watched;
use super::{counters_path, promise, stages_path, status, ways_path};
use crate::config::{self, Config, GatewayKnobs, Survives};
use crate::egress::{Egress, EgressLinks, one_gateway};
use crate::engine::book::Shard;
use crate::feed::{DepthCache, FeedOptions, Hold, Publisher};
use crate::gateway::agent::Gateway;
use crate::gateway::core::{Core, Rate};
use crate::gateway::login::LoginDesk;
use crate::gateway::operator::{Operator, OperatorLinks};
use crate::gateway::session::SessionTimes;
use crate::gateway::shared::{Shared, SharedOptions};
use crate::gateway::shown;
use crate::gateway::tcp::{Tcp, TcpOptions};
use crate::journal::{
    Disk, Failure, Lag, Link, LogWriter, Persister, PersisterCounters, PersisterLinks, PressureCounters, SegmentWriter,
    Segments, clean, pressure::pressure,
};
use crate::matcher::Matcher;
use crate::os::clock::Clock;
use crate::os::touched::Rest;
use crate::os::udp::MulticastOut;
use crate::runtime::agent::Agent;
use crate::runtime::counters::Counters;
use crate::runtime::link::{MarkReader, bounded, mark};
use crate::runtime::points::SPANS;
use crate::runtime::queues::Queues;
use crate::runtime::runner::StopFlag;
use crate::runtime::shared_ring::SLOT_BYTES;
use crate::runtime::spans::Spans;
use crate::runtime::stamps::{Stamper, stamps};
use crate::runtime::table::Table;
use crate::runtime::way_file::{WAYS_KEPT_MAX, WayFile};
use crate::sequencer::{self, SESSION_COLUMNS, Sequencer, SequencerCounters, SequencerLinks, TICKER_COLUMNS, Timer};
use crate::types::{Command, Market, Nanos, Number, Report, Sequenced, SessionId, SessionSpec};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// Most counters of one exchange: the fixed ones, and some for each matcher.
const COUNTERS_MAX: usize = 256;

/// All that runs, before it is placed on threads.
pub struct Stages {
    /// Hot agents, in the order of an order's way.
    pub hot: Vec<Box<dyn Agent>>,
    /// Cold agents.
    pub cold: Vec<Box<dyn Agent>>,
    /// Moves the log to disk, on a thread of its own, where there are segments.
    pub persister: Option<Persister>,
    /// Follows the segments and takes snapshots, on a thread of its own, where both are wanted.
    pub shadow: Option<Following>,
    /// Why the shadow ended the process, if it did.
    pub cause: Cause,
    /// The operator asks for the end.
    pub stop: StopFlag,
    /// The intake ends.
    pub closed: StopFlag,
    /// Sessions and feed are to be told that the run ends.
    pub ending: StopFlag,
    /// They were, and nobody is connected any more.
    pub empty: StopFlag,
    /// Highest record in the log.
    pub appended: MarkReader,
    /// Why the persister ended, if it did.
    pub failure: Failure,
    /// Highest record whose outputs have left egress.
    pub delivered: MarkReader,
    /// How each stage ended.
    pub ends: Arc<Ends>,
    /// Where it is reached.
    pub endpoints: Endpoints,
    /// What the network engine is and why.
    pub network_line: String,
    /// What the journal is and held, what it promises, and where it lies.
    pub journal_lines: Vec<String>,
    /// What fell back, each said once.
    pub notes: Vec<String>,
    /// Memory of books and order tables.
    pub engine_bytes: usize,
    /// Private memory that lies on huge pages.
    pub huge_bytes: usize,
    /// Where the time went.
    pub spent: Spent,
    /// Memory of streams and feed that is still to be brought, and who counts it.
    pub rests: (Vec<Rest>, SupplyCounters),
}

const _: () = assert!(config::WAYS_MAX == WAYS_KEPT_MAX, "a configuration asks for no more than readers believe in");

/// Digests of the stages, each written by its own thread as the last thing it does.
#[derive(Default)]
pub struct Ends(Mutex<Parts>);

#[derive(Default, Clone)]
struct Parts {
    oms: u64,
    /// Where the journal ends.
    end: Option<Link>,
    shards: Vec<u64>,
    streams: Vec<(u64, u64)>,
    feed: (u64, u64),
    /// Answers that found no room in a stream, and facts that found none in the feed's store.
    reports_waiting: usize,
    facts_waiting: usize,
}

impl Ends {
    fn note(&self, change: impl FnOnce(&mut Parts)) {
        change(&mut self.0.lock().expect("no agent panics while it writes its end"));
    }

    /// What was committed and could not be said any more, if anything. It is in the journal.
    pub fn unsaid(&self) -> Option<String> {
        let parts = self.0.lock().expect("no agent panics while it writes its end");
        let text = |count, knob| {
            Some(format!(
                "stopping: {count} outputs found no room ({knob}); they are in the journal, raise it to go on"
            ))
        };
        match (parts.reports_waiting, parts.facts_waiting) {
            (0, 0) => None,
            (0, facts) => text(facts, "feed.store_mebibytes"),
            (reports, _) => text(reports, "gateway.stream_mebibytes"),
        }
    }

    /// Where the journal ends; `None` before the sequencer has stopped.
    pub fn journal_end(&self) -> Option<Link> {
        self.0.lock().expect("no agent panics while it writes its end").end
    }

    /// The end of the run after `number`.
    pub fn closing(&self, number: Number, market: &Market) -> Closing {
        let parts = self.0.lock().expect("no agent panics while it writes its end").clone();
        Closing::of(number, parts.oms, parts.shards.into_iter(), market, parts.streams.into_iter(), parts.feed)
    }
}

/// Names of the hot agents of an exchange with so many matchers, in the order of an order's way.
pub fn hot_names(matchers: u16) -> Vec<String> {
    let matchers = (0..matchers).map(|index| format!("matcher.{index}"));
    let ends = |names: [&str; 2]| names.map(String::from);
    ends(["gateway", "sequencer"]).into_iter().chain(matchers).chain(ends(["egress", "feed"])).collect()
}

impl Stages {
    /// Recovers the log and builds everything on it, as it will be placed and on what `seams` brings. Takes all memory
    /// and binds all sockets.
    ///
    /// # Errors
    /// See [`LaunchFault`].
    pub fn build<S: Seams>(config: &Config, plan: &Plan, mut seams: S) -> Result<Stages, LaunchFault> {
        let mut spent = Spent::begin(Box::new(seams.steady()));
        let promise_lines = seams.promise(config)?;
        let (rooms, mut disk) = (seams.rooms(), seams.disk());
        let market = &config.market;
        let matchers = usize::from(market.matchers);
        let mut notes = Vec::new();
        let mut counters = Counters::create(&counters_path(config), COUNTERS_MAX)
            .map_err(LaunchFault::system("creating the counters file in", config.directory.display()))?;
        let depth_path = config.directory.join("depth");
        let cache = DepthCache::create(&depth_path, market, rooms.cache_levels)
            .map_err(LaunchFault::system("creating the depth cache", depth_path.display()))?;
        spent.ends(Phase::Stages);
        let mut stores = Stores::new(config, Some(cache))?;
        spent.ends(Phase::Memory);
        let Rebuilt { twin, mut writer, last, found, notes: found_notes, segments, engine_bytes } =
            rebuild(config, seams.boot(), &mut stores, &mut *disk, &mut spent)?;
        notes.extend(found_notes);
        let last_stop = clean::check(mark_home(config), Some(group(market)), writer.link())?;
        stores.check()?;
        let (streams, feed, rests) = stores.into_quiet()?;
        spent.ends(Phase::Memory);
        let room = match &segments {
            Some(_) => format!("the log goes round in {} records", writer.capacity_records()),
            None => format!("room for {} more in the log", writer.free_records()),
        };
        let mut journal_lines = vec![format!("journal    {found}, {room}")];
        journal_lines.extend(promise_lines);
        journal_lines.extend(promise::words_of(last_stop, last.0));
        if !writer.is_locked() {
            notes.push("the log is not locked in memory (memlock limit); `pitlane doctor` says how to allow it".into());
        }
        let (oms, mut shards) = twin.into_parts();
        seams.rebuilt(&mut shards);
        let mut awaited: Vec<SessionId> = oms.orders().map(|order| order.session).collect();
        awaited.sort_unstable();
        awaited.dedup();
        if !awaited.is_empty() && config.gateway.grace_ms > 0 {
            notes.push(format!(
                "{} login(s) have open orders; those with cancel_on_disconnect lose them in {} ms unless they come back",
                awaited.len(),
                config.gateway.grace_ms
            ));
        }

        let [stop, closed, ending, empty] = std::array::from_fn(|_| StopFlag::new());
        let (mut appended, appended_reader) = mark();
        let (mut delivered, delivered_reader) = mark();
        appended.set(last.0.0);
        delivered.set(last.0.0);
        let failure = Failure::default();
        let shadows_disk = disk.another();
        let persisted = segments.map(|segments| {
            let ends = (closed.clone(), stop.clone(), failure.clone());
            persister(config, segments, &mut writer, last.0, (disk, Box::new(seams.steady())), ends, &mut counters)
        });
        let (persister, synced_reader, disk_line) = persisted.transpose()?.map_or((None, None, None), |made| {
            let (persister, synced, line) = made;
            (Some(persister), Some(synced), Some(line))
        });
        journal_lines.extend(disk_line);
        spent.ends(Phase::Disk);
        // Who may write when the journal runs short of room, and who tells people that the disk is behind.
        let limits = promise::limits(&config.journal, writer.capacity_records());
        let synced = synced_reader.as_ref().map(MarkReader::value);
        let (pressure, gauge, intake) = pressure(limits, synced, PressureCounters::new(&mut counters));
        let persister = persister.map(|persister| persister.with_gauge(gauge));
        let alarm_ms = config.journal.sync_alarm_ms;
        let lag = synced_reader
            .clone()
            .map(|synced| Lag::new(appended_reader.clone(), synced, seams.steady(), alarm_ms, &mut counters));
        let log_room = (writer.capacity_records() as u64, writer.records());
        // One owner of the mark that the gate waits for: who keeps the promise.
        let committed_reader = match (config.journal.survives, &synced_reader) {
            (Survives::PowerLoss, Some(synced)) => synced.clone(),
            (Survives::PowerLoss, None) => {
                return Err(LaunchFault::Configuration(NO_SEGMENTS.into()));
            }
            (Survives::ProcessCrash, _) => appended_reader.clone(),
        };
        // Whoever takes from a link counts how much waited.
        let shows = |name: &str| config.directory.join(name);
        let queues_path = shows("queues");
        let mut queues = Queues::create(&queues_path, queue_names(matchers))
            .map_err(LaunchFault::system("creating the file of links", queues_path.display()))?;
        let mut watch = |name: &str, capacity| queues.take(name, capacity);
        let (command_in, command_out) = bounded::<Command>(rooms.commands);
        let command_out = command_out.watched(watch("gateway to sequencer", rooms.commands));
        let (operator_in, operator_out) = bounded::<Command>(rooms.cold);
        let (echo_in, echo_out) = bounded::<Sequenced>(rooms.cold);
        let (pages_wanted_in, pages_wanted_out) = bounded(rooms.cold);
        let (pages_in, pages_out) = bounded(market.tickers.len());
        let (outcome_in, outcome_out) = bounded(rooms.outward);
        let outcome_out = outcome_out.watched(watch("egress to sequencer", rooms.outward));
        let (ticket_in, ticket_out) = bounded(rooms.records);
        let ticket_out = ticket_out.watched(watch("sequencer to egress", rooms.records));
        let (report_in, report_out) = bounded::<Report>(rooms.outward);
        let report_out = report_out.watched(watch("egress to gateway", rooms.outward));
        let (public_in, public_out) = bounded(rooms.outward);
        let public_out = public_out.watched(watch("egress to feed", rooms.outward));
        let held = watch("held for commit", rooms.held);
        let records = |matcher| {
            let (sender, receiver) = bounded::<Sequenced>(rooms.records);
            (sender, receiver.watched(watch(&format!("sequencer to matcher.{matcher}"), rooms.records)))
        };
        let (to_matchers, from_sequencer): (Vec<_>, Vec<_>) = (0..matchers).map(records).unzip();
        let events = |matcher| {
            let (sender, receiver) = bounded(rooms.events);
            (sender, receiver.watched(watch(&format!("matcher.{matcher} to egress"), rooms.events)))
        };
        let (events_in, events_out): (Vec<_>, Vec<_>) = (0..matchers).map(events).unzip();
        // Logins and tickers, a row each.
        let (sessions_path, tickers_path) = (shows("sessions"), shows("tickers"));
        let names = |spec: &SessionSpec| session_name(&spec.user, &market.accounts[spec.account.index()].name);
        let names: Vec<String> = market.sessions.iter().map(names).collect();
        let session_rows = Table::create(&sessions_path, &names, &[&shown::COLUMNS, &SESSION_COLUMNS])
            .map_err(LaunchFault::system("creating the file of logins", sessions_path.display()))?;
        let symbols: Vec<String> = market.tickers.iter().map(|spec| spec.symbol.text()).collect();
        let ticker_rows = Table::create(&tickers_path, &symbols, &[&TICKER_COLUMNS])
            .map_err(LaunchFault::system("creating the file of tickers", tickers_path.display()))?;

        // Stamps on some messages' way; a cold agent makes times of them, for whoever maps the file.
        let stages_path = stages_path(config);
        let spans = Spans::create(&stages_path, &SPANS)
            .map_err(LaunchFault::system("creating the file of stage times", stages_path.display()))?;
        let ways_path = ways_path(config);
        let file = WayFile::create(&ways_path, config.stages.ways)
            .map_err(LaunchFault::system("creating the file of ways", ways_path.display()))?;
        let (stampers, ways) = stamps(config.stages.sample, matchers, spans, file, &mut counters);

        // The shadow and what ties it to the others, where snapshots are wanted.
        let cause = Cause::default();
        let (relayed_in, relayed_out) = bounded::<Command>(rooms.cold);
        let (summaries_in, summaries_out): (Vec<_>, Vec<_>) = (0..matchers).map(|_| bounded(rooms.cold)).unzip();
        let wanted = config.journal.snapshots.records > 0;
        let shadow = synced_reader.clone().filter(|_| wanted).map(|synced| {
            let links = FollowingLinks {
                synced,
                digests: relayed_in,
                summaries: summaries_out,
                closed: closed.clone(),
                stop: stop.clone(),
                cause: cause.clone(),
            };
            let (counters, clock) = (FollowingCounters::new(&mut counters), Box::new(seams.steady()));
            Following::new(config, last.0, links, counters, (clock, shadows_disk))
        });

        let supply_counters = SupplyCounters::new(&mut counters);
        let ends = Arc::new(Ends::default());
        ends.note(|parts| parts.shards = vec![0; matchers]);
        let mut hot: Vec<Box<dyn Agent>> = Vec::new();

        // The edge: TCP and shared memory over the same streams, logins checked by a cold thread.
        let (attempts_in, attempts_out) = bounded(rooms.cold);
        let (answers_in, answers_out) = bounded(rooms.cold);
        let rate = Rate {
            messages_per_second: config.gateway.throttle_per_second,
            burst: config.gateway.throttle_per_second.div_ceil(10),
        };
        let core = Core::new(market, streams, command_in, attempts_in, rate, &mut counters)
            .with_intake(intake, limits.asked_max(market.sessions.len()))
            .with_grace(awaited, u64::from(config.gateway.grace_ms) * 1_000_000)
            .with_stamps(stampers.sampler, stampers.read);
        let mut gateway = Gateway::new(core, market.sessions.len(), report_out, answers_out, seams.steady())
            .with_ending(ending.clone(), empty.clone())
            .with_shown(shown::Shown::new(session_rows.group(0)))
            .with_stamps(stampers.written);
        let (network, orders, network_line) = seams.network(&config.gateway)?;
        gateway.add(Box::new(Tcp::new(network, tcp_options(&config.gateway))));
        let shared_path = config.gateway.shared_memory.then(|| config.directory.join("orders.sock"));
        if let Some(path) = &shared_path {
            let options = SharedOptions {
                slots: config.gateway.ring_bytes / SLOT_BYTES,
                lag_bytes_max: config.gateway.lag_bytes_max,
                connections_max: config.gateway.connections_max,
                times: times(&config.gateway),
                ..SharedOptions::new(path.clone())
            };
            let shared =
                Shared::open(options, &mut counters).map_err(LaunchFault::system("listening on", path.display()))?;
            gateway.add(Box::new(shared));
        }
        let noted = Arc::clone(&ends);
        let sessions = market.sessions.len() as u16;
        hot.push(Box::new(Watched::new(gateway, move |gateway: &Gateway<S::Steady>| {
            let streams = &gateway.core().streams;
            let end = |s| (streams.next_sequence(s) - 1, streams.digest(s));
            noted.note(|parts| {
                parts.streams = (0..sessions).map(SessionId).map(end).collect();
                parts.reports_waiting = gateway.reports_waiting();
            });
        })));

        // The one order of events.
        let sequencer_links = SequencerLinks {
            inputs: vec![command_out, operator_out],
            gateways: 1,
            pressure,
            outcomes: outcome_out,
            matchers: to_matchers,
            tickets: ticket_in,
            echoes: echo_in,
            appended,
            closed: closed.clone(),
            pages_wanted: pages_wanted_out,
            pages: pages_in,
            timer: Timer::new(Nanos(u64::from(config.tick_ms) * 1_000_000)),
            calendar: config.calendar.clone(),
        };
        let sequencer_counters = SequencerCounters::new(&mut counters);
        let sequencer = Sequencer::new(oms, writer, seams.time(), last, market, sequencer_links, sequencer_counters)
            .with_stamps(stampers.sampler, stampers.sequenced, stampers.journalled)
            .with_shown(sequencer::Shown::new(session_rows.group(1), ticker_rows.group(0)));
        let noted = Arc::clone(&ends);
        hot.push(Box::new(Watched::new(sequencer, move |sequencer: &Sequencer<S::Time>| {
            let (digest, end) = (sequencer.oms().digest(), sequencer.end());
            noted.note(|parts| (parts.oms, parts.end) = (digest, Some(end)));
        })));

        // Matching.
        let mut matched = stampers.matched.into_iter();
        let ends_of_shards = shards.into_iter().zip(from_sequencer).zip(events_in).zip(summaries_in);
        for (index, (((shard, commands), events), summaries)) in ends_of_shards.enumerate() {
            let executed = counters.add(&format!("matcher.{index}.executed"));
            let matcher = Matcher::new(index, shard, commands, events, executed)
                .with_summaries(summaries)
                .with_stamps(matched.next().unwrap_or(Stamper::off()));
            let noted = Arc::clone(&ends);
            hot.push(Box::new(Watched::new(matcher, move |matcher: &Matcher| {
                let digest = Shard::digest(matcher.shard());
                noted.note(|parts| parts.shards[index] = digest);
            })));
        }

        // The way out.
        let egress_links = EgressLinks {
            tickets: ticket_out,
            matchers: events_out,
            outcomes: outcome_in,
            gateways: vec![report_in],
            feed: public_in,
            committed: committed_reader.clone(),
            delivered,
            held_max: rooms.held,
        };
        let events = counters.add("egress.events");
        let egress = Egress::new(egress_links, one_gateway(market.sessions.len()), events);
        hot.push(Box::new(egress.with_held(held).with_stamps(stampers.committed)));

        // The feed.
        let options = FeedOptions {
            destination: SocketAddr::V4(config.feed.group),
            multicast: MulticastOut {
                interface: config.feed.interface,
                ttl: u32::from(config.feed.ttl),
                loopback: true,
            },
            requests: SocketAddr::V4(config.feed.rerequest),
            hold: if plan.is_shared("feed") { Hold::SHARED } else { Hold::NONE },
            ..FeedOptions::default()
        };
        let ports =
            seams.feed(&options).map_err(LaunchFault::system("opening the feed's sockets for", config.feed.group))?;
        let publisher = Publisher::new(feed, &options, ports, seams.steady(), public_out, &mut counters)
            .with_ending(ending.clone());
        let rerequest =
            publisher.request_address().map_err(LaunchFault::system("asking for the address of", "re-requests"))?;
        let noted = Arc::clone(&ends);
        hot.push(Box::new(Watched::new(publisher, move |publisher: &Publisher<S::Port, S::Steady>| {
            let store = publisher.stream().store();
            noted.note(|parts| {
                parts.feed = (store.count(), store.digest());
                parts.facts_waiting = publisher.facts_waiting();
            });
        })));

        debug_assert!(hot.iter().map(|agent| agent.name()).eq(hot_names(market.matchers)), "the plan places them all");

        // Cold: logins and the operator.
        let passwords = seams.logins(config)?;
        let desk = LoginDesk::new(market, passwords, seams.steady(), attempts_out, answers_in, &mut counters);
        let operator_path = config.directory.join("operator.sock");
        let endpoints = Endpoints {
            orders,
            shared: shared_path,
            operator: operator_path.clone(),
            feed: config.feed.group,
            feed_interface: config.feed.interface,
            rerequest,
            depth: depth_path,
            counters: counters_path(config),
            stages: stages_path,
            sessions: sessions_path,
            tickers: tickers_path,
            queues: queues_path,
            ways: ways_path,
            session: String::from_utf8_lossy(&market.session_name).into_owned(),
        };
        let marks = PulseMarks {
            appended: appended_reader.clone(),
            committed: committed_reader.clone(),
            synced: synced_reader.clone(),
            delivered: delivered_reader.clone(),
        };
        let pulse = Pulse::new(marks, seams.steady(), log_room.0, log_room.1, &mut counters);
        let source = status::Status::new(
            config,
            endpoints.clone(),
            status::StatusLinks {
                appended: appended_reader.clone(),
                committed: committed_reader.clone(),
                synced: synced_reader,
                delivered: delivered_reader.clone(),
                pages_wanted: pages_wanted_in,
                pages: pages_out,
            },
        );
        let operator_links = OperatorLinks { commands: operator_in, records: echo_out, committed: committed_reader };
        let operator = Operator::open(&operator_path, market, operator_links, source, seams.steady(), stop.clone())
            .map_err(LaunchFault::system("listening on", operator_path.display()))?
            .relaying(relayed_out);
        let mut cold: Vec<Box<dyn Agent>> = vec![Box::new(desk), Box::new(operator), Box::new(ways)];
        cold.extend(lag.map(|lag| Box::new(lag) as Box<dyn Agent>));
        cold.push(Box::new(pulse));
        if let Some(listen) = config.metrics_listen {
            cold.push(Box::new(Metrics::open(listen, endpoints.clone(), seams.steady())?));
        }

        spent.ends(Phase::Stages);
        let huge_bytes = seams.settle();
        spent.ends(Phase::Pages);
        Ok(Stages {
            hot,
            cold,
            persister,
            shadow,
            cause,
            stop,
            closed,
            ending,
            empty,
            appended: appended_reader,
            failure,
            delivered: delivered_reader,
            ends,
            endpoints,
            network_line,
            journal_lines,
            notes,
            engine_bytes,
            huge_bytes,
            spent,
            rests: (rests, supply_counters),
        })
    }
}

/// Names of the links that are watched, in the order of an order's way.
fn queue_names(matchers: usize) -> Vec<String> {
    let of_each = |name: fn(usize) -> String| (0..matchers).map(name);
    let mut names = vec!["gateway to sequencer".to_owned()];
    names.extend(of_each(|matcher| format!("sequencer to matcher.{matcher}")));
    names.push("sequencer to egress".to_owned());
    names.extend(of_each(|matcher| format!("matcher.{matcher} to egress")));
    names.extend(["held for commit", "egress to sequencer", "egress to gateway", "egress to feed"].map(String::from));
    names
}

/// Times of the session protocol, the same on each transport.
fn times(knobs: &GatewayKnobs) -> SessionTimes {
    SessionTimes {
        login_ns: u64::from(knobs.login_ms_max) * 1_000_000,
        silence_ns: u64::from(knobs.silence_ms_max) * 1_000_000,
        ..SessionTimes::default()
    }
}

fn tcp_options(knobs: &GatewayKnobs) -> TcpOptions {
    TcpOptions { connections_max: knobs.connections_max, times: times(knobs), lag_bytes_max: knobs.lag_bytes_max }
}

/// Without segments nothing keeps the promise. Files that say so are refused with their line already.
const NO_SEGMENTS: &str = "survives = \"power-loss\" takes journal.segments, a directory on a disk";

/// The agent that moves the log to segments, its mark, and what to say about it.
fn persister(
    config: &Config,
    segments: Segments,
    writer: &mut LogWriter,
    last: Number,
    (mut disk, clock): (Box<dyn Disk>, Box<dyn Clock + Send>),
    (closed, stop, failure): (StopFlag, StopFlag, Failure),
    counters: &mut Counters,
) -> Result<(Persister, MarkReader, String), LaunchFault> {
    let knobs = config.journal.segments.as_ref().expect("segments were taken because they are configured");
    let behind = segments.end().map_or(last.0, |end| last.0 + 1 - end.number);
    let first = writer.reader().link();
    let how = disk.describe();
    let segments = SegmentWriter::new(segments, knobs.bytes, first, &mut *disk)?;
    let (mut synced, synced_reader) = mark();
    synced.set(segments.next().number - 1);
    let log = writer.reader_from(segments.next());
    let links = PersisterLinks { synced, room: writer.release(), closed, stop, failure };
    let line = format!("segments   {}, {how}; {behind} records were only in the log", segments.count());
    let mut persister = Persister::new(log, segments, disk, links, PersisterCounters::new(counters), clock);
    if config.journal.survives == Survives::PowerLoss {
        // Replay put the answers to all of the log into the streams: who logs in is sent them, so they must be safe by then.
        persister.catch_up()?;
    }
    Ok((persister, synced_reader, line))
}
