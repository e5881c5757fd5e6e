//! What a measurement leaves behind: a directory that says what was measured, on what, and how it came out.
//!
//! | file | for |
//! |---|---|
//! | `run.json` | everything but the distributions: machine, settings, each case with its slices, marks |
//! | `run.hlog` | the distributions: interval histograms, tagged with their series, as HdrHistogram's tools read them |
//! | `SERIES.hgrm` | each series whole, as its plotter reads it |
//! | `summary.csv`, `slices.csv` | the same figures for a spreadsheet |
//! | `report.html` | the same for people: made from the others by `pitlane report` |
//!
//! Cold. A case is one transport at one rate; a series is what was recorded of it: the exchange from the intended time
//! of sending, the same from the sending itself (`-service`), the floor (`-floor`).

pub mod files;
pub mod histograms;
pub mod machine;

use super::latency::{Percentiles, time};
use super::load::schedule::Lateness;
use super::spread::Spread;
use machine::Machine;
use serde::{Deserialize, Serialize};

/// Version of the directory's layout.
pub const FORMAT: u32 = 1;

/// One measurement.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Run {
    /// [`FORMAT`].
    pub format: u32,
    /// Version of the program.
    pub pitlane: String,
    /// The exact command.
    pub command: String,
    /// When it began, in ns since the epoch.
    pub started_ns: u64,
    /// Where.
    pub machine: Machine,
    /// How.
    pub setting: Setting,
    /// Transports and rates.
    pub cases: Vec<Case>,
    /// What the cores did meanwhile, each for itself; empty when nobody looked.
    #[serde(default)]
    pub jitter: Vec<CoreGaps>,
    /// What is wrong with the run as a whole: died, too busy a machine.
    #[serde(default)]
    pub marks: Vec<String>,
}

/// How it was measured.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Setting {
    /// What was played: runs of different flows are not compared.
    pub flow: String,
    /// Client sessions.
    pub sessions: usize,
    /// Measured length of a slice.
    pub slice_ns: u64,
    /// Slices of each case.
    pub slices: usize,
    /// Played and not measured at the beginning of a slice.
    pub unmeasured_ns: u64,
    /// Steps at once.
    pub burst: u64,
    /// Whether some requests were stamped by the kernel, which takes calls of its own.
    #[serde(default)]
    pub kernel_stamps: bool,
    /// What the exchange said about its threads and its network.
    pub exchange: Vec<String>,
}

/// One transport at one rate.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Case {
    /// Its name, and that of its main series: `tcp-10000`.
    pub name: String,
    /// `tcp` or `shared memory`.
    pub transport: String,
    /// Steps a second meant to be sent.
    pub rate: u64,
    /// Steps a second that were sent.
    pub rate_sent: u64,
    /// Requests sent.
    pub sent: u64,
    /// Requests answered.
    pub answered: u64,
    /// Requests without an answer at the end.
    pub lost: u64,
    /// From the intended time of sending to the answer.
    pub intended: Percentiles,
    /// From the sending itself.
    pub service: Percentiles,
    /// The floor, from the intended time.
    pub floor: Option<Percentiles>,
    /// Slice by slice, in the order measured.
    pub slices: Vec<Slice>,
    /// Whether sends were made in time.
    pub lateness: Lateness,
    /// Time from stage to stage: from the client's intent to its answer where stamps were joined with what the client
    /// noted, else inside the exchange alone.
    #[serde(default)]
    pub stages: Vec<StageFigures>,
    /// How stamps were joined, and the slowest of those messages.
    #[serde(default)]
    pub trace: Option<Trace>,
    /// What the kernel's stamps of some requests say, where they were asked for.
    #[serde(default)]
    pub kernel: Option<KernelFigures>,
    /// What is wrong with it.
    #[serde(default)]
    pub marks: Vec<String>,
}

/// One slice: the exchange, and the floor beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Slice {
    /// The exchange, from the intended time.
    pub own: Percentiles,
    /// The floor.
    pub floor: Option<Percentiles>,
}

/// Time from one stage to the next.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StageFigures {
    /// From and to.
    pub name: String,
    /// The figures.
    pub percentiles: Percentiles,
}

/// Stamps of the client's kernel.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KernelFigures {
    /// Requests that were to be stamped, and have their answer.
    pub followed: u64,
    /// Of these, with a stamp of when they went to the network device.
    pub transmitted: u64,
    /// With one of when the answer came from there.
    pub received: u64,
    /// Without one because the answer was read together with what came behind it.
    #[serde(default)]
    pub shared_reads: u64,
    /// Not counted, because the host's clock was set meanwhile.
    pub clock_set: u64,
    /// How far the stamps may be off.
    pub clock_error_ns: u64,
    /// From the client's call to its reading of the answer, of those with both stamps; empty without any.
    pub steps: Vec<StageFigures>,
}

/// The exchange's stamps joined with what the client noted of the same requests.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Trace {
    /// Stamped requests, warm-ups left out.
    pub stamped: u64,
    /// Of these, joined.
    pub joined: u64,
    /// Not joined, because a stamp was lost.
    pub incomplete: u64,
    /// Ways that were overwritten before they were read, warm-ups too.
    pub missed: u64,
    /// Answers that the client had before the exchange's call to send them returned: the way back is then nothing.
    pub early: u64,
    /// How far the client's clock and the exchange's stamps may lie apart.
    pub clock_error_ns: u64,
    /// Names of the steps of a message, in their order.
    pub steps: Vec<String>,
    /// The slowest, slowest first.
    pub slowest: Vec<SlowMessage>,
}

/// One stamped message and where its time went.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SlowMessage {
    /// Slice of its case, from 0.
    pub slice: usize,
    /// Its session, from 0.
    pub session: u16,
    /// The client's number for it.
    pub user_ref: u32,
    /// The journal's.
    pub number: u64,
    /// From the intended time of sending to the answer.
    pub total_ns: u64,
    /// The steps of that, as many as [`Trace::steps`].
    pub steps_ns: Vec<u64>,
}

impl KernelFigures {
    /// How many stamps there were, for people; plainly, where there were none.
    pub fn said(&self) -> String {
        let KernelFigures { followed, transmitted, received, shared_reads, clock_set, clock_error_ns, .. } = self;
        if *clock_set == *followed {
            return format!("{followed} requests followed; the host's clock was set meanwhile, and none counts");
        }
        if self.steps.is_empty() {
            let shared = if *shared_reads > 0 {
                format!(" and {shared_reads} of several answers at once")
            } else {
                String::new()
            };
            let seen = format!("{transmitted} stamps of sending, {received} of receiving{shared}");
            return format!("NO STAMPS: this system gave {seen} for {followed} requests");
        }
        let set = if *clock_set > 0 { format!("; {clock_set} not counted, the clock was set") } else { String::new() };
        let count = self.steps[0].percentiles.count;
        let missing = [
            (followed.saturating_sub(clock_set + transmitted), "without one of sending"),
            (*shared_reads, "answered together with others"),
        ];
        let mut all = format!("{count} of {followed} requests with both stamps");
        for (count, what) in missing.into_iter().filter(|(count, _)| *count > 0) {
            all += &format!("; {count} {what}");
        }
        format!("{all}{set}; stamps are right within {}", time(*clock_error_ns))
    }
}

impl SlowMessage {
    /// The step that took longest.
    pub fn longest_step(&self) -> Option<usize> {
        (0..self.steps_ns.len()).max_by_key(|&step| self.steps_ns[step])
    }
}

impl Trace {
    /// Steps that took longest in the slowest messages, most often first: by name, and in how many.
    pub fn blamed(&self) -> Vec<(&str, usize)> {
        let longest = |step: usize| self.slowest.iter().filter(|slow| slow.longest_step() == Some(step)).count();
        let mut blamed: Vec<(&str, usize)> =
            self.steps.iter().enumerate().map(|(step, name)| (name.as_str(), longest(step))).collect();
        blamed.retain(|(_, count)| *count > 0);
        blamed.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        blamed
    }

    /// The same for people.
    pub fn blame(&self) -> String {
        let all: Vec<String> = self.blamed().iter().map(|(step, count)| format!("{step} in {count}")).collect();
        let longest = self.slowest.first().map_or(0, |slow| slow.total_ns);
        format!("the {} slowest stamped, up to {}; longest step {}", self.slowest.len(), time(longest), all.join(", "))
    }
}

/// What a loop that does nothing saw on one core: how often it was kept from running, by how long.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CoreGaps {
    /// Which core.
    pub core: usize,
    /// How long it looked.
    pub looked_ns: u64,
    /// Gaps by size: at least so many ns, and below the next entry.
    pub gaps: Vec<(u64, u64)>,
    /// Time lost in them.
    pub lost_ns: u64,
    /// The longest.
    pub longest_ns: u64,
}

impl Case {
    /// Ours ÷ floor, slice by slice, of one percentile; `None` without a floor.
    pub fn ratio(&self, of: fn(&Percentiles) -> u64) -> Option<Spread> {
        let quotient = |slice: &Slice| Some(of(&slice.own) as f64 / of(slice.floor.as_ref()?).max(1) as f64);
        let quotients: Vec<f64> = self.slices.iter().filter_map(quotient).collect();
        (!quotients.is_empty()).then(|| Spread::of(quotients))
    }

    /// Series it has in the histogram log: from the intended time, from the sending itself, the floor.
    pub fn series(&self) -> [String; 3] {
        let name = &self.name;
        [name.clone(), format!("{name}-service"), format!("{name}-floor")]
    }

    /// Looks for what makes its figures worth less than they seem, and says so in its marks.
    pub fn judge(&mut self, faults: &[String]) {
        self.marks.extend(faults.iter().cloned());
        if self.lateness.sends == 0 {
            self.marks.push("nothing was measured".to_owned());
            return;
        }
        let Lateness { sends, late, held, .. } = self.lateness;
        // One in a hundred is what rounding and the last burst of a slice come to.
        if self.rate_sent * 100 < self.rate * 99 {
            let text = format!("rate not held: {} a second of {} were sent", self.rate_sent, self.rate);
            self.marks.push(text);
        }
        if held * 100 > sends {
            self.marks.push(format!("the exchange held back {held} of {sends} sends: more than it takes"));
        }
        if !self.lateness.is_valid() {
            self.marks.push(format!("INVALID: the load tool itself was late for {late} of {sends} sends"));
        }
        if self.lost > 0 {
            self.marks.push(format!("{} requests had no answer", self.lost));
        }
    }

    /// Whether its p50 and p99 say something about the exchange.
    pub fn is_valid(&self) -> bool {
        self.lateness.is_valid() && self.lost == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn case() -> Case {
        let at = |p50: u64| Percentiles { count: 100, p50, p99: 3 * p50, ..Percentiles::default() };
        let slice = |own, floor| Slice { own: at(own), floor: Some(at(floor)) };
        Case {
            name: "tcp-1000".into(),
            transport: "tcp".into(),
            rate: 1_000,
            rate_sent: 1_000,
            sent: 300,
            answered: 300,
            lost: 0,
            intended: at(11),
            service: at(10),
            floor: Some(at(5)),
            slices: vec![slice(10, 5), slice(12, 4), slice(30, 10)],
            lateness: Lateness { sends: 300, ..Lateness::default() },
            stages: Vec::new(),
            trace: None,
            kernel: None,
            marks: Vec::new(),
        }
    }

    #[test]
    fn the_ratio_is_taken_slice_by_slice() {
        let ratio = case().ratio(|p| p.p50).unwrap();
        assert_eq!((ratio.low, ratio.median, ratio.high), (3.0, 3.0, 3.0));
        let mut alone = case();
        alone.slices.iter_mut().for_each(|slice| slice.floor = None);
        assert_eq!(alone.ratio(|p| p.p50), None);
    }

    #[test]
    fn the_steps_to_blame_are_those_that_took_longest_most_often_first() {
        let slow = |steps_ns: [u64; 3]| SlowMessage {
            slice: 0,
            session: 0,
            user_ref: 1,
            number: 1,
            total_ns: steps_ns.iter().sum(),
            steps_ns: steps_ns.to_vec(),
        };
        let slowest = [[9, 1, 1], [1, 1, 9], [2, 1, 9]].map(slow).to_vec();
        let trace = Trace { steps: ["a", "b", "c"].map(str::to_owned).to_vec(), slowest, ..Trace::default() };
        assert_eq!(trace.blamed(), [("c", 2), ("a", 1)]);
        assert_eq!(Trace::default().blamed(), []);
    }

    #[test]
    fn a_system_without_stamps_of_the_kernel_is_told_plainly() {
        let none = KernelFigures { followed: 900, received: 3, ..KernelFigures::default() };
        assert_eq!(none.said(), "NO STAMPS: this system gave 0 stamps of sending, 3 of receiving for 900 requests");
        let set = KernelFigures { followed: 9, clock_set: 9, ..KernelFigures::default() };
        assert!(set.said().contains("the host's clock was set meanwhile"), "{}", set.said());
        let percentiles = Percentiles { count: 7, ..Percentiles::default() };
        let steps = vec![StageFigures { name: "call to kernel transmit".into(), percentiles }];
        let (followed, transmitted, shared_reads, clock_set) = (12, 9, 2, 1);
        let some = KernelFigures { followed, transmitted, shared_reads, clock_set, clock_error_ns: 31, steps, ..set };
        let wanted = "7 of 12 requests with both stamps; 2 without one of sending; 2 answered together with others; \
                      1 not counted, the clock was set; stamps are right within 31 ns";
        assert_eq!(some.said(), wanted);
    }

    #[test]
    fn a_good_case_has_no_marks_and_each_fault_has_its_own() {
        let judged = |change: fn(&mut Case)| {
            let mut case = case();
            change(&mut case);
            case.judge(&[]);
            (case.marks.join("; "), case.is_valid())
        };
        assert_eq!(judged(|_| ()), (String::new(), true));
        assert_eq!(judged(|c| c.rate_sent = 900), ("rate not held: 900 a second of 1000 were sent".into(), true));
        let (late, valid) = judged(|c| c.lateness.late = 3);
        assert!(late.starts_with("INVALID: the load tool itself was late for 3 of 300") && !valid, "{late}");
        let (held, valid) = judged(|c| c.lateness.held = 4);
        assert!(held.contains("held back 4 of 300") && valid, "{held}");
        assert_eq!(judged(|c| c.lost = 2), ("2 requests had no answer".into(), false));
        assert_eq!(judged(|c| c.lateness.sends = 0), ("nothing was measured".into(), false));
    }
}
