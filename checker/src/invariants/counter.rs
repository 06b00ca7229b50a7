//! A counter that is added to, and read.

use serde_json::json;

use super::{Invariant, Moment, told, unknown, wrong};
use crate::catalogue::Outcome;
use crate::history::EventKind;
use crate::import::{ImportError, Value};
use crate::verdict::Verdict;

/// Every read is within what the adds allow: at least those that were `ok` before it was called and no
/// others that count up, at most all that were called before it was answered; and the other way round for those
/// that count down. After Jepsen's `counter` checker, with negative amounts.
///
/// Reads are judged one by one: bounds are necessary, not sufficient (`counter` is exact).
/// O(n log n), 48 bytes for each operation.
#[derive(Debug, Default)]
pub struct CounterBounds {
    /// Event, amount and whether it failed, in the order of calls.
    called: Vec<(u32, i64, bool)>,
    /// Event and amount, in the order of answers.
    ok: Vec<(u32, i64)>,
    reads: Vec<Read>,
    operations: usize,
}

#[derive(Debug)]
struct Read {
    called_at: u32,
    answered_at: u32,
    line: u64,
    seen: i64,
}

/// Sums of positive and of negative amounts, in the order of events.
struct Sums(Vec<(u32, i128, i128)>);

impl Sums {
    fn of(amounts: impl Iterator<Item = (u32, i64)>) -> Self {
        let (mut up, mut down) = (0, 0);
        let sums = amounts.map(|(at, amount)| {
            up += i128::from(amount.max(0));
            down += i128::from(amount.min(0));
            (at, up, down)
        });
        Sums(sums.collect())
    }

    /// Of the events before this one.
    fn before(&self, at: u32) -> (i128, i128) {
        let count = self.0.partition_point(|sum| sum.0 < at);
        let last = count.checked_sub(1).map(|last| self.0[last]);
        last.map_or((0, 0), |(_, up, down)| (up, down))
    }
}

impl Invariant for CounterBounds {
    fn called(&mut self, call: &Moment) -> Result<(), ImportError> {
        self.operations += 1;
        match (&*call.event.f, &call.event.value) {
            ("add", Value::Int(amount)) => self.called.push((call.at, *amount, false)),
            ("read" | "get", _) => {}
            _ => return unknown(call),
        }
        Ok(())
    }

    fn answered(&mut self, call: &Moment, answer: &Moment) -> Result<(), ImportError> {
        match (&*call.event.f, answer.event.kind, &answer.event.value) {
            ("add", EventKind::Fail, _) => {
                let at = self.called.partition_point(|add| add.0 < call.at);
                self.called[at].2 = true;
            }
            ("add", EventKind::Ok, _) => {
                if let Value::Int(amount) = call.event.value {
                    self.ok.push((answer.at, amount));
                }
            }
            ("read" | "get", EventKind::Ok, Value::Int(seen)) => self.reads.push(Read {
                called_at: call.at,
                answered_at: answer.at,
                line: answer.event.line,
                seen: *seen,
            }),
            ("read" | "get", EventKind::Ok, Value::Nil) => {}
            ("read" | "get", EventKind::Ok, _) => return wrong(answer, "not a number"),
            _ => {}
        }
        Ok(())
    }

    fn outcome(&mut self) -> Outcome {
        let not_failed = self.called.iter().filter(|add| !add.2);
        let called = Sums::of(not_failed.map(|(at, amount, _)| (*at, *amount)));
        let ok = Sums::of(self.ok.iter().copied());
        let mut outside = Vec::new();
        for read in &self.reads {
            let (sure_up, sure_down) = ok.before(read.called_at);
            let (all_up, all_down) = called.before(read.answered_at);
            let (low, high) = (sure_up + all_down, all_up + sure_down);
            if !(low..=high).contains(&i128::from(read.seen)) {
                outside.push((read, low, high));
            }
        }
        let reads = told::count(self.reads.len(), "read");
        // The history of a counter that is never read shows nothing wrong: Jepsen calls it valid, too.
        let (verdict, reason) = match outside.len() {
            0 => (Verdict::Valid, format!("{reads} within bounds")),
            bad => (Verdict::Invalid, format!("{bad} of {reads} out of bounds")),
        };
        let cases = outside.iter().map(|(read, low, high)| {
            format!(
                "line {}: read {}, and {low} to {high} is possible",
                read.line, read.seen
            )
        });
        let finding = told::class("out-of-bounds", reason.clone(), outside.len(), cases);
        Outcome {
            verdict,
            reason,
            operations: self.operations,
            findings: if outside.is_empty() {
                Vec::new()
            } else {
                vec![finding]
            },
            facts: json!({"reads": self.reads.len(), "out_of_bounds": outside.len()}),
            ..Outcome::default()
        }
    }
}
