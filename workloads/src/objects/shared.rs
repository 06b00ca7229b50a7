//! What the processes of a run share: who is who, what was worked on, and what clients did wrong.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::objects::generator::{Generator, SLOTS};
use crate::objects::{KnownError, Spec};

/// The workload of a run: its processes, over all loads. Clones share everything.
#[derive(Debug, Clone)]
pub struct Objects(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    spec: Spec,
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Each empty while a load has it.
    slots: Vec<Option<Slot>>,
    keys_end: i64,
    defects: Defects,
    errors: BTreeMap<String, (KnownError, u64)>,
}

/// What goes on from one load to the next.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) number: u32,
    pub(super) generator: Generator,
    /// The logical process that it now is; no other of the run ever has the same number.
    pub(super) process: i32,
}

/// What clients did that no client may do: they named an error they had not declared, or answered in a form
/// that is none. Each such operation is recorded as indeterminate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defects {
    /// How many.
    pub count: u64,
    /// The first of them, in words.
    pub first: Vec<String>,
}

/// Defects that are kept in words.
const SHOWN: usize = 8;

/// More processes than there can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{processes} processes beside {busy} of other loads are too many: at most {SLOTS} can be under way"
)]
pub struct ProcessesError {
    /// Processes asked for.
    pub processes: NonZeroU32,
    /// Processes under way.
    pub busy: u32,
}

impl Objects {
    /// The workload of a run.
    pub fn new(spec: &Spec, seed: u64) -> Self {
        Objects(Arc::new(Shared {
            spec: spec.clone(),
            seed,
            state: Mutex::default(),
        }))
    }

    /// What was asked for.
    pub fn spec(&self) -> &Spec {
        &self.0.spec
    }

    /// What clients did that no client may do. If there is any, the run is of no use.
    pub fn defects(&self) -> Defects {
        self.state().defects.clone()
    }

    /// Errors that operations ended with, and how often, by name.
    pub fn errors(&self) -> Vec<(KnownError, u64)> {
        self.state().errors.values().cloned().collect()
    }

    /// Keys that were worked on so far are those from 0 to below this one.
    pub(super) fn keys_end(&self) -> i64 {
        self.state().keys_end
    }

    /// Takes slots that no load has: those with the lowest numbers.
    pub(super) fn take(&self, processes: NonZeroU32) -> Result<Vec<Slot>, ProcessesError> {
        let mut state = self.state();
        let busy = state.slots.iter().filter(|slot| slot.is_none()).count();
        let wanted = busy + processes.get() as usize;
        if wanted > SLOTS as usize {
            let busy = busy as u32;
            return Err(ProcessesError { processes, busy });
        }
        for number in state.slots.len()..wanted {
            let number = number as u32;
            state.slots.push(Some(Slot {
                number,
                generator: Generator::new(&self.0.spec, self.0.seed, number),
                process: number as i32,
            }));
        }
        let free = state.slots.iter_mut().filter(|slot| slot.is_some());
        let taken = free.take(processes.get() as usize);
        Ok(taken.filter_map(Option::take).collect())
    }

    /// Gives a slot back. If an operation of its process may still be under way, the next is another.
    pub(super) fn give_back(&self, mut slot: Slot, settled: bool) {
        if !settled {
            slot.renumber();
        }
        let mut state = self.state();
        state.keys_end = state.keys_end.max(slot.generator.keys_end());
        let number = slot.number as usize;
        state.slots[number] = Some(slot);
    }

    pub(super) fn defect(&self, text: &str) {
        let defects = &mut self.state().defects;
        defects.count += 1;
        if defects.first.len() < SHOWN && !defects.first.iter().any(|known| known == text) {
            defects.first.push(text.to_owned());
        }
    }

    pub(super) fn error(&self, error: &KnownError) {
        let errors = &mut self.state().errors;
        match errors.get_mut(&*error.name) {
            Some((_, count)) => *count += 1,
            None => drop(errors.insert(error.name.to_string(), (error.clone(), 1))),
        }
    }

    /// A panic elsewhere cannot leave the state half changed: what is done under the lock does not panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    pub(super) fn renumber(&mut self) {
        let next = self.process.checked_add(SLOTS as i32);
        self.process = next.expect("far fewer indeterminate operations than i32::MAX / 1000");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects() -> Objects {
        Objects::new(&Spec::of_kind("set").unwrap(), 1)
    }

    fn numbers(slots: &[Slot]) -> Vec<(u32, i32)> {
        slots.iter().map(|s| (s.number, s.process)).collect()
    }

    #[test]
    fn loads_side_by_side_have_slots_of_their_own_and_later_ones_have_them_again() {
        let objects = objects();
        let two = NonZeroU32::new(2).unwrap();
        let mut first = objects.take(two).unwrap();
        let second = objects.take(two).unwrap();
        assert_eq!(numbers(&first), [(0, 0), (1, 1)]);
        assert_eq!(numbers(&second), [(2, 2), (3, 3)]);
        objects.give_back(first.remove(0), false);
        let third = objects.take(two).unwrap();
        assert_eq!(numbers(&third), [(0, 1000), (4, 4)]);
    }

    #[test]
    fn there_are_so_many_slots_and_no_more() {
        let objects = objects();
        let _some = objects.take(NonZeroU32::new(10).unwrap()).unwrap();
        let error = objects.take(NonZeroU32::new(991).unwrap()).unwrap_err();
        let told = error.to_string();
        assert!(told.contains("991 processes beside 10"), "{told}");
    }

    #[test]
    fn defects_are_all_counted_and_the_first_are_told() {
        let objects = objects();
        for at in 0..20 {
            objects.defect(&format!("number {}", at / 2));
        }
        let defects = objects.defects();
        assert_eq!((defects.count, defects.first.len()), (20, SHOWN));
        assert_eq!(defects.first[1], "number 1");
    }
}
