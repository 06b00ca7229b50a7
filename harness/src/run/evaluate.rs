//! From what was recorded to checks and a verdict: pure, so that a stored run can be judged again.

mod exercised;
mod losses;
mod measured;
mod models;
#[cfg(test)]
mod tests;

use shakedown_reports::results::{
    ActionResult, CheckResult, CheckpointResult, FaultResult, GaugeSeries, ModelResult,
    TimelinePoint, Verdict,
};

use super::observed::Observed;
use crate::scenario::{Loss, Scenario};
use crate::system::System;
use exercised::{exercised, same};
use losses::{explained, judge_loss};
use measured::measured;
use models::judged;
pub(crate) use models::of_model;

/// What a run left to judge.
pub(crate) struct Record<'a> {
    pub(crate) faults: &'a [FaultResult],
    pub(crate) actions: &'a [ActionResult],
    pub(crate) checkpoints: &'a [CheckpointResult],
    /// What was measured of the system over time.
    pub(crate) gauges: &'a [GaugeSeries],
    /// What models say of the history.
    pub(crate) models: &'a [ModelResult],
    /// Operations by second.
    pub(crate) timeline: &'a [TimelinePoint],
    pub(crate) observed: &'a Observed,
}

fn check(name: impl Into<String>, verdict: Verdict, detail: impl Into<String>) -> CheckResult {
    CheckResult {
        name: name.into(),
        verdict,
        detail: detail.into(),
    }
}

/// Every check of a scenario, in a fixed order.
pub(crate) fn evaluate(
    scenario: &Scenario,
    system: &System,
    record: &Record<'_>,
) -> Vec<CheckResult> {
    let mut checks = Vec::new();
    exercised(&scenario.expect, record, &mut checks);
    measured(&scenario.expect, record.gauges, &mut checks);
    for action in record.actions {
        if !action.as_expected {
            let item = scenario
                .action
                .iter()
                .find(|a| *a.name.get_ref() == action.span.name);
            // A refusal that did not come is a broken promise; any other failure leaves things untested.
            let refusal = item.is_some_and(|a| a.fails_with.is_some());
            let verdict = if refusal {
                Verdict::Invalid
            } else {
                Verdict::Unknown
            };
            let detail = format!(
                "exit status {}: {}",
                action.exit_status,
                action.output.trim()
            );
            checks.push(check(
                format!("action `{}` ended as expected", action.span.name),
                verdict,
                detail,
            ));
        } else if let Some(text) = scenario
            .action
            .iter()
            .find(|a| *a.name.get_ref() == action.span.name)
            .and_then(|a| a.fails_with.as_ref())
        {
            checks.push(check(
                format!("action `{}` was refused", action.span.name),
                Verdict::Valid,
                format!("exit status {}, with `{text}`", action.exit_status),
            ));
        }
    }
    if let Some(died) = &record.observed.died {
        checks.push(if died.is_empty() {
            check(
                "no service died unasked",
                Verdict::Valid,
                "all that should run do",
            )
        } else {
            let detail = format!("gone: {}; see their logs", died.join(", "));
            check("no service died unasked", Verdict::Invalid, detail)
        });
    }
    for pair in &scenario.expect.same {
        checks.push(same(pair.get_ref(), &record.observed.captures));
    }
    let finished = record.observed.unfinished.is_empty();
    if scenario.workload.is_some() {
        judged(&scenario.expect, record, &mut checks);
        return checks;
    }
    let unmended = unmended(scenario, system, record);
    for checkpoint in record.checkpoints {
        let is_final = checkpoint.name == "final";
        let unmended = if is_final { &unmended[..] } else { &[] };
        checks.extend(of_checkpoint(scenario, checkpoint, finished, unmended));
    }
    if !record.checkpoints.iter().any(|c| c.name == "final") {
        checks.push(check(
            "final read",
            Verdict::Unknown,
            "the final state was not read",
        ));
    }
    checks
}

/// Actions of the scenario that mend copies and were not done.
fn unmended<'a>(scenario: &'a Scenario, system: &System, record: &Record<'_>) -> Vec<&'a str> {
    let mends = |run: &str| system.action.get(run).is_some_and(|spec| spec.mends);
    let done = |name: &str| {
        let mut results = record.actions.iter();
        results.any(|action| action.span.name == name && action.as_expected)
    };
    let items = scenario.action.iter();
    items
        .filter(|item| mends(item.run.get_ref()))
        .map(|item| item.name.get_ref().as_str())
        .filter(|name| !done(name))
        .collect()
}

/// The checks of one final read. `finished` tells whether all items of the scenario ran to their end; `unmended` names
/// what should have mended the copies before and did not.
fn of_checkpoint(
    scenario: &Scenario,
    checkpoint: &CheckpointResult,
    finished: bool,
    unmended: &[&str],
) -> Vec<CheckResult> {
    let item = scenario
        .checkpoint
        .iter()
        .find(|c| *c.name.get_ref() == checkpoint.name);
    let (loss, allow) = item.map_or((scenario.expect.loss(), &scenario.expect.allow), |item| {
        (item.loss, &item.allow)
    });
    let mut checks = vec![judge_loss(
        &checkpoint.name,
        &checkpoint.loss,
        loss,
        allow,
        unmended,
    )];
    if loss == Loss::Some {
        checks.push(explained(checkpoint.explained.as_ref(), finished));
    }
    checks
}

/// The worst of the checks: `invalid` over `unknown` over `valid`; without checks, `unknown`.
pub(crate) fn verdict(checks: &[CheckResult]) -> Verdict {
    Verdict::worst(checks.iter().map(|c| c.verdict))
}
