//! One case: the exchange and its floor at one rate over one transport, in slices that alternate.
//!
//! Both spin on the same core, so only the one whose slice is on may run; the other is halted. Slices take turns,
//! forwards and backwards alternately, so that a neighbour's noise and the host's drift hit both alike.

use super::echo::TcpEcho;
use crate::cli::Failure;
use crate::cli::play::{Flow, symbols};
use crate::client::orders::OrderSession;
use crate::config::Config;
use crate::launch::endpoints::Endpoints;
use crate::measure::floor::{self, FloorPlan, FloorReport, RingLane, TcpLane};
use crate::measure::flow::{Pace, Paced};
use crate::measure::latency::Latencies;
use crate::measure::load::kernel::{FOLLOW_EVERY, KernelTally};
use crate::measure::load::schedule::Sample;
use crate::measure::load::{LoadReport, Pacing, Plan, Player, PlayerOptions, SessionCounts, Transport};
use crate::measure::result::histograms::HistogramLog;
use crate::measure::result::{Case, Setting, Slice, StageFigures};
use crate::measure::trace::{PlayedSlice, Tracer};
use crate::os::clock::monotonic_ns;
use crate::os::pairs::PAIR_EVERY_NS;
use crate::os::signal;
use crate::runtime::spans::{SpanCounts, Spans};
use crate::runtime::way_file::WayReader;
use std::io::{self, Write};
use std::time::Duration;

/// How long a player behind its schedule goes on after the end of a slice.
const OVERTIME_NS: u64 = 1_000_000_000;
/// How long the last answers of a slice may take.
const DRAIN_NS: u64 = 10_000_000_000;

/// The exchange's cold thread has told the last stamps when nothing came for so many looks; and the most that are taken.
const QUIET_LOOKS: u32 = 5;
const LOOKS_MAX: u32 = 60;
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// The exchange that is measured: one started for it, or one that runs already.
pub trait Subject {
    /// Its configuration.
    fn config(&self) -> &Config;

    /// Where it is reached.
    fn endpoints(&self) -> &Endpoints;

    /// Times from stage to stage so far; none where they cannot be read.
    fn stages(&self) -> Vec<SpanCounts> {
        Spans::read(&self.endpoints().stages).unwrap_or_default()
    }

    /// The ways it has stamped, one by one.
    ///
    /// # Errors
    /// What the system says, or what is wrong with the file.
    fn ways(&self) -> io::Result<WayReader> {
        WayReader::open(&self.endpoints().ways)
    }

    /// How it ended, if it has.
    fn ended(&mut self) -> Option<String>;

    /// Lets it run on, where it was held still.
    ///
    /// # Errors
    /// What the system says.
    fn resume(&self) -> io::Result<()>;

    /// Holds it still while it is the floor's turn, where that is ours to do.
    ///
    /// # Errors
    /// What the system says.
    fn halt(&self) -> io::Result<()>;
}

/// The floor of one transport.
pub enum FloorOf {
    /// Bare rings.
    Ring(Box<RingLane>),
    /// An echo, and a connection for each session.
    Tcp(TcpEcho, Vec<TcpLane>),
}

impl FloorOf {
    fn process(&self) -> u32 {
        match self {
            FloorOf::Ring(lane) => lane.echo_id(),
            FloorOf::Tcp(echo, _) => echo.id(),
        }
    }

    fn play(&mut self, plan: FloorPlan, report: &mut FloorReport) -> io::Result<()> {
        match self {
            FloorOf::Ring(lane) => floor::play(std::slice::from_mut(&mut **lane), plan, report),
            FloorOf::Tcp(_, lanes) => floor::play(lanes, plan, report),
        }
    }
}

/// One request in so many may be rejected, as in an ordinary flow, before that is said.
const REJECTED_PART: u64 = 100;

/// What all cases of a run share.
pub struct Terms<'a> {
    /// As it will be written down.
    pub setting: &'a Setting,
    /// Requests of a session without an answer, at most.
    pub window: usize,
    /// The log's begin, in steady time.
    pub begin_ns: u64,
}

/// One case on its way.
pub struct Contest<'a> {
    terms: &'a Terms<'a>,
    rate: u64,
    player: Player,
    flow: Flow,
    floor_report: FloorReport,
    total: SessionCounts,
    sending_ns: u64,
    own: [Latencies; 2],
    floor: Latencies,
    slices: Vec<Slice>,
    stages_before: Vec<SpanCounts>,
    ways: WayReader,
    tracer: Tracer,
    kernel: KernelTally,
}

impl<'a> Contest<'a> {
    /// With sessions of one transport that are logged in. The exchange runs.
    ///
    /// # Errors
    /// What a session says, or what is wrong with the exchange's file of ways.
    pub fn new(
        terms: &'a Terms<'a>,
        rate: u64,
        venue: &impl Subject,
        mut sessions: Vec<(OrderSession, Transport)>,
        flow: Flow,
    ) -> Result<Contest<'a>, Failure> {
        let fault = |e: &dyn std::fmt::Display| Failure::Fault(format!("logging in to the exchange: {e}"));
        let samples_max = samples_max(rate, terms.setting);
        let pairs_max = pairs_max(terms.setting);
        let mut ways = venue.ways().map_err(|e| Failure::Fault(format!("reading the exchange's ways: {e}")))?;
        // Those of before are others' or of another day.
        ways.skip();
        let followed_max = if terms.setting.kernel_stamps { samples_max / FOLLOW_EVERY as usize } else { 0 };
        let options = PlayerOptions {
            in_flight_max: terms.window,
            samples_max,
            pairs_max,
            followed_max,
            ..PlayerOptions::default()
        };
        for (session, _) in sessions.iter_mut().filter(|_| followed_max > 0) {
            session.stamp_by_kernel().map_err(|e| Failure::Fault(format!("asking the kernel for stamps: {e}")))?;
        }
        let mut player = Player::new(sessions, symbols(venue.config()), options);
        player.synchronize(DRAIN_NS).map_err(|e| fault(&e))?;
        Ok(Contest {
            terms,
            rate,
            player,
            flow,
            floor_report: FloorReport::new(samples_max),
            total: SessionCounts::default(),
            sending_ns: 0,
            own: [Latencies::new(), Latencies::new()],
            floor: Latencies::new(),
            slices: Vec::new(),
            stages_before: venue.stages(),
            ways,
            tracer: Tracer::new(),
            kernel: KernelTally::new(),
        })
    }

    /// All slices, with the floor beside them where there is one; both are halted before and after. Ends early when the
    /// exchange dies. Gives the case.
    ///
    /// # Errors
    /// A floor that broke, or a log that cannot be written.
    pub fn run<W: Write>(
        mut self,
        transport: Transport,
        venue: &mut impl Subject,
        mut beside: Option<&mut FloorOf>,
        log: &mut HistogramLog<'_, W>,
    ) -> io::Result<Case> {
        let name = format!("{}-{}", if transport == Transport::Tcp { "tcp" } else { "shared" }, self.rate);
        let mut faults = Vec::new();
        for slice in 0..self.terms.setting.slices {
            let mut report = None;
            for turn in 0..2 {
                if (slice + turn) % 2 == 0 {
                    if let Some(beside) = beside.as_deref_mut() {
                        self.play_floor(beside)?;
                    }
                } else if let Some(ended) = venue.ended() {
                    faults.push(format!("the exchange died: {ended}"));
                } else {
                    report = Some(self.play_own(venue)?);
                }
            }
            let Some(report) = report else { break };
            self.note(&name, &report, beside.is_some(), log)?;
            self.trace(slice, &report);
            if let Some(fault) = report.total().fault {
                let ended = venue.ended().map_or_else(String::new, |ended| format!(" (the exchange: {ended})"));
                faults.push(format!("a session was lost in slice {}: {fault}{ended}", slice + 1));
                break;
            }
        }
        let inside = self.stages(venue);
        self.tracer.on_ways(&self.ways.take(), self.ways.missed());
        Ok(self.case(name, transport, inside, &faults))
    }

    fn play_floor(&mut self, beside: &mut FloorOf) -> io::Result<()> {
        let setting = self.terms.setting;
        let plan = FloorPlan {
            per_second: self.rate,
            burst: setting.burst,
            unmeasured_ns: setting.unmeasured_ns,
            duration_ns: setting.unmeasured_ns + setting.slice_ns,
            in_flight_max: self.terms.window,
        };
        signal::resume(beside.process())?;
        let played = beside.play(plan, &mut self.floor_report);
        signal::halt(beside.process())?;
        played.map_err(|e| io::Error::new(e.kind(), format!("the floor: {e}")))
    }

    fn play_own(&mut self, venue: &impl Subject) -> io::Result<LoadReport> {
        let setting = self.terms.setting;
        let plan = Plan {
            pacing: Pacing::Scheduled,
            unmeasured_ns: setting.unmeasured_ns,
            duration_ns: setting.unmeasured_ns + setting.slice_ns,
            overtime_ns: OVERTIME_NS,
            drain_ns: DRAIN_NS,
        };
        let pace = match setting.burst {
            0 | 1 => Pace::Even { per_second: self.rate },
            size => Pace::Bursts { size, per_second: self.rate },
        };
        venue.resume()?;
        let report = self.player.play(Paced::new(&mut self.flow, pace), plan, None);
        // One that has died meanwhile cannot be halted; the report says what became of it.
        let _dead = venue.halt();
        Ok(report)
    }

    /// Takes a slice's figures in. Nobody runs now.
    fn note<W: Write>(
        &mut self,
        name: &str,
        report: &LoadReport,
        has_floor: bool,
        log: &mut HistogramLog<'_, W>,
    ) -> io::Result<()> {
        self.total.add(&report.total());
        self.sending_ns += report.sending_ns;
        let measured = &report.measured[0];
        let floor = &self.floor_report;
        self.own[0].merge(&measured.intended);
        self.own[1].merge(&measured.service);
        self.floor.merge(&floor.intended);
        let floor_percentiles = has_floor.then(|| floor.intended.percentiles());
        self.slices.push(Slice { own: measured.intended.percentiles(), floor: floor_percentiles });
        let at_ns = report.start_ns.saturating_sub(self.terms.begin_ns);
        let samples = measured.samples.kept();
        log.add(name, samples, report.start_ns, at_ns, Sample::intended_ns)?;
        log.add(&format!("{name}-service"), samples, report.start_ns, at_ns, Sample::service_ns)?;
        if !has_floor {
            return Ok(());
        }
        let samples = floor.samples.kept();
        let first = samples.iter().map(|s| s.due_ns).min().unwrap_or_else(monotonic_ns);
        let at_ns = first.saturating_sub(self.terms.begin_ns);
        log.add(&format!("{name}-floor"), samples, first, at_ns, Sample::intended_ns)
    }

    /// Joins the slice's requests with the ways that were told so far. Nobody runs now.
    fn trace(&mut self, index: usize, report: &LoadReport) {
        self.kernel.add(&report.measured[0].kernel, report.offsets);
        let measured_from_ns = report.start_ns + self.terms.setting.unmeasured_ns;
        let samples = report.measured[0].samples.kept().to_vec();
        self.tracer.on_slice(PlayedSlice { index, measured_from_ns, samples, pairs: report.pairs.clone() });
        self.tracer.on_ways(&self.ways.take(), self.ways.missed());
    }

    /// Times from stage to stage of all that was played, warm-ups too. The exchange runs on for a moment: the cold
    /// thread that puts stamps together may have been halted with some in hand.
    fn stages(&self, venue: &impl Subject) -> Vec<StageFigures> {
        // One that has died tells what it had told by then.
        let _dead = venue.resume();
        let (mut now, mut quiet) = (venue.stages(), 0);
        for _ in 0..LOOKS_MAX {
            std::thread::sleep(LOOK_PAUSE);
            let later = venue.stages();
            quiet = if later == now { quiet + 1 } else { 0 };
            now = later;
            if quiet == QUIET_LOOKS && now != self.stages_before {
                break;
            }
        }
        let _dead = venue.halt();
        let between = now.iter().zip(&self.stages_before).map(|(now, before)| now.since(before));
        let figures = between.filter(|span| span.count() > 0).map(|span| {
            let mut latencies = Latencies::new();
            span.hits().for_each(|(ns, count)| latencies.record_many(ns, count));
            StageFigures { name: span.name.clone(), percentiles: latencies.percentiles() }
        });
        figures.collect()
    }

    /// The case. Where nothing could be joined, stages are those `inside` the exchange.
    fn case(self, name: String, transport: Transport, inside: Vec<StageFigures>, faults: &[String]) -> Case {
        let total = &self.total;
        let (joined, trace) = self.tracer.finish();
        let mut case = Case {
            name,
            transport: transport.text().to_owned(),
            rate: self.rate,
            rate_sent: (u128::from(total.sent()) * 1_000_000_000 / u128::from(self.sending_ns.max(1))) as u64,
            sent: total.sent(),
            answered: total.answered(),
            lost: total.lost,
            intended: self.own[0].percentiles(),
            service: self.own[1].percentiles(),
            floor: (self.floor.count() > 0).then(|| self.floor.percentiles()),
            slices: self.slices,
            lateness: total.lateness,
            stages: if joined.is_empty() { inside } else { joined },
            trace: (trace.stamped > 0).then_some(trace),
            kernel: self.kernel.finish(),
            marks: Vec::new(),
        };
        case.judge(faults);
        case.marks.extend(rejected(total));
        case
    }
}

/// Readings of counter and clock of a slice, however long it takes.
fn pairs_max(setting: &Setting) -> usize {
    ((setting.slice_ns + setting.unmeasured_ns + OVERTIME_NS + DRAIN_NS) / PAIR_EVERY_NS) as usize + 16
}

/// Says when what was measured is in good part the way to a refusal.
fn rejected(total: &SessionCounts) -> Option<String> {
    let rejected = total.rejects.total();
    let (_, first, _) = total.rejects.by_code().max_by_key(|(_, _, count)| *count)?;
    let is_much = rejected * REJECTED_PART > total.sent();
    is_much.then(|| format!("{rejected} of {} requests were rejected, most of them: {first}", total.sent()))
}

/// Requests of a slice, and some more: none may go unsampled.
fn samples_max(rate: u64, setting: &Setting) -> usize {
    let whole_ns = u128::from(setting.slice_ns + setting.unmeasured_ns);
    (u128::from(rate) * whole_ns / 1_000_000_000) as usize + setting.burst as usize + 1_024
}
