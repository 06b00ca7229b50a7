//! Decides one history: by an algorithm special to the type where there is one, else by search.

use std::time::Instant;

use super::history::{History, OPEN};
use super::keyed::split;
use super::limits::{Limits, Reason};
use super::model::{Conflict, Model};
use super::search::{Final, Found, search};

/// Memory for finding out more about a violation that is already certain.
const EXPLAIN_BYTES: usize = 16 << 20;

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
            Some(_) => Verdict::NotLinearizable(Box::new(narrow(model, history, None, deadline))),
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
            Verdict::NotLinearizable(Box::new(narrow(model, history, Some(returning), deadline)))
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
    fn translate(&mut self, positions: &[u32]) {
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

/// What is known about a prefix.
enum Prefix {
    Linearizable,
    Not(Option<Conflict>),
    Unknown,
}

/// Finds the shortest prefix that is not linearizable, by bisection: if a history is linearizable, so is
/// each prefix. The history itself must not be, and the prefix before the return of `from` must be.
fn narrow<M: Model>(
    model: &M,
    history: &History<M::Op>,
    from: Option<usize>,
    deadline: Option<Instant>,
) -> Violation<M::State> {
    let operations = history.operations();
    let mut returns: Vec<usize> = (0..operations.len())
        .filter(|&position| !operations[position].is_open())
        .collect();
    returns.sort_unstable_by_key(|&position| operations[position].ret);
    let limits = Limits {
        memory_bytes: EXPLAIN_BYTES,
        ..Limits::default()
    };
    let judge = |prefix: &Cut<M::Op>| match model.shortcut(&prefix.history) {
        Some(shortcut) => match shortcut.conflict {
            None => Prefix::Linearizable,
            conflict => Prefix::Not(conflict),
        },
        None => match search(model, &prefix.history, &limits, deadline).found {
            Found::Linearizable => Prefix::Linearizable,
            Found::Stuck { .. } => Prefix::Not(None),
            Found::Unknown(_) => Prefix::Unknown,
        },
    };
    let known = from.map_or(0, |from| operations[from].ret);
    let mut good = returns.partition_point(|&position| operations[position].ret < known);
    let mut bad = returns.len();
    let mut shortest = true;
    let mut conflict = None;
    // The prefix of `bad` returns is known to be bad, that of `good` returns not to be shown so.
    let mut step = 1;
    while bad - good > 1 {
        // From the known beginning on in growing steps, then by halves.
        let middle = good + step.min((bad - good) / 2);
        step *= 2;
        let prefix = Cut::new(model, history, operations[returns[middle - 1]].ret);
        match judge(&prefix) {
            Prefix::Linearizable => good = middle,
            Prefix::Unknown => {
                good = middle;
                shortest = false;
            }
            Prefix::Not(_) => bad = middle,
        }
    }
    let returning = returns[bad - 1];
    let prefix = Cut::new(model, history, operations[returning].ret);
    if let Prefix::Not(found) = judge(&prefix) {
        conflict = found;
    }
    let finals = match search(model, &prefix.history, &limits, deadline).found {
        Found::Stuck { finals, .. } => finals,
        _ => Vec::new(),
    };
    let mut violation = Violation {
        returning: 0,
        shortest,
        conflict,
        finals,
    };
    violation.translate(&prefix.positions);
    violation.returning = returning;
    violation
}

/// A prefix, and where its operations are in the whole.
struct Cut<O> {
    history: History<O>,
    positions: Vec<u32>,
}

impl<O: Clone> Cut<O> {
    fn new<M: Model<Op = O>>(model: &M, history: &History<O>, end: u32) -> Self {
        let (history, positions) = history.prefix(end, |op| model.without_answer(op));
        Cut { history, positions }
    }
}
