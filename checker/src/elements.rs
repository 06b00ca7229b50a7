//! Losses of a set that is added to and read as a whole, in the terms of the loss checker: each element is a
//! key with one write.

#[cfg(test)]
mod tests;

use std::path::Path;

use hashbrown::HashMap;

use crate::clock::Clock;
use crate::error::CheckError;
use crate::history::EventKind;
use crate::import::{Event, Source, SourceError, Value};
use crate::invariants::set_full::{Fate, Place, Timeline};
use crate::loss::{Anomaly, ClassCounts, KeyClass, LossReport, WindowLoss};
use crate::rate::Rate;
use crate::summary::read_windows;
use crate::windows::Windows;

/// The lane of what lies between faults: before the first, between two, after the last.
pub const OUTSIDE: &str = "outside";

/// Why losses could not be counted.
#[derive(Debug, thiserror::Error)]
pub enum ElementsError {
    /// The windows of the history.
    #[error(transparent)]
    Windows(#[from] CheckError),
    /// Its operations.
    #[error(transparent)]
    Operations(#[from] SourceError),
}

/// What became of the elements added in the history in `history`; lists at most `keep_anomalies` of those lost.
///
/// An acknowledged element is *lost* if the reads called last lack it, and *stale* if they have it, and an earlier
/// read called after it was known lacked it. One that no read was called after is not judged. Elements belong to
/// the windows in which they were acknowledged; the lane [`OUTSIDE`] has those acknowledged while no fault was in
/// force. Cost as of [`Timeline`]; reads until `clock` stops, and operations in flight within `limit_bytes`.
///
/// # Errors
/// If the history is missing or damaged; one that is cut off is judged as far as it goes, and is among the
/// incomplete sources.
pub fn element_losses(
    history: &Path,
    limit_bytes: usize,
    clock: Clock,
    keep_anomalies: usize,
) -> Result<LossReport, ElementsError> {
    let windows = read_windows(history)?;
    let source = Source::open(history, None, limit_bytes, clock)?;
    let mut events = source.events(clock)?;
    let mut adds = Adds::default();
    for (at, event) in (0_u32..).zip(&mut events) {
        let event = event.map_err(|error| source.error(error))?;
        if event.process.is_some() {
            adds.event(at, &event);
        }
    }
    let mut report = adds.report(&windows, keep_anomalies);
    if let Some(why) = events.truncated() {
        let cut_off = ("history".to_owned(), why.to_owned());
        report.incomplete_sources.push(cut_off);
    }
    if adds.timeline.reads() == 0 {
        let unread = ("final read".to_owned(), "the set was never read".to_owned());
        report.incomplete_sources.push(unread);
    }
    Ok(report)
}

/// An operation under way.
struct Call {
    place: Place,
    /// The element it adds; `None` for a read.
    adds: Option<u32>,
}

#[derive(Default)]
struct Adds {
    timeline: Timeline,
    numbers: HashMap<i64, u32>,
    /// By number: the element, and when it was first asked to be added.
    elements: Vec<(i64, u64)>,
    open: HashMap<u64, Call>,
    acknowledged: u64,
    failed: u64,
    /// Adds that were answered, or whose answer will never come.
    indeterminate: u64,
}

impl Adds {
    fn event(&mut self, at: u32, event: &Event) {
        let place = Place {
            at,
            time_ns: event.time_ns.unwrap_or(0),
        };
        let Some(op) = event.op else {
            return;
        };
        match (event.kind, &*event.f, &event.value) {
            (EventKind::Invoke, "add", Value::Int(element)) => {
                let number = self.number(*element, place);
                self.timeline.add(number, place);
                let adds = Some(number);
                self.open.insert(op, Call { place, adds });
            }
            (EventKind::Invoke, "read", _) => {
                self.open.insert(op, Call { place, adds: None });
            }
            (EventKind::Invoke, ..) => {}
            (kind, _, value) => {
                if let Some(call) = self.open.remove(&op) {
                    self.answered(&call, kind, place, value);
                }
            }
        }
    }

    fn answered(&mut self, call: &Call, kind: EventKind, place: Place, value: &Value) {
        match (call.adds, kind) {
            (Some(element), EventKind::Ok) => {
                self.acknowledged += 1;
                self.timeline.added(element, place);
            }
            (Some(element), EventKind::Fail) => {
                self.failed += 1;
                self.timeline.not_added(element);
            }
            (Some(_), _) => self.indeterminate += 1,
            (None, EventKind::Ok) => {
                let items = value.items().unwrap_or_default();
                let integers = items.iter().filter_map(|item| match item {
                    Value::Int(element) => Some(*element),
                    _ => None,
                });
                let listed: Vec<u32> = integers.map(|one| self.number(one, place)).collect();
                self.timeline.read(call.place, place, &listed);
            }
            (None, _) => {}
        }
    }

    fn number(&mut self, element: i64, place: Place) -> u32 {
        let next = self.elements.len() as u32;
        let number = *self.numbers.entry(element).or_insert(next);
        if number == next {
            self.elements.push((element, place.time_ns));
        }
        number
    }

    fn report(&self, windows: &Windows, keep_anomalies: usize) -> LossReport {
        let never_answered = self
            .open
            .values()
            .filter(|call| call.adds.is_some())
            .count() as u64;
        let mut report = LossReport {
            acknowledged_writes: self.acknowledged,
            failed_writes: self.failed,
            indeterminate_writes: self.indeterminate + never_answered,
            reads: self.timeline.reads() as u64,
            ..LossReport::default()
        };
        let mut by_window = ByWindow::new(windows);
        let (mut lost, mut stale, mut unexpected) = (0, 0, 0);
        for number in 0..self.timeline.len() as u32 {
            let fate = self.timeline.fate(number);
            let Some(acknowledged) = self.timeline.acknowledged(number) else {
                match fate {
                    Fate::Unexpected => unexpected += 1,
                    Fate::Stable { .. } => report.indeterminate_present += 1,
                    _ => {}
                }
                continue;
            };
            let class = match fate {
                Fate::Stable { late_ns } => {
                    stale += u64::from(late_ns.is_some());
                    Some(KeyClass::Ok)
                }
                Fate::Lost { after_ns } => {
                    lost += 1;
                    if report.anomalies.len() < keep_anomalies {
                        let anomaly = self.anomaly(number, acknowledged, after_ns);
                        report.anomalies.push(anomaly);
                    }
                    Some(KeyClass::Lost)
                }
                Fate::NeverRead | Fate::NotAdded | Fate::Unexpected => {
                    report.unjudged_keys += 1;
                    None
                }
            };
            report.acknowledged_keys += u64::from(class.is_some());
            by_window.add(acknowledged.time_ns, class);
        }
        let judged = report.acknowledged_keys;
        report.keys = judged + report.indeterminate_present + unexpected;
        report.counts = ClassCounts {
            ok: judged - lost + report.indeterminate_present,
            lost,
            phantom: unexpected,
            ..ClassCounts::default()
        };
        report.anomalies_omitted = lost - report.anomalies.len() as u64;
        report.lost = Rate::new(lost, judged);
        report.stale = Rate::new(stale, judged);
        report.phantom = Rate::new(unexpected, report.keys);
        report.windows = by_window.finish();
        report
    }

    fn anomaly(&self, number: u32, acknowledged: Place, after_ns: u64) -> Anomaly {
        let (element, written_ns) = self.elements[number as usize];
        let seen = match after_ns {
            0 => "no read has it".to_owned(),
            after => format!("reads had it for {:.3} ms", after as f64 / 1e6),
        };
        Anomaly {
            key: element,
            class: KeyClass::Lost,
            acknowledged_version: Some(1),
            acknowledged_delete: false,
            written_ns: Some(written_ns),
            found: Vec::new(),
            explanation: format!(
                "acknowledged at {:.3} s, and not in the reads called last; {seen}",
                acknowledged.time_ns as f64 / 1e9
            ),
        }
    }
}

/// Elements by the window in which they were acknowledged.
struct ByWindow<'a> {
    windows: &'a Windows,
    /// Those of the history, in its order; then what lies outside of faults.
    losses: Vec<WindowLoss>,
    /// Start of the first fault and end of the last.
    faults: Option<(u64, u64)>,
}

impl<'a> ByWindow<'a> {
    fn new(windows: &'a Windows) -> Self {
        let faults = || windows.windows().iter().filter(|w| w.lane == "fault");
        let first = faults().map(|fault| fault.start_ns).min();
        let faults = first.zip(faults().map(|fault| fault.end_ns).max());
        let empty = |lane: &str, name: &str, start_ns, end_ns| WindowLoss {
            lane: lane.to_owned(),
            name: name.to_owned(),
            start_ns,
            end_ns,
            acknowledged_writes: 0,
            counts: ClassCounts::default(),
            lost: Rate::default(),
        };
        let named = windows.windows().iter();
        let mut losses: Vec<WindowLoss> = named
            .map(|w| empty(&w.lane, &w.name, w.start_ns, w.end_ns))
            .collect();
        if let Some((first, last)) = faults {
            losses.extend([
                empty(OUTSIDE, "before the first fault", 0, first),
                empty(OUTSIDE, "between faults", first, last),
                empty(OUTSIDE, "after the last fault", last, last),
            ]);
        }
        ByWindow {
            windows,
            losses,
            faults,
        }
    }

    fn add(&mut self, acknowledged_ns: u64, class: Option<KeyClass>) {
        let members = self.windows.members(self.windows.piece(acknowledged_ns));
        let mut within: Vec<usize> = members.to_vec();
        if let Some((first, last)) = self.faults
            && !members.iter().any(|at| self.losses[*at].lane == "fault")
        {
            let outside = match acknowledged_ns {
                before if before < first => 0,
                after if after >= last => 2,
                _ => 1,
            };
            within.push(self.windows.windows().len() + outside);
        }
        for at in within {
            let window = &mut self.losses[at];
            window.acknowledged_writes += 1;
            if let Some(class) = class {
                window.counts.add(class, 1);
            }
            if window.lane == OUTSIDE {
                window.end_ns = window.end_ns.max(acknowledged_ns);
            }
        }
    }

    fn finish(mut self) -> Vec<WindowLoss> {
        for window in &mut self.losses {
            window.lost = Rate::new(window.counts.lost, window.counts.total());
        }
        self.losses
    }
}
