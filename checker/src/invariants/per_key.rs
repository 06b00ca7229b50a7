//! One invariant for every key of a history.

use hashbrown::HashMap;
use serde_json::json;

use super::{Invariant, Moment};
use crate::catalogue::Outcome;
use crate::import::{ImportError, Value};
use crate::verdict::Verdict;

/// Findings kept of all keys.
const MAX_FINDINGS: usize = 32;

/// Checks each key on its own. The verdict is the worst of all: what is undecided for one key hides no
/// violation of another. Each event costs one look-up beside what the key's invariant does.
pub struct PerKey {
    make: Box<dyn Fn() -> Box<dyn Invariant>>,
    keys: Vec<(Option<Value>, Box<dyn Invariant>)>,
    by_key: HashMap<Option<Value>, usize>,
}

impl PerKey {
    /// `make` makes the invariant of one key.
    pub fn new(make: impl Fn() -> Box<dyn Invariant> + 'static) -> Self {
        PerKey {
            make: Box::new(make),
            keys: Vec::new(),
            by_key: HashMap::new(),
        }
    }

    fn of(&mut self, moment: &Moment) -> &mut dyn Invariant {
        let key = &moment.event.key;
        let at = match self.by_key.get(key) {
            Some(&at) => at,
            None => {
                self.keys.push((key.clone(), (self.make)()));
                self.by_key.insert(key.clone(), self.keys.len() - 1);
                self.keys.len() - 1
            }
        };
        &mut *self.keys[at].1
    }
}

impl Invariant for PerKey {
    fn called(&mut self, call: &Moment) -> Result<(), ImportError> {
        self.of(call).called(call)
    }

    fn answered(&mut self, call: &Moment, answer: &Moment) -> Result<(), ImportError> {
        self.of(call).answered(call, answer)
    }

    fn outcome(&mut self) -> Outcome {
        if self.keys.is_empty() {
            return (self.make)().outcome();
        }
        if let [(None, only)] = &mut self.keys[..] {
            return only.outcome();
        }
        let mut all: Vec<_> = self
            .keys
            .iter_mut()
            .map(|(key, invariant)| (key.as_ref().unwrap_or(&Value::Nil), invariant.outcome()))
            .collect();
        let worst = Verdict::worst(all.iter().map(|(_, outcome)| outcome.verdict));
        let keys = all.len();
        // The worst first; among equals, as they came.
        all.sort_by_key(|(_, outcome)| std::cmp::Reverse(outcome.verdict));
        let count = |verdict| all.iter().filter(|(_, o)| o.verdict == verdict).count();
        let (invalid, undecided) = (count(Verdict::Invalid), count(Verdict::Unknown));
        let (first, of_first) = &all[0];
        let reason = match worst {
            Verdict::Valid => format!("{}, for each of {keys} keys", of_first.reason),
            _ => format!(
                "{} of {keys} keys, the first {first}: {}",
                count(worst),
                of_first.reason
            ),
        };
        let by_key: Vec<_> = all
            .iter()
            .take(MAX_FINDINGS)
            .map(|(key, o)| json!({"key": key.to_string(), "verdict": o.verdict, "reason": o.reason, "facts": o.facts}))
            .collect();
        let facts =
            json!({"keys": keys, "invalid": invalid, "undecided": undecided, "by_key": by_key});
        let mut outcome = Outcome {
            verdict: worst,
            reason,
            facts,
            ..Outcome::default()
        };
        for (key, of_key) in all {
            outcome.operations += of_key.operations;
            outcome.findings_left_out += of_key.findings_left_out;
            for mut finding in of_key.findings {
                finding.about = format!("key {key}, {}", finding.about);
                match outcome.findings.len() < MAX_FINDINGS {
                    true => outcome.findings.push(finding),
                    false => outcome.findings_left_out += 1,
                }
            }
        }
        outcome
    }
}
