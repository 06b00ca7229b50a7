//! Causality by key and by session: the same histories have violations.

use super::super::super::dictionary::Dictionary;
use super::super::super::transactions::{Builder, NIL, Outcome, Transactions};
use super::super::interactions::Registers;
use super::constraints::Constraints;
use super::{keys, sessions};

/// Numbers below a bound, the same for the same seed (Knuth's linear congruence).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Transactions one after the other, of which some read what was there before. Keys come into use one
/// after the other, or two take the place of two.
fn history(seed: u64) -> Transactions {
    let mut random = Random(seed);
    let keys = [1, 3, 50, 100][random.below(4)];
    let in_turn = random.below(2) == 0;
    let stale = [0, 100, 1000][random.below(3)];
    let processes = 1 + random.below(6);
    let mut written: Vec<Vec<i64>> = vec![vec![NIL]; 100];
    let mut builder = Builder::default();
    for txn in 0..200 {
        let outcome = match random.below(20) {
            0 => Outcome::Open,
            1 => Outcome::Aborted,
            _ => Outcome::Committed,
        };
        let process = random.below(processes) as i64;
        builder.begin(txn, process, outcome, 2 * txn as u32, 2 * txn as u32 + 1);
        for op in 0..=random.below(4) as i64 {
            let key = match in_turn {
                true => txn as usize / 70 * 2 + random.below(2),
                false => random.below((txn as usize + 8).min(keys)),
            };
            let seen = &mut written[key];
            if random.below(2) == 0 {
                let value = 4 * txn + op;
                builder.write(key as u32, value);
                if outcome != Outcome::Aborted {
                    seen.push(value);
                }
            } else {
                let back = match stale > 0 && random.below(stale) == 0 {
                    true => 1 + random.below(4),
                    false => 1,
                };
                builder.read_register(key as u32, seen[seen.len().saturating_sub(back)]);
            }
        }
    }
    builder.finish()
}

/// Whether causality is violated; `None` if what was read leads in a circle by itself.
fn violated(history: &Transactions, by_key: bool) -> Option<bool> {
    let registers = Registers::new(history).unwrap();
    let mut constraints = Constraints::new(&registers, true)?;
    if by_key {
        keys::Plan::new(&registers, &constraints).add(&registers, &mut constraints);
    } else {
        sessions::Plan::new(&registers, &constraints).add(&registers, &mut constraints);
    }
    let found = constraints.find_cycle(&registers, &Dictionary::default());
    Some(found.is_some())
}

#[test]
fn causality_by_key_and_by_session_is_the_same() {
    let mut found = 0;
    let mut judged = 0;
    for seed in 0..400 {
        let history = history(seed);
        let by_key = violated(&history, true);
        assert_eq!(by_key, violated(&history, false), "of seed {seed}");
        judged += usize::from(by_key.is_some());
        found += usize::from(by_key == Some(true));
    }
    assert!(judged > 300 && found > 50 && found < judged - 50);
}

#[test]
fn a_stale_read_is_found_wherever_a_key_stands_in_its_writes() {
    // Two keys that are done with leave their lanes to the blocks of a third.
    for last in 1..100 {
        for read in [last, last - 1] {
            let mut builder = Builder::default();
            let mut moment = 0;
            let mut begin = |builder: &mut Builder| {
                builder.begin(0, 0, Outcome::Committed, moment, moment + 1);
                moment += 2;
            };
            for key in 0..2 {
                for value in 1..=32 {
                    begin(&mut builder);
                    builder.write(key, value);
                }
            }
            begin(&mut builder);
            builder.read_register(0, 32);
            builder.read_register(1, 32);
            for value in 1..=last {
                begin(&mut builder);
                builder.write(2, value);
            }
            begin(&mut builder);
            builder.read_register(2, if read == 0 { NIL } else { read });
            let history = builder.finish();
            let expected = Some(read < last);
            assert_eq!(violated(&history, true), expected, "{read} of {last}");
            assert_eq!(violated(&history, false), expected, "{read} of {last}");
        }
    }
}
