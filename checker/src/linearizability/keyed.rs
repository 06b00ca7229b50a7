//! Histories of many independent objects: taken apart by key, checked side by side.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;

use super::check::{Checked, Verdict, check_until, deadline};
use super::history::{History, Operation};
use super::limits::Limits;
use super::model::Model;

/// An operation on one of many objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Keyed<O> {
    /// The object.
    pub key: i64,
    /// What was done to it.
    pub op: O,
}

/// The operations on one object.
#[derive(Debug)]
pub(super) struct Part<O> {
    pub(super) key: i64,
    pub(super) history: History<O>,
    /// Where they are in the whole.
    pub(super) positions: Vec<u32>,
}

/// Takes a history apart, in the order of keys; `None` if some operation has no key.
pub(super) fn split<O: Clone>(
    history: &History<O>,
    key: impl Fn(&O) -> Option<i64>,
) -> Option<Vec<Part<O>>> {
    divide(history, |op| Some((key(op)?, op.clone())))
}

fn divide<A, B>(history: &History<A>, of: impl Fn(&A) -> Option<(i64, B)>) -> Option<Vec<Part<B>>> {
    let mut numbers: HashMap<i64, usize> = HashMap::new();
    let mut parts: Vec<(i64, Vec<Operation<B>>, Vec<u32>)> = Vec::new();
    for (position, operation) in history.operations().iter().enumerate() {
        let (key, op) = of(&operation.op)?;
        let number = *numbers.entry(key).or_insert_with(|| {
            parts.push((key, Vec::new(), Vec::new()));
            parts.len() - 1
        });
        parts[number].1.push(Operation {
            op,
            process: operation.process,
            call: operation.call,
            ret: operation.ret,
            index: operation.index,
        });
        parts[number].2.push(position as u32);
    }
    parts.sort_unstable_by_key(|&(key, ..)| key);
    let part = |(key, operations, positions)| Part {
        key,
        history: History::from_sorted(operations),
        positions,
    };
    Some(parts.into_iter().map(part).collect())
}

/// What was found about one object. Positions in the verdict are those in `history`.
#[derive(Debug, Clone)]
pub struct CheckedKey<O, S> {
    /// The object.
    pub key: i64,
    /// The operations on it.
    pub history: History<O>,
    /// What was found.
    pub checked: Checked<S>,
}

impl<O> History<Keyed<O>> {
    /// The operations without their key, and the key, if they all have the same; else the history as it
    /// is. Linear.
    pub fn into_single(self) -> Result<(i64, History<O>), Self> {
        let mut keys = self.operations().iter().map(|operation| operation.op.key);
        let Some(key) = keys.next() else {
            return Err(self);
        };
        if keys.any(|other| other != key) {
            return Err(self);
        }
        Ok((key, self.map(|keyed| keyed.op)))
    }
}

/// As [`check_keyed`] for the history of a single object.
pub fn check_single<M: Model>(
    model: &M,
    key: i64,
    history: History<M::Op>,
    limits: &Limits<'_>,
) -> CheckedKey<M::Op, M::State> {
    let checked = check_until(model, &history, limits, deadline(limits));
    CheckedKey {
        key,
        history,
        checked,
    }
}

/// Decides, for each object of a history, whether the operations on it are linearizable; in the order of
/// keys. `limits.threads` objects are checked side by side, each with an even share of the memory.
pub fn check_keyed<M: Model>(
    model: &M,
    history: &History<Keyed<M::Op>>,
    limits: &Limits<'_>,
) -> Vec<CheckedKey<M::Op, M::State>>
where
    M::State: Send,
{
    let parts = divide(history, |keyed| Some((keyed.key, keyed.op.clone()))).unwrap_or_default();
    let threads = limits.threads.clamp(1, parts.len().max(1));
    let deadline = deadline(limits);
    let share = Limits {
        memory_bytes: limits.memory_bytes / threads,
        ..*limits
    };
    // The largest first, so that no thread is left alone with it at the end.
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(parts[at].history.len()));
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::with_capacity(parts.len()));
    let work = || {
        while let Some(&at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let checked = check_until(model, &parts[at].history, &share, deadline);
            found
                .lock()
                .expect("no thread panics with the lock held")
                .push((at, checked));
        }
    };
    if threads == 1 {
        work();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
    }
    let mut found = found
        .into_inner()
        .expect("no thread panics with the lock held");
    found.sort_unstable_by_key(|&(at, _)| at);
    let checked_key = |(part, (_, checked)): (Part<_>, (usize, _))| CheckedKey {
        key: part.key,
        history: part.history,
        checked,
    };
    parts.into_iter().zip(found).map(checked_key).collect()
}

/// The object that decides about all together: the first that is not linearizable, else the first
/// that is unknown, else (`None`) all are linearizable. An unknown never hides a violation.
pub fn overall<O, S>(keys: &[CheckedKey<O, S>]) -> Option<&CheckedKey<O, S>> {
    let is =
        |wanted: fn(&Verdict<S>) -> bool| keys.iter().find(move |key| wanted(&key.checked.verdict));
    is(|verdict| matches!(verdict, Verdict::NotLinearizable(_)))
        .or_else(|| is(|verdict| matches!(verdict, Verdict::Unknown(_))))
}
