//! Histories of transactions over lists or registers, in flat arrays.
//!
//! Values are 64-bit integers; whoever reads a history gives other values numbers of their own. Reads
//! of lists take no room for their elements as long as one continues the other: per key the longest is
//! kept, and a read is a length.

use hashbrown::HashMap;

/// No position, transaction or element.
pub const NONE: u32 = u32::MAX;

/// The value of a register before anything was written.
pub const NIL: i64 = i64::MIN;

/// What transactions do to keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Workload {
    /// Append an element to a list; read a whole list.
    #[default]
    ListAppend,
    /// Write a register; read a register.
    RwRegister,
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It certainly happened.
    Committed,
    /// It certainly did not happen, and never will.
    Aborted,
    /// Nobody knows. It happened if anybody saw it.
    Open,
}

/// One transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Txn {
    /// Its index in the history, for people.
    pub label: i64,
    /// The process that ran it.
    pub process: i64,
    /// Its outcome.
    pub outcome: Outcome,
    /// Position of its invocation among all events, or [`NONE`] if that is not known.
    pub invoked: u32,
    /// Position of its completion, or [`NONE`] if it did not certainly happen.
    pub completed: u32,
    /// Where its operations begin.
    first: u32,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Writes or appends a value.
    Write(i64),
    /// Reads a register, possibly [`NIL`].
    ReadRegister(i64),
    /// Reads a list.
    ReadList(ListRead),
    /// Reads something that nobody knows.
    ReadUnknown,
}

/// A list that was read: so much of the key's longest list, or one that does not agree with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListRead {
    /// How many elements.
    pub len: u32,
    /// The list that it is, or [`NONE`] if it begins the key's longest.
    pub branch: u32,
}

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Op {
    /// The key.
    pub key: u32,
    /// What it does.
    pub action: Action,
}

/// A history of transactions. Transactions are in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub struct Transactions {
    txns: Vec<Txn>,
    ops: Vec<Op>,
    keys: u32,
    trunks: Vec<Vec<i64>>,
    branches: Vec<Box<[i64]>>,
}

impl Transactions {
    /// The transactions.
    pub fn txns(&self) -> &[Txn] {
        &self.txns
    }

    /// One transaction.
    pub fn txn(&self, txn: u32) -> &Txn {
        &self.txns[txn as usize]
    }

    /// All operations, one transaction after the other.
    pub fn all_ops(&self) -> &[Op] {
        &self.ops
    }

    /// Where a transaction's operations are among all.
    pub fn range(&self, txn: u32) -> std::ops::Range<usize> {
        let next = self.txns.get(txn as usize + 1);
        let end = next.map_or(self.ops.len(), |next| next.first as usize);
        self.txns[txn as usize].first as usize..end
    }

    /// The operations of a transaction.
    pub fn ops(&self, txn: u32) -> &[Op] {
        &self.ops[self.range(txn)]
    }

    /// How many keys there are; they are numbered from 0.
    pub fn keys(&self) -> u32 {
        self.keys
    }

    /// The longest list that was read of a key.
    pub fn longest(&self, key: u32) -> &[i64] {
        &self.trunks[key as usize]
    }

    /// The elements of a list that was read.
    pub fn elements(&self, key: u32, read: ListRead) -> &[i64] {
        match read.branch {
            NONE => &self.trunks[key as usize][..read.len as usize],
            branch => &self.branches[branch as usize],
        }
    }
}

/// Puts a history of transactions together.
#[derive(Debug, Default)]
pub struct Builder {
    built: Transactions,
    torn: bool,
    /// Elements of lists that are kept.
    elements: usize,
}

impl Builder {
    /// Begins a transaction; its operations are added next.
    pub fn begin(
        &mut self,
        label: i64,
        process: i64,
        outcome: Outcome,
        invoked: u32,
        completed: u32,
    ) {
        let completed = match outcome {
            Outcome::Committed => completed,
            Outcome::Aborted | Outcome::Open => NONE,
        };
        self.built.txns.push(Txn {
            label,
            process,
            outcome,
            invoked,
            completed,
            first: self.built.ops.len() as u32,
        });
    }

    /// The transaction writes, or appends.
    pub fn write(&mut self, key: u32, value: i64) {
        self.push(key, Action::Write(value));
    }

    /// The transaction reads a register; counts only if it committed.
    pub fn read_register(&mut self, key: u32, value: i64) {
        let action = match self.committed() {
            true => Action::ReadRegister(value),
            false => Action::ReadUnknown,
        };
        self.push(key, action);
    }

    /// The transaction reads a list; counts only if it committed.
    pub fn read_list(&mut self, key: u32, elements: &[i64]) {
        if !self.committed() {
            self.push(key, Action::ReadUnknown);
            return;
        }
        self.grow(key);
        let trunk = &mut self.built.trunks[key as usize];
        let common = trunk.len().min(elements.len());
        let branch = if trunk[..common] == elements[..common] {
            trunk.extend_from_slice(&elements[common..]);
            self.elements += elements.len() - common;
            NONE
        } else {
            self.torn = true;
            self.elements += elements.len();
            self.built.branches.push(elements.into());
            self.built.branches.len() as u32 - 1
        };
        let len = elements.len() as u32;
        self.push(key, Action::ReadList(ListRead { len, branch }));
    }

    /// The transaction reads, and nobody knows what.
    pub fn read_unknown(&mut self, key: u32) {
        self.push(key, Action::ReadUnknown);
    }

    /// The memory that the history takes so far, in bytes.
    pub fn bytes(&self) -> usize {
        let built = &self.built;
        size_of_val(&built.txns[..])
            + size_of_val(&built.ops[..])
            + 32 * built.trunks.len()
            + self.elements * 8
    }

    /// The history.
    pub fn finish(mut self) -> Transactions {
        if self.torn {
            prefer_longest(&mut self.built);
        }
        self.built
    }

    fn committed(&self) -> bool {
        let last = self.built.txns.last();
        last.is_some_and(|txn| txn.outcome == Outcome::Committed)
    }

    fn push(&mut self, key: u32, action: Action) {
        self.grow(key);
        self.built.ops.push(Op { key, action });
    }

    fn grow(&mut self, key: u32) {
        if key >= self.built.keys {
            self.built.keys = key + 1;
            self.built.trunks.resize_with(key as usize + 1, Vec::new);
        }
    }
}

/// Where lists disagree, makes the longest the one that reads are counted from.
fn prefer_longest(history: &mut Transactions) {
    let mut longest: HashMap<u32, u32> = HashMap::new();
    for op in &history.ops {
        if let Action::ReadList(ListRead { len, branch }) = op.action
            && branch != NONE
        {
            let best = match longest.get(&op.key) {
                Some(best) => history.branches[*best as usize].len(),
                None => history.trunks[op.key as usize].len(),
            };
            if len as usize > best {
                longest.insert(op.key, branch);
            }
        }
    }
    let mut former: HashMap<(u32, u32), u32> = HashMap::new();
    for at in 0..history.ops.len() {
        let Op { key, action } = history.ops[at];
        let (Action::ReadList(read), Some(best)) = (action, longest.get(&key)) else {
            continue;
        };
        let best = &history.branches[*best as usize];
        let read = if best.starts_with(history.elements(key, read)) {
            ListRead {
                branch: NONE,
                ..read
            }
        } else if read.branch == NONE {
            let branch = *former.entry((key, read.len)).or_insert_with(|| {
                history
                    .branches
                    .push(history.trunks[key as usize][..read.len as usize].into());
                history.branches.len() as u32 - 1
            });
            ListRead { branch, ..read }
        } else {
            read
        };
        history.ops[at].action = Action::ReadList(read);
    }
    for (key, best) in longest {
        history.trunks[key as usize] = history.branches[best as usize].to_vec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(reads: &[&[i64]]) -> Transactions {
        let mut builder = Builder::default();
        builder.begin(0, 0, Outcome::Committed, 0, 1);
        for read in reads {
            builder.read_list(0, read);
        }
        builder.finish()
    }

    fn read(history: &Transactions, at: usize) -> &[i64] {
        match history.ops(0)[at].action {
            Action::ReadList(read) => history.elements(0, read),
            _ => panic!("not a read"),
        }
    }

    #[test]
    fn reads_are_what_they_were_whatever_the_order_in_which_they_came() {
        let reads: [&[i64]; 6] = [&[1, 2], &[], &[1], &[3], &[3, 4, 5], &[3, 4]];
        let history = lists(&reads);
        for (at, elements) in reads.iter().enumerate() {
            assert_eq!(read(&history, at), *elements);
        }
        assert_eq!(history.longest(0), [3, 4, 5]);
    }

    #[test]
    fn reads_that_continue_each_other_are_lengths() {
        let history = lists(&[&[1, 2], &[1, 2, 3], &[]]);
        let lengths: Vec<_> = history.ops(0).iter().map(|op| op.action).collect();
        let expected = [2, 3, 0].map(|len| Action::ReadList(ListRead { len, branch: NONE }));
        assert_eq!(lengths, expected);
    }
}
