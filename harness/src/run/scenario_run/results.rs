//! What came of a scenario: what was recorded is checked and put together.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use shakedown_reports::results::{
    FaultResult, GaugeSeries, NodeInfo, ScenarioResults, Verdict, WritePause,
};

use super::ScenarioRun;
use crate::run::analyse::{self, Analysis};
use crate::run::clients::ObjectsSeen;
use crate::run::conduct::Conducted;
use crate::run::evaluate::{self, Record};
use crate::run::fleet::blocking;
use crate::run::logs::logs;
use crate::run::observed::Observed;

/// What is known once the nodes have been left.
pub(super) struct Played {
    pub(super) conducted: Conducted,
    pub(super) write_pause: Option<WritePause>,
    pub(super) recovered: Result<(), String>,
    pub(super) gauges: Vec<GaugeSeries>,
    /// Services gone at the end, unasked.
    pub(super) died: Option<Vec<String>>,
    /// What the last reads of objects showed.
    pub(super) objects: Option<ObjectsSeen>,
}

impl ScenarioRun<'_> {
    /// Checks what was recorded and puts everything together.
    pub(super) async fn results(
        self,
        played: Option<Played>,
        mut errors: Vec<String>,
        began: Instant,
    ) -> ScenarioResults {
        let mut played = played.unwrap_or_else(|| Played {
            conducted: Conducted::default(),
            write_pause: None,
            recovered: Err("the system was never started".to_owned()),
            died: None,
            gauges: Vec::new(),
            objects: None,
        });
        let input = self.to_analyse(&mut played);
        let analysis = blocking(move || analyse::analyse(input)).await;
        let Analysis {
            checkpoints,
            stages,
            timeline,
            availability,
            operations,
            groups,
            endangered,
            models,
            errors: analysis_errors,
        } = analysis;
        errors.append(&mut played.conducted.errors);
        errors.extend(analysis_errors);
        let conducted = played.conducted;
        let observed = Observed {
            captures: conducted.captures,
            marks: conducted.marks,
            unfinished: conducted.unfinished,
            endangered,
            died: played.died,
            not_recovered: played.recovered.err(),
            objects: played.objects,
        };
        if let Err(error) = observed.save(&self.dir) {
            errors.push(error.to_string());
        }
        let mut checks = evaluate::evaluate(
            self.scenario,
            self.system,
            &Record {
                faults: &conducted.faults,
                actions: &conducted.actions,
                checkpoints: &checkpoints,
                gauges: &played.gauges,
                models: &models,
                timeline: &timeline,
                observed: &observed,
            },
        );
        checks.extend(logs(self.system, &self.dir.join("nodes")));
        let mut verdict = evaluate::verdict(&checks);
        if !errors.is_empty() {
            // A run the harness itself broke off proves nothing, but what it found stands.
            verdict = verdict.max(Verdict::Unknown);
        }
        ScenarioResults {
            name: self.plan.scenario.clone(),
            number: self.scenario.number,
            description: self.scenario.description.clone(),
            configuration: self.scenario.configuration.clone(),
            expectation: self.scenario.expectation.clone(),
            claim: self
                .scenario
                .claim
                .as_ref()
                .map(|claim| claim.get_ref().into()),
            repetition: None,
            command: String::new(),
            verdict,
            checks,
            harness_error: (!errors.is_empty()).then(|| errors.join("\n")),
            started_ms: began.duration_since(self.suite_started).as_millis() as u64,
            duration_ms: began.elapsed().as_millis() as u64,
            nodes: self.node_infos(),
            checkpoints,
            faults: conducted.faults,
            phases: conducted.phases,
            stages,
            actions: conducted.actions,
            write_pause: played.write_pause,
            timeline,
            gauges: played.gauges,
            members: conducted.members,
            availability,
            groups,
            operations,
            workload: (self.scenario.workload.as_ref())
                .map(|spec| spec.get_ref().kind().to_owned()),
            models,
            client_errors: observed.objects.map(|seen| seen.errors).unwrap_or_default(),
            artifacts: artifacts(&self.dir, &self.place),
        }
    }

    /// What the analysis wants to know; takes the checkpoints and stages.
    fn to_analyse(&self, played: &mut Played) -> analyse::Input {
        analyse::Input {
            dir: self.dir.clone(),
            loss_expected: self.scenario.loss_expected(),
            taken: std::mem::take(&mut played.conducted.checkpoints),
            stages: std::mem::take(&mut played.conducted.stages),
            faults: faults_in_effect(&played.conducted.faults),
            system: self.system.clone(),
            context: self.lay_out(BTreeMap::new()).context().clone(),
            local_bin: self.local_bin(),
            scenario: self.scenario.clone(),
            place: self.place.clone(),
            limits: self.plan.limits,
            final_ns: played.objects.as_ref().map(|seen| seen.final_ns),
        }
    }

    fn node_infos(&self) -> Vec<NodeInfo> {
        let nodes = self.plan.nodes.iter();
        nodes
            .map(|n| NodeInfo {
                name: n.name.clone(),
                address: n.address.clone(),
                roles: vec![n.role.clone()],
            })
            .collect()
    }
}

/// Names and spans of the faults that took effect.
fn faults_in_effect(faults: &[FaultResult]) -> Vec<(String, u64, u64)> {
    let installed = faults.iter().filter(|fault| fault.outcome == "installed");
    installed
        .map(|fault| (fault.name.clone(), fault.start_ns, fault.end_ns))
        .collect()
}

/// Files of the scenario, relative to the run directory.
fn artifacts(dir: &Path, place: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(relative) = path.strip_prefix(dir) {
                found.push(format!("{place}/{}", relative.display()));
            }
        }
    }
    found.sort();
    found
}
