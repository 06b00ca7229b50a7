//! Judges a stored run again: the histories and final reads, by the expectations in its plans.

use std::path::{Path, PathBuf};

use shakedown_reports::results::{CheckResult, CheckpointResult, ScenarioResults, SuiteResults};
use shakedown_reports::{ReportError, results_file};

use super::analyse::{AnalyseError, check_scenario_dir};
use super::{evaluate, worst};
use crate::plan::{Plan, PlanError};
use crate::scenario::{Scenario, ScenarioError};
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
}

/// The results of the run in `run`, with every check of a final read made again from what is on disk.
///
/// What only the running system could tell (evidence of faults, outputs, phases, its own records) stands as recorded.
///
/// # Errors
/// If a file is missing or damaged, or a plan names a system that is not among `systems`.
pub fn rejudge(run: &Path, systems: &[System]) -> Result<SuiteResults, RejudgeError> {
    let mut results = results_file::load(&run.join(results_file::FILE_NAME))?;
    for scenario in &mut results.scenarios {
        let dir = directory(run, scenario);
        // A scenario that never started has no history, and nothing to judge again.
        if dir.join("history").is_dir() {
            judge(scenario, &dir, systems)?;
        }
    }
    results.verdict = worst(&results);
    Ok(results)
}

fn directory(run: &Path, scenario: &ScenarioResults) -> PathBuf {
    run.join(super::place_of(&scenario.name, scenario.repetition))
}

fn judge(
    results: &mut ScenarioResults,
    dir: &Path,
    systems: &[System],
) -> Result<(), RejudgeError> {
    let path = dir.join("plan.json");
    let plan = Plan::read(&path)?;
    let name = path.display().to_string();
    let scenario = Scenario::parse(&name, &plan.scenario_text, systems)?;
    let finished = !results
        .checks
        .iter()
        .any(|c| c.name.ends_with("` ran to its end"));
    for (name, loss) in check_scenario_dir(dir)? {
        let recorded = results.checkpoints.iter_mut().find(|c| c.name == name);
        let checkpoint = match recorded {
            Some(recorded) => {
                recorded.loss = loss;
                recorded.clone()
            }
            None => CheckpointResult {
                name,
                time_ns: 0,
                loss,
                explained: None,
            },
        };
        for check in evaluate::of_checkpoint(&scenario, &checkpoint, finished) {
            replace(&mut results.checks, check);
        }
    }
    let verdict = evaluate::verdict(&results.checks);
    results.verdict = match results.harness_error {
        Some(_) => verdict.max(shakedown_reports::results::Verdict::Unknown),
        None => verdict,
    };
    Ok(())
}

/// Puts a check in the place of the one of its name.
fn replace(checks: &mut Vec<CheckResult>, check: CheckResult) {
    match checks.iter_mut().find(|known| known.name == check.name) {
        Some(known) => *known = check,
        None => checks.push(check),
    }
}
