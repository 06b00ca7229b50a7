//! What one process asks for next. Depends on nothing but the seed, the process and the loads before.

use std::collections::HashMap;
use std::num::NonZeroU32;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::objects::load::Weights;
use crate::objects::spec::{Keys, Kind};
use crate::objects::{Invocation, Spec};

/// Slots there are at most; also the distance between the numbers that a slot's processes and values have, so
/// that 3017 is the third of slot 17.
pub const SLOTS: u32 = 1000;

/// ChaCha stream of slot 0; the other slots' streams follow.
const FIRST_STREAM: u64 = 2 << 32;

/// Most that is added to a counter or moved between accounts at once.
const MOST: i64 = 5;

#[derive(Debug)]
pub(super) struct Generator {
    spec: Spec,
    slot: u32,
    rng: ChaCha8Rng,
    /// Distinct values given so far.
    given: i64,
    /// First of the keys worked on now, and how many operations are left on each.
    first_key: i64,
    left: Vec<u32>,
    /// The value last offered for a key of those worked on now.
    latest: HashMap<i64, i64>,
}

impl Generator {
    pub(super) fn new(spec: &Spec, seed: u64, slot: u32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(FIRST_STREAM + u64::from(slot));
        Generator {
            spec: spec.clone(),
            slot,
            rng,
            given: 0,
            first_key: 0,
            left: Vec::new(),
            latest: HashMap::new(),
        }
    }

    /// Keys that were worked on so far: those below.
    pub(super) fn keys_end(&self) -> i64 {
        self.first_key + self.left.len() as i64
    }

    /// The next operation, in a load of so many processes.
    pub(super) fn next(&mut self, weights: &Weights, processes: NonZeroU32) -> Invocation {
        let drawn = weights.draw(&mut self.rng);
        match self.spec.0 {
            Kind::Register { keys, values, .. } => {
                let key = self.key(keys, processes);
                self.register(drawn, key, values)
            }
            Kind::Append { keys, transaction } => {
                let length = self.rng.random_range(1..=u32::from(transaction.get()));
                let mut steps = vec![self.step(drawn, keys, processes)];
                for _ in 1..length {
                    let drawn = weights.draw(&mut self.rng);
                    steps.push(self.step(drawn, keys, processes));
                }
                invocation("txn", None, Value::Array(steps))
            }
            Kind::Set if drawn == "add" => {
                let value = self.distinct();
                invocation("add", None, value.into())
            }
            Kind::Counter if drawn == "add" => {
                let amount = self.rng.random_range(1..=MOST);
                invocation("add", None, amount.into())
            }
            Kind::Bank { accounts, balance } if drawn == "transfer" => {
                let from = self.rng.random_range(0..accounts.get());
                let other = self.rng.random_range(1..accounts.get());
                let to = (from + other) % accounts;
                let amount = self.rng.random_range(1..=MOST.min(balance.into()));
                let value = json!({"from": from, "to": to, "amount": amount});
                invocation("transfer", None, value)
            }
            Kind::Set | Kind::Counter | Kind::Bank { .. } => read(None),
        }
    }

    fn register(&mut self, f: &'static str, key: i64, values: Option<NonZeroU32>) -> Invocation {
        if f == "read" {
            return read(Some(key));
        }
        let expected = match values {
            Some(values) => Some(self.rng.random_range(0..values.get()).into()),
            // What was offered last: it does not depend on answers, and is often still there.
            None => self.latest.get(&key).copied(),
        };
        let value = match values {
            Some(values) => self.rng.random_range(0..values.get()).into(),
            None => self.distinct(),
        };
        self.latest.insert(key, value);
        match expected {
            Some(expected) if f == "cas" => invocation("cas", Some(key), json!([expected, value])),
            // The first cas of a key has nothing to expect.
            _ => invocation("write", Some(key), value.into()),
        }
    }

    fn step(&mut self, drawn: &str, keys: Keys, processes: NonZeroU32) -> Value {
        let key = self.key(keys, processes);
        match drawn {
            "append" => json!(["append", key, self.distinct()]),
            _ => json!(["r", key, null]),
        }
    }

    /// A value that no other process, and no other call, gives.
    fn distinct(&mut self) -> i64 {
        self.given += 1;
        self.given * i64::from(SLOTS) + i64::from(self.slot)
    }

    /// Draws one of the keys that have operations left for this process. When none has, the next keys follow.
    ///
    /// Every process works through the same keys in the same order, so they meet on them.
    fn key(&mut self, keys: Keys, processes: NonZeroU32) -> i64 {
        if self.left.iter().all(|left| *left == 0) {
            self.first_key = self.keys_end();
            let share = (keys.operations.get() / processes).max(1);
            self.left = vec![share; keys.live.get() as usize];
            self.latest.clear();
        }
        let having = |left: &[u32]| left.iter().filter(|left| **left > 0).count() as u32;
        let mut at = self.rng.random_range(0..having(&self.left));
        for (index, left) in self.left.iter_mut().enumerate() {
            if *left > 0 && at == 0 {
                *left -= 1;
                return self.first_key + index as i64;
            }
            at -= u32::from(*left > 0);
        }
        unreachable!("what is drawn is below the number of keys that have operations left")
    }
}

/// A read of a key, or of the whole object.
pub(super) fn read(key: Option<i64>) -> Invocation {
    invocation("read", key, Value::Null)
}

pub(super) fn invocation(f: &'static str, key: Option<i64>, value: Value) -> Invocation {
    Invocation {
        f: f.into(),
        key,
        value,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;
    use crate::objects::ObjectLoad;

    fn spec(text: &str) -> Spec {
        toml::from_str(text).unwrap()
    }

    fn some(spec: &Spec, seed: u64, slot: u32, processes: u32, count: usize) -> Vec<Invocation> {
        let weights = ObjectLoad::default().weights(spec).unwrap();
        let mut generator = Generator::new(spec, seed, slot);
        let processes = NonZeroU32::new(processes).unwrap();
        (0..count)
            .map(|_| generator.next(&weights, processes))
            .collect()
    }

    #[test]
    fn the_seed_and_the_process_decide_what_is_offered() {
        for kind in Spec::kinds() {
            let spec = Spec::of_kind(kind).unwrap();
            let first = some(&spec, 1, 0, 3, 500);
            assert_eq!(first, some(&spec, 1, 0, 3, 500), "{kind}");
            assert_ne!(first, some(&spec, 2, 0, 3, 500), "{kind}");
            assert_ne!(first, some(&spec, 1, 1, 3, 500), "{kind}");
        }
    }

    #[test]
    fn every_key_has_its_operations_and_is_then_left_alone() {
        let spec = spec("kind = \"cas\"\nkeys = 3\noperations_per_key = 10");
        let mut of_key: BTreeMap<i64, u32> = BTreeMap::new();
        for slot in 0..2 {
            let offered = some(&spec, 7, slot, 2, 60);
            for (at, invocation) in offered.iter().enumerate() {
                let key = invocation.key.unwrap();
                assert_eq!(
                    key / 3,
                    at as i64 / 15,
                    "keys are worked on three at a time"
                );
                *of_key.entry(key).or_default() += 1;
            }
        }
        assert_eq!(of_key.len(), 12);
        assert!(of_key.values().all(|count| *count == 10), "{of_key:?}");
    }

    #[test]
    fn values_are_written_once_unless_asked_otherwise() {
        let written = |text: &str| -> (usize, usize) {
            let spec = spec(text);
            let mut values = Vec::new();
            for slot in 0..4 {
                for offered in some(&spec, 3, slot, 4, 300) {
                    match (&*offered.f, &offered.value) {
                        ("write" | "add", value) => values.push(value.clone()),
                        ("cas", value) => values.push(value[1].clone()),
                        ("txn", Value::Array(steps)) => values.extend(
                            steps
                                .iter()
                                .filter(|step| step[0] == "append")
                                .map(|step| step[2].clone()),
                        ),
                        _ => {}
                    }
                }
            }
            let distinct: HashSet<String> = values.iter().map(Value::to_string).collect();
            (values.len(), distinct.len())
        };
        for kind in ["register", "cas", "append", "set"] {
            let (all, distinct) = written(&format!("kind = \"{kind}\""));
            assert!(all > 100);
            assert_eq!(all, distinct, "{kind}");
        }
        let (_, distinct) = written("kind = \"cas\"\nvalues = 5");
        assert_eq!(distinct, 5);
    }

    #[test]
    fn a_cas_expects_what_its_process_offered_last() {
        let mut latest = HashMap::new();
        let mut compared = 0;
        for offered in some(&spec("kind = \"cas\"\nkeys = 2"), 3, 0, 1, 200) {
            match (&*offered.f, &offered.value) {
                ("write", value) => drop(latest.insert(offered.key, value.clone())),
                ("cas", value) => {
                    compared += 1;
                    assert_eq!(
                        latest.insert(offered.key, value[1].clone()),
                        Some(value[0].clone())
                    );
                }
                _ => {}
            }
        }
        assert!(compared > 20);
    }

    #[test]
    fn money_is_moved_between_different_accounts() {
        let spec = spec("kind = \"bank\"\naccounts = 2\nbalance = 3");
        for offered in some(&spec, 3, 0, 1, 200)
            .iter()
            .filter(|o| o.f == "transfer")
        {
            let field = |name: &str| offered.value[name].as_i64().unwrap();
            assert_ne!(field("from"), field("to"));
            assert!((0..2).contains(&field("from")) && (0..2).contains(&field("to")));
            assert!((1..=3).contains(&field("amount")));
        }
    }
}
