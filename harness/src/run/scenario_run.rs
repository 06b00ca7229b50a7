//! One scenario from deployment to results. Whatever fails, what was recorded is checked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use shakedown_nemesis::protocol::Notice;
use shakedown_reports::results::{
    FaultResult, GaugeSeries, NodeInfo, ScenarioResults, Verdict, WritePause,
};
use shakedown_workloads::clock::RunClock;
use shakedown_workloads::recorder::Recorder;
use shakedown_workloads::stop::StopSignal;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::analyse::{self, Analysis};
use super::clients::{LastRead, ObjectsSeen};
use super::conduct::{Conducted, conduct};
use super::deploy::{Deployment, NodeDisk, local_binary};
use super::evaluate::{self, Record};
use super::faults::Nemesis;
use super::fleet::{Fleet, blocking};
use super::gauges::Gauges;
use super::logs::logs;
use super::observed::Observed;
use super::progress::{self, Progress};
use super::recovery::{recover, write_pause};
use super::scene::{Scene, SceneParts};
use crate::control::{LinkOptions, Program, SshRemote};
use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::system::System;

/// How soon a fault on packets must have let an answer through, or the agent undoes it.
const PROBATION: Duration = Duration::from_secs(3);

/// A scenario about to run.
pub(crate) struct ScenarioRun<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) plan: &'a Plan,
    pub(crate) system: &'a System,
    pub(crate) remotes: &'a [Arc<SshRemote>],
    pub(crate) addresses: &'a [IpAddr],
    pub(crate) agent: &'a Path,
    pub(crate) binaries: &'a BTreeMap<String, PathBuf>,
    pub(crate) lease: Duration,
    pub(crate) allow_host_clock: bool,
    /// Names it on the nodes.
    pub(crate) id: String,
    /// Its directory.
    pub(crate) dir: PathBuf,
    /// That, relative to the run directory.
    pub(crate) place: String,
    /// Its services go on running at the end.
    pub(crate) leave_running: bool,
    pub(crate) suite_started: Instant,
    pub(crate) interrupt: StopSignal,
}

/// What is known once the nodes have been left.
struct Played {
    conducted: Conducted,
    write_pause: Option<WritePause>,
    recovered: Result<(), String>,
    gauges: Vec<GaugeSeries>,
    /// Services gone at the end, unasked.
    died: Option<Vec<String>>,
    /// What the last reads of objects showed.
    objects: Option<ObjectsSeen>,
}

impl ScenarioRun<'_> {
    /// Runs it; never fails, but may have an error in its results.
    pub(crate) async fn run(self) -> ScenarioResults {
        let began = Instant::now();
        let mut errors = Vec::new();
        let (notices, mut inbox) = unbounded_channel();
        let mut options = LinkOptions::new(self.id.clone());
        options.lease = self.lease;
        options.probation = PROBATION.min(self.lease);
        options.seed = self.plan.seed;
        options.allow_host_clock = self.allow_host_clock && self.scenario.sets_host_clocks();
        let mut faults = self.scenario.fault.iter();
        let network_faults = faults.any(|fault| fault.parameters.filters_packets());
        let opened = Fleet::open(
            self.remotes,
            self.addresses,
            self.agent,
            &options,
            network_faults,
            &notices,
        );
        let played = match opened.await {
            Ok(fleet) => {
                let fleet = Arc::new(fleet);
                let played = self.on_nodes(&fleet, &mut inbox, &mut errors).await;
                if let Some(fleet) = Arc::into_inner(fleet) {
                    fleet.close().await;
                }
                played
            }
            Err(error) => {
                errors.push(error.to_string());
                None
            }
        };
        progress::clear_line();
        self.results(played, errors, began).await
    }

    /// Everything between the agents' start and their end. `None` if the system was never started.
    async fn on_nodes(
        &self,
        fleet: &Arc<Fleet>,
        inbox: &mut UnboundedReceiver<(String, Notice)>,
        errors: &mut Vec<String>,
    ) -> Option<Played> {
        let bin = match self.upload_programs().await {
            Ok(bin) => bin,
            Err(error) => {
                errors.push(error);
                return None;
            }
        };
        let deployment = self.lay_out(bin);
        let started = deployment.start(fleet).await;
        let mut played = None;
        let deployment = match started {
            Ok(()) => {
                let (result, back) = self.play(fleet, deployment, inbox).await;
                match result {
                    Ok(result) => played = Some(result),
                    Err(error) => errors.push(error),
                }
                back
            }
            Err(error) => {
                errors.push(error.to_string());
                Some(deployment)
            }
        };
        if let Some(deployment) = deployment {
            if !self.leave_running {
                // Stopped first: what a service still holds in memory reaches its files on the way down.
                errors.extend(deployment.stop(fleet).await.iter().map(ToString::to_string));
            }
            errors.extend(deployment.collect(fleet, &self.dir.join("nodes")).await);
            if !self.leave_running
                && let Err(error) = deployment.remove(fleet).await
            {
                errors.push(error.to_string());
            }
        }
        played
    }

    /// Load, faults, final read. Gives the deployment back, to be taken down.
    async fn play(
        &self,
        fleet: &Arc<Fleet>,
        deployment: Deployment,
        inbox: &mut UnboundedReceiver<(String, Notice)>,
    ) -> (Result<Played, String>, Option<Deployment>) {
        let metadata = BTreeMap::from([
            ("scenario".to_owned(), self.plan.scenario.clone()),
            ("seed".to_owned(), self.plan.seed.to_string()),
        ]);
        let (sink, recorder) = match Recorder::spawn(&self.dir.join("history"), &metadata) {
            Ok(started) => started,
            Err(error) => return (Err(error_chain(&error)), Some(deployment)),
        };
        let parts = SceneParts {
            scenario: self.scenario.clone(),
            system: self.system.clone(),
            fleet: fleet.clone(),
            deployment,
            nemesis: Nemesis::new(self.plan.noop_faults, self.plan.seed),
            sink: sink.clone(),
            clock: RunClock::start(),
            seed: self.plan.seed,
            dir: self.dir.clone(),
            local_bin: self.local_bin(),
        };
        let scene = match Scene::new(parts) {
            Ok(scene) => Arc::new(scene),
            Err(error) => return (Err(error_chain(&error)), None),
        };
        let progress = Progress::new(&self.plan.scenario);
        progress.phase("load");
        let shown = tokio::spawn(progress.clone().show(sink));
        let gauges = Gauges::start(&scene);
        let mut conducted = conduct(
            scene.clone(),
            inbox,
            self.interrupt.clone(),
            progress.clone(),
        )
        .await;
        progress.phase("final read");
        let recovered = recover(&scene).await;
        tokio::time::sleep(scene.scenario.settle.0).await;
        let died = scene.died_unasked().await;
        let write_pause = write_pause(&scene).await;
        let mut objects = None;
        match scene.last_read().await {
            Ok(LastRead::Documents(taken)) => conducted.checkpoints.push(taken),
            Ok(LastRead::Objects(seen)) => objects = Some(seen),
            Err(error) => conducted.errors.push(error),
        }
        shown.abort();
        let gauges = gauges.finish().await;
        if let Err(error) = blocking(move || recorder.finish()).await {
            conducted.errors.push(error_chain(&error));
        }
        let deployment = Arc::into_inner(scene).map(|scene| scene.deployment);
        (
            Ok(Played {
                conducted,
                write_pause,
                recovered,
                died: Some(died),
                gauges,
                objects,
            }),
            deployment,
        )
    }

    /// Puts the system's programs on the nodes, once per build.
    async fn upload_programs(&self) -> Result<BTreeMap<String, String>, String> {
        let mut bin = BTreeMap::new();
        for name in &self.scenario.programs(self.system) {
            let local = local_binary(name, self.binaries).map_err(|e| e.to_string())?;
            let program = blocking({
                let (name, local) = (name.clone(), local.clone());
                move || Program::read(&name, &local)
            });
            let program = program
                .await
                .map_err(|e| format!("{}: {e}", local.display()))?;
            let placed = self.remotes.iter().map(|remote| {
                let (remote, program) = (remote.clone(), program.clone());
                blocking(move || program.place(&remote))
            });
            let paths = try_join_all(placed).await.map_err(|e| e.to_string())?;
            // The path holds the program's hash: it is the same on every node.
            bin.extend(paths.into_iter().next().map(|path| (name.clone(), path)));
        }
        Ok(bin)
    }

    /// Checks what was recorded and puts everything together.
    async fn results(
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
        let taken = std::mem::take(&mut played.conducted.checkpoints);
        let stages = std::mem::take(&mut played.conducted.stages);
        let input = analyse::Input {
            dir: self.dir.clone(),
            loss_expected: self.scenario.loss_expected(),
            taken,
            stages,
            faults: faults_in_effect(&played.conducted.faults),
            system: self.system.clone(),
            context: self.lay_out(BTreeMap::new()).context().clone(),
            local_bin: self.local_bin(),
            scenario: self.scenario.clone(),
            place: self.place.clone(),
            limits: self.plan.limits,
            final_ns: played.objects.as_ref().map(|seen| seen.final_ns),
        };
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

    /// The system's programs on this machine.
    fn local_bin(&self) -> BTreeMap<String, PathBuf> {
        let programs = self.system.upload.iter();
        let local = programs.filter_map(|name| {
            let path = local_binary(name, self.binaries).ok()?;
            Some((name.clone(), path))
        });
        local.collect()
    }

    fn lay_out(&self, bin: BTreeMap<String, String>) -> Deployment {
        let roles = self.scenario.roles.get_ref();
        let nodes = self.plan.nodes.iter();
        let disks = nodes
            .filter_map(|n| {
                let role = roles.iter().find(|r| *r.role.get_ref() == n.role)?;
                Some(NodeDisk {
                    node: n.name.clone(),
                    size_mib: role.disk_mib?,
                    layered: role.disk_layer,
                })
            })
            .collect();
        Deployment::lay_out(self.plan, self.system, disks, bin, &self.id)
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

/// An error with its causes, on one line.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
