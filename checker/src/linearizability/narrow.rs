//! Finds out more about a violation that is certain: the shortest beginning of the history that shows it,
//! and the configurations that lead nowhere.
//!
//! If a history is linearizable, so is each beginning of it, so the shortest can be found by bisection. A
//! conflict that an algorithm special to the type found shows by the last return of its operations, and
//! that is often the shortest beginning already: then two more looks do.

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

/// Beginnings looked at because of a conflict before it is bisection alone.
const MAX_GUESSES: u32 = 4;

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
        let from_conflict = guess.is_some();
        let (mut found, mut shortest) = (None, true);
        while bad - good > 1 || found.is_none() {
            let sensible = |&guess: &usize| good < guess && (guess < bad || found.is_none());
            let middle = match guess.take().filter(sensible) {
                Some(guess) if guesses_left > 0 => guess,
                _ if bad - good == 1 => bad,
                _ if from_conflict => good + (bad - good) / 2,
                // From the known beginning on in growing steps, then by halves.
                _ => good + step.min((bad - good) / 2),
            };
            step *= 2;
            guesses_left = guesses_left.saturating_sub(1);
            match self.judge(&Cut::new(
                self.model,
                self.history,
                operations[returns[middle - 1]].ret,
            )) {
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

    fn judge(&self, prefix: &Cut<M::Op>) -> Prefix {
        if let Some(shortcut) = self.model.shortcut(&prefix.history) {
            return match shortcut.conflict {
                None => Prefix::Linearizable,
                conflict => Prefix::Not(conflict.map(|conflict| prefix.whole(conflict))),
            };
        }
        match self.search(&prefix.history) {
            Some(Found::Linearizable) => Prefix::Linearizable,
            Some(Found::Stuck { .. }) => Prefix::Not(None),
            Some(Found::Unknown(_)) | None => Prefix::Unknown,
        }
    }

    fn search(&self, history: &History<M::Op>) -> Option<Found<M::State>> {
        if history.len() > EXPLAIN_OPERATIONS {
            return None;
        }
        let limits = Limits {
            memory_bytes: EXPLAIN_BYTES,
            ..Limits::default()
        };
        Some(search(self.model, history, &limits, self.deadline).found)
    }

    /// The violation at a return, with the configurations that cannot pass it.
    fn explained(&self, returning: usize, conflict: Option<Conflict>) -> Violation<M::State> {
        let cut = Cut::new(
            self.model,
            self.history,
            self.history.operations()[returning].ret,
        );
        let mut violation = Violation {
            returning,
            shortest: true,
            conflict,
            finals: Vec::new(),
            of_conflict: false,
        };
        if let Some(Found::Stuck { finals, .. }) = self.search(&cut.history) {
            violation.finals = cut.whole_finals(finals);
            return violation;
        }
        let of_conflict = violation
            .conflict
            .as_ref()
            .and_then(|conflict| self.values_of(&cut, conflict));
        if let Some(part) = of_conflict
            && let Some(Found::Stuck { finals, .. }) = self.search(&part.history)
        {
            violation.finals = part.whole_finals(finals);
            violation.of_conflict = true;
        }
        violation
    }

    /// The operations of a prefix that are about the same values as a conflict; `None` if it has values
    /// that are about nothing in particular.
    fn values_of(&self, cut: &Cut<M::Op>, conflict: &Conflict) -> Option<Cut<M::Op>> {
        let whole = self.history.operations();
        let values = conflict
            .operations
            .iter()
            .map(|&at| self.model.value(&whole[at].op));
        let values: HashSet<i64> = values.flatten().collect();
        if values.is_empty() {
            return None;
        }
        let (mut operations, mut positions) = (Vec::new(), Vec::new());
        for (operation, &position) in cut.history.operations().iter().zip(&cut.positions) {
            let value = self.model.value(&operation.op);
            let in_conflict = conflict.operations.contains(&(position as usize));
            if in_conflict || value.is_some_and(|value| values.contains(&value)) {
                operations.push(operation.clone());
                positions.push(position);
            }
        }
        Some(Cut {
            history: History::from_sorted(operations),
            positions,
        })
    }
}

/// Some operations of a history, and where they are in the whole.
struct Cut<O> {
    history: History<O>,
    positions: Vec<u32>,
}

impl<O: Clone> Cut<O> {
    fn new<M: Model<Op = O>>(model: &M, history: &History<O>, end: u32) -> Self {
        let (history, positions) = history.prefix(end, |op| model.without_answer(op));
        Cut { history, positions }
    }

    fn whole(&self, mut conflict: Conflict) -> Conflict {
        for position in &mut conflict.operations {
            *position = self.positions[*position] as usize;
        }
        conflict
    }

    fn whole_finals<S>(&self, mut finals: Vec<Final<S>>) -> Vec<Final<S>> {
        for found in &mut finals {
            for position in found
                .done
                .iter_mut()
                .chain(&mut found.waiting)
                .chain(&mut found.used)
            {
                *position = self.positions[*position] as usize;
            }
        }
        finals
    }
}
