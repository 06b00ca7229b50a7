//! A scenario and its checkpoints, as a report tells of them.

use std::collections::BTreeSet;

use serde::Serialize;
use shakedown_checker::rate::Rate;

use super::ANOMALIES_SHOWN;
use crate::claims::{self, Measured};
use crate::picture::Picture;
use crate::plot::losses::concerned;
use crate::pool::Group;
use crate::results::{CheckpointResult, GroupLoss, KeyOperation, ScenarioResults};

/// A scenario with what a template cannot work out itself.
#[derive(Serialize)]
pub(super) struct ScenarioView<'a> {
    #[serde(flatten)]
    scenario: &'a ScenarioResults,
    /// `11. name`, or the name alone.
    heading: String,
    pictures: &'a [Picture],
    /// Checkpoints with something to tell: the last, and earlier ones that found anomalies.
    told: Vec<CheckpointView<'a>>,
    claim_measured: Option<Measured>,
    /// Groups that were in danger or came to harm.
    groups_told: Vec<&'a GroupLoss>,
    /// The other groups, none of which lost anything.
    groups_untouched: usize,
    /// Faults, in words; for filtering.
    fault_kinds: String,
}

impl<'a> ScenarioView<'a> {
    pub(super) fn new(scenario: &'a ScenarioResults, pictures: &'a [Picture]) -> Self {
        let last = scenario.checkpoints.len().saturating_sub(1);
        let told = scenario
            .checkpoints
            .iter()
            .enumerate()
            .map(|(i, checkpoint)| CheckpointView::new(scenario, checkpoint, i == last))
            .filter(|view| view.decides || view.has_anomalies())
            .collect();
        let mut heading = match scenario.number {
            Some(number) => format!("{number}. {}", scenario.name),
            None => scenario.name.clone(),
        };
        if let Some(repetition) = scenario.repetition {
            heading.push_str(&format!(", repetition {repetition}"));
        }
        let alone = Group {
            scenario,
            runs: vec![scenario],
            checkpoints: scenario.checkpoints.clone(),
        };
        let groups = scenario.groups.iter();
        let groups_told: Vec<&GroupLoss> = groups.filter(|g| concerned(g)).collect();
        let kinds: BTreeSet<&str> = scenario.faults.iter().map(|f| f.kind.as_str()).collect();
        ScenarioView {
            heading,
            pictures,
            told,
            claim_measured: claims::measure(&alone),
            groups_untouched: scenario.groups.len() - groups_told.len(),
            groups_told,
            fault_kinds: kinds.into_iter().collect::<Vec<_>>().join(", "),
            scenario,
        }
    }
}

/// A checkpoint with what a template cannot work out itself.
#[derive(Serialize)]
struct CheckpointView<'a> {
    checkpoint: &'a CheckpointResult,
    decides: bool,
    classes: [(&'static str, &'a Rate, &'static str); 7],
    /// Anomalies that follow the ones shown, in `results.json`.
    anomalies_in_file: usize,
    /// Operations on the documents shown, by key.
    operations: Vec<&'a KeyOperation>,
}

impl<'a> CheckpointView<'a> {
    fn new(scenario: &'a ScenarioResults, checkpoint: &'a CheckpointResult, decides: bool) -> Self {
        let loss = &checkpoint.loss;
        let acknowledged = "keys with an acknowledged write";
        let classes = [
            ("lost", &loss.lost, acknowledged),
            ("stale", &loss.stale, acknowledged),
            ("resurrected", &loss.resurrected, acknowledged),
            ("corrupted", &loss.corrupted, "all keys"),
            ("phantom", &loss.phantom, "all keys"),
            ("misplaced", &loss.misplaced, "all keys"),
            ("left behind", &loss.left_behind, "all keys"),
        ];
        let shown: BTreeSet<i64> = loss
            .anomalies
            .iter()
            .take(ANOMALIES_SHOWN)
            .map(|anomaly| anomaly.key)
            .collect();
        let mut operations: Vec<&KeyOperation> = scenario
            .operations
            .iter()
            .filter(|operation| shown.contains(&operation.key))
            .filter(|operation| operation.invoked_ns <= checkpoint.time_ns)
            .collect();
        operations.sort_by_key(|operation| (operation.key, operation.invoked_ns));
        CheckpointView {
            checkpoint,
            decides,
            classes,
            anomalies_in_file: loss.anomalies.len().saturating_sub(ANOMALIES_SHOWN),
            operations,
        }
    }

    fn has_anomalies(&self) -> bool {
        self.classes.iter().any(|(_, rate, _)| rate.events > 0)
            || !self.checkpoint.loss.anomalies.is_empty()
    }
}
