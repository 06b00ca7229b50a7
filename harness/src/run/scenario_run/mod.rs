//! One scenario from deployment to results. Whatever fails, what was recorded is checked.

mod results;
mod upload;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use shakedown_nemesis::protocol::Notice;
use shakedown_reports::results::ScenarioResults;
use shakedown_workloads::clock::RunClock;
use shakedown_workloads::recorder::Recorder;
use shakedown_workloads::stop::StopSignal;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use self::results::Played;
use super::clients::LastRead;
use super::conduct::conduct;
use super::deploy::{Deployment, NodeDisk};
use super::error_chain::error_chain;
use super::faults::Nemesis;
use super::fleet::{Fleet, blocking};
use super::gauges::Gauges;
use super::nodes::Known;
use super::progress::{self, Progress};
use super::recovery::{recover, write_pause};
use super::scene::{Scene, SceneParts};
use crate::control::{LinkOptions, SshRemote};
use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::system::System;

/// How soon a fault on packets must have let an answer through, or the agent undoes it.
const PROBATION: Duration = Duration::from_secs(5);

/// A scenario about to run.
pub(crate) struct ScenarioRun<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) plan: &'a Plan,
    pub(crate) system: &'a System,
    pub(crate) remotes: &'a [Arc<SshRemote>],
    pub(crate) known: &'a [Known],
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
            self.known,
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
            let cores = deployment.cores(fleet).await;
            if !self.leave_running {
                // Stopped first: what a service still holds in memory reaches its files on the way down.
                errors.extend(deployment.stop(fleet).await.iter().map(ToString::to_string));
            }
            errors.extend(
                deployment
                    .collect(fleet, &self.dir.join("nodes"), &cores)
                    .await,
            );
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
}
