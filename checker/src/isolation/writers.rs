//! Who wrote a value. Values must be written once per key: a read then names its writer.

use hashbrown::HashMap;

use super::transactions::{Action, NONE, Outcome, Transactions};

/// Two transactions wrote the same value to the same key, so that a read does not tell whose it saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenTwice {
    /// The key.
    pub key: u32,
    /// The value.
    pub value: i64,
    /// Who wrote it.
    pub txns: [u32; 2],
}

/// The operation that wrote each value of each key. Small values are looked up in arrays.
#[derive(Debug)]
pub(crate) struct Writers {
    rows: Vec<u32>,
    small: Vec<u32>,
    other: HashMap<(u32, i64), u32>,
}

impl Writers {
    /// Finds all writes. What an aborted transaction wrote may be written again. Linear time.
    pub(crate) fn new(history: &Transactions, txn_of: &[u32]) -> Result<Self, WrittenTwice> {
        let keys = history.keys() as usize;
        let mut counts = vec![0u32; keys];
        let mut highest = vec![-1i64; keys];
        for op in history.all_ops() {
            if let Action::Write(value) = op.action {
                counts[op.key as usize] += 1;
                let highest = &mut highest[op.key as usize];
                *highest = (*highest).max(value);
            }
        }
        let mut rows = vec![0u32; keys + 1];
        for key in 0..keys {
            let most = 4 * i64::from(counts[key]) + 16;
            rows[key + 1] = rows[key] + highest[key].saturating_add(1).clamp(0, most) as u32;
        }
        let mut writers = Writers {
            small: vec![NONE; rows[keys] as usize],
            rows,
            other: HashMap::new(),
        };
        for (at, op) in history.all_ops().iter().enumerate() {
            let Action::Write(value) = op.action else {
                continue;
            };
            let place = writers.place(op.key, value);
            let place = match place {
                Some(place) => &mut writers.small[place],
                None => writers.other.entry((op.key, value)).or_insert(NONE),
            };
            let aborted = |at: u32| history.txn(txn_of[at as usize]).outcome == Outcome::Aborted;
            if *place == NONE || aborted(*place) {
                *place = at as u32;
            } else if !aborted(at as u32) {
                return Err(WrittenTwice {
                    key: op.key,
                    value,
                    txns: [txn_of[*place as usize], txn_of[at]],
                });
            }
        }
        Ok(writers)
    }

    /// The operation that wrote a value, or [`NONE`].
    pub(crate) fn of(&self, key: u32, value: i64) -> u32 {
        match self.place(key, value) {
            Some(place) => self.small[place],
            None => self.other.get(&(key, value)).copied().unwrap_or(NONE),
        }
    }

    fn place(&self, key: u32, value: i64) -> Option<usize> {
        let from = self.rows[key as usize];
        let room = self.rows[key as usize + 1] - from;
        let small = value >= 0 && value < i64::from(room);
        small.then(|| from as usize + value as usize)
    }
}

/// The transaction of each operation.
pub(crate) fn txn_of_ops(history: &Transactions) -> Vec<u32> {
    let mut txn_of = vec![0; history.all_ops().len()];
    for txn in 0..history.txns().len() as u32 {
        txn_of[history.range(txn)].fill(txn);
    }
    txn_of
}

#[cfg(test)]
mod tests {
    use super::super::transactions::Builder;
    use super::*;

    fn written(writes: &[(Outcome, u32, i64)]) -> Result<Writers, WrittenTwice> {
        let mut builder = Builder::default();
        for (outcome, key, value) in writes {
            builder.begin(0, 0, *outcome, 0, 1);
            builder.write(*key, *value);
        }
        let history = builder.finish();
        Writers::new(&history, &txn_of_ops(&history))
    }

    #[test]
    fn finds_small_large_and_negative_values() {
        use Outcome::Committed;
        let writes = [
            (Committed, 0, 5),
            (Committed, 1, 5),
            (Committed, 1, i64::MAX),
            (Committed, 0, -3),
        ];
        let writers = written(&writes).unwrap();
        let found = [(0, 5), (1, 5), (1, i64::MAX), (0, -3), (0, 4), (1, -3)]
            .map(|(key, value)| writers.of(key, value));
        assert_eq!(found, [0, 1, 2, 3, NONE, NONE]);
    }

    #[test]
    fn a_value_may_be_written_again_only_after_an_abort() {
        use Outcome::{Aborted, Committed, Open};
        let again = written(&[(Aborted, 0, 1), (Committed, 0, 1), (Aborted, 0, 1)]);
        assert_eq!(again.unwrap().of(0, 1), 1);
        let twice = written(&[(Open, 0, 1), (Committed, 0, 1)]);
        assert_eq!(twice.unwrap_err().txns, [0, 1]);
    }
}
