//! What was found, by class: all of it counted, some of it told.

use std::collections::BTreeMap;

use super::anomaly::Anomaly;
use super::cycle::Cycle;

/// One occurrence of an anomaly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The transactions concerned; for a cycle in its order.
    pub txns: Vec<u32>,
    /// What happened, in words.
    pub text: String,
    /// The cycle, if it is one.
    pub cycle: Option<Cycle>,
}

/// Occurrences of one class.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Class {
    /// How many; of cycles, how many groups of transactions have one.
    pub count: u64,
    /// Some of them: of cycles the shortest, else the first.
    pub cases: Vec<Case>,
}

/// Everything that was found.
#[derive(Debug, Clone)]
pub(crate) struct Cases {
    keep: usize,
    classes: BTreeMap<Anomaly, Class>,
}

impl Cases {
    /// Nothing yet. Of each class `keep` cases will be kept.
    pub(crate) fn new(keep: usize) -> Self {
        Cases {
            keep,
            classes: BTreeMap::new(),
        }
    }

    /// A case without a cycle, described only if it is kept.
    pub(crate) fn add(&mut self, anomaly: Anomaly, describe: impl FnOnce() -> (Vec<u32>, String)) {
        let class = self.classes.entry(anomaly).or_default();
        class.count += 1;
        if class.cases.len() < self.keep {
            let (txns, text) = describe();
            class.cases.push(Case {
                txns,
                text,
                cycle: None,
            });
        }
    }

    /// A cycle. The shortest are kept, of equals the first.
    pub(crate) fn add_cycle(&mut self, anomaly: Anomaly, cycle: Cycle) {
        let class = self.classes.entry(anomaly).or_default();
        class.count += 1;
        let longer = |case: &Case| case.txns.len() > cycle.steps.len();
        let at = class.cases.iter().position(longer);
        let at = at.unwrap_or(class.cases.len());
        if at < self.keep {
            let txns = cycle.txns();
            let text = String::new();
            class.cases.insert(
                at,
                Case {
                    txns,
                    text,
                    cycle: Some(cycle),
                },
            );
            class.cases.truncate(self.keep);
        }
    }

    /// Puts the cycles that are kept into words.
    pub(crate) fn explain_cycles(&mut self, explain: impl Fn(Anomaly, &Cycle) -> String) {
        for (class, found) in &mut self.classes {
            for case in &mut found.cases {
                if let Some(cycle) = &case.cycle {
                    case.text = explain(*class, cycle);
                }
            }
        }
    }

    /// What was found, by class.
    pub(crate) fn into_classes(self) -> BTreeMap<Anomaly, Class> {
        self.classes
    }
}
