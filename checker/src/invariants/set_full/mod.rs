//! Sets that are added to and read as a whole: what became of every element.

mod timeline;

use serde_json::json;

pub use timeline::{Fate, Place, Timeline};

use super::{Invariant, Moment, Numbering, Quantiles, told, unknown, wrong};
use crate::catalogue::Outcome;
use crate::history::EventKind;
use crate::import::{ImportError, Value};
use crate::verdict::Verdict;

/// No element is lost, duplicated or made up; [`strict`](Self::strict): nor stale.
///
/// `add` and `read`. A read's value is all elements, or `{:added [...] :removed [...]}`: what changed since the
/// read answered before it. Cost as of [`Timeline`], and one look-up for each element listed.
#[derive(Debug, Default)]
pub struct SetFull {
    strict: bool,
    names: Numbering,
    timeline: Timeline,
    operations: usize,
    timed: bool,
}

impl SetFull {
    /// For a set whose reads must be linearizable: an element that is known to be there must be in every
    /// read that is called later.
    pub fn strict() -> Self {
        SetFull {
            strict: true,
            ..Self::default()
        }
    }

    fn numbers(&mut self, answer: &Moment, items: &Value) -> Result<Vec<u32>, ImportError> {
        match items.items() {
            Some(items) => Ok(items.iter().map(|item| self.names.number(item)).collect()),
            None => wrong(answer, "not a set"),
        }
    }
}

fn place(moment: &Moment) -> Place {
    Place {
        at: moment.at,
        time_ns: moment.event.time_ns.unwrap_or(0),
    }
}

impl Invariant for SetFull {
    fn called(&mut self, call: &Moment) -> Result<(), ImportError> {
        self.timed |= call.event.time_ns.is_some();
        self.operations += 1;
        match &*call.event.f {
            "add" => {
                let element = self.names.number(&call.event.value);
                self.timeline.add(element, place(call));
                Ok(())
            }
            "read" => Ok(()),
            _ => unknown(call),
        }
    }

    fn answered(&mut self, call: &Moment, answer: &Moment) -> Result<(), ImportError> {
        let (called, answered) = (place(call), place(answer));
        match (&*call.event.f, answer.event.kind, &answer.event.value) {
            ("add", EventKind::Ok, _) => {
                let element = self.names.number(&call.event.value);
                self.timeline.added(element, answered);
            }
            ("add", EventKind::Fail, _) => {
                let element = self.names.number(&call.event.value);
                self.timeline.not_added(element);
            }
            ("read", EventKind::Ok, Value::Nil) => {}
            ("read", EventKind::Ok, Value::Map(entries)) => {
                let (mut appeared, mut vanished) = (Vec::new(), Vec::new());
                for (name, items) in entries {
                    match name.name() {
                        Some("added") => appeared = self.numbers(answer, items)?,
                        Some("removed") => vanished = self.numbers(answer, items)?,
                        _ => return wrong(answer, "not {:added [...] :removed [...]}"),
                    }
                }
                self.timeline
                    .read_changes(called, answered, &appeared, &vanished);
            }
            ("read", EventKind::Ok, items) => {
                let listed = self.numbers(answer, items)?;
                self.timeline.read(called, answered, &listed);
            }
            _ => {}
        }
        Ok(())
    }

    fn outcome(&mut self) -> Outcome {
        let mut fates = Fates::default();
        for element in 0..self.timeline.len() as u32 {
            fates.count(element, self.timeline.fate(element));
        }
        let mut copies: Vec<_> = self.timeline.copies().collect();
        copies.sort_unstable();
        let wrong = told::summary(&[
            (fates.lost.len(), "lost"),
            (fates.unexpected.len(), "unexpected"),
            (copies.len(), "duplicated"),
            (if self.strict { fates.stale.len() } else { 0 }, "stale"),
        ]);
        let (verdict, reason) = if !wrong.is_empty() {
            let all = told::count(self.timeline.len(), "element");
            (Verdict::Invalid, format!("{wrong}, of {all}"))
        } else if fates.stable == 0 {
            let nothing = "no element was added and read after".to_owned();
            (Verdict::Unknown, nothing)
        } else {
            let stable = told::count(fates.stable, "element");
            (Verdict::Valid, format!("{stable} added and found again"))
        };
        let name = |element: u32| self.names.value(element).to_string();
        let mut findings = Vec::new();
        let mut find = |class: &str, what: &str, count: usize, cases: Vec<String>| {
            if count > 0 {
                let reason = format!("{} {what}", told::count(count, "element"));
                findings.push(told::class(class, reason, count, cases));
            }
        };
        let lost = fates.lost.iter().take(16).map(|(element, after_ns)| {
            let known = self.timeline.known_at(*element).unwrap_or(0);
            let absent = self.timeline.last_absent_at(*element).unwrap_or(0);
            let after = match (self.timed, *after_ns) {
                (true, 0) => ", never seen".to_owned(),
                (true, after) => format!(", seen for {:.3} ms", after as f64 / 1e6),
                _ => String::new(),
            };
            format!(
                "{}: known at event {known}, absent from the read called at event {absent}{after}",
                name(*element)
            )
        });
        find(
            "lost",
            "known to be in the set, and gone",
            fates.lost.len(),
            lost.collect(),
        );
        let unexpected = fates
            .unexpected
            .iter()
            .take(16)
            .map(|element| name(*element));
        find(
            "unexpected",
            "read that nobody had added",
            fates.unexpected.len(),
            unexpected.collect(),
        );
        let duplicated = copies
            .iter()
            .take(16)
            .map(|(element, copies)| format!("{}: {copies} times in one read", name(*element)));
        find(
            "duplicated",
            "more than once in one read",
            copies.len(),
            duplicated.collect(),
        );
        fates
            .stale
            .sort_by_key(|(element, late_ns)| (std::cmp::Reverse(*late_ns), *element));
        let stale = fates
            .stale
            .iter()
            .take(16)
            .map(|(element, late_ns)| match self.timed {
                true => format!(
                    "{}: missing for {:.3} ms",
                    name(*element),
                    *late_ns as f64 / 1e6
                ),
                false => name(*element),
            });
        find(
            "stale",
            "missing from a read called after they were known, and found later",
            fates.stale.len(),
            stale.collect(),
        );
        let latency = |all: Vec<u64>| self.timed.then(|| Quantiles::of(all)).flatten();
        Outcome {
            verdict,
            reason,
            operations: self.operations,
            method: "the runs of reads that have an element".to_owned(),
            findings,
            facts: json!({
                "elements": self.timeline.len(),
                "reads": self.timeline.reads(),
                "stable": fates.stable,
                "stale": fates.stale.len(),
                "lost": fates.lost.len(),
                "never_read": fates.never_read,
                "duplicated": copies.len(),
                "unexpected": fates.unexpected.len(),
                "visible_after": latency(fates.visible_after),
                "lost_after": latency(fates.lost.iter().map(|(_, after_ns)| *after_ns).collect()),
            }),
            ..Outcome::default()
        }
    }
}

/// Elements by what became of them.
#[derive(Default)]
struct Fates {
    stable: usize,
    /// Stable elements that were missing, and for how long.
    stale: Vec<(u32, u64)>,
    /// For each stable element, how long it was missing; 0 if it was not.
    visible_after: Vec<u64>,
    lost: Vec<(u32, u64)>,
    never_read: usize,
    unexpected: Vec<u32>,
}

impl Fates {
    fn count(&mut self, element: u32, fate: Fate) {
        match fate {
            Fate::Stable { late_ns } => {
                self.stable += 1;
                self.visible_after.push(late_ns.unwrap_or(0));
                self.stale.extend(late_ns.map(|late_ns| (element, late_ns)));
            }
            Fate::Lost { after_ns } => self.lost.push((element, after_ns)),
            Fate::NeverRead => self.never_read += 1,
            Fate::NotAdded => {}
            Fate::Unexpected => self.unexpected.push(element),
        }
    }
}
