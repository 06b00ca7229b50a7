//! Long forks: two readers see two writes in opposite orders.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};
use serde_json::json;

use super::{Invariant, Moment, told, unknown, wrong};
use crate::catalogue::Outcome;
use crate::history::EventKind;
use crate::import::{ImportError, Value};
use crate::verdict::Verdict;

/// No two reads of the same keys differ in opposite directions, where every key is written once: parallel
/// snapshot isolation allows that, snapshot isolation does not (Sovran et al., "Transactional storage for
/// geo-replicated systems", SOSP 2011). After Jepsen's `long-fork` checker.
///
/// Values are `[[:r key value] ...]` and `[[:w key value]]`. Reads of a group form a chain if, ordered by
/// how many keys they have, each holds all of the one before: O(r k log r) for r reads of k keys, where
/// Jepsen compares all pairs. One fork is told for each place where the chain breaks.
#[derive(Debug, Default)]
pub struct LongFork {
    group_size: Option<usize>,
    /// Reads by group: the group's keys, in order.
    groups: BTreeMap<Vec<String>, Vec<Read>>,
    /// The value of each key.
    values: HashMap<String, Value>,
    /// Keys that had several.
    rewritten: HashSet<String>,
    operations: usize,
}

#[derive(Debug)]
struct Read {
    line: u64,
    /// For each key of the group, whether it had its value.
    has: Vec<bool>,
}

impl Read {
    fn holds(&self, other: &Read) -> bool {
        self.has
            .iter()
            .zip(&other.has)
            .all(|(mine, its)| *mine || !*its)
    }

    fn count(&self) -> usize {
        self.has.iter().filter(|has| **has).count()
    }
}

impl LongFork {
    /// `group_size`: how many keys each read of several must have, if that is known.
    pub fn new(group_size: Option<usize>) -> Self {
        LongFork {
            group_size,
            ..Self::default()
        }
    }

    fn saw(&mut self, key: &str, value: &Value) {
        let known = self.values.entry_ref(key).or_insert_with(|| value.clone());
        if known != value {
            self.rewritten.insert(key.to_owned());
        }
    }

    fn read(&mut self, answer: &Moment) -> Result<(), ImportError> {
        let mut steps = steps(answer)?;
        steps.sort_by(|one, other| one.1.cmp(&other.1));
        let writes = steps.iter().any(|(read, ..)| !read);
        for (_, key, value) in &steps {
            if *value != &Value::Nil {
                self.saw(key, value);
            }
        }
        if writes || steps.len() < 2 {
            return Ok(());
        }
        if let Some(size) = self.group_size.filter(|size| *size != steps.len()) {
            return wrong(answer, &format!("not a read of {size} keys"));
        }
        if steps.windows(2).any(|pair| pair[0].1 == pair[1].1) {
            return wrong(answer, "a read of the same key twice");
        }
        let has = steps
            .iter()
            .map(|(.., value)| **value != Value::Nil)
            .collect();
        let keys = steps.into_iter().map(|(_, key, _)| key).collect();
        let line = answer.event.line;
        self.groups
            .entry(keys)
            .or_default()
            .push(Read { line, has });
        Ok(())
    }
}

/// Whether it reads, key and value of each step.
fn steps(moment: &Moment) -> Result<Vec<(bool, String, &Value)>, ImportError> {
    let Some(items) = moment.event.value.items() else {
        return unknown(moment);
    };
    items
        .iter()
        .map(|step| match step.items() {
            Some([f, key, value]) => match f.name() {
                Some("r" | "read") => Ok((true, key.to_string(), value)),
                Some("w" | "write") => Ok((false, key.to_string(), value)),
                _ => unknown(moment),
            },
            _ => unknown(moment),
        })
        .collect()
}

impl Invariant for LongFork {
    fn called(&mut self, call: &Moment) -> Result<(), ImportError> {
        self.operations += 1;
        for (read, key, value) in steps(call)? {
            if !read {
                self.saw(&key, value);
            }
        }
        Ok(())
    }

    fn answered(&mut self, _: &Moment, answer: &Moment) -> Result<(), ImportError> {
        match answer.event.kind {
            EventKind::Ok => self.read(answer),
            _ => Ok(()),
        }
    }

    fn outcome(&mut self) -> Outcome {
        let (mut forks, mut cases, mut reads, mut left_out) = (0, Vec::new(), 0, 0);
        for (keys, of_group) in &self.groups {
            if keys.iter().any(|key| self.rewritten.contains(key)) {
                left_out += of_group.len();
                continue;
            }
            reads += of_group.len();
            let mut chain: Vec<&Read> = of_group.iter().collect();
            chain.sort_by_key(|read| read.count());
            for pair in chain.windows(2).filter(|pair| !pair[1].holds(pair[0])) {
                forks += 1;
                let only = |one: &Read, other: &Read| -> String {
                    let marks = one.has.iter().zip(&other.has).zip(keys);
                    let own = marks.filter(|((one, other), _)| **one && !**other);
                    own.map(|(_, key)| key.as_str())
                        .collect::<Vec<_>>()
                        .join(" ")
                };
                cases.push(format!(
                    "line {} has {} and not {}, line {} the reverse",
                    pair[0].line,
                    only(pair[0], pair[1]),
                    only(pair[1], pair[0]),
                    pair[1].line
                ));
            }
        }
        let told_reads = told::count(reads, "read");
        let (verdict, reason) = if forks > 0 {
            let reason = format!("{} in {told_reads}", told::count(forks, "long fork"));
            (Verdict::Invalid, reason)
        } else if left_out > 0 {
            let reason = format!(
                "{} left out: keys have more than one value",
                told::count(left_out, "read")
            );
            (Verdict::Unknown, reason)
        } else if reads == 0 {
            (Verdict::Unknown, "no read of several keys".to_owned())
        } else {
            (
                Verdict::Valid,
                format!("{told_reads}, no two of which disagree about the order"),
            )
        };
        let finding = told::class("long-fork", reason.clone(), forks, cases);
        Outcome {
            verdict,
            reason,
            operations: self.operations,
            findings: if forks > 0 { vec![finding] } else { Vec::new() },
            facts: json!({
                "groups": self.groups.len(),
                "reads": reads,
                "reads_left_out": left_out,
                "forks": forks,
            }),
            ..Outcome::default()
        }
    }
}
