//! Finds out more about a violation that is certain: the shortest beginning of the history that shows it,
//! and the configurations that lead nowhere.
//!
//! If a history is linearizable, so is each beginning of it, so the shortest can be found by bisection. A
//! conflict that an algorithm special to the type found shows by the last return of its operations, and
//! that is often the shortest beginning already: then two more looks do. At worst there are O(log n).

use std::time::Instant;

use hashbrown::HashSet;

use super::check::Violation;
use super::found::{Final, Found};
use super::history::{History, OPEN};
use super::limits::Limits;
use super::model::{Conflict, Model};
use super::search::search;

/// Memory for a search here.
const EXPLAIN_BYTES: usize = 16 << 20;
/// Operations in histories that are searched here, at most.
const EXPLAIN_OPERATIONS: usize = 1 << 17;

/// Beginnings looked at because of a conflict between two steps of the bisection.
const MAX_GUESSES: u32 = 2;

/// What is known before.
pub(super) enum Known {
    /// Operations that exclude one another.
    Conflict(Conflict),
    /// The history up to the return before this one's is linearizable.
    Reached(usize),
}

/// What is known about a prefix.
enum Prefix {
    Linearizable,
    Not(Option<Conflict>),
    Unknown,
}

/// A history that is not linearizable, and how to look at it.
struct Narrow<'a, M: Model> {
    model: &'a M,
    history: &'a History<M::Op>,
    deadline: Option<Instant>,
}

/// Finds the shortest prefix that is not linearizable. The history itself must not be.
pub(super) fn narrow<M: Model>(
    model: &M,
    history: &History<M::Op>,
    known: Known,
    deadline: Option<Instant>,
) -> Violation<M::State> {
    let narrow = Narrow {
        model,
        history,
        deadline,
    };
    let operations = history.operations();
    let mut returns: Vec<usize> = (0..operations.len())
        .filter(|&position| !operations[position].is_open())
        .collect();
    returns.sort_unstable_by_key(|&position| operations[position].ret);
    let (good, bad, conflict, shortest) = narrow.bisect(&returns, known);
    let returning = returns[bad - 1];
    let mut violation = narrow.explained(returning, conflict);
    violation.returning = returning;
    violation.shortest = shortest && bad - good == 1;
    violation
}

impl<M: Model> Narrow<'_, M> {
    /// The prefix of so many returns is linearizable, that of so many is not, by this conflict; and
    /// whether nothing in between was left undecided.
    fn bisect(&self, returns: &[usize], known: Known) -> (usize, usize, Option<Conflict>, bool) {
        let operations = self.history.operations();
        let shown_by = |conflict: &Conflict| {
            let last = conflict.operations.iter();
            let last = last
                .map(|&at| operations[at].ret)
                .filter(|&ret| ret != OPEN);
            let last = last.max()?;
            Some(returns.partition_point(|&position| operations[position].ret <= last))
        };
        let (mut good, mut bad) = (0, returns.len());
        // The prefix to look at next, if there is reason to look there.
        let mut guess = None;
        let mut guesses_left = MAX_GUESSES;
        let mut step = 1;
        match known {
            Known::Conflict(conflict) => guess = shown_by(&conflict),
            Known::Reached(position) => {
                let ret = operations[position].ret;
                good = returns.partition_point(|&other| operations[other].ret < ret);
            }
        }
        let (mut found, mut shortest) = (None, true);
        while bad - good > 1 || found.is_none() {
            let sensible = |&guess: &usize| good < guess && (guess < bad || found.is_none());
            let middle = match guess.take().filter(sensible) {
                Some(guess) if guesses_left > 0 => {
                    guesses_left -= 1;
                    guess
                }
                _ if bad - good == 1 => bad,
                // From the known beginning on in growing steps, then by halves.
                _ => {
                    let next = good + step.min((bad - good) / 2);
                    step *= 2;
                    guesses_left = MAX_GUESSES;
                    next
                }
            };
            match self.judge(operations[returns[middle - 1]].ret) {
                Prefix::Linearizable if middle < bad => good = middle,
                Prefix::Linearizable => break,
                Prefix::Unknown if middle == bad => break,
                Prefix::Unknown => {
                    good = middle;
                    shortest = false;
                }
                Prefix::Not(conflict) => {
                    bad = middle;
                    // The conflict found may show earlier; if it does not, the return before is next.
                    guess = conflict
                        .as_ref()
                        .and_then(shown_by)
                        .map(|shown| shown.min(bad - 1));
                    found = Some(conflict);
                }
            }
        }
        (good, bad, found.flatten(), shortest)
    }

    /// Judges the history up to and including a moment.
    fn judge(&self, end: u32) -> Prefix {
        if let Some(shortcut) = self.model.shortcut_until(self.history, end) {
            return match shortcut.conflict {
                None => Prefix::Linearizable,
                conflict => Prefix::Not(conflict),
            };
        }
        let found = self
            .cut(end, |_, _| true)
            .map(|cut| self.search(&cut.history));
        match found {
            Some(Found::Linearizable) => Prefix::Linearizable,
            Some(Found::Stuck { .. }) => Prefix::Not(None),
            Some(Found::Unknown(_)) | None => Prefix::Unknown,
        }
    }

    fn search(&self, history: &History<M::Op>) -> Found<M::State> {
        let limits = Limits {
            memory_bytes: EXPLAIN_BYTES,
            ..Limits::default()
        };
        search(self.model, history, &limits, self.deadline).found
    }

    /// The violation at a return, with the configurations that cannot pass it.
    fn explained(&self, returning: usize, conflict: Option<Conflict>) -> Violation<M::State> {
        let end = self.history.operations()[returning].ret;
        let (finals, of_conflict) = match (self.finals(end, |_, _| true), &conflict) {
            (Some(finals), _) => (finals, false),
            (None, Some(conflict)) => {
                let values = self.values(conflict);
                let concerned = |at: usize, op: &M::Op| {
                    let value = self.model.value(op);
                    conflict.operations.contains(&at)
                        || value.is_some_and(|value| values.contains(&value))
                };
                let finals = self.finals(end, concerned).unwrap_or_default();
                (finals, true)
            }
            (None, None) => (Vec::new(), false),
        };
        Violation {
            returning,
            shortest: true,
            conflict,
            of_conflict: of_conflict && !finals.is_empty(),
            finals,
        }
    }

    /// The values that a conflict is about.
    fn values(&self, conflict: &Conflict) -> HashSet<i64> {
        let operations = self.history.operations();
        let values = conflict
            .operations
            .iter()
            .map(|&at| self.model.value(&operations[at].op));
        values.flatten().collect()
    }

    /// The configurations that cannot pass the return at a moment, of the operations that `keep`
    /// chooses; `None` if there are too many of those.
    fn finals(
        &self,
        end: u32,
        keep: impl Fn(usize, &M::Op) -> bool,
    ) -> Option<Vec<Final<M::State>>> {
        let cut = self.cut(end, keep)?;
        let Found::Stuck { mut finals, .. } = self.search(&cut.history) else {
            return None;
        };
        for found in &mut finals {
            let positions = found
                .done
                .iter_mut()
                .chain(&mut found.waiting)
                .chain(&mut found.used);
            for position in positions {
                *position = cut.positions[*position] as usize;
            }
        }
        Some(finals)
    }

    /// What had happened up to and including a moment, of the operations that `keep` chooses; `None` if
    /// those are too many to be searched.
    fn cut(&self, end: u32, keep: impl Fn(usize, &M::Op) -> bool) -> Option<Cut<M::Op>> {
        let chosen = self.history.operations().iter().enumerate();
        let chosen = chosen.filter(|&(at, operation)| keep(at, &operation.op));
        let (positions, operations): (Vec<u32>, Vec<_>) = chosen
            .take_while(|(_, operation)| operation.call <= end)
            .take(EXPLAIN_OPERATIONS + 1)
            .map(|(at, operation)| (at as u32, operation.clone()))
            .unzip();
        if operations.len() > EXPLAIN_OPERATIONS {
            return None;
        }
        let (history, of_chosen) =
            History::from_sorted(operations).prefix(end, |op| self.model.without_answer(op));
        let positions = of_chosen.iter().map(|&at| positions[at as usize]).collect();
        Some(Cut { history, positions })
    }
}

/// Some operations of a history, and where they are in the whole.
struct Cut<O> {
    history: History<O>,
    positions: Vec<u32>,
}
