//! When each value is put into a collection and taken out of it.

use super::history::{History, OPEN};
use super::model::Conflict;
use super::models::PutTake;
use super::numbering::Numbering;

/// The stay of one value: its put, and its take if there is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    pub(super) put_call: u32,
    pub(super) put_ret: u32,
    /// [`OPEN`] if nobody took it, as if it were taken after everything else.
    pub(super) take_call: u32,
    pub(super) take_ret: u32,
    pub(super) put: u32,
    /// Position of the take; `u32::MAX` if there is none.
    pub(super) take: u32,
}

impl Life {
    pub(super) fn is_taken(&self) -> bool {
        self.take != u32::MAX
    }

    /// The operations of this value.
    pub(super) fn operations(&self) -> impl Iterator<Item = usize> {
        let take = self.is_taken().then_some(self.take as usize);
        std::iter::once(self.put as usize).chain(take)
    }

    /// The time, if any, in which the value is there for certain.
    pub(super) fn certain(&self) -> Option<(u32, u32)> {
        (self.put_ret < self.take_call).then_some((self.put_ret, self.take_call))
    }
}

/// What a history of puts and takes with distinct values says.
pub(super) struct Lives {
    /// In the order of the calls of the puts. Puts that never returned are in it only if their value
    /// was taken: one that nobody saw need not have happened.
    pub(super) lives: Vec<Life>,
    /// Takes that found nothing: call, return, position.
    pub(super) empties: Vec<(u32, u32, usize)>,
    /// Calls of takes that never returned, in order.
    pub(super) open_takes: Vec<u32>,
}

impl Lives {
    /// Sorts a history; `None` if two puts have the same value, or an operation is of a kind that
    /// cannot be sorted so.
    pub(super) fn new(history: &History<PutTake>) -> Option<Result<Self, Conflict>> {
        let operations = history.operations();
        let values = operations
            .iter()
            .filter_map(|operation| match operation.op {
                PutTake::Put(value) => Some(value),
                _ => None,
            });
        let mut numbering = Numbering::new(values);
        let mut lives: Vec<Life> = Vec::with_capacity(operations.len() / 2 + 1);
        for (position, operation) in operations.iter().enumerate() {
            if let PutTake::Put(value) = operation.op {
                numbering.add(value)?;
                lives.push(Life {
                    put_call: operation.call,
                    put_ret: operation.ret,
                    take_call: OPEN,
                    take_ret: OPEN,
                    put: position as u32,
                    take: u32::MAX,
                });
            }
        }
        let (mut empties, mut open_takes) = (Vec::new(), Vec::new());
        let mut conflict = None;
        for (position, operation) in operations.iter().enumerate() {
            match operation.op {
                PutTake::Put(_) => {}
                PutTake::Take(_) if operation.is_open() => return None,
                PutTake::Empty if operation.is_open() => {}
                PutTake::Empty => empties.push((operation.call, operation.ret, position)),
                PutTake::TakeUnknown if operation.is_open() => open_takes.push(operation.call),
                PutTake::TakeUnknown => return None,
                PutTake::Take(value) => {
                    let mut wrong = |reason, other: Option<u32>| {
                        let other = other.map(|other| other as usize);
                        conflict.get_or_insert(Conflict::new(
                            reason,
                            std::iter::once(position).chain(other),
                        ));
                    };
                    let Some(number) = numbering.get(value) else {
                        wrong("a value was taken that nobody put", None);
                        continue;
                    };
                    let life = &mut lives[number as usize];
                    if life.is_taken() {
                        wrong("a value was taken twice", Some(life.take));
                        continue;
                    }
                    if operation.ret < life.put_call {
                        wrong(
                            "a value was taken before its put was called",
                            Some(life.put),
                        );
                    }
                    life.take_call = operation.call;
                    life.take_ret = operation.ret;
                    life.take = position as u32;
                }
            }
        }
        if let Some(conflict) = conflict {
            return Some(Err(conflict));
        }
        lives.retain(|life| life.is_taken() || life.put_ret != OPEN);
        Some(Ok(Lives {
            lives,
            empties,
            open_takes,
        }))
    }

    /// Judges by `conflict`, which knows nothing of open takes. Those need not have happened, so a history
    /// is linearizable if it is without them. If it is not even when every value that no take returned
    /// is left out, they cannot help: to take a value is less than not to have it at all. `None` if
    /// neither decides.
    pub(super) fn judge(
        mut self,
        conflict: impl Fn(&Lives) -> Option<Conflict>,
    ) -> Option<Option<Conflict>> {
        let found = conflict(&self);
        if found.is_none() || self.open_takes.is_empty() {
            return Some(found);
        }
        self.lives.retain(Life::is_taken);
        conflict(&self).map(Some)
    }

    /// A take that found nothing although at every moment something was there for certain.
    pub(super) fn never_empty(&self) -> Option<Conflict> {
        if self.empties.is_empty() {
            return None;
        }
        let covered =
            super::covered::Covered::new(self.lives.iter().filter_map(Life::certain).collect());
        let (from, to, position) = *self
            .empties
            .iter()
            .find(|&&(call, ret, _)| covered.around(call, ret).is_some())?;
        let there = self.lives.iter().filter(|life| {
            life.certain()
                .is_some_and(|(put, take)| put < to && take > from)
        });
        let operations = there.flat_map(Life::operations).take(16);
        Some(Conflict::new(
            "a take found nothing although at every moment of it something was there",
            operations.chain([position]),
        ))
    }
}
