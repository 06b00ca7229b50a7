//! Operations whose effect can be told apart from each other's, by looking at the server later.

use std::num::NonZeroU32;

use serde_json::{Value, json};

use crate::objects::generator::{invocation, read};
use crate::objects::spec::Kind;
use crate::objects::{Invocation, Spec};

/// Probes at a time: amounts are powers of four, so that a sum shows how often each of them happened.
pub(super) const BATCH: usize = 8;
/// More than all amounts of a batch come to.
const BALANCE: u32 = 1_000_000;
const HELD: i64 = 1;
const WANTED: i64 = 2;

/// The workload of this kind, with the settings that probes need.
pub(super) fn spec_of(kind: &str) -> Option<Spec> {
    let spec = Spec::of_kind(kind)?;
    Some(match spec.0 {
        Kind::Bank { .. } => Spec(Kind::Bank {
            accounts: NonZeroU32::new(2)?,
            balance: BALANCE,
        }),
        _ => spec,
    })
}

/// One operation, number `at` of a batch.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    /// What has to be done first, without any fault.
    pub(super) before: Option<Invocation>,
    /// The operation.
    pub(super) asked: Invocation,
    at: usize,
    key: i64,
    reversed: bool,
}

impl Probe {
    /// `key` is used by no other probe. Batches move money to and fro.
    pub(super) fn new(spec: &Spec, at: usize, key: i64, reversed: bool) -> Probe {
        let mut before = None;
        let amount = 1i64 << (2 * at);
        let asked = match &spec.0 {
            Kind::Register { cas: false, .. } => invocation("write", Some(key), WANTED.into()),
            Kind::Register { cas: true, .. } => {
                before = Some(invocation("write", Some(key), HELD.into()));
                invocation("cas", Some(key), json!([HELD, WANTED]))
            }
            Kind::Append { .. } => {
                let steps = json!([["append", key, WANTED], ["r", key, null]]);
                invocation("txn", None, steps)
            }
            Kind::Set => invocation("add", None, key.into()),
            Kind::Counter => invocation("add", None, amount.into()),
            Kind::Bank { .. } => {
                let (from, to) = if reversed { (1, 0) } else { (0, 1) };
                let value = json!({"from": from, "to": to, "amount": amount});
                invocation("transfer", None, value)
            }
        };
        Probe {
            before,
            asked,
            at,
            key,
            reversed,
        }
    }

    /// The read that shows what came of it.
    pub(super) fn look(&self, spec: &Spec) -> Invocation {
        match spec.0 {
            Kind::Register { .. } => read(Some(self.key)),
            Kind::Append { .. } => invocation("txn", None, json!([["r", self.key, null]])),
            Kind::Set | Kind::Counter | Kind::Bank { .. } => read(None),
        }
    }

    /// Whether it happened, and once; `earlier`: what the same read saw before the batch.
    pub(super) fn happened(
        &self,
        spec: &Spec,
        earlier: &Value,
        seen: &Value,
    ) -> Result<bool, String> {
        let times = |count: usize| match count {
            0 | 1 => Ok(count == 1),
            _ => Err(format!("it happened {count} times")),
        };
        let has = |items: &Value, wanted: i64| {
            let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
            times(items.iter().filter(|item| **item == wanted).count())
        };
        let account = if self.reversed { "0" } else { "1" };
        let grown = |earlier: &Value, seen: &Value| {
            let (earlier, seen) = (earlier.as_i64(), seen.as_i64());
            let grown = seen.unwrap_or_default() - earlier.unwrap_or_default();
            match (0..1 << (2 * BATCH)).contains(&grown) {
                true => times((grown >> (2 * self.at)) as usize & 3),
                false => Err(format!("its batch added {grown}, more than was asked for")),
            }
        };
        match spec.0 {
            Kind::Register { .. } => Ok(*seen == WANTED),
            Kind::Append { .. } => has(&seen[0][2], WANTED),
            Kind::Set => has(seen, self.key),
            Kind::Counter => grown(earlier, seen),
            Kind::Bank { .. } => grown(&earlier[account], &seen[account]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_shows_how_often_each_amount_was_added() {
        for kind in ["counter", "bank"] {
            let spec = spec_of(kind).unwrap();
            let of = |sum: i64| match kind {
                "counter" => json!(7 + sum),
                _ => json!({"0": 100 - sum, "1": 100 + sum}),
            };
            let happened =
                |at, sum| Probe::new(&spec, at, 0, false).happened(&spec, &of(0), &of(sum));
            assert_eq!(happened(3, 0x40), Ok(true));
            assert_eq!(happened(3, 0x15), Ok(false));
            let twice = Err("it happened 2 times".to_owned());
            assert_eq!(happened(3, 0x80), twice);
            assert!(happened(3, -1).unwrap_err().contains("its batch added -1"));
        }
    }

    #[test]
    fn an_element_that_is_there_twice_is_told() {
        let spec = spec_of("append").unwrap();
        let probe = Probe::new(&spec, 0, 5, false);
        let seen = |list: Value| probe.happened(&spec, &json!(null), &json!([["r", 5, list]]));
        assert_eq!(seen(json!([])), Ok(false));
        assert_eq!(seen(json!([2])), Ok(true));
        assert_eq!(seen(json!([2, 2])), Err("it happened 2 times".to_owned()));
    }
}
