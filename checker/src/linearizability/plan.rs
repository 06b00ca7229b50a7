//! A history laid out for the search: one layer per return.

use super::history::{History, OPEN};
use super::model::Model;
use super::table::Table;

/// An operation that returned, as the search sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closed {
    /// Position in the history.
    pub(super) position: u32,
    pub(super) kind: u32,
    /// Its place in a configuration; reused after its return.
    pub(super) slot: u32,
    pub(super) pure: bool,
    pub(super) blind: bool,
}

/// A kind of operations that never returned.
#[derive(Debug)]
pub(super) struct OpenKind {
    pub(super) kind: u32,
    pub(super) blind: bool,
    /// For each of them, the first layer it may act in, and its position in the history; in order.
    pub(super) since: Vec<(u32, u32)>,
}

impl OpenKind {
    /// How many may act in a layer.
    pub(super) fn available(&self, layer: u32) -> usize {
        self.since.partition_point(|&(since, _)| since <= layer)
    }
}

/// One layer per return, in order: the operations then pending, the one that returns first.
pub(super) struct Plan {
    pending: Vec<Closed>,
    starts: Vec<usize>,
    /// In the order of the first of each kind.
    pub(super) open: Vec<OpenKind>,
    /// Most operations pending at one return.
    pub(super) width: usize,
}

impl Plan {
    /// Memory that the layout of a history will take, in bytes.
    pub(super) fn bytes_for<O>(history: &History<O>) -> usize {
        let operations = history.operations();
        let mut returns: Vec<u32> = operations.iter().map(|operation| operation.ret).collect();
        returns.retain(|&ret| ret != OPEN);
        returns.sort_unstable();
        // Each operation that returned is pending at every return from its call to its own.
        let pending = operations.iter().filter(|operation| !operation.is_open());
        let entries = pending.map(|operation| {
            let before = |moment| returns.partition_point(|&ret| ret < moment);
            before(operation.ret) + 1 - before(operation.call)
        });
        entries.sum::<usize>() * size_of::<Closed>() + returns.len() * size_of::<usize>()
    }

    /// Lays the history out; `kind_of` goes with its operations. Open operations that are pure are
    /// left out: they say nothing.
    pub(super) fn new<M: Model>(
        model: &M,
        history: &History<M::Op>,
        table: &Table<'_, M>,
        kind_of: &[u32],
    ) -> Self {
        let operations = history.operations();
        let pure: Vec<_> = table.kinds().iter().map(|op| model.is_pure(op)).collect();
        let blind: Vec<_> = table.kinds().iter().map(|op| model.is_blind(op)).collect();
        let mut returns: Vec<_> = (0..operations.len() as u32)
            .filter(|&position| operations[position as usize].ret != OPEN)
            .collect();
        returns.sort_unstable_by_key(|&position| operations[position as usize].ret);

        let mut plan = Plan {
            pending: Vec::new(),
            starts: vec![0],
            open: Vec::new(),
            width: 0,
        };
        let mut open_of_kind = vec![usize::MAX; table.kinds().len()];
        let mut in_flight: Vec<Closed> = Vec::new();
        let mut free_slots: Vec<u32> = Vec::new();
        let mut slots = 0;
        let mut calls = operations.iter().enumerate().peekable();
        for (layer, &returning) in (0u32..).zip(&returns) {
            let ret = operations[returning as usize].ret;
            while let Some((position, operation)) =
                calls.next_if(|(_, operation)| operation.call < ret)
            {
                let kind = kind_of[position];
                let (pure, blind) = (pure[kind as usize], blind[kind as usize]);
                let position = position as u32;
                if operation.is_open() {
                    if pure {
                        continue;
                    }
                    let at = &mut open_of_kind[kind as usize];
                    if *at == usize::MAX {
                        *at = plan.open.len();
                        plan.open.push(OpenKind {
                            kind,
                            blind,
                            since: Vec::new(),
                        });
                    }
                    plan.open[*at].since.push((layer, position));
                    continue;
                }
                let slot = free_slots.pop().unwrap_or_else(|| {
                    slots += 1;
                    slots - 1
                });
                in_flight.push(Closed {
                    position,
                    kind,
                    slot,
                    pure,
                    blind,
                });
            }
            let at = in_flight
                .iter()
                .position(|closed| closed.position == returning)
                .expect("an operation is called before it returns");
            let first = plan.pending.len();
            plan.pending.push(in_flight[at]);
            free_slots.push(in_flight.remove(at).slot);
            plan.pending.extend_from_slice(&in_flight);
            plan.pending[first + 1..]
                .sort_unstable_by_key(|closed| operations[closed.position as usize].ret);
            plan.starts.push(plan.pending.len());
            plan.width = plan.width.max(plan.pending.len() - first);
        }
        plan
    }

    /// How many layers there are.
    pub(super) fn layers(&self) -> u32 {
        self.starts.len() as u32 - 1
    }

    /// The operations pending at the return of a layer: first the one that returns, then the others
    /// in the order of their returns.
    pub(super) fn pending(&self, layer: u32) -> &[Closed] {
        &self.pending[self.starts[layer as usize]..self.starts[layer as usize + 1]]
    }

    pub(super) fn bytes(&self) -> usize {
        self.pending.len() * size_of::<Closed>() + self.starts.len() * size_of::<usize>()
    }
}
