//! A queue: what goes in must come out.

use hashbrown::HashMap;
use serde_json::json;

use super::{Invariant, Moment, Numbering, told, unknown, wrong};
use crate::catalogue::Outcome;
use crate::history::EventKind;
use crate::import::{ImportError, Value};
use crate::verdict::Verdict;

/// Every value whose `enqueue` was `ok` is dequeued, and none that nobody enqueued;
/// [`once`](Self::once): nor any more often than it was enqueued. After Jepsen's `total-queue` checker. The
/// history has to empty the queue, by `dequeue` or `drain`.
///
/// What a `dequeue` without answer took is not known: values that so many may have taken are not held to be
/// lost, the verdict is unknown then. O(n).
#[derive(Debug, Default)]
pub struct TotalQueue {
    once: bool,
    names: Numbering,
    values: HashMap<u32, Tally>,
    /// Dequeues, and drains, called and not answered.
    open_dequeues: usize,
    open_drains: usize,
    operations: usize,
}

/// Counts of one value.
#[derive(Debug, Default)]
struct Tally {
    /// The events of those calls of `enqueue` that did not fail, in order.
    attempts: Vec<u32>,
    acknowledged: usize,
    dequeued: usize,
    /// The event of the first answer that had it.
    first_dequeued: Option<u32>,
}

impl Tally {
    /// Whether it was dequeued before anybody tried to enqueue it.
    fn is_unexpected(&self) -> bool {
        let called = |before: u32| self.attempts.first().is_some_and(|at| *at < before);
        self.first_dequeued.is_some_and(|at| !called(at))
    }
}

impl TotalQueue {
    /// For a queue that delivers each value exactly once.
    pub fn once() -> Self {
        TotalQueue {
            once: true,
            ..Self::default()
        }
    }

    fn value(&mut self, value: &Value) -> &mut Tally {
        self.values.entry(self.names.number(value)).or_default()
    }

    fn took(&mut self, value: &Value, at: u32) {
        let tally = self.value(value);
        tally.first_dequeued.get_or_insert(at);
        tally.dequeued += 1;
    }
}

impl Invariant for TotalQueue {
    fn called(&mut self, call: &Moment) -> Result<(), ImportError> {
        self.operations += 1;
        match &*call.event.f {
            "enqueue" | "put" | "push" => self.value(&call.event.value).attempts.push(call.at),
            "dequeue" | "take" | "pop" => self.open_dequeues += 1,
            "drain" => self.open_drains += 1,
            _ => return unknown(call),
        }
        Ok(())
    }

    fn answered(&mut self, call: &Moment, answer: &Moment) -> Result<(), ImportError> {
        let (kind, value) = (answer.event.kind, &answer.event.value);
        if kind == EventKind::Info {
            return Ok(());
        }
        let ok = kind == EventKind::Ok;
        match &*call.event.f {
            "enqueue" | "put" | "push" if ok => self.value(&call.event.value).acknowledged += 1,
            "enqueue" | "put" | "push" => {
                let attempts = &mut self.value(&call.event.value).attempts;
                attempts.retain(|at| *at != call.at);
            }
            "drain" => {
                self.open_drains -= 1;
                match (ok, value.items()) {
                    (false, _) => {}
                    (true, Some(items)) => items.iter().for_each(|item| self.took(item, answer.at)),
                    (true, None) => return wrong(answer, "not what was drained"),
                }
            }
            _ => {
                self.open_dequeues -= 1;
                if ok && *value != Value::Nil {
                    self.took(value, answer.at);
                }
            }
        }
        Ok(())
    }

    fn outcome(&mut self) -> Outcome {
        let (mut lost, mut unexpected, mut duplicated) = (Vec::new(), Vec::new(), Vec::new());
        let (mut recovered, mut acknowledged, mut dequeued) = (0, 0, 0);
        let mut missing = 0;
        for (&value, tally) in &self.values {
            acknowledged += tally.acknowledged;
            dequeued += tally.dequeued;
            if tally.is_unexpected() {
                unexpected.push(value);
                continue;
            }
            if tally.dequeued < tally.acknowledged {
                missing += tally.acknowledged - tally.dequeued;
                lost.push(value);
            }
            if tally.dequeued > tally.attempts.len() {
                duplicated.push(value);
            }
            let came_out = tally.dequeued.min(tally.attempts.len());
            recovered += came_out.saturating_sub(tally.acknowledged);
        }
        let excused = self.open_drains > 0 || missing <= self.open_dequeues;
        let sure_lost = if excused { 0 } else { lost.len() };
        let forbidden = if self.once { duplicated.len() } else { 0 };
        let classes = told::summary(&[
            (sure_lost, "lost"),
            (unexpected.len(), "unexpected"),
            (forbidden, "duplicated"),
        ]);
        let values = told::count(self.values.len(), "value");
        let (verdict, reason) = if !classes.is_empty() {
            (Verdict::Invalid, format!("{classes}, of {values}"))
        } else if missing > 0 {
            let open = self.open_dequeues + self.open_drains;
            let reason = format!(
                "{missing} not dequeued, which {open} dequeues without answer may have taken"
            );
            (Verdict::Unknown, reason)
        } else if acknowledged == 0 {
            (Verdict::Unknown, "nothing was enqueued".to_owned())
        } else {
            (Verdict::Valid, format!("all of {values} came out"))
        };
        let mut findings = Vec::new();
        for (class, what, values) in [
            ("lost", "enqueued and not dequeued", &mut lost),
            (
                "unexpected",
                "dequeued that nobody had enqueued",
                &mut unexpected,
            ),
            (
                "duplicated",
                "dequeued more often than enqueued",
                &mut duplicated,
            ),
        ] {
            values.sort_unstable();
            if !values.is_empty() {
                let reason = format!("{} {what}", told::count(values.len(), "value"));
                let cases = values.iter().map(|value| {
                    let tally = &self.values[value];
                    let name = self.names.value(*value);
                    format!(
                        "{name}: enqueued {} to {} times, dequeued {}",
                        tally.acknowledged,
                        tally.attempts.len(),
                        tally.dequeued
                    )
                });
                findings.push(told::class(class, reason, values.len(), cases));
            }
        }
        Outcome {
            verdict,
            reason,
            operations: self.operations,
            findings,
            facts: json!({
                "acknowledged": acknowledged,
                "dequeued": dequeued,
                "dequeues_without_answer": self.open_dequeues + self.open_drains,
                "lost": lost.len(),
                "unexpected": unexpected.len(),
                "duplicated": duplicated.len(),
                "recovered": recovered,
            }),
            ..Outcome::default()
        }
    }
}
