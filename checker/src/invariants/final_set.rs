//! A set that is added to, and read at the end.

use hashbrown::HashMap;
use serde_json::json;

use super::{Invariant, Moment, Numbering, told, unknown, wrong};
use crate::catalogue::Outcome;
use crate::history::EventKind;
use crate::import::{ImportError, Value};
use crate::verdict::Verdict;

/// The read called last has everything whose `add` was `ok` before, and nothing that nobody added. After
/// Jepsen's `set` checker.
///
/// Time O(adds + elements of all reads), memory for the adds and one read.
#[derive(Debug, Default)]
pub struct FinalSet {
    names: Numbering,
    adds: HashMap<u32, Add>,
    /// When the last read was called, and what it had.
    last: Option<(u32, Vec<u32>)>,
    operations: usize,
}

#[derive(Debug, Default)]
struct Add {
    /// Calls that did not fail.
    attempts: usize,
    /// The event of the first `ok`.
    ok_at: Option<u32>,
}

impl Invariant for FinalSet {
    fn called(&mut self, call: &Moment) -> Result<(), ImportError> {
        self.operations += 1;
        match &*call.event.f {
            "add" => {
                let element = self.names.number(&call.event.value);
                self.adds.entry(element).or_default().attempts += 1;
                Ok(())
            }
            "read" => Ok(()),
            _ => unknown(call),
        }
    }

    fn answered(&mut self, call: &Moment, answer: &Moment) -> Result<(), ImportError> {
        match (&*call.event.f, answer.event.kind, &answer.event.value) {
            ("add", kind @ (EventKind::Ok | EventKind::Fail), _) => {
                let element = self.names.number(&call.event.value);
                let add = self.adds.entry(element).or_default();
                if kind == EventKind::Ok {
                    add.ok_at.get_or_insert(answer.at);
                } else {
                    add.attempts = add.attempts.saturating_sub(1);
                }
            }
            ("read", EventKind::Ok, Value::Nil) => {}
            ("read", EventKind::Ok, value) => {
                let Some(items) = value.items() else {
                    return wrong(answer, "not a set");
                };
                if self.last.as_ref().is_none_or(|(at, _)| *at < call.at) {
                    let seen = items.iter().map(|item| self.names.number(item)).collect();
                    self.last = Some((call.at, seen));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn outcome(&mut self) -> Outcome {
        let Some((called_at, seen)) = &self.last else {
            return Outcome {
                reason: "the set was never read".to_owned(),
                operations: self.operations,
                ..Outcome::default()
            };
        };
        let mut seen = seen.clone();
        seen.sort_unstable();
        seen.dedup();
        let has = |element: u32| seen.binary_search(&element).is_ok();
        let (mut lost, mut recovered, mut unexpected) = (Vec::new(), 0, Vec::new());
        for (&element, add) in &self.adds {
            match add.ok_at {
                Some(ok_at) if ok_at < *called_at && !has(element) => lost.push(element),
                None if add.attempts > 0 && has(element) => recovered += 1,
                _ => {}
            }
        }
        for &element in &seen {
            if self.adds.get(&element).is_none_or(|add| add.attempts == 0) {
                unexpected.push(element);
            }
        }
        lost.sort_unstable();
        let classes = told::summary(&[(lost.len(), "lost"), (unexpected.len(), "unexpected")]);
        let acknowledged = self.adds.values().filter(|add| add.ok_at.is_some()).count();
        let (verdict, reason) = if classes.is_empty() {
            let all = told::count(acknowledged, "acknowledged element");
            (Verdict::Valid, format!("the last read has all of {all}"))
        } else {
            let all = told::count(self.adds.len(), "element");
            (Verdict::Invalid, format!("{classes}, of {all} added"))
        };
        let mut findings = Vec::new();
        for (class, what, elements) in [
            ("lost", "acknowledged, and not in the last read", &lost),
            (
                "unexpected",
                "in the last read, and added by nobody",
                &unexpected,
            ),
        ] {
            if !elements.is_empty() {
                let reason = format!("{} {what}", told::count(elements.len(), "element"));
                let cases = elements
                    .iter()
                    .map(|one| self.names.value(*one).to_string());
                findings.push(told::class(class, reason, elements.len(), cases));
            }
        }
        Outcome {
            verdict,
            reason,
            operations: self.operations,
            findings,
            facts: json!({
                "attempts": self.adds.len(),
                "acknowledged": acknowledged,
                "read": seen.len(),
                "lost": lost.len(),
                "recovered": recovered,
                "unexpected": unexpected.len(),
            }),
            ..Outcome::default()
        }
    }
}
