//! The tables of a report: what was done, which faults struck, when writes were lost, and what faults did to clients.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use shakedown_checker::rate::Rate;

use crate::loss_table::acknowledged_writes;
use crate::pool::Group;
use crate::quantity::{self, count, duration};
use crate::results::{LossRow, SuiteResults, Verdict};

/// How much was done, as name and figure.
pub(super) fn coverage(results: &SuiteResults) -> Vec<(&'static str, String)> {
    let scenarios = &results.scenarios;
    let last = || scenarios.iter().filter_map(|s| s.deciding_checkpoint());
    let faults = || scenarios.iter().flat_map(|s| &s.faults);
    let installed = faults().filter(|f| f.outcome == "installed").count() as u64;
    let phases: BTreeSet<&str> = scenarios
        .iter()
        .flat_map(|s| &s.phases)
        .map(|phase| phase.name.as_str())
        .collect();
    let names: BTreeSet<&str> = scenarios.iter().map(|s| s.name.as_str()).collect();
    let checks = || scenarios.iter().flat_map(|s| &s.checks);
    let held = checks().filter(|c| c.verdict == Verdict::Valid).count() as u64;
    let mut coverage = vec![
        ("scenarios", count(names.len() as u64)),
        ("runs of scenarios", count(scenarios.len() as u64)),
        (
            "writes acknowledged",
            count(last().map(|c| c.loss.acknowledged_writes).sum()),
        ),
        (
            "writes that failed or are indeterminate",
            count(
                last()
                    .map(|c| c.loss.failed_writes + c.loss.indeterminate_writes)
                    .sum(),
            ),
        ),
        ("keys judged", count(last().map(|c| c.loss.keys).sum())),
        (
            "final reads judged",
            count(scenarios.iter().map(|s| s.checkpoints.len() as u64).sum()),
        ),
        (
            "faults installed",
            format!("{} of {}", count(installed), count(faults().count() as u64)),
        ),
        (
            "phases entered",
            match phases.len() {
                0 => "none".to_owned(),
                n => {
                    let names: Vec<&str> = phases.into_iter().collect();
                    format!("{n}: {}", names.join(", "))
                }
            },
        ),
        (
            "checks that held",
            format!("{} of {}", count(held), count(checks().count() as u64)),
        ),
    ];
    let objects = || scenarios.iter().filter(|s| s.workload.is_some());
    if objects().next().is_some() {
        let ok = objects()
            .flat_map(|s| &s.timeline)
            .map(|second| u64::from(second.ok));
        let models = objects().map(|s| s.models.len() as u64).sum();
        coverage.push(("operations on objects that ended ok", count(ok.sum())));
        coverage.push(("histories judged by a model", count(models)));
    }
    coverage
}

/// Faults of one kind, over all scenarios.
#[derive(Serialize)]
pub(super) struct FaultKind {
    kind: String,
    installed: u64,
    all: u64,
    scenarios: String,
}

pub(super) fn fault_kinds(results: &SuiteResults) -> Vec<FaultKind> {
    let mut kinds: BTreeMap<&str, (u64, u64, BTreeSet<&str>)> = BTreeMap::new();
    for scenario in &results.scenarios {
        for fault in &scenario.faults {
            let kind = kinds.entry(&fault.kind).or_default();
            kind.0 += u64::from(fault.outcome == "installed");
            kind.1 += 1;
            kind.2.insert(&scenario.name);
        }
    }
    kinds
        .into_iter()
        .map(|(kind, (installed, all, scenarios))| FaultKind {
            kind: kind.to_owned(),
            installed,
            all,
            scenarios: scenarios.into_iter().collect::<Vec<_>>().join(", "),
        })
        .collect()
}

/// Losses of one scenario by the phase in which the deciding write was invoked.
#[derive(Serialize)]
pub(super) struct RaceRow {
    scenario: String,
    checkpoint: String,
    phase: String,
    lost: Rate,
}

pub(super) fn race(results: &SuiteResults) -> Vec<RaceRow> {
    let checkpoints = results
        .scenarios
        .iter()
        .flat_map(|scenario| scenario.checkpoints.iter().map(move |c| (scenario, c)));
    checkpoints
        .flat_map(|(scenario, checkpoint)| {
            let windows = checkpoint.loss.windows.iter();
            let lossy = windows.filter(|w| w.lane == "phase" && w.lost.events > 0);
            lossy.map(move |window| RaceRow {
                scenario: scenario.name.clone(),
                checkpoint: checkpoint.name.clone(),
                phase: window.name.clone(),
                lost: window.lost,
            })
        })
        .collect()
}

/// A scenario with faults: what struck, what it did to clients, what was lost.
#[derive(Serialize)]
pub(super) struct EdgeCase {
    scenario: String,
    faults: String,
    verdict: String,
    lost: String,
    longest_gap: String,
    sustained: String,
}

impl EdgeCase {
    pub(super) fn of(group: &Group<'_>) -> Option<EdgeCase> {
        let faults = || group.runs.iter().flat_map(|run| &run.faults);
        let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
        for fault in faults().filter(|fault| fault.outcome == "installed") {
            *kinds.entry(&fault.kind).or_default() += 1;
        }
        faults().next()?;
        let seen = || group.runs.iter().flat_map(|run| &run.availability);
        let longest = |of: fn(&_) -> Option<u64>| {
            let longest = seen().filter_map(of).max();
            longest.map_or("not measured".to_owned(), |us| {
                duration(us.saturating_mul(1_000))
            })
        };
        let lost = group
            .deciding()
            .map_or("not measured".to_owned(), |checkpoint| {
                quantity::events_of_trials(&checkpoint.loss.lost)
            });
        let lost = match group.deciding() {
            None if group.scenario.workload.is_some() => "not counted".to_owned(),
            _ => lost,
        };
        Some(EdgeCase {
            scenario: group.scenario.name.clone(),
            faults: match kinds.len() {
                0 => "none took effect".to_owned(),
                _ => {
                    let kinds = kinds
                        .iter()
                        .map(|(kind, n)| format!("{} {kind}", count(*n)));
                    kinds.collect::<Vec<_>>().join(", ")
                }
            },
            verdict: group.verdict_in_words(),
            lost,
            longest_gap: longest(|a| Some(a.longest_gap_us)),
            sustained: longest(|a| a.sustained_success_after_end_us),
        })
    }
}

/// A row of the loss table, its numbers in words.
#[derive(Serialize)]
pub(super) struct LossRowView {
    row: LossRow,
    acknowledged_writes: String,
    lost: String,
    rate: String,
    interval: String,
}

impl From<LossRow> for LossRowView {
    fn from(row: LossRow) -> Self {
        LossRowView {
            acknowledged_writes: acknowledged_writes(&row),
            lost: quantity::events_of_trials(&row.lost),
            rate: quantity::share(&row.lost),
            interval: quantity::interval(&row.lost),
            row,
        }
    }
}
