//! States and operations as small numbers, and which leads where.

use std::hash::BuildHasher;
use std::mem::size_of;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::model::Model;

/// Above so many kinds of operation transitions are computed anew each time.
const MAX_CACHED_KINDS: usize = 512;
const UNKNOWN: u32 = u32::MAX;
const ILLEGAL: u32 = u32::MAX - 1;
const SEVERAL: u32 = 1 << 31;

/// Where an operation leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It cannot be done.
    Illegal,
    /// To this state.
    One(u32),
    /// To one of the states of [`Table::several`].
    Several(u32),
}

/// Interned states and kinds of operation (equal operations are of one kind) of a history.
pub(super) struct Table<'m, M: Model> {
    model: &'m M,
    kinds: Vec<&'m M::Op>,
    states: Vec<M::State>,
    by_state: HashTable<u32>,
    hasher: DefaultHashBuilder,
    rows: Vec<Box<[u32]>>,
    several: Vec<Box<[u32]>>,
    scratch: Vec<M::State>,
    bytes: usize,
}

impl<'m, M: Model> Table<'m, M> {
    /// A table for these operations, and the kind of each. State 0 is the initial one.
    pub(super) fn new(
        model: &'m M,
        operations: impl Iterator<Item = &'m M::Op>,
    ) -> (Self, Vec<u32>) {
        let mut kinds = Vec::new();
        let mut by_kind = HashMap::new();
        let kind_of = operations
            .map(|op| {
                *by_kind.entry(op).or_insert_with(|| {
                    kinds.push(op);
                    kinds.len() as u32 - 1
                })
            })
            .collect();
        let mut table = Table {
            model,
            kinds,
            states: Vec::new(),
            by_state: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            rows: Vec::new(),
            several: Vec::new(),
            scratch: Vec::new(),
            bytes: 0,
        };
        table.intern(model.initial());
        (table, kind_of)
    }

    pub(super) fn kinds(&self) -> &[&'m M::Op] {
        &self.kinds
    }

    pub(super) fn state(&self, state: u32) -> &M::State {
        &self.states[state as usize]
    }

    pub(super) fn several(&self, list: u32) -> &[u32] {
        &self.several[list as usize]
    }

    /// Memory of the table.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn intern(&mut self, state: M::State) -> u32 {
        let hash = self.hasher.hash_one(&state);
        let states = &self.states;
        if let Some(&found) = self.by_state.find(hash, |&id| states[id as usize] == state) {
            return found;
        }
        let id = self.states.len() as u32;
        self.states.push(state);
        let (states, hasher) = (&self.states, &self.hasher);
        self.by_state
            .insert_unique(hash, id, |&id| hasher.hash_one(&states[id as usize]));
        self.bytes += self.model.state_bytes(&self.states[id as usize]) + 2 * size_of::<u32>();
        if self.kinds.len() <= MAX_CACHED_KINDS {
            self.rows
                .push(vec![UNKNOWN; self.kinds.len()].into_boxed_slice());
            self.bytes += self.kinds.len() * size_of::<u32>();
        }
        id
    }

    /// Where `kind` leads from `state`.
    pub(super) fn next(&mut self, state: u32, kind: u32) -> Next {
        let cached = match self.rows.get(state as usize) {
            Some(row) => row[kind as usize],
            None => UNKNOWN,
        };
        match cached {
            UNKNOWN => self.compute(state, kind),
            ILLEGAL => Next::Illegal,
            list if list & SEVERAL != 0 => Next::Several(list & !SEVERAL),
            state => Next::One(state),
        }
    }

    fn compute(&mut self, state: u32, kind: u32) -> Next {
        let mut scratch = std::mem::take(&mut self.scratch);
        self.model.step(
            &self.states[state as usize],
            self.kinds[kind as usize],
            &mut scratch,
        );
        let (next, encoded) = match scratch.len() {
            0 => (Next::Illegal, ILLEGAL),
            1 => {
                let id = self.intern(scratch.remove(0));
                (Next::One(id), id)
            }
            _ => {
                let list: Box<[u32]> = scratch.drain(..).map(|state| self.intern(state)).collect();
                let id = self.several.len() as u32;
                self.bytes += (list.len() + 4) * size_of::<u32>();
                self.several.push(list);
                (Next::Several(id), id | SEVERAL)
            }
        };
        scratch.clear();
        self.scratch = scratch;
        if let Some(row) = self.rows.get_mut(state as usize) {
            row[kind as usize] = encoded;
        }
        next
    }
}
