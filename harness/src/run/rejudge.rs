//! Judges a stored run again: its histories and final reads, with what was seen beside them, by the expectations in
//! its plans.

use std::path::Path;

use shakedown_checker::elements::ElementsError;
use shakedown_checker::loss::LossReport;
use shakedown_reports::results::{
    CheckResult, CheckpointResult, ScenarioResults, SuiteResults, Verdict,
};
use shakedown_reports::{ReportError, results_file};

use super::analyse::{AnalyseError, check_scenario_dir, elements};
use super::evaluate::{self, Record};
use super::judge as models;
use super::logs::logs;
use super::observed::{Observed, ObservedError};
use super::worst;
use crate::plan::{Plan, PlanError};
use crate::scenario::{LimitsWish, Scenario, ScenarioError};
use crate::system::System;

/// Why a stored run could not be judged again.
#[derive(Debug, thiserror::Error)]
pub enum RejudgeError {
    /// Its results.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The scenario in a plan.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A history or final read.
    #[error(transparent)]
    Analyse(#[from] AnalyseError),
    /// Losses of a set.
    #[error(transparent)]
    Elements(#[from] ElementsError),
    /// What was seen beside them.
    #[error(transparent)]
    Observed(#[from] ObservedError),
}

/// A stored run judged again.
pub struct Rejudged {
    /// Its results, every check and verdict made anew.
    pub results: SuiteResults,
    /// Where they differ from the run's own, in words.
    pub differences: Vec<String>,
}

/// Judges the run in `run` again.
///
/// Made anew: the state of every key at every checkpoint, from histories and final reads, and every check. Taken as
/// recorded, because the nodes are gone: what was seen of faults, actions, phases, marks and gauges, and what the
/// system's own records explained and predicted.
///
/// # Errors
/// If a file is missing or damaged, or a plan names a system that is not among `systems`.
pub fn rejudge(
    run: &Path,
    systems: &[System],
    limits: LimitsWish,
) -> Result<Rejudged, RejudgeError> {
    let mut results = results_file::load(&run.join(results_file::FILE_NAME))?;
    let mut differences = Vec::new();
    for scenario in &mut results.scenarios {
        let dir = run.join(super::place_of(&scenario.name, scenario.repetition));
        let (recorded, verdict) = (scenario.checks.clone(), scenario.verdict);
        judge(scenario, &dir, systems, limits)?;
        let name = &scenario.name;
        let changed = differing(&recorded, &scenario.checks);
        differences.extend(changed.into_iter().map(|text| format!("{name}: {text}")));
        if verdict != scenario.verdict {
            let now = scenario.verdict;
            differences.push(format!("{name}: recorded as {verdict}, now {now}"));
        }
    }
    results.verdict = worst(&results);
    Ok(Rejudged {
        results,
        differences,
    })
}

fn judge(
    results: &mut ScenarioResults,
    dir: &Path,
    systems: &[System],
    wish: LimitsWish,
) -> Result<(), RejudgeError> {
    let (plan, scenario, system) = planned(dir, systems)?;
    let observed = Observed::load(dir)?;
    let limits = wish.over(plan.limits);
    results.checkpoints = if scenario.workload.is_some() {
        let final_ns = observed.objects.as_ref().map_or(0, |seen| seen.final_ns);
        elements(&scenario, dir, &limits, final_ns)?
            .into_iter()
            .collect()
    } else {
        checkpoints(&results.checkpoints, dir)?
    };
    let judged = models::judge(&scenario, dir, &limits);
    let before = std::mem::take(&mut results.models);
    results.models = judged
        .iter()
        .map(|model| model.as_before(&before))
        .collect();
    results.checks = evaluate::evaluate(
        &scenario,
        &system,
        &Record {
            faults: &results.faults,
            actions: &results.actions,
            checkpoints: &results.checkpoints,
            gauges: &results.gauges,
            models: &results.models,
            timeline: &results.timeline,
            observed: &observed,
        },
    );
    results.checks.extend(logs(&system, &dir.join("nodes")));
    let verdict = evaluate::verdict(&results.checks);
    results.verdict = match results.harness_error {
        Some(_) => verdict.max(Verdict::Unknown),
        None => verdict,
    };
    Ok(())
}

/// What the directory of one scenario shows.
pub struct DirJudged {
    /// What each model comes to, against what the plan expects of it.
    pub checks: Vec<CheckResult>,
    /// Losses, if the workload was a set.
    pub loss: Option<LossReport>,
}

/// The plan in a scenario's directory, its scenario, and the system of that: the plan's own if it has one.
fn planned(dir: &Path, systems: &[System]) -> Result<(Plan, Scenario, System), RejudgeError> {
    let path = dir.join("plan.json");
    let plan = Plan::read(&path)?;
    let name = path.display().to_string();
    let own = plan.system(&name)?;
    let systems = own.as_ref().map_or(systems, std::slice::from_ref);
    let scenario = Scenario::parse(&name, &plan.scenario_text, systems)?;
    let mut systems = systems.iter();
    let system = systems
        .find(|system| system.name == *scenario.system.get_ref())
        .expect("the scenario was parsed with its system among these");
    Ok((plan, scenario, system.clone()))
}

/// Judges the history in a scenario's directory by the models of its plan: all there is of a run that was killed.
/// `None` if the plan has no workload on objects.
///
/// # Errors
/// As [`rejudge`].
pub fn judge_scenario_dir(
    dir: &Path,
    systems: &[System],
    wish: LimitsWish,
) -> Result<Option<DirJudged>, RejudgeError> {
    let (plan, scenario, _) = planned(dir, systems)?;
    if scenario.workload.is_none() {
        return Ok(None);
    }
    if !dir.join("history").is_dir() {
        return Err(AnalyseError::NoHistory(dir.to_owned()).into());
    }
    let limits = wish.over(plan.limits);
    let judged = models::judge(&scenario, dir, &limits);
    let results = judged.iter().map(|model| model.as_before(&[]));
    let loss = elements(&scenario, dir, &limits, 0)?;
    Ok(Some(DirJudged {
        checks: results.map(|model| evaluate::of_model(&model)).collect(),
        loss: loss.map(|checkpoint| checkpoint.loss),
    }))
}

/// Every final read on disk judged, in the order they were taken.
fn checkpoints(
    recorded: &[CheckpointResult],
    dir: &Path,
) -> Result<Vec<CheckpointResult>, RejudgeError> {
    // A scenario that never started has no history, and one that was killed no final read.
    if !dir.join("observations").is_dir() {
        return Ok(Vec::new());
    }
    let judged = check_scenario_dir(dir)?.into_iter();
    Ok(judged
        .map(|(name, loss)| {
            let known = recorded.iter().find(|c| c.name == name);
            CheckpointResult {
                time_ns: known.map_or(0, |c| c.time_ns),
                explained: known.and_then(|c| c.explained.clone()),
                name,
                loss,
            }
        })
        .collect())
}

/// Checks that came out otherwise, or that only one of the two has.
fn differing(recorded: &[CheckResult], now: &[CheckResult]) -> Vec<String> {
    let missing = |from: &[CheckResult], check: &CheckResult| {
        !from
            .iter()
            .any(|c| c.name == check.name && c.verdict == check.verdict)
    };
    let gone = recorded.iter().filter(|c| missing(now, c));
    let new = now.iter().filter(|c| missing(recorded, c));
    gone.map(|c| format!("recorded as {}: {}: {}", c.verdict, c.name, c.detail))
        .chain(new.map(|c| format!("now {}: {}: {}", c.verdict, c.name, c.detail)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_comes_out_otherwise_is_told_with_both_verdicts() {
        let check = |name: &str, verdict| CheckResult {
            name: name.to_owned(),
            verdict,
            detail: String::new(),
        };
        let recorded = [check("a", Verdict::Valid), check("b", Verdict::Valid)];
        let now = [check("a", Verdict::Valid), check("b", Verdict::Invalid)];
        assert_eq!(
            differing(&recorded, &now),
            ["recorded as valid: b: ", "now invalid: b: "]
        );
        assert!(differing(&now, &now).is_empty());
    }
}
