//! How much of what clients asked for was done.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Invariant, Moment, told};
use crate::availability::{self, Operation};
use crate::catalogue::Outcome;
use crate::history::EventKind;
use crate::import::ImportError;
use crate::verdict::Verdict;

/// Every function succeeds at least once, as in Jepsen's `stats` checker; the facts have the share of operations
/// that did, the longest time without a success and latencies, as [`availability`] counts them over the whole
/// history. O(n log n).
#[derive(Debug, Default)]
pub struct Availability {
    operations: Vec<Operation>,
    /// Number of the operation called at an event.
    by_call: hashbrown::HashMap<u32, usize>,
    /// By function: called, ok, failed.
    functions: BTreeMap<Box<str>, [usize; 3]>,
    timed: bool,
}

impl Invariant for Availability {
    fn called(&mut self, call: &Moment) -> Result<(), ImportError> {
        self.timed |= call.event.time_ns.is_some();
        self.by_call.insert(call.at, self.operations.len());
        self.operations.push(Operation {
            due_ns: call.event.time_ns.unwrap_or(0),
            completed_ns: None,
            ok: false,
            interval_ns: None,
        });
        self.functions.entry(call.event.f.clone()).or_default()[0] += 1;
        Ok(())
    }

    fn answered(&mut self, call: &Moment, answer: &Moment) -> Result<(), ImportError> {
        if let Some(number) = self.by_call.remove(&call.at) {
            let operation = &mut self.operations[number];
            operation.completed_ns = answer.event.time_ns;
            operation.ok = answer.event.kind == EventKind::Ok;
        }
        let counts = self.functions.entry(call.event.f.clone()).or_default();
        match answer.event.kind {
            EventKind::Ok => counts[1] += 1,
            EventKind::Fail => counts[2] += 1,
            _ => {}
        }
        Ok(())
    }

    fn outcome(&mut self) -> Outcome {
        let all = self.operations.len();
        let ok: usize = self.functions.values().map(|counts| counts[1]).sum();
        let never: Vec<_> = self
            .functions
            .iter()
            .filter(|(_, counts)| counts[1] == 0)
            .collect();
        let operations = told::count(all, "operation");
        let (verdict, reason) = match (never.len(), all) {
            (_, 0) => (Verdict::Unknown, "there are no operations".to_owned()),
            (0, _) => (Verdict::Valid, format!("{ok} of {operations} succeeded")),
            _ => {
                let names: Vec<_> = never.iter().map(|(name, _)| &***name).collect();
                let names = names.join(", ");
                (
                    Verdict::Invalid,
                    format!("{names} never succeeded; {ok} of {operations} did"),
                )
            }
        };
        let ends = self
            .operations
            .iter()
            .map(|one| one.completed_ns.unwrap_or(one.due_ns));
        let end_ns = ends.max().unwrap_or(0);
        let start_ns = self
            .operations
            .iter()
            .map(|one| one.due_ns)
            .min()
            .unwrap_or(0);
        let whole = [("history".to_owned(), start_ns, end_ns.saturating_add(1))];
        let over_time = self.timed.then(|| {
            let whole = availability::availability(self.operations.clone(), &whole).remove(0);
            json!({"longest_gap_us": whole.longest_gap_us, "latency": whole.during.latency})
        });
        let cases = never.iter().map(|(name, [called, _, failed])| {
            format!(
                "{name}: called {called} times, {failed} failed, {} without answer",
                called - failed
            )
        });
        let finding = told::class("never-ok", reason.clone(), never.len(), cases);
        let functions = self.functions.iter().map(|(name, [called, ok, failed])| {
            let counts =
                json!({"called": called, "ok": ok, "fail": failed, "info": called - ok - failed});
            (name.to_string(), counts)
        });
        Outcome {
            verdict,
            reason,
            operations: all,
            facts: json!({
                "ok_share": if all > 0 { ok as f64 / all as f64 } else { 0.0 },
                "functions": functions.collect::<serde_json::Map<_, _>>(),
                "over_time": over_time,
            }),
            findings: if never.is_empty() {
                Vec::new()
            } else {
                vec![finding]
            },
            ..Outcome::default()
        }
    }
}
