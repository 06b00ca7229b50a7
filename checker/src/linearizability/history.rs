//! Operations with the moments of their call and return: what every algorithm here works on.

use std::fmt;

/// The return of an operation that never returned.
pub const OPEN: u32 = u32::MAX;

/// One operation of a history.
///
/// Moments are positions in the order of events: distinct, and smaller is earlier. An operation takes
/// effect at one instant between `call` and `ret`. One that never returned may take effect at any time
/// after its call, or never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation<O> {
    /// What was done, and what was answered if it returned.
    pub op: O,
    /// The client.
    pub process: i64,
    /// Moment of the call.
    pub call: u32,
    /// Moment of the return, or [`OPEN`].
    pub ret: u32,
    /// Which operation of the source this is (its number in the order of invocations).
    pub index: u32,
}

impl<O> Operation<O> {
    /// Whether the operation never returned.
    pub fn is_open(&self) -> bool {
        self.ret == OPEN
    }
}

/// Why events do not form a history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// An operation returns before it is called.
    #[error("operation {index} returns at {ret}, before its call at {call}")]
    ReturnBeforeCall {
        /// The operation.
        index: u32,
        /// Its call.
        call: u32,
        /// Its return.
        ret: u32,
    },
    /// Two events share a moment.
    #[error("two events at moment {0}")]
    SameMoment(u32),
}

/// Operations in the order of their calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History<O> {
    operations: Vec<Operation<O>>,
}

impl<O> Default for History<O> {
    fn default() -> Self {
        History {
            operations: Vec::new(),
        }
    }
}

impl<O> History<O> {
    /// Sorts operations by call and makes sure that no two events share a moment. O(n log n).
    pub fn new(mut operations: Vec<Operation<O>>) -> Result<Self, OrderError> {
        if !operations.is_sorted_by_key(|operation| operation.call) {
            operations.sort_by_key(|operation| operation.call);
        }
        let mut moments = Vec::with_capacity(2 * operations.len());
        for operation in &operations {
            if operation.ret <= operation.call {
                return Err(OrderError::ReturnBeforeCall {
                    index: operation.index,
                    call: operation.call,
                    ret: operation.ret,
                });
            }
            moments.push(operation.call);
            if !operation.is_open() {
                moments.push(operation.ret);
            }
        }
        moments.sort_unstable();
        match moments.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(OrderError::SameMoment(pair[0])),
            None => Ok(History { operations }),
        }
    }

    /// Operations whose order of calls is known to hold already.
    pub(super) fn from_sorted(operations: Vec<Operation<O>>) -> Self {
        History { operations }
    }

    /// The operations in the order of their calls.
    pub fn operations(&self) -> &[Operation<O>] {
        &self.operations
    }

    /// The same history of other operations.
    pub(super) fn map<P>(self, mut to: impl FnMut(O) -> P) -> History<P> {
        let mapped = self.operations.into_iter().map(|operation| Operation {
            op: to(operation.op),
            process: operation.process,
            call: operation.call,
            ret: operation.ret,
            index: operation.index,
        });
        History::from_sorted(mapped.collect())
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }
}

impl<O> History<Option<O>> {
    /// Without the operations that say nothing.
    pub(crate) fn flatten(self) -> History<O> {
        let said = self.operations.into_iter().filter_map(|operation| {
            Some(Operation {
                op: operation.op?,
                process: operation.process,
                call: operation.call,
                ret: operation.ret,
                index: operation.index,
            })
        });
        History::from_sorted(said.collect())
    }
}

impl<O: Clone> History<O> {
    /// What had happened up to and including the moment `end`. `open` says what an operation that
    /// has not returned by then looks like, or `None` if it cannot have had an effect.
    /// Also the position in this history of each operation of the prefix.
    pub fn prefix(&self, end: u32, open: impl Fn(&O) -> Option<O>) -> (Self, Vec<u32>) {
        let cut = self
            .operations
            .partition_point(|operation| operation.call <= end);
        let (mut operations, mut positions) = (Vec::new(), Vec::new());
        for (position, operation) in self.operations[..cut].iter().enumerate() {
            let mut operation = operation.clone();
            if operation.ret > end && !operation.is_open() {
                let Some(op) = open(&operation.op) else {
                    continue;
                };
                operation.op = op;
                operation.ret = OPEN;
            }
            operations.push(operation);
            positions.push(position as u32);
        }
        (History::from_sorted(operations), positions)
    }
}

/// Builds a history from events in real-time order.
#[derive(Debug)]
pub struct HistoryBuilder<O> {
    operations: Vec<Option<Operation<O>>>,
    moment: u32,
}

impl<O> Default for HistoryBuilder<O> {
    fn default() -> Self {
        HistoryBuilder {
            operations: Vec::new(),
            moment: 0,
        }
    }
}

/// An operation of a [`HistoryBuilder`] that has been called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Called(u32);

impl<O> HistoryBuilder<O> {
    /// A client calls; `op` is what the operation counts as if it never returns.
    pub fn call(&mut self, process: i64, op: O) -> Called {
        let index = self.operations.len() as u32;
        self.operations.push(Some(Operation {
            op,
            process,
            call: self.moment,
            ret: OPEN,
            index,
        }));
        self.moment += 1;
        Called(index)
    }

    /// The operation returns, and counts as `op`.
    pub fn ret(&mut self, called: Called, op: O) {
        if let Some(operation) = &mut self.operations[called.0 as usize] {
            operation.op = op;
            operation.ret = self.moment;
        }
        self.moment += 1;
    }

    /// The operation turns out not to have happened, or to say nothing.
    pub fn forget(&mut self, called: Called) {
        self.operations[called.0 as usize] = None;
        self.moment += 1;
    }

    /// The history. Operations that have not returned are open.
    pub fn finish(self) -> History<O> {
        History::from_sorted(self.operations.into_iter().flatten().collect())
    }
}

impl<O: fmt::Display> fmt::Display for Operation<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}: {}", self.process, self.op)
    }
}
