//! What the report says, worked out from the results once, for every form it is rendered in.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use shakedown_checker::rate::Rate;

use crate::claims::{self, Measured};
use crate::glance::{self, Answer};
use crate::loss_table::{acknowledged_writes, loss_table};
use crate::narrative;
use crate::picture::Picture;
use crate::plot::losses::concerned;
use crate::pool::{Group, groups};
use crate::quantity::{self, count, counted, duration};
use crate::results::{
    Audience, CheckpointResult, ClaimOf, GroupLoss, KeyOperation, LossRow, ScenarioResults,
    SuiteResults, SystemNotes, Verdict,
};

/// Anomalies and their operations listed per checkpoint; the others are counted.
pub(crate) const ANOMALIES_SHOWN: usize = 20;

/// Everything the templates need.
#[derive(Serialize)]
pub(crate) struct Facts<'a> {
    results: &'a SuiteResults,
    verdict_words: &'static str,
    answers: Vec<Answer>,
    summary: String,
    claims: Vec<Measured>,
    coverage: Vec<(&'static str, String)>,
    fault_kinds: Vec<FaultKind>,
    /// Windows of the phase lane in which writes were lost, over all scenarios and checkpoints.
    race: Vec<RaceRow>,
    losses: Vec<LossRowView>,
    edge_cases: Vec<EdgeCase>,
    systems: Vec<SystemView<'a>>,
    scenarios: Vec<ScenarioView<'a>>,
}

impl<'a> Facts<'a> {
    /// `pictures` are those of the scenarios, in their order.
    pub(crate) fn new(results: &'a SuiteResults, pictures: &'a [Vec<Picture>]) -> Self {
        let groups = groups(results);
        let none: &[Picture] = &[];
        let of = |i: usize| pictures.get(i).map_or(none, Vec::as_slice);
        Facts {
            results,
            verdict_words: narrative::verdict_in_words(results.verdict),
            answers: glance::answers(results),
            summary: narrative::summary(results),
            claims: groups.iter().filter_map(claims::measure).collect(),
            coverage: coverage(results),
            fault_kinds: fault_kinds(results),
            race: race(results),
            losses: loss_table(results).into_iter().map(Into::into).collect(),
            edge_cases: groups.iter().filter_map(EdgeCase::of).collect(),
            systems: results
                .systems
                .iter()
                .map(|notes| SystemView::new(notes, &groups))
                .collect(),
            scenarios: results
                .scenarios
                .iter()
                .enumerate()
                .map(|(i, scenario)| ScenarioView::new(scenario, of(i)))
                .collect(),
        }
    }
}

/// How much was done, as name and figure.
fn coverage(results: &SuiteResults) -> Vec<(&'static str, String)> {
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
struct FaultKind {
    kind: String,
    installed: u64,
    all: u64,
    scenarios: String,
}

fn fault_kinds(results: &SuiteResults) -> Vec<FaultKind> {
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
struct RaceRow {
    scenario: String,
    checkpoint: String,
    phase: String,
    lost: Rate,
}

fn race(results: &SuiteResults) -> Vec<RaceRow> {
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
struct EdgeCase {
    scenario: String,
    faults: String,
    verdict: String,
    lost: String,
    longest_gap: String,
    sustained: String,
}

impl EdgeCase {
    fn of(group: &Group<'_>) -> Option<EdgeCase> {
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

/// A system's notes, its recommendations with what was measured.
#[derive(Serialize)]
struct SystemView<'a> {
    notes: &'a SystemNotes,
    recommendations: Vec<MeasuredAdvice>,
}

/// A recommendation and the evidence for it in this run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct MeasuredAdvice {
    pub(crate) audience: Audience,
    pub(crate) configuration: String,
    pub(crate) advice: String,
    pub(crate) evidence: String,
}

impl<'a> SystemView<'a> {
    fn new(notes: &'a SystemNotes, groups: &[Group<'_>]) -> Self {
        SystemView {
            recommendations: measured_advice(notes, groups),
            notes,
        }
    }
}

/// Every recommendation of a system with what was measured in its configuration.
pub(crate) fn measured_advice(notes: &SystemNotes, groups: &[Group<'_>]) -> Vec<MeasuredAdvice> {
    let advice = notes.recommendations.iter();
    advice
        .map(|recommendation| MeasuredAdvice {
            audience: recommendation.audience,
            configuration: recommendation.configuration.clone(),
            advice: recommendation.advice.clone(),
            evidence: match recommendation.configuration.as_str() {
                "" => String::new(),
                configuration => evidence(configuration, groups),
            },
        })
        .collect()
}

/// What the scenarios of a configuration measured, in sentences.
fn evidence(configuration: &str, groups: &[Group<'_>]) -> String {
    let of_it: Vec<&Group<'_>> = groups
        .iter()
        .filter(|group| group.scenario.configuration == configuration)
        .collect();
    // What could not be judged is no evidence, and what promises a refusal has no rate.
    let telling: Vec<&&Group<'_>> = of_it.iter().filter(|group| tells_a_rate(group)).collect();
    let rates = |of: fn(&Group<'_>) -> Option<Rate>| -> Vec<Rate> {
        telling.iter().filter_map(|group| of(group)).collect()
    };
    let at_end = rates(|group| Some(group.deciding()?.loss.lost));
    if of_it.is_empty() {
        return "Not tested in this run.".to_owned();
    }
    let scenarios = counted(of_it.len() as u64, "scenario", "scenarios");
    let valid = of_it.iter().filter(|g| g.verdict() == Verdict::Valid);
    let mut sentences = vec![format!(
        "Tested by {scenarios}, {} valid.",
        count(valid.count() as u64)
    )];
    if !at_end.is_empty() {
        let lost = Rate::pooled(&at_end);
        sentences.push(format!(
            "At the end {} keys were lost ({}; 95 % interval {}).",
            quantity::events_of_trials(&lost),
            quantity::share(&lost),
            quantity::interval(&lost)
        ));
    }
    let repaired: Vec<Rate> = telling
        .iter()
        .filter(|group| {
            let end = group.deciding().map_or(0, |c| c.loss.lost.events);
            group
                .worst_checkpoint()
                .is_some_and(|c| c.loss.lost.events > end)
        })
        .filter_map(|group| Some(group.worst_checkpoint()?.loss.lost))
        .collect();
    if !repaired.is_empty() {
        let lost = Rate::pooled(&repaired);
        sentences.push(format!(
            "Before that, {} keys were missing for a time ({}).",
            quantity::events_of_trials(&lost),
            quantity::share(&lost)
        ));
    }
    let at_risk = rates(|group| group.worst_checkpoint()?.explained.as_ref()?.at_risk);
    if !at_risk.is_empty() {
        sentences.push(format!(
            "Of the documents at risk by the system's own records, {} came to harm.",
            Rate::pooled(&at_risk)
        ));
    }
    sentences.join(" ")
}

fn tells_a_rate(group: &Group<'_>) -> bool {
    let claim = group.scenario.claim.as_ref();
    group.verdict() != Verdict::Unknown
        && claim.is_none_or(|claim| claim.of != ClaimOf::Expectation)
}

/// A scenario with what a template cannot work out itself.
#[derive(Serialize)]
pub(crate) struct ScenarioView<'a> {
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
    fn new(scenario: &'a ScenarioResults, pictures: &'a [Picture]) -> Self {
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

/// A row of the loss table, its numbers in words.
#[derive(Serialize)]
struct LossRowView {
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
