//! Sets, in O(n): each element by itself.
//!
//! Elements of a set do not concern one another, so a history is linearizable if and only if the part
//! about each element is (Herlihy and Wing, "Linearizability", 1990: locality). For an element that is
//! added and removed at most once, absence before the add and after the remove are permitted, presence in
//! between: the add as late and the remove as early as the answers "present" permit is best for every
//! answer "absent", so one look at each operation decides. (Emmi and Enea, "Sound, complete, and tractable
//! linearizability monitoring for concurrent collections", POPL 2018, have the log-linear bound.)

use super::history::{History, OPEN, Operation};
use super::model::{Conflict, Shortcut};
use super::models::SetOp;
use super::numbering::Numbering;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Element {
    add: u32,
    remove: u32,
    /// The answer "present" with the first return, and its return.
    first_seen: u32,
    first_seen_ret: u32,
    /// The answer "present" with the last call, and its call.
    last_seen: u32,
    last_seen_call: u32,
}

/// Whether an answer says that the element was there, or that it was not.
fn answer(op: &SetOp) -> Option<bool> {
    match *op {
        SetOp::Add {
            new: Some(false), ..
        } => Some(true),
        SetOp::Remove {
            found: Some(false), ..
        } => Some(false),
        SetOp::Contains { found, .. } => Some(found),
        _ => None,
    }
}

/// Decides the history, if nobody reads the whole set and each value is added and removed at most once.
pub(super) fn set(history: &History<SetOp>) -> Option<Shortcut> {
    let found = |conflict| {
        Some(Shortcut {
            method: "element by element",
            conflict,
        })
    };
    let operations = history.operations();
    if operations
        .iter()
        .any(|operation| operation.op.value().is_none())
    {
        return None;
    }
    let value = |operation: &Operation<SetOp>| operation.op.value().unwrap_or_default();
    let mut numbering = Numbering::new(operations.iter().map(value));
    let mut elements: Vec<Element> = Vec::new();
    for (position, operation) in operations.iter().enumerate() {
        let number = match numbering.get(value(operation)) {
            Some(number) => number,
            None => {
                elements.push(Element {
                    add: NONE,
                    remove: NONE,
                    first_seen: NONE,
                    first_seen_ret: OPEN,
                    last_seen: NONE,
                    last_seen_call: 0,
                });
                numbering.add(value(operation))?
            }
        };
        let element = &mut elements[number as usize];
        let once = |slot: &mut u32| {
            let free = *slot == NONE;
            *slot = position as u32;
            free.then_some(())
        };
        match (answer(&operation.op), &operation.op) {
            (Some(_), _) if operation.is_open() => return None,
            (Some(true), _) => {
                if operation.ret < element.first_seen_ret {
                    element.first_seen_ret = operation.ret;
                    element.first_seen = position as u32;
                }
                if element.last_seen == NONE || operation.call > element.last_seen_call {
                    element.last_seen_call = operation.call;
                    element.last_seen = position as u32;
                }
            }
            (Some(false), _) => {}
            (None, SetOp::Add { .. }) => once(&mut element.add)?,
            // One that returned without an answer may have found nothing.
            (None, SetOp::Remove { found: None, .. }) if !operation.is_open() => return None,
            (None, _) => once(&mut element.remove)?,
        }
    }
    let mut spans = Vec::with_capacity(elements.len());
    for element in &elements {
        match element.span(operations) {
            Ok(span) => spans.push(span),
            Err(conflict) => return found(Some(conflict)),
        }
    }
    let hidden = operations
        .iter()
        .enumerate()
        .find_map(|(position, operation)| {
            let number = numbering.get(value(operation))?;
            let (add_by, remove_from) = spans[number as usize]?;
            let absent = answer(&operation.op) == Some(false);
            let excluded = add_by < operation.call && operation.ret < remove_from;
            (absent && excluded).then(|| {
                elements[number as usize].conflict(
                    "a value was not there, between its add and its remove",
                    Some(position),
                )
            })
        });
    found(hidden)
}

impl Element {
    /// The latest moment by which it is there, and the earliest from which it is gone again. `None` if
    /// it need never have been there.
    fn span(&self, operations: &[Operation<SetOp>]) -> Result<Option<(u32, u32)>, Conflict> {
        let get = |position: u32| operations.get(position as usize);
        let removed = get(self.remove).filter(|remove| !remove.is_open());
        let there = self.first_seen != NONE || removed.is_some();
        let Some(add) = get(self.add) else {
            return if there {
                Err(self.conflict("a value was there that nobody added", None))
            } else {
                Ok(None)
            };
        };
        if add.is_open() && !there {
            return Ok(None);
        }
        let removed_by = removed.map_or(OPEN, |remove| remove.ret);
        let add_by = add.ret.min(self.first_seen_ret).min(removed_by);
        if add_by < add.call {
            return Err(self.conflict("a value was there before its add was called", None));
        }
        let Some(remove) = get(self.remove) else {
            return Ok(Some((add_by, OPEN)));
        };
        let remove_from = remove.call.max(add.call).max(self.last_seen_call);
        if remove_from > removed_by {
            return Err(self.conflict("a value was there after its remove had returned", None));
        }
        Ok(Some((add_by, remove_from)))
    }

    fn conflict(&self, reason: &'static str, other: Option<usize>) -> Conflict {
        let own = [self.add, self.remove, self.first_seen, self.last_seen];
        let own = own.into_iter().filter(|&position| position != NONE);
        Conflict::new(reason, own.map(|position| position as usize).chain(other))
    }
}
