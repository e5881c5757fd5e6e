//! The page's part about where the time goes: the steps of a message, and the slowest messages one by one. Cold.

use super::page::{self, Page};
use super::plots::{self, Axis, Bar, RGB};
use crate::measure::latency::time;
use crate::measure::result::{Case, KernelFigures, Run, SlowMessage, StageFigures, Trace};
use crate::measure::trace::{ALL, STEPS};
use crate::runtime::points::{SPANS, WHOLE};

/// Steps of all cases: bars of their medians, and a table.
pub fn steps(page: &mut Page, run: &Run) {
    let with: Vec<&Case> = run.cases.iter().filter(|case| !case.stages.is_empty()).collect();
    if with.is_empty() {
        return;
    }
    page.section(
        "Where the time goes",
        "One message in some is stamped with the processor's counter on its way through the exchange, and joined with \
         what the client noted of the same request: when it was due, when it was sent, when its answer was there. Bars \
         are medians of the steps in their order. Due to sent is the load tool's own lateness; sent to read is the way to \
         the gateway, written to answered the way back, which is nothing where the client has the answer before the \
         exchange's call to send it returns.",
    );
    page.raw(&key(&with));
    let bar = |case: &&Case| Bar {
        name: case.name.clone(),
        parts: parts(case).map(|stage| (stage.percentiles.p50 as f64, colour(&stage.name))).collect(),
    };
    page.plot("Medians of the steps", &plots::bars(Axis::Time, &with.iter().map(bar).collect::<Vec<_>>()));
    for case in with {
        let rows: Vec<Vec<String>> = case.stages.iter().map(row).collect();
        let said = case.trace.as_ref().map_or("the exchange's own stamps, not joined".to_owned(), said);
        page.folded(&format!("{}: {said}", case.name), |page| {
            page.table(&HEADINGS, &rows);
        });
    }
}

/// Of a table of steps.
const HEADINGS: [&str; 8] = ["step", "messages", "p50", "p90", "p99", "p99.9", "p99.99", "max"];

fn row(stage: &StageFigures) -> Vec<String> {
    let p = stage.percentiles;
    let times = [p.p50, p.p90, p.p99, p.p99_9, p.p99_99, p.max].map(time);
    [stage.name.clone(), p.count.to_string()].into_iter().chain(times).collect()
}

/// How much of what was stamped could be joined.
fn said(trace: &Trace) -> String {
    let mut text = format!("{} of {} stamped messages joined with the client's times", trace.joined, trace.stamped);
    let odd = [
        (trace.incomplete, "without all of their stamps"),
        (trace.stamped.saturating_sub(trace.joined + trace.incomplete), "due in a warm-up, or others'"),
        (trace.missed, "overwritten before they were read (stages.ways)"),
        (trace.early, "answers there before the exchange's call returned"),
    ];
    for (count, what) in odd.into_iter().filter(|(count, _)| *count > 0) {
        text += &format!("; {count} {what}");
    }
    format!("{text}; the two clocks agree within {}", time(trace.clock_error_ns))
}

/// What the client's kernel said, where it was asked.
pub fn kernel(page: &mut Page, run: &Run) {
    let with: Vec<(&Case, &KernelFigures)> =
        run.cases.iter().filter_map(|case| Some((case, case.kernel.as_ref()?))).collect();
    if with.is_empty() {
        return;
    }
    page.section(
        "What the kernel saw",
        "The client's kernel noted of some requests when it gave them to the network device, and when their answers came \
         from there. The first and the last step are the client's own side; between them lies all that is not the \
         client's. Both sides share a host here and the device is the loopback: the exchange's part of the kernel belongs \
         to the middle step. An answer that was read together with later ones has no stamp of its own, so the busiest \
         moments are told less often than quiet ones.",
    );
    for (case, figures) in with {
        let rows: Vec<Vec<String>> = figures.steps.iter().map(row).collect();
        page.facts(&[(case.name.as_str(), figures.said())]);
        if !rows.is_empty() {
            page.table(&HEADINGS, &rows);
        }
    }
}

/// The slowest messages of each case, and the step that took most of each in red.
pub fn slowest(page: &mut Page, run: &Run) {
    let of = |case: &'_ Case| case.trace.as_ref().is_some_and(|trace| !trace.slowest.is_empty());
    let with: Vec<&Case> = run.cases.iter().filter(|case| of(case)).collect();
    if with.is_empty() {
        return;
    }
    page.section(
        "The slowest messages",
        "Of those that were stamped, one by one, the step that took longest in red: so that a bad tail can be put to \
         the right account. A way to the exchange or back that takes milliseconds is one on which the other side was not \
         running: see what the machine does by itself, below.",
    );
    for case in with {
        let Some(trace) = &case.trace else { continue };
        let mut headings = vec!["total", "slice", "session, order"];
        let short: Vec<String> = trace.steps.iter().map(|step| short(step)).collect();
        headings.extend(short.iter().map(String::as_str));
        let rows: Vec<Vec<String>> = trace.slowest.iter().map(slow_row).collect();
        page.folded(&format!("{}: {}", case.name, trace.blame()), |page| {
            page.table(&headings, &rows);
        });
    }
}

/// The end of a step is enough where the steps stand in their order.
fn short(step: &str) -> String {
    format!("to {}", step.rsplit(' ').next().unwrap_or(step))
}

fn slow_row(slow: &SlowMessage) -> Vec<String> {
    let longest = slow.longest_step();
    let step = |(at, &ns): (usize, &u64)| format!("{}{}", if longest == Some(at) { "!" } else { "" }, time(ns));
    let order = format!("{}, {}", slow.session, slow.user_ref);
    let whose = [time(slow.total_ns), (slow.slice + 1).to_string(), order];
    whose.into_iter().chain(slow.steps_ns.iter().enumerate().map(step)).collect()
}

/// The steps of the way, without the sums of several.
fn parts(case: &Case) -> impl Iterator<Item = &StageFigures> {
    case.stages.iter().filter(|stage| ![SPANS[WHOLE], ALL].contains(&stage.name.as_str()))
}

/// A step's colour is the same in every case, whichever steps it has.
fn colour(name: &str) -> usize {
    STEPS.iter().position(|step| *step == name).unwrap_or(STEPS.len())
}

fn key(with: &[&Case]) -> String {
    let is_there = |step: &&&str| with.iter().any(|case| parts(case).any(|stage| stage.name == ***step));
    let mut key = String::from("<div class=\"key\">");
    for step in STEPS.iter().filter(is_there) {
        let RGB(r, g, b) = plots::rgb(colour(step));
        key += &format!("<span><i style=\"background:rgb({r},{g},{b})\"></i>{}</span>", page::escaped(step));
    }
    key + "</div>"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> Trace {
        let slow = |total_ns, steps_ns: [u64; 2]| SlowMessage {
            slice: 1,
            session: 3,
            user_ref: 40,
            number: 7,
            total_ns,
            steps_ns: steps_ns.to_vec(),
        };
        Trace {
            stamped: 9,
            joined: 7,
            incomplete: 2,
            clock_error_ns: 40,
            steps: ["due to sent", "sent to read"].map(str::to_owned).to_vec(),
            slowest: vec![slow(5_000, [1_000, 4_000]), slow(3_000, [2_000, 1_000])],
            ..Trace::default()
        }
    }

    #[test]
    fn what_could_not_be_joined_is_said_with_its_cause() {
        assert_eq!(
            said(&trace()),
            "7 of 9 stamped messages joined with the client's times; 2 without all of their stamps; \
             the two clocks agree within 40 ns"
        );
    }

    #[test]
    fn the_longest_step_of_a_slow_message_is_marked_and_counted() {
        let trace = trace();
        assert_eq!(slow_row(&trace.slowest[0]), ["5.00 us", "2", "3, 40", "1.00 us", "!4.00 us"]);
        assert_eq!(
            trace.blame(),
            "the 2 slowest stamped, up to 5.00 us; longest step due to sent in 1, sent to read in 1"
        );
    }

    #[test]
    fn every_step_has_a_colour_of_its_own() {
        let rgb = |step: &&str| {
            let RGB(r, g, b) = plots::rgb(colour(step));
            (r, g, b)
        };
        let mut colours: Vec<_> = STEPS.iter().map(rgb).collect();
        colours.sort_unstable();
        colours.dedup();
        assert_eq!(colours.len(), STEPS.len());
    }
}
