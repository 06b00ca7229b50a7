//! A recorded history judged by the models of its workload.

use std::fs;
use std::path::Path;
use std::thread::available_parallelism;

use shakedown_checker::catalogue::{self, Finding, Invariants, Model, Options, Outcome};
use shakedown_checker::isolation::Workload;
use shakedown_reports::outcome::{self, Checked};
use shakedown_reports::results::{ModelFinding, ModelResult};
use shakedown_workloads::objects::Spec;

use crate::scenario::{Expectation, Limits, Scenario};

/// Findings of a model kept in the results; its page has all it told.
const FINDINGS_KEPT: usize = 8;
/// Lines of evidence kept of each.
const LINES_KEPT: usize = 40;

/// A model with what is expected of it, and what it says.
pub(crate) struct JudgedModel {
    pub(crate) model: &'static Model,
    pub(crate) expected: Expectation,
    pub(crate) outcome: Outcome,
}

/// Judges the history in a scenario's directory by the models that the scenario names, or else by its workload's
/// own; by none if it has no workload on objects.
pub(crate) fn judge(scenario: &Scenario, dir: &Path, limits: &Limits) -> Vec<JudgedModel> {
    let Some(spec) = scenario.workload.as_ref().map(|spec| spec.get_ref()) else {
        return Vec::new();
    };
    let expected = expected(scenario, spec);
    let models: Vec<&Model> = expected.iter().map(|(model, _)| *model).collect();
    let outcomes = catalogue::check_each(&models, &dir.join("history"), &options(spec, limits));
    let judged = expected.into_iter().zip(outcomes);
    judged
        .map(|((model, expected), outcome)| JudgedModel {
            model,
            expected,
            outcome,
        })
        .collect()
}

fn expected(scenario: &Scenario, spec: &Spec) -> Vec<(&'static Model, Expectation)> {
    let named = scenario.expect.models.iter();
    let mut expected: Vec<(&str, Expectation)> = named
        .map(|(model, expected)| (model.get_ref().as_str(), *expected))
        .collect();
    if expected.is_empty() {
        let own = spec.models().iter();
        expected = own.map(|model| (*model, Expectation::Holds)).collect();
    }
    let found = expected.into_iter();
    found
        .filter_map(|(name, expected)| Some((catalogue::find(name)?, expected)))
        .collect()
}

fn options(spec: &Spec, limits: &Limits) -> Options {
    Options {
        memory_bytes: limits.memory.0,
        time: Some(limits.time.0),
        threads: available_parallelism().map_or(1, usize::from),
        workload: Some(Workload::ListAppend),
        invariants: Invariants {
            total: spec.total(),
            ..Invariants::default()
        },
        ..Options::default()
    }
}

impl JudgedModel {
    /// For the results; `page` and `drawings` are paths relative to the run directory, of what was written.
    fn result(&self, page: String, drawings: Vec<Option<String>>) -> ModelResult {
        let outcome = &self.outcome;
        let findings = outcome.findings.iter().zip(drawings);
        let findings: Vec<ModelFinding> = findings
            .map(|(finding, drawing)| kept(finding, drawing))
            .collect();
        let left_out = outcome.findings.len() - findings.len() + outcome.findings_left_out;
        ModelResult {
            model: self.model.name.to_owned(),
            expected: match self.expected {
                Expectation::Holds => "holds",
                Expectation::Violated => "violated",
            }
            .to_owned(),
            verdict: outcome.verdict,
            reason: outcome.reason.clone(),
            judged_operations: outcome.operations as u64,
            method: outcome.method.clone(),
            truncated: outcome.truncated.clone(),
            findings,
            findings_omitted: left_out as u64,
            page,
        }
    }

    /// For the results of a run that was judged before, whose pages are there.
    pub(crate) fn as_before(&self, before: &[ModelResult]) -> ModelResult {
        let known = before.iter().find(|known| known.model == self.model.name);
        let drawing = |at: usize| known?.findings.get(at)?.drawing.clone();
        let findings = self.outcome.findings.len().min(FINDINGS_KEPT);
        let page = known.map(|known| known.page.clone()).unwrap_or_default();
        self.result(page, (0..findings).map(drawing).collect())
    }

    /// For the results, with the model's page and drawings written below `dir`, which is `place` in the run
    /// directory. What cannot be written is among the errors.
    pub(crate) fn written(&self, dir: &Path, place: &str, errors: &mut Vec<String>) -> ModelResult {
        let name = self.model.name;
        let mut write = |file: String, text: &str| {
            let file = format!("models/{file}");
            let written = fs::create_dir_all(dir.join("models"))
                .and_then(|()| fs::write(dir.join(&file), text));
            match written {
                Ok(()) => Some(format!("{place}/{file}")),
                Err(error) => {
                    errors.push(format!("{place}/{file}: {error}"));
                    None
                }
            }
        };
        let findings = self.outcome.findings.iter().take(FINDINGS_KEPT).enumerate();
        let drawings = findings
            .map(|(at, finding)| {
                let drawing = finding.drawing.as_ref()?;
                write(format!("{name}-{}.svg", at + 1), drawing)
            })
            .collect();
        let checked = Checked {
            file: &format!("{place}/history"),
            model: name,
            outcome: &self.outcome,
        };
        let page = match outcome::page(&checked) {
            Ok(page) => write(format!("{name}.html"), &page).unwrap_or_default(),
            Err(error) => {
                errors.push(format!("page of model {name}: {error}"));
                String::new()
            }
        };
        self.result(page, drawings)
    }
}

fn kept(finding: &Finding, drawing: Option<String>) -> ModelFinding {
    ModelFinding {
        about: finding.about.clone(),
        reason: finding.reason.clone(),
        lines: finding.evidence.iter().take(LINES_KEPT).cloned().collect(),
        drawing,
    }
}
