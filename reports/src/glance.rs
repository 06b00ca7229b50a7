//! The first screen of a report: may this be released, what was lost where, what was not tested.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::loss_table::other_anomalies;
use crate::pool::{Group, groups};
use crate::quantity::{count, counted, events_of_trials, share};
use crate::results::{CheckpointResult, ScenarioResults, SuiteResults, Verdict};

/// A question of whoever decides on a release, with its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Answer {
    question: &'static str,
    answer: String,
    /// What stands behind it, one by one.
    items: Vec<String>,
}

/// The questions in the order in which they are asked.
pub(crate) fn answers(results: &SuiteResults) -> Vec<Answer> {
    let groups = groups(results);
    vec![
        release(results, &groups),
        lost(&groups),
        untested(results, &groups),
    ]
}

fn release(results: &SuiteResults, groups: &[Group<'_>]) -> Answer {
    let broken: Vec<&Group<'_>> = with(groups, Verdict::Invalid);
    let all = counted(groups.len() as u64, "scenario", "scenarios");
    let answer = match results.verdict {
        Verdict::Invalid => format!(
            "No: in {} of {all}, something promised does not hold.",
            count(broken.len() as u64)
        ),
        Verdict::Unknown if groups.is_empty() => "This run does not tell: no scenario ran.".into(),
        Verdict::Unknown => {
            let untold = with(groups, Verdict::Unknown).len() as u64;
            let cut = match (results.interrupted, untold) {
                (true, 0) => "the run was interrupted".to_owned(),
                (true, n) => format!(
                    "the run was interrupted, and {} of {all} could not be judged",
                    count(n)
                ),
                (false, n) => format!("{} of {all} could not be judged", count(n)),
            };
            format!(
                "Not on the strength of this run: nothing promised was found broken, but {cut}."
            )
        }
        Verdict::Valid => held(groups, &all),
    };
    Answer {
        question: "May this be released?",
        answer,
        items: broken.iter().map(|group| reason(group)).collect(),
    }
}

/// What follows from a run in which all scenarios saw what they expect. Some expect harm: they show that it is
/// found, and what it amounts to, and speak for no release.
fn held(groups: &[Group<'_>], all: &str) -> String {
    let harmed: Vec<&Group<'_>> = groups.iter().filter(|group| shows_harm(group)).collect();
    if harmed.is_empty() {
        return format!(
            "As far as {all} can tell, yes: all that they promise was exercised, and it held."
        );
    }
    if harmed.len() == groups.len() {
        return format!(
            "This run does not say: it set out to show known harm, and did so in {all}. No scenario ran that \
             promises none."
        );
    }
    let configurations: BTreeSet<&str> = harmed
        .iter()
        .map(|group| group.scenario.configuration.as_str())
        .collect();
    format!(
        "As far as {all} can tell, yes: all that they promise was exercised, and it held. But {} known harm, and \
         found it: not with {}.",
        match harmed.len() {
            1 => "one of them expects".to_owned(),
            n => format!("{} of them expect", count(n as u64)),
        },
        configurations
            .into_iter()
            .map(|configuration| format!("\"{configuration}\""))
            .collect::<Vec<_>>()
            .join(" or ")
    )
}

/// Whether a scenario whose expectation held found harm at the end all the same.
fn shows_harm(group: &Group<'_>) -> bool {
    let violated = |run: &&ScenarioResults| run.models.iter().any(|m| m.expected == "violated");
    let lost = group
        .deciding()
        .is_some_and(|end| end.loss.lost.events > 0 || other_anomalies(&end.loss).is_some());
    lost || group.runs.iter().any(violated)
}

fn lost(groups: &[Group<'_>]) -> Answer {
    let items: Vec<String> = groups.iter().filter_map(harm).collect();
    let judged: Vec<&CheckpointResult> = groups.iter().filter_map(|g| g.deciding()).collect();
    let writes: u64 = judged.iter().map(|c| c.loss.acknowledged_writes).sum();
    let acknowledged = counted(writes, "acknowledged write", "acknowledged writes");
    let by_models = groups.iter().all(|g| g.scenario.workload.is_some());
    let answer = if judged.is_empty() && by_models && !groups.is_empty() {
        "Losses are not counted in these workloads: models judged what clients were answered."
            .to_owned()
    } else if judged.is_empty() {
        "Not known: no final reads were taken.".to_owned()
    } else if items.is_empty() {
        format!("Nothing was found lost or wrong, of {acknowledged}.")
    } else {
        format!("Of {acknowledged}, documents came to harm in:")
    };
    Answer {
        question: "What was lost, and where?",
        answer,
        items,
    }
}

/// What a scenario lost for good, or for a time.
fn harm(group: &Group<'_>) -> Option<String> {
    let name = &group.scenario.name;
    let end = group.deciding()?;
    let worst = group.worst_checkpoint()?;
    let mut parts = Vec::new();
    if worst.name != end.name && worst.loss.lost.events > end.loss.lost.events {
        parts.push(format!(
            "{} keys missing at {} ({}{}), {} at the end",
            events_of_trials(&worst.loss.lost),
            worst.name,
            share(&worst.loss.lost),
            phase(worst),
            count(end.loss.lost.events)
        ));
    } else if end.loss.lost.events > 0 {
        parts.push(format!(
            "{} keys lost ({}{})",
            events_of_trials(&end.loss.lost),
            share(&end.loss.lost),
            phase(end)
        ));
    }
    if let Some(others) = other_anomalies(&end.loss) {
        parts.push(format!("{others} at the end"));
    }
    (!parts.is_empty()).then(|| {
        format!(
            "{name}: {}; verdict {}, expected: {}",
            parts.join("; "),
            group.verdict_in_words(),
            group.scenario.expectation
        )
    })
}

/// The phase in which most of the lost documents had been written.
fn phase(checkpoint: &CheckpointResult) -> String {
    let windows = checkpoint.loss.windows.iter();
    let phases = windows.filter(|w| w.lane == "phase" && w.lost.events > 0);
    phases
        .max_by_key(|w| w.lost.events)
        .map_or_else(String::new, |w| {
            let lost = count(w.lost.events);
            format!("; {lost} of them written in {}", w.name)
        })
}

fn untested(results: &SuiteResults, groups: &[Group<'_>]) -> Answer {
    let mut items: Vec<String> = with(groups, Verdict::Unknown)
        .into_iter()
        .map(reason)
        .collect();
    let ran: BTreeSet<&str> = groups
        .iter()
        .map(|group| group.scenario.configuration.as_str())
        .collect();
    let mut named: Vec<&str> = Vec::new();
    for recommendation in results.systems.iter().flat_map(|s| &s.recommendations) {
        let configuration = recommendation.configuration.as_str();
        if !configuration.is_empty()
            && !ran.contains(configuration)
            && !named.contains(&configuration)
        {
            named.push(configuration);
        }
    }
    items.extend(
        named
            .iter()
            .map(|c| format!("{c}: no scenario ran with it")),
    );
    if results.interrupted {
        items.push("the scenarios that had not started when the run was interrupted".to_owned());
    }
    Answer {
        question: "What was not tested?",
        answer: match items.len() {
            0 => "All that this run set out to test was tested; what no scenario sets out to test is not known.",
            _ => "These were not, or not in full:",
        }
        .to_owned(),
        items,
    }
}

/// A scenario with what speaks most against it, and how much else does.
fn reason(group: &Group<'_>) -> String {
    let name = &group.scenario.name;
    let verdict = group.verdict();
    let run = group.runs.iter().find(|run| run.verdict == verdict);
    let Some(run) = run else {
        return name.clone();
    };
    let mut reasons: Vec<String> = Vec::new();
    if run.harness_error.is_some() {
        reasons.push("a harness error cut it short".to_owned());
    }
    let against = run.checks.iter().filter(|c| c.verdict == verdict);
    reasons.extend(against.map(|c| format!("{}: {}", c.name, c.detail)));
    let several = match group.runs.len() {
        1 => String::new(),
        _ => format!(" ({})", group.verdict_in_words()),
    };
    match reasons.split_first() {
        None => format!("{name}{several}"),
        Some((first, [])) => format!("{name}{several}: {first}"),
        Some((first, others)) => format!(
            "{name}{several}: {first}; and {}",
            counted(others.len() as u64, "other check", "other checks")
        ),
    }
}

fn with<'g, 'r>(groups: &'g [Group<'r>], verdict: Verdict) -> Vec<&'g Group<'r>> {
    groups.iter().filter(|g| g.verdict() == verdict).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    fn shown(results: &SuiteResults) -> String {
        let mut text = String::new();
        for answer in answers(results) {
            text.push_str(&format!("{} {}\n", answer.question, answer.answer));
            for item in answer.items {
                text.push_str(&format!("- {item}\n"));
            }
        }
        text
    }

    #[test]
    fn the_three_questions_are_answered() {
        insta::assert_snapshot!(shown(&example::suite()));
    }

    #[test]
    fn a_run_that_set_out_to_show_harm_speaks_for_no_release() {
        let suite = example::suite();
        let showing = |harm: &ScenarioResults| harm.models.iter().any(|m| m.expected == "violated");
        let harmed = suite.scenarios.iter().find(|s| showing(s)).unwrap();
        let harmed = ScenarioResults {
            verdict: Verdict::Valid,
            ..harmed.clone()
        };
        let unharmed = ScenarioResults {
            name: "unharmed".to_owned(),
            models: Vec::new(),
            checkpoints: Vec::new(),
            ..harmed.clone()
        };
        let answer = |scenarios: &[&ScenarioResults]| {
            let results = SuiteResults {
                verdict: Verdict::Valid,
                scenarios: scenarios.iter().copied().cloned().collect(),
                ..suite.clone()
            };
            answers(&results)[0].answer.clone()
        };
        assert!(answer(&[&unharmed]).contains("yes: all"));
        assert!(answer(&[&harmed]).starts_with("This run does not say"));
        let both = answer(&[&harmed, &unharmed]);
        assert!(
            both.contains("yes: all") && both.contains("not with"),
            "{both}"
        );
    }

    #[test]
    fn a_run_that_held_may_be_released_as_far_as_it_can_tell() {
        let mut results = example::suite();
        results.scenarios.truncate(1);
        results.systems.clear();
        results.verdict = Verdict::Valid;
        results.interrupted = false;
        insta::assert_snapshot!(shown(&results));
    }

    #[test]
    fn a_run_of_nothing_allows_nothing() {
        let mut results = example::suite();
        results.scenarios.clear();
        results.verdict = Verdict::Unknown;
        assert!(shown(&results).contains("This run does not tell"));
    }
}
