//! Results in sentences: the verdict in words, and the summary of what was run and what held.

use std::collections::BTreeSet;

use crate::quantity::{count, counted, duration, events_of_trials, share};
use crate::results::{ScenarioResults, SuiteResults, Verdict};

/// Reasons given for each scenario that did not hold; its section has all.
const REASONS: usize = 2;

/// `demo: INVALID, 4 valid, 1 unknown, 1 invalid of 6 scenarios, seed 42, 1 min 43 s`.
pub(crate) fn title(results: &SuiteResults) -> String {
    let tally: Vec<String> = [Verdict::Valid, Verdict::Unknown, Verdict::Invalid]
        .into_iter()
        .map(|verdict| (with(results, verdict).count() as u64, verdict))
        .filter(|(scenarios, _)| *scenarios > 0)
        .map(|(scenarios, verdict)| format!("{} {verdict}", count(scenarios)))
        .collect();
    format!(
        "{}: {} ({} of {}), seed {}, {}",
        results.suite,
        results.verdict.word().to_uppercase(),
        if tally.is_empty() {
            "none".into()
        } else {
            tally.join(", ")
        },
        counted(results.scenarios.len() as u64, "scenario", "scenarios"),
        results.seed,
        duration(results.duration_ms.saturating_mul(1_000_000)),
    )
}

/// What the verdict of a whole run means, for a title.
pub(crate) fn verdict_in_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "everything promised was exercised, and held",
        Verdict::Unknown => "it cannot be told whether everything promised holds",
        Verdict::Invalid => "something promised does not hold",
    }
}

/// One paragraph: what was run, what held, what did not, and what was lost.
pub(crate) fn summary(results: &SuiteResults) -> String {
    let mut sentences = vec![what_was_run(results), what_held(results)];
    sentences.extend(what_did_not(results, Verdict::Invalid, "did not hold"));
    sentences.extend(what_did_not(results, Verdict::Unknown, "cannot be told"));
    sentences.push(what_was_lost(results));
    sentences.extend(what_was_not_read(results));
    sentences.join(" ")
}

fn what_was_run(results: &SuiteResults) -> String {
    let nodes: BTreeSet<&str> = results
        .scenarios
        .iter()
        .flat_map(|s| &s.nodes)
        .map(|node| node.name.as_str())
        .collect();
    let names: Vec<&str> = nodes.iter().copied().collect();
    format!(
        "Shakedown {} ran {} of {} on {}{} with seed {}, starting at {}, in {}.",
        results.shakedown_version,
        counted(results.scenarios.len() as u64, "scenario", "scenarios"),
        results.suite,
        counted(nodes.len() as u64, "node", "nodes"),
        if names.is_empty() {
            String::new()
        } else {
            format!(" ({})", names.join(", "))
        },
        results.seed,
        results.started_at,
        duration(results.duration_ms.saturating_mul(1_000_000)),
    )
}

fn what_held(results: &SuiteResults) -> String {
    let held = with(results, Verdict::Valid).count();
    let all = results.scenarios.len();
    match (held, all) {
        (_, 0) => "No scenario ran, so nothing is known.".into(),
        (1, 1) => "It was exercised as promised, and its expectation held.".into(),
        (held, all) if held == all => {
            "All of them were exercised as promised, and their expectations held.".into()
        }
        (0, _) => "None of them held.".into(),
        (held, all) => format!(
            "{held} of {all} were exercised as promised, and their {} held.",
            if held == 1 {
                "expectation"
            } else {
                "expectations"
            }
        ),
    }
}

/// The scenarios of one verdict, each with the checks that brought it there.
fn what_did_not(results: &SuiteResults, verdict: Verdict, words: &str) -> Option<String> {
    let scenarios: Vec<String> = with(results, verdict)
        .map(|scenario| {
            let mut reasons: Vec<String> = scenario
                .checks
                .iter()
                .filter(|check| check.verdict != Verdict::Valid)
                .map(|check| format!("{}: {}", check.name, check.detail))
                .collect();
            if scenario.harness_error.is_some() {
                reasons.push("cut short by a harness error".into());
            }
            if reasons.is_empty() {
                return scenario.name.clone();
            }
            let others = reasons.len().saturating_sub(REASONS) as u64;
            reasons.truncate(REASONS);
            if others > 0 {
                reasons.push(format!(
                    "and {}",
                    counted(others, "other check", "other checks")
                ));
            }
            format!("{} ({})", scenario.name, reasons.join("; "))
        })
        .collect();
    (!scenarios.is_empty())
        .then(|| format!("{} {words}: {}.", scenarios.len(), scenarios.join(", ")))
}

/// Losses at the checkpoints that decide, by scenario.
fn what_was_lost(results: &SuiteResults) -> String {
    let judged: Vec<(&ScenarioResults, _)> = results
        .scenarios
        .iter()
        .filter_map(|scenario| Some((scenario, &scenario.deciding_checkpoint()?.loss)))
        .collect();
    let by_models = results.scenarios.iter().all(|s| s.workload.is_some());
    if judged.is_empty() && by_models && !results.scenarios.is_empty() {
        return "Losses are not counted in these workloads.".into();
    }
    if judged.is_empty() {
        return "No final reads were taken, so nothing is known about losses.".into();
    }
    let writes = judged
        .iter()
        .map(|(_, loss)| loss.acknowledged_writes)
        .sum();
    let lossy: Vec<String> = judged
        .iter()
        .filter(|(_, loss)| loss.lost.events > 0)
        .map(|(scenario, loss)| {
            let (lost, share) = (events_of_trials(&loss.lost), share(&loss.lost));
            format!(
                "{} had lost {lost} keys ({share}; verdict {})",
                scenario.name, scenario.verdict
            )
        })
        .collect();
    let acknowledged = counted(writes, "write was", "writes were");
    if lossy.is_empty() {
        return format!(
            "{acknowledged} acknowledged in all, and no key was found lost at the end."
        );
    }
    format!(
        "{acknowledged} acknowledged in all; at the end, {}.",
        lossy.join(", ")
    )
}

/// Scenarios whose deciding final reads do not cover everything.
fn what_was_not_read(results: &SuiteResults) -> Option<String> {
    let incomplete: Vec<&str> = results
        .scenarios
        .iter()
        .filter(|scenario| {
            let last = scenario.deciding_checkpoint();
            last.is_some_and(|last| !last.loss.incomplete_sources.is_empty())
        })
        .map(|scenario| scenario.name.as_str())
        .collect();
    (!incomplete.is_empty())
        .then(|| format!("Final reads are incomplete in {}.", incomplete.join(", ")))
}

fn with(results: &SuiteResults, verdict: Verdict) -> impl Iterator<Item = &ScenarioResults> {
    results
        .scenarios
        .iter()
        .filter(move |scenario| scenario.verdict == verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn a_run_that_held_says_so_and_names_no_culprit() {
        let mut results = example::suite();
        results.scenarios.truncate(1);
        results.verdict = Verdict::Valid;
        insta::assert_snapshot!(summary(&results), @"Shakedown 0.1.0 ran 1 scenario of demo on 4 nodes (n1, n2, n3, n4) with seed 42, starting at 2026-03-14T09:26:53Z, in 1 min 43 s. It was exercised as promised, and its expectation held. 2,100 writes were acknowledged in all, and no key was found lost at the end.");
    }

    #[test]
    fn a_run_without_scenarios_claims_nothing() {
        let mut results = example::suite();
        results.scenarios.clear();
        results.verdict = Verdict::worst([]);
        let text = summary(&results);
        assert!(text.contains("nothing is known."), "{text}");
        assert!(text.contains("No final reads were taken"), "{text}");
        assert!(
            title(&results).contains("UNKNOWN (none of 0 scenarios)"),
            "{}",
            title(&results)
        );
    }
}
