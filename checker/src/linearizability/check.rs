//! Decides one history: by an algorithm special to the type where there is one, else by search.

use std::time::Instant;

use super::found::{Final, Found};
use super::history::{History, OPEN};
use super::keyed::split;
use super::limits::{Limits, Reason};
use super::model::{Conflict, Model};
use super::narrow::{Known, narrow};
use super::search::search;

/// Whether a history is linearizable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<S> {
    /// It is.
    Linearizable,
    /// It is not.
    NotLinearizable(Box<Violation<S>>),
    /// A bound was reached first.
    Unknown(Reason),
}

/// Why a history is not linearizable. Positions are those in [`History::operations`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation<S> {
    /// The operation at whose return no order is left: the history up to this return is not
    /// linearizable.
    pub returning: usize,
    /// Whether the history up to the return before is linearizable.
    pub shortest: bool,
    /// Operations that exclude one another, if an algorithm special to the type found them.
    pub conflict: Option<Conflict>,
    /// The configurations reached before that return, none of which can pass it; at most a few, and
    /// none if finding them would have taken too much memory.
    pub finals: Vec<Final<S>>,
    /// The configurations are those of the conflict alone: of the operations about the same values.
    pub of_conflict: bool,
}

/// A verdict, and how it was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked<S> {
    /// The verdict.
    pub verdict: Verdict<S>,
    /// The algorithm.
    pub method: &'static str,
    /// Configurations a search looked at.
    pub configurations: u64,
    /// Memory of the search's tables at the end, in bytes.
    pub memory_bytes: usize,
}

/// Decides whether a history is linearizable. One thread; the same answer every time unless a time
/// limit or the progress hook stops it. For cost, see the [module](super).
pub fn check<M: Model>(
    model: &M,
    history: &History<M::Op>,
    limits: &Limits<'_>,
) -> Checked<M::State> {
    check_until(model, history, limits, deadline(limits))
}

/// Decides by search alone: the reference for the special algorithms.
pub fn check_by_search<M: Model>(
    model: &M,
    history: &History<M::Op>,
    limits: &Limits<'_>,
) -> Checked<M::State> {
    let deadline = deadline(limits);
    searched(model, history, limits, deadline)
}

pub(super) fn deadline(limits: &Limits<'_>) -> Option<Instant> {
    limits.time.map(|time| Instant::now() + time)
}

pub(super) fn check_until<M: Model>(
    model: &M,
    history: &History<M::Op>,
    limits: &Limits<'_>,
    deadline: Option<Instant>,
) -> Checked<M::State> {
    if let Some(shortcut) = model.shortcut(history) {
        let verdict = match shortcut.conflict {
            None => Verdict::Linearizable,
            Some(conflict) => {
                let known = Known::Conflict(conflict);
                Verdict::NotLinearizable(Box::new(narrow(model, history, known, deadline)))
            }
        };
        return Checked {
            verdict,
            method: shortcut.method,
            configurations: 0,
            memory_bytes: 0,
        };
    }
    match split(history, |op| model.part(op)) {
        Some(parts) if parts.len() > 1 => {
            by_part(parts, |part| check_until(model, part, limits, deadline))
        }
        _ => searched(model, history, limits, deadline),
    }
}

fn searched<M: Model>(
    model: &M,
    history: &History<M::Op>,
    limits: &Limits<'_>,
    deadline: Option<Instant>,
) -> Checked<M::State> {
    let searched = search(model, history, limits, deadline);
    let verdict = match searched.found {
        Found::Linearizable => Verdict::Linearizable,
        Found::Unknown(reason) => Verdict::Unknown(reason),
        // The search knows the answers still to come; a prefix does not have them, so it may end later.
        Found::Stuck { returning, .. } => {
            let known = Known::Reached(returning);
            Verdict::NotLinearizable(Box::new(narrow(model, history, known, deadline)))
        }
    };
    Checked {
        verdict,
        method: "search",
        configurations: searched.configurations,
        memory_bytes: searched.bytes,
    }
}

/// Puts the verdicts about independent parts together: the violation that ends first, else an unknown.
fn by_part<O, S>(
    parts: Vec<super::keyed::Part<O>>,
    check: impl Fn(&History<O>) -> Checked<S>,
) -> Checked<S> {
    let mut all = Checked {
        verdict: Verdict::Linearizable,
        method: "by element",
        configurations: 0,
        memory_bytes: 0,
    };
    let mut earliest = OPEN;
    for part in parts {
        let one = check(&part.history);
        all.configurations += one.configurations;
        all.memory_bytes = all.memory_bytes.max(one.memory_bytes);
        match one.verdict {
            Verdict::Linearizable => {}
            Verdict::Unknown(reason) => {
                if all.verdict_is_linearizable() {
                    all.verdict = Verdict::Unknown(reason);
                }
            }
            Verdict::NotLinearizable(mut violation) => {
                let ret = part.history.operations()[violation.returning].ret;
                if ret < earliest {
                    earliest = ret;
                    violation.translate(&part.positions);
                    all.verdict = Verdict::NotLinearizable(violation);
                }
            }
        }
    }
    all
}

impl<S> Checked<S> {
    fn verdict_is_linearizable(&self) -> bool {
        matches!(self.verdict, Verdict::Linearizable)
    }
}

impl<S> Violation<S> {
    /// From positions in a part to positions in the whole.
    pub(super) fn translate(&mut self, positions: &[u32]) {
        let whole = |position: &mut usize| *position = positions[*position] as usize;
        whole(&mut self.returning);
        if let Some(conflict) = &mut self.conflict {
            conflict.operations.iter_mut().for_each(whole);
        }
        for found in &mut self.finals {
            found.done.iter_mut().for_each(whole);
            found.waiting.iter_mut().for_each(whole);
            found.used.iter_mut().for_each(whole);
        }
    }
}
