//! Repetitions of a scenario put together: counts summed, intervals widened for what differs between runs.

use shakedown_checker::loss::{ClassCounts, KeyClass, LossReport};
use shakedown_checker::rate::Rate;

use crate::quantity::count;
use crate::results::{CheckpointResult, Explained, ScenarioResults, SuiteResults, Verdict};

/// A scenario that ran once, or all repetitions of one.
pub(crate) struct Group<'a> {
    /// The first of the runs: name, configuration and the like are those of all.
    pub(crate) scenario: &'a ScenarioResults,
    pub(crate) runs: Vec<&'a ScenarioResults>,
    /// In the order of the first run that has them.
    pub(crate) checkpoints: Vec<CheckpointResult>,
}

/// The groups in the order in which they first ran.
pub(crate) fn groups(results: &SuiteResults) -> Vec<Group<'_>> {
    let mut runs: Vec<Vec<&ScenarioResults>> = Vec::new();
    for scenario in &results.scenarios {
        let same = |group: &&mut Vec<&ScenarioResults>| {
            scenario.repetition.is_some()
                && group[0].repetition.is_some()
                && group[0].name == scenario.name
        };
        match runs.iter_mut().find(same) {
            Some(group) => group.push(scenario),
            None => runs.push(vec![scenario]),
        }
    }
    runs.into_iter()
        .map(|runs| Group {
            scenario: runs[0],
            checkpoints: pooled_checkpoints(&runs),
            runs,
        })
        .collect()
}

impl Group<'_> {
    /// The worst of the runs.
    pub(crate) fn verdict(&self) -> Verdict {
        Verdict::worst(self.runs.iter().map(|run| run.verdict))
    }

    /// `valid`, or `valid in 9 of 10 runs, unknown in 1`.
    pub(crate) fn verdict_in_words(&self) -> String {
        if let [only] = self.runs[..] {
            return only.verdict.to_string();
        }
        let mut text = String::new();
        for verdict in [Verdict::Valid, Verdict::Unknown, Verdict::Invalid] {
            let with = self.runs.iter().filter(|r| r.verdict == verdict).count() as u64;
            if with == 0 {
            } else if text.is_empty() {
                let all = count(self.runs.len() as u64);
                text = format!("{verdict} in {} of {all} runs", count(with));
            } else {
                text.push_str(&format!(", {verdict} in {}", count(with)));
            }
        }
        text
    }

    /// The checkpoint that decides.
    pub(crate) fn deciding(&self) -> Option<&CheckpointResult> {
        self.checkpoints.last()
    }

    /// The checkpoint at which most was lost: where a claim about loss is to be measured.
    pub(crate) fn worst_checkpoint(&self) -> Option<&CheckpointResult> {
        let lost = |checkpoint: &&CheckpointResult| checkpoint.loss.lost.events;
        // Of equals, the last.
        self.checkpoints.iter().max_by_key(lost)
    }
}

fn pooled_checkpoints(runs: &[&ScenarioResults]) -> Vec<CheckpointResult> {
    if let [only] = runs {
        return only.checkpoints.clone();
    }
    let mut names: Vec<&str> = Vec::new();
    for checkpoint in runs.iter().flat_map(|run| &run.checkpoints) {
        if !names.contains(&checkpoint.name.as_str()) {
            names.push(&checkpoint.name);
        }
    }
    // A run that was cut short may lack the earlier ones; the final one still decides.
    names.sort_by_key(|name| *name == "final");
    names
        .into_iter()
        .map(|name| {
            let all: Vec<&CheckpointResult> = runs
                .iter()
                .flat_map(|run| &run.checkpoints)
                .filter(|checkpoint| checkpoint.name == name)
                .collect();
            pooled_checkpoint(&all)
        })
        .collect()
}

fn pooled_checkpoint(all: &[&CheckpointResult]) -> CheckpointResult {
    let sum = |of: fn(&LossReport) -> u64| all.iter().map(|c| of(&c.loss)).sum();
    let rate = |of: fn(&LossReport) -> Rate| {
        let rates: Vec<Rate> = all.iter().map(|c| of(&c.loss)).collect();
        Rate::pooled(&rates)
    };
    let mut counts = ClassCounts::default();
    for checkpoint in all {
        for class in KeyClass::ALL {
            counts.add(class, checkpoint.loss.counts.of(class));
        }
    }
    let incomplete = all.iter().flat_map(|c| c.loss.incomplete_sources.clone());
    CheckpointResult {
        name: all[0].name.clone(),
        time_ns: all[0].time_ns,
        loss: LossReport {
            acknowledged_writes: sum(|l| l.acknowledged_writes),
            failed_writes: sum(|l| l.failed_writes),
            indeterminate_writes: sum(|l| l.indeterminate_writes),
            reads: sum(|l| l.reads),
            keys: sum(|l| l.keys),
            acknowledged_keys: sum(|l| l.acknowledged_keys),
            indeterminate_present: sum(|l| l.indeterminate_present),
            lost: rate(|l| l.lost),
            stale: rate(|l| l.stale),
            resurrected: rate(|l| l.resurrected),
            corrupted: rate(|l| l.corrupted),
            phantom: rate(|l| l.phantom),
            misplaced: rate(|l| l.misplaced),
            left_behind: rate(|l| l.left_behind),
            unjudged_keys: sum(|l| l.unjudged_keys),
            foreign: sum(|l| l.foreign),
            impossible_reads: sum(|l| l.impossible_reads),
            incomplete_sources: incomplete.collect(),
            counts,
            ..LossReport::default()
        },
        explained: pooled_explanation(all),
    }
}

/// Only if every run has one: else the sum would pass for all of them.
fn pooled_explanation(all: &[&CheckpointResult]) -> Option<Explained> {
    let each: Vec<&Explained> = all
        .iter()
        .map(|checkpoint| checkpoint.explained.as_ref())
        .collect::<Option<_>>()?;
    let risks: Option<Vec<Rate>> = each.iter().map(|explained| explained.at_risk).collect();
    Some(Explained {
        predicted: each.iter().map(|e| e.predicted).sum(),
        explained: each.iter().map(|e| e.explained).sum(),
        unexplained: each.iter().flat_map(|e| e.unexplained.clone()).collect(),
        found_alive: each.iter().flat_map(|e| e.found_alive.clone()).collect(),
        at_risk: risks.map(|risks| Rate::pooled(&risks)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    /// The scenario that loses, twice, with other losses the second time.
    fn repeated() -> SuiteResults {
        let mut results = example::suite();
        let mut again = results.scenarios[3].clone();
        again.repetition = Some(2);
        again.verdict = Verdict::Unknown;
        let loss = &mut again.checkpoints[0].loss;
        loss.lost = Rate::new(3, 1_980);
        loss.counts.lost = 3;
        results.scenarios.push(again);
        results
    }

    #[test]
    fn repetitions_are_one_group_with_summed_counts_and_a_wider_interval() {
        let results = repeated();
        let groups = groups(&results);
        assert_eq!(groups.len(), 7);
        let group = &groups[3];
        let lost = group.deciding().unwrap().loss.lost;
        assert_eq!((lost.events, lost.trials), (44, 3_960));
        let independent = Rate::new(44, 3_960);
        assert!(lost.low < independent.low && lost.high > independent.high);
        assert_eq!(group.verdict(), Verdict::Unknown);
        assert_eq!(
            group.verdict_in_words(),
            "valid in 1 of 2 runs, unknown in 1"
        );
    }

    #[test]
    fn scenarios_that_merely_share_a_name_stay_apart() {
        let mut results = example::suite();
        results.scenarios.push(results.scenarios[0].clone());
        assert_eq!(groups(&results).len(), 8);
    }

    #[test]
    fn an_explanation_missing_in_one_run_is_missing_in_all() {
        let mut results = repeated();
        results.scenarios[7].checkpoints[0].explained = None;
        assert!(groups(&results)[3].deciding().unwrap().explained.is_none());
    }
}
