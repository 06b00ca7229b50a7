//! What a recorded scenario shows: losses at each checkpoint, what explains them, throughput and latency.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use shakedown_checker::availability::{FaultAvailability, availability, read_operations};
use shakedown_checker::clock::Clock;
use shakedown_checker::elements::{ElementsError, element_losses};
use shakedown_checker::history::{HistoryReader, ObservationReader};
use shakedown_checker::import::SourceError;
use shakedown_checker::loss::{KeyClass, LossChecker, LossReport};
use shakedown_checker::summary::{Summary, summarize};
use shakedown_checker::{CheckError, UNTIL_KEY, check_dir};
use shakedown_reports::results::{
    CheckpointResult, GroupLoss, KeyOperation, ModelResult, Span, StageResult, TimelinePoint,
};
use shakedown_workloads::documents::parse_document_id;

use super::groups::{self, Deciding, GroupsError};
use super::judge::judge;
use super::operations;
use super::predictor::{self, PredictError, Predictions};
use super::scene::CheckpointTaken;
use crate::scenario::{Limits, Scenario};
use crate::system::{System, TemplateContext};

/// Anomalies kept in the results; all are counted, and explained.
const ANOMALIES_KEPT: usize = 1000;

/// Why a directory could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum AnalyseError {
    /// There is no history.
    #[error("{0}: no `history` directory; expected a scenario's directory of a run")]
    NoHistory(PathBuf),
    /// The history or an observation file.
    #[error(transparent)]
    Check(#[from] CheckError),
}

/// What there is to analyse.
pub(crate) struct Input {
    /// The scenario's directory.
    pub(crate) dir: PathBuf,
    pub(crate) taken: Vec<CheckpointTaken>,
    /// Checkpoints at which loss is expected: there it is compared with the system's records.
    pub(crate) loss_expected: BTreeSet<String>,
    /// Load stages that ran.
    pub(crate) stages: Vec<Span>,
    /// Faults that took effect, with their start and end.
    pub(crate) faults: Vec<(String, u64, u64)>,
    pub(crate) system: System,
    pub(crate) context: TemplateContext,
    pub(crate) local_bin: BTreeMap<String, PathBuf>,
    pub(crate) scenario: Scenario,
    /// The scenario's directory, relative to the run directory.
    pub(crate) place: String,
    pub(crate) limits: Limits,
    /// When objects were read for the last time.
    pub(crate) final_ns: Option<u64>,
}

/// What the analysis gives.
#[derive(Default)]
pub(crate) struct Analysis {
    pub(crate) checkpoints: Vec<CheckpointResult>,
    pub(crate) stages: Vec<StageResult>,
    pub(crate) timeline: Vec<TimelinePoint>,
    pub(crate) availability: Vec<FaultAvailability>,
    pub(crate) operations: Vec<KeyOperation>,
    pub(crate) groups: Vec<GroupLoss>,
    /// Documents in danger by the system's own records.
    pub(crate) endangered: Option<u64>,
    pub(crate) models: Vec<ModelResult>,
    pub(crate) errors: Vec<String>,
}

/// Analyses a scenario; what cannot be done is among the errors and costs nothing else.
pub(crate) fn analyse(input: Input) -> Analysis {
    let mut errors = Vec::new();
    let history = input.dir.join("history");
    if !history.is_dir() {
        // The system was never started: there is an error already that says why.
        return Analysis::default();
    }
    let predictions = match predict(&input) {
        Some(Ok(predictions)) => Some(predictions),
        Some(Err(error)) => {
            errors.push(format!("predictor: {error}"));
            None
        }
        None => None,
    };
    let mut checkpoints = Vec::new();
    let mut deciding = None;
    for taken in &input.taken {
        // Every anomaly is needed to compare with the predictions; the results keep some.
        match check_dir(&history, &taken.observations, usize::MAX) {
            Ok(mut loss) => {
                let compared = predictions
                    .as_ref()
                    .filter(|_| input.loss_expected.contains(&taken.name));
                let explained = compared.map(|p| p.explain(&bad_keys(&loss)));
                deciding = Some(Deciding::new(taken.time_ns, &loss));
                let omitted = loss.anomalies.len().saturating_sub(ANOMALIES_KEPT);
                loss.anomalies.truncate(ANOMALIES_KEPT);
                loss.anomalies_omitted += omitted as u64;
                let (name, time_ns) = (taken.name.clone(), taken.time_ns);
                checkpoints.push(CheckpointResult {
                    name,
                    time_ns,
                    loss,
                    explained,
                });
            }
            Err(error) => errors.push(format!("checkpoint `{}`: {error}", taken.name)),
        }
    }
    let models: Vec<ModelResult> = judge(&input.scenario, &input.dir, &input.limits)
        .iter()
        .map(|judged| judged.written(&input.dir, &input.place, &mut errors))
        .collect();
    let final_ns = input.final_ns.unwrap_or(0);
    match elements(&input.scenario, &input.dir, &input.limits, final_ns) {
        Ok(losses) => checkpoints.extend(losses),
        Err(error) => errors.push(format!("losses of the set: {error}")),
    }
    let (stages, points) = match summarize(&history) {
        Ok(summary) => (stages(&input.stages, &summary), points(&summary)),
        Err(error) => {
            errors.push(format!("timeline: {error}"));
            (Vec::new(), Vec::new())
        }
    };
    let operations = operations::of_harmed(&history, &checkpoints).unwrap_or_else(|error| {
        errors.push(format!("operations on harmed documents: {error}"));
        Vec::new()
    });
    let availability = if input.faults.is_empty() {
        Vec::new()
    } else {
        match read_operations(&history) {
            Ok(operations) => availability(operations, &input.faults),
            Err(error) => {
                errors.push(format!("availability: {error}"));
                Vec::new()
            }
        }
    };
    let groups = match groups_of(&input, &history, deciding.as_ref(), predictions.as_ref()) {
        Some(Ok(groups)) => groups,
        Some(Err(error)) => {
            errors.push(format!("groups: {error}"));
            Vec::new()
        }
        None => Vec::new(),
    };
    let endangered = predictions.map(|p| p.endangered().len() as u64);
    Analysis {
        checkpoints,
        stages,
        timeline: points,
        availability,
        operations,
        groups,
        endangered,
        models,
        errors,
    }
}

/// Losses of a workload on a set, as those of a final read; nothing for any other workload.
pub(super) fn elements(
    scenario: &Scenario,
    dir: &Path,
    limits: &Limits,
    final_ns: u64,
) -> Result<Option<CheckpointResult>, ElementsError> {
    let kind = scenario.workload.as_ref().map(|spec| spec.get_ref().kind());
    if kind != Some("set") {
        return Ok(None);
    }
    let clock = Clock::start(Some(limits.time.0), None);
    let loss = match element_losses(&dir.join("history"), limits.memory.0, clock, ANOMALIES_KEPT) {
        Ok(loss) => loss,
        // The models say so, too, and are unknown.
        Err(ElementsError::Operations(SourceError::Memory { .. })) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(CheckpointResult {
        name: "final".to_owned(),
        time_ns: final_ns,
        loss,
        explained: None,
    }))
}

/// Losses by group at the checkpoint that decides, if the system tells groups.
fn groups_of(
    input: &Input,
    history: &Path,
    deciding: Option<&Deciding>,
    predictions: Option<&Predictions>,
) -> Option<Result<Vec<GroupLoss>, GroupsError>> {
    let spec = input.system.groups.as_ref()?;
    let of_key = |keys: &[i64]| groups::ask(spec, &input.context, &input.local_bin, keys);
    Some(groups::losses(history, deciding?, predictions, of_key))
}

fn bad_keys(loss: &LossReport) -> BTreeSet<i64> {
    let bad = |class| {
        matches!(
            class,
            KeyClass::Lost | KeyClass::Stale | KeyClass::Resurrected
        )
    };
    loss.anomalies
        .iter()
        .filter(|a| bad(a.class))
        .map(|a| a.key)
        .collect()
}

fn predict(input: &Input) -> Option<Result<Predictions, PredictError>> {
    let spec = input.system.predict.as_ref()?;
    let mut services = input.system.services(&spec.service);
    let nodes = std::fs::read_dir(input.dir.join("nodes")).ok()?;
    let mut records: Vec<PathBuf> = nodes
        .flatten()
        .flat_map(|node| spec.files.iter().map(move |name| node.path().join(name)))
        .filter(|path| path.is_file())
        .collect();
    records.sort();
    let kept = services.any(|s| s.keep.iter().any(|kept| spec.files.contains(kept)));
    if records.is_empty() || !kept {
        return None;
    }
    Some(predictor::predict(
        spec,
        &input.context,
        &input.local_bin,
        records,
        parse_document_id,
    ))
}

fn stages(ran: &[Span], summary: &Summary) -> Vec<StageResult> {
    let measured = |name: &str| {
        summary
            .windows
            .iter()
            .find(|w| w.window.lane == "load" && w.window.name == name)
    };
    ran.iter()
        .map(|span| {
            let (outcomes, latency) = measured(&span.name)
                .map(|w| (w.outcomes, w.latency))
                .unwrap_or_default();
            StageResult {
                span: span.clone(),
                ok: outcomes.ok,
                failed: outcomes.failed,
                indeterminate: outcomes.indeterminate,
                latency_us: [latency.p50_us, latency.p99_us, latency.max_us],
            }
        })
        .collect()
}

fn points(summary: &Summary) -> Vec<TimelinePoint> {
    // A second of a run has far fewer operations, and a run far fewer seconds, than fit.
    let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    summary
        .timeline
        .iter()
        .map(|s| TimelinePoint {
            second: narrow(s.second),
            ok: narrow(s.outcomes.ok),
            failed: narrow(s.outcomes.failed),
            indeterminate: narrow(s.outcomes.indeterminate),
            p50_us: s.latency.p50_us,
            p99_us: s.latency.p99_us,
        })
        .collect()
}

/// Checks a scenario's directory again: its history against each of its final reads, in the order
/// they were taken. A run that was killed before any has one entry that says so.
///
/// # Errors
/// If there is no history, or a file is damaged.
pub fn check_scenario_dir(dir: &Path) -> Result<Vec<(String, LossReport)>, AnalyseError> {
    let history = dir.join("history");
    if !history.is_dir() {
        return Err(AnalyseError::NoHistory(dir.to_owned()));
    }
    let mut taken: Vec<(u64, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(dir.join("observations"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = entry.path();
        let reader = ObservationReader::open(&path).map_err(CheckError::from)?;
        let until = reader
            .metadata()
            .remove(UNTIL_KEY)
            .and_then(|text| text.parse().ok());
        taken.push((until.unwrap_or(u64::MAX), path));
    }
    taken.sort();
    if taken.is_empty() {
        return Ok(vec![(
            "(no final read)".to_owned(),
            without_final_read(&history)?,
        )]);
    }
    taken
        .into_iter()
        .map(|(_, path)| {
            let name = path
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default();
            Ok((name, check_dir(&history, &path, ANOMALIES_KEPT)?))
        })
        .collect()
}

fn without_final_read(history: &Path) -> Result<LossReport, CheckError> {
    let mut reader = HistoryReader::open(history)?;
    let mut checker = LossChecker::new(None);
    while let Some(batch) = reader.next_batch()? {
        checker.batch(&batch)?;
    }
    let mut judge = checker.into_judge(&[], 0);
    judge.incomplete("final read", "the run ended before one was made");
    if reader.truncated() {
        judge.incomplete("history", "its writer did not finish it");
    }
    Ok(judge.finish())
}

/// One line on a loss report, for people.
pub fn describe(loss: &LossReport) -> String {
    let c = &loss.counts;
    let mut text = format!(
        "{} writes acknowledged, {} failed, {} indeterminate; {} keys: {} ok, {} lost, {} stale, {} resurrected, \
         {} corrupted, {} phantom, {} misplaced, {} left behind",
        loss.acknowledged_writes,
        loss.failed_writes,
        loss.indeterminate_writes,
        loss.keys,
        c.ok,
        c.lost,
        c.stale,
        c.resurrected,
        c.corrupted,
        c.phantom,
        c.misplaced,
        c.left_behind
    );
    for (source, why) in &loss.incomplete_sources {
        text.push_str(&format!("; {source} incomplete: {why}"));
    }
    text
}
