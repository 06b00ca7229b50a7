//! Two runs side by side: what changed from one release to the next, and whether it is more than chance.

use std::collections::BTreeSet;

use shakedown_checker::difference::{fisher, holm};
use shakedown_checker::rate::Rate;

use crate::pool::{Group, groups};
use crate::quantity::{duration, events_of_trials, share};
use crate::results::{ScenarioResults, SuiteResults, Verdict};

/// Corrected p values below this count as a difference.
pub const SIGNIFICANT: f64 = 0.05;

/// Two runs compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// One per scenario, in the order of the first run; those only in the second follow.
    pub rows: Vec<Change>,
}

/// What changed in one scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its name.
    pub scenario: String,
    /// Verdicts in words; `None` where the scenario did not run.
    pub verdicts: [Option<String>; 2],
    /// Whether the second run's worst verdict is worse than the first's.
    pub verdict_worse: bool,
    /// Keys lost at the checkpoint at which most was lost, in both runs.
    pub lost: [Rate; 2],
    /// P value of the difference between them, corrected for the number of scenarios.
    pub p_value: f64,
    /// Longest time without a success around a fault, microseconds.
    pub longest_gap_us: [Option<u64>; 2],
    /// The 99th percentile of latency of the slowest load stage, microseconds.
    pub p99_us: [Option<u64>; 2],
}

impl Change {
    /// Whether more is lost in the second run than chance explains.
    #[must_use]
    pub fn loss_worse(&self) -> bool {
        self.p_value < SIGNIFICANT && self.lost[1].share() > self.lost[0].share()
    }
}

impl Comparison {
    /// Whether the second run is worse: a verdict that became invalid, or significantly more lost.
    ///
    /// A verdict that became unknown, and latency, are shown but do not decide.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        self.rows
            .iter()
            .any(|row| row.verdict_worse || row.loss_worse())
    }
}

/// Compares two runs scenario by scenario, by name.
///
/// Loss rates are compared with Fisher's exact test, on counts divided by the design effect where a scenario
/// ran several times; p values are corrected over the scenarios of both runs after Holm.
#[must_use]
pub fn compare(a: &SuiteResults, b: &SuiteResults) -> Comparison {
    let (a, b) = (groups(a), groups(b));
    let mut seen = BTreeSet::new();
    let names: Vec<&str> = a
        .iter()
        .chain(&b)
        .map(|group| group.scenario.name.as_str())
        .filter(|name| seen.insert(*name))
        .collect();
    let mut rows: Vec<Change> = names
        .into_iter()
        .map(|name| change(name, [named(&a, name), named(&b, name)]))
        .collect();
    let tested: Vec<usize> = (0..rows.len())
        .filter(|i| rows[*i].lost.iter().all(|rate| rate.trials > 0))
        .collect();
    let p_values: Vec<f64> = tested.iter().map(|i| rows[*i].p_value).collect();
    for (i, corrected) in tested.into_iter().zip(holm(&p_values)) {
        rows[i].p_value = corrected;
    }
    Comparison { rows }
}

fn named<'g, 'r>(groups: &'g [Group<'r>], name: &str) -> Option<&'g Group<'r>> {
    groups.iter().find(|group| group.scenario.name == name)
}

fn change(name: &str, pair: [Option<&Group<'_>>; 2]) -> Change {
    let verdict = |group: Option<&Group<'_>>| group.map(Group::verdict);
    let [before, after] = pair.map(verdict);
    let p_value = match pair {
        [Some(a), Some(b)] => fisher(&effective(a), &effective(b)),
        _ => 1.0,
    };
    Change {
        scenario: name.to_owned(),
        verdicts: pair.map(|group| group.map(Group::verdict_in_words)),
        verdict_worse: before.is_some_and(|v| v != Verdict::Invalid)
            && after == Some(Verdict::Invalid),
        lost: pair.map(lost),
        p_value,
        longest_gap_us: pair.map(|group| {
            most(group, |run| {
                run.availability.iter().map(|a| a.longest_gap_us).max()
            })
        }),
        p99_us: pair.map(|group| {
            most(group, |run| {
                run.stages.iter().map(|stage| stage.latency_us[1]).max()
            })
        }),
    }
}

fn lost(group: Option<&Group<'_>>) -> Rate {
    let checkpoint = group.and_then(Group::worst_checkpoint);
    checkpoint.map_or_else(Rate::default, |checkpoint| checkpoint.loss.lost)
}

/// Counts as if losses had struck independently: divided by the design effect between repetitions.
fn effective(group: &Group<'_>) -> Rate {
    let Some(worst) = group.worst_checkpoint() else {
        return Rate::default();
    };
    let runs: Vec<Rate> = group
        .runs
        .iter()
        .flat_map(|run| &run.checkpoints)
        .filter(|checkpoint| checkpoint.name == worst.name)
        .map(|checkpoint| checkpoint.loss.lost)
        .collect();
    let effect = Rate::design_effect(&runs);
    let divided = |n: u64| (n as f64 / effect).round() as u64;
    Rate::new(
        divided(worst.loss.lost.events),
        divided(worst.loss.lost.trials),
    )
}

fn most(group: Option<&Group<'_>>, of: impl Fn(&ScenarioResults) -> Option<u64>) -> Option<u64> {
    group?.runs.iter().filter_map(|run| of(run)).max()
}

fn p_value(p: f64) -> String {
    if p < 0.001 {
        "p < 0.001".to_owned()
    } else {
        format!("p = {p:.3}")
    }
}

/// For a terminal: a paragraph per scenario, and what it comes to.
#[must_use]
pub fn as_text(comparison: &Comparison) -> String {
    let mut text = String::new();
    for row in &comparison.rows {
        text.push_str(&format!("{}\n", row.scenario));
        let [before, after] = &row.verdicts;
        let ran =
            |verdict: &Option<String>| verdict.clone().unwrap_or_else(|| "did not run".into());
        let mark = if row.verdict_worse { "  WORSE" } else { "" };
        text.push_str(&format!(
            "  verdict      {} -> {}{mark}\n",
            ran(before),
            ran(after)
        ));
        let rate = |rate: &Rate| format!("{} ({})", events_of_trials(rate), share(rate));
        if row.lost.iter().all(|rate| rate.trials > 0) {
            let mark = match (row.p_value < SIGNIFICANT, row.loss_worse()) {
                (true, true) => "  WORSE",
                (true, false) => "  better",
                (false, _) => "  no significant difference",
            };
            text.push_str(&format!(
                "  keys lost    {} -> {}, {}{mark}\n",
                rate(&row.lost[0]),
                rate(&row.lost[1]),
                p_value(row.p_value)
            ));
        }
        for (name, pair) in [
            ("longest gap ", row.longest_gap_us),
            ("p99 latency ", row.p99_us),
        ] {
            if let [Some(a), Some(b)] = pair {
                let shown = |us: u64| duration(us.saturating_mul(1_000));
                text.push_str(&format!("  {name} {} -> {}\n", shown(a), shown(b)));
            }
        }
    }
    text.push_str(if comparison.is_worse() {
        "\nThe second run is worse.\n"
    } else {
        "\nThe second run is not significantly worse.\n"
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    fn with_losses(events: u64) -> SuiteResults {
        let mut results = example::suite();
        results.scenarios[0].checkpoints[0].loss.lost = Rate::new(events, 1_980);
        results
    }

    #[test]
    fn a_run_is_not_worse_than_itself() {
        let comparison = compare(&example::suite(), &example::suite());
        assert!(!comparison.is_worse());
        assert!(comparison.rows.iter().all(|row| row.p_value > 0.99));
    }

    #[test]
    fn many_more_losses_are_worse_and_a_few_are_chance() {
        assert!(compare(&with_losses(0), &with_losses(60)).is_worse());
        assert!(!compare(&with_losses(0), &with_losses(2)).is_worse());
        assert!(!compare(&with_losses(60), &with_losses(0)).is_worse());
    }

    #[test]
    fn a_verdict_that_becomes_invalid_is_worse_and_one_that_becomes_unknown_is_only_shown() {
        let mut after = example::suite();
        after.scenarios[0].verdict = Verdict::Unknown;
        assert!(!compare(&example::suite(), &after).is_worse());
        after.scenarios[0].verdict = Verdict::Invalid;
        assert!(compare(&example::suite(), &after).is_worse());
    }

    #[test]
    fn a_scenario_that_ran_in_one_only_is_shown_and_decides_nothing() {
        let mut after = example::suite();
        after.scenarios.remove(0);
        let comparison = compare(&example::suite(), &after);
        assert_eq!(comparison.rows[0].verdicts[1], None);
        assert!(!comparison.is_worse());
    }

    #[test]
    fn losses_that_differ_between_repetitions_anyway_need_more_to_be_significant() {
        let repeated = |events: [u64; 2]| {
            let mut results = example::suite();
            results.scenarios.truncate(1);
            results.scenarios.push(results.scenarios[0].clone());
            for (i, events) in events.into_iter().enumerate() {
                results.scenarios[i].repetition = Some(i as u32 + 1);
                results.scenarios[i].checkpoints[0].loss.lost = Rate::new(events, 1_980);
            }
            results
        };
        let steady = compare(&repeated([20, 20]), &repeated([40, 40]));
        let erratic = compare(&repeated([0, 40]), &repeated([0, 80]));
        assert!(steady.is_worse());
        assert!(!erratic.is_worse());
    }

    #[test]
    fn a_comparison_is_shown_in_full() {
        insta::assert_snapshot!(as_text(&compare(&with_losses(0), &with_losses(60))));
    }
}
