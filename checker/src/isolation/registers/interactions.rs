//! How transactions meet versions of registers: the first version that they read of a key before they
//! wrote to it, and the last that they wrote.

use hashbrown::HashMap;

use super::super::by_key::ByKey;
use super::super::transactions::{Action, NIL, NONE, Outcome, Transactions};
use super::super::writers::{Writers, WrittenTwice, txn_of_ops};

/// One transaction and one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interaction {
    /// The transaction.
    pub(crate) txn: u32,
    /// The key.
    pub(crate) key: u32,
    /// The version read first, before any write, or [`NONE`].
    pub(crate) read: u32,
    /// The operation that read it, or [`NONE`].
    pub(crate) read_at: u32,
    /// The version written last, or [`NONE`].
    pub(crate) write: u32,
}

impl Interaction {
    /// The version met first.
    pub(crate) fn first(&self) -> u32 {
        if self.read == NONE {
            self.write
        } else {
            self.read
        }
    }

    /// The version met last.
    pub(crate) fn last(&self) -> u32 {
        if self.write == NONE {
            self.read
        } else {
            self.write
        }
    }
}

/// A history of registers. Versions of all keys are numbered together: the initial version of each key
/// has the key's number.
#[derive(Debug)]
pub(crate) struct Registers<'a> {
    /// The history.
    pub(crate) history: &'a Transactions,
    /// Interactions of all transactions that did not abort, in the order of transactions.
    pub(crate) interactions: Vec<Interaction>,
    /// Per transaction, where its interactions begin.
    rows: Vec<u32>,
    /// Per version, its key.
    pub(crate) key: Vec<u32>,
    /// Per version, its value.
    pub(crate) value: Vec<i64>,
    /// Per version, the operation that wrote it, or [`NONE`].
    pub(crate) write: Vec<u32>,
    /// Per version, whether its transaction wrote the key again.
    pub(crate) intermediate: Vec<bool>,
    /// Per version, the transaction that left it behind and is part of the graph, or [`NONE`].
    pub(crate) writer: Vec<u32>,
    /// The transaction of each operation.
    pub(crate) txn_of: Vec<u32>,
    /// Per operation, the version that it wrote or read, or [`NONE`].
    pub(crate) version: Vec<u32>,
    /// Per transaction, whether it is part of the graph: it committed, or was seen.
    pub(crate) present: Vec<bool>,
}

impl<'a> Registers<'a> {
    /// Finds versions and interactions. Linear time.
    pub(crate) fn new(history: &'a Transactions) -> Result<Self, WrittenTwice> {
        let txn_of = txn_of_ops(history);
        let writers = Writers::new(history, &txn_of)?;
        let committed = history
            .txns()
            .iter()
            .map(|txn| txn.outcome == Outcome::Committed);
        let mut registers = Registers {
            history,
            interactions: Vec::with_capacity(history.all_ops().len()),
            rows: Vec::new(),
            key: (0..history.keys()).collect(),
            value: vec![NIL; history.keys() as usize],
            write: vec![NONE; history.keys() as usize],
            intermediate: Vec::new(),
            writer: Vec::new(),
            version: vec![NONE; history.all_ops().len()],
            present: committed.collect(),
            txn_of,
        };
        registers.number_versions(&writers);
        registers.find_interactions();
        Ok(registers)
    }

    /// A transaction's interactions, by key.
    pub(crate) fn of(&self, txn: u32) -> &[Interaction] {
        let row = self.rows[txn as usize] as usize..self.rows[txn as usize + 1] as usize;
        &self.interactions[row]
    }

    /// How many versions there are.
    pub(crate) fn versions(&self) -> u32 {
        self.key.len() as u32
    }

    /// Whether a version is the initial one of its key.
    pub(crate) fn is_initial(&self, version: u32) -> bool {
        version < self.history.keys()
    }

    fn number_versions(&mut self, writers: &Writers) {
        let ops = self.history.all_ops();
        for (at, op) in ops.iter().enumerate() {
            if let Action::Write(value) = op.action {
                self.version[at] = self.key.len() as u32;
                self.key.push(op.key);
                self.value.push(value);
                self.write.push(at as u32);
            }
        }
        let mut unwritten: HashMap<(u32, i64), u32> = HashMap::new();
        for (at, op) in ops.iter().enumerate() {
            let Action::ReadRegister(value) = op.action else {
                continue;
            };
            let writer = writers.of(op.key, value);
            self.version[at] = if value == NIL {
                op.key
            } else if writer != NONE {
                let txn = self.txn_of[writer as usize] as usize;
                self.present[txn] |= self.history.txns()[txn].outcome == Outcome::Open;
                self.version[writer as usize]
            } else {
                *unwritten.entry((op.key, value)).or_insert_with(|| {
                    self.key.push(op.key);
                    self.value.push(value);
                    self.write.push(NONE);
                    self.key.len() as u32 - 1
                })
            };
        }
    }

    fn find_interactions(&mut self) {
        self.intermediate = vec![false; self.key.len()];
        self.writer = vec![NONE; self.key.len()];
        let history = self.history;
        let ops = history.all_ops();
        let mut by_key = ByKey::default();
        for txn in 0..history.txns().len() as u32 {
            let present = self.present[txn as usize];
            self.rows.push(self.interactions.len() as u32);
            by_key.each(history, txn, |group| {
                let key = ops[group[0] as usize].key;
                let mut read = NONE;
                let mut read_at = NONE;
                let mut write = NONE;
                for at in group {
                    let version = self.version[*at as usize];
                    match ops[*at as usize].action {
                        Action::Write(_) => {
                            if write != NONE {
                                self.intermediate[write as usize] = true;
                            }
                            write = version;
                        }
                        Action::ReadRegister(_) if read == NONE && write == NONE => {
                            (read, read_at) = (version, *at);
                        }
                        Action::ReadRegister(_) | Action::ReadList(_) | Action::ReadUnknown => {}
                    }
                }
                if !present || (read == NONE && write == NONE) {
                    return;
                }
                if write != NONE {
                    self.writer[write as usize] = txn;
                }
                self.interactions.push(Interaction {
                    txn,
                    key,
                    read,
                    read_at,
                    write,
                });
            });
        }
        self.rows.push(self.interactions.len() as u32);
    }
}
