//! Everything the items of a running scenario need, and how each kind of item is carried out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use shakedown_nemesis::fault::Fault;
use shakedown_workloads::clock::RunClock;
use shakedown_workloads::load::{LoadError, StageSummary};
use shakedown_workloads::sink::EventSink;
use shakedown_workloads::stop::StopSignal;

use super::clients::{ClientParts, Clients, ClientsError, LastRead};
use super::deploy::Deployment;
use super::faults::{Nemesis, PreparedFault};
use super::fleet::{Fleet, FleetError};
use super::primary::with_primary;
use super::resolve::resolve;
use crate::scenario::{FaultParameters, Scenario};
use crate::system::System;

/// A scenario on its nodes.
pub(crate) struct Scene {
    pub(crate) scenario: Scenario,
    pub(crate) system: System,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) deployment: Deployment,
    pub(crate) nemesis: Nemesis,
    pub(crate) clock: RunClock,
    seed: u64,
    pub(crate) sink: EventSink,
    clients: Clients,
    /// The scenario's directory in the run directory.
    pub(crate) dir: PathBuf,
}

/// A final read that was taken.
#[derive(Debug, Clone)]
pub(crate) struct CheckpointTaken {
    pub(crate) name: String,
    pub(crate) time_ns: u64,
    /// What was seen.
    pub(crate) observations: PathBuf,
}

/// What a scene is made of, apart from clients.
pub(crate) struct SceneParts {
    pub(crate) scenario: Scenario,
    pub(crate) system: System,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) deployment: Deployment,
    pub(crate) nemesis: Nemesis,
    pub(crate) sink: EventSink,
    pub(crate) clock: RunClock,
    pub(crate) seed: u64,
    pub(crate) dir: PathBuf,
    /// The system's programs on this machine.
    pub(crate) local_bin: BTreeMap<String, PathBuf>,
}

impl Scene {
    /// Sets up clients for the system.
    ///
    /// # Errors
    /// If the system file's client section cannot be used.
    pub(crate) fn new(parts: SceneParts) -> Result<Self, ClientsError> {
        let clients = Clients::new(&ClientParts {
            system: &parts.system,
            scenario: &parts.scenario,
            context: parts.deployment.context(),
            local_bin: &parts.local_bin,
            seed: parts.seed,
            dir: &parts.dir,
        })?;
        Ok(Scene {
            seed: parts.seed,
            clients,
            scenario: parts.scenario,
            system: parts.system,
            fleet: parts.fleet,
            deployment: parts.deployment,
            nemesis: parts.nemesis,
            clock: parts.clock,
            sink: parts.sink,
            dir: parts.dir,
        })
    }

    /// Runs a load stage.
    pub(crate) async fn drive(
        &self,
        load: usize,
        stop: &StopSignal,
    ) -> Result<StageSummary, LoadError> {
        let load = &self.scenario.load[load];
        (self.clients)
            .drive(load, self.clock, &self.sink, stop)
            .await
    }

    /// Works out a fault on this cluster and has the agents prepare it.
    pub(crate) async fn prepare_fault(&self, fault: usize) -> Result<PreparedFault, FleetError> {
        let item = &self.scenario.fault[fault];
        let context = self.deployment.context();
        let spec = self.system.primary.as_ref();
        let item = &with_primary(&self.fleet, &self.deployment, spec, item).await?;
        let resolved = resolve(item, &context.nodes, self.deployment.root(), self.seed);
        self.nemesis
            .prepare(&self.fleet, (fault, item.name.get_ref()), resolved)
            .await
    }

    /// Services that are gone though no fault was to leave them so, as `NODE/SERVICE (SIGSEGV)`.
    pub(crate) async fn died_unasked(&self) -> Vec<String> {
        let nodes = &self.deployment.context().nodes;
        let left_down: Vec<(Option<Vec<String>>, String)> = (self.scenario.fault.iter())
            .filter_map(|item| {
                let FaultParameters::Kill(kill) = &item.parameters else {
                    return None;
                };
                if kill.restart {
                    return None;
                }
                // Which node was the primary is not known any more: any may have been.
                if item.parameters.names_primary() {
                    return Some((None, kill.service.get_ref().clone()));
                }
                match resolve(item, nodes, self.deployment.root(), self.seed) {
                    Fault::Kill { nodes, service, .. } => Some((Some(nodes), service)),
                    _ => None,
                }
            })
            .collect();
        let asked = |node: &String, service: &String| {
            (left_down.iter()).any(|(nodes, killed)| {
                killed == service && nodes.as_ref().is_none_or(|nodes| nodes.contains(node))
            })
        };
        let dead = self.deployment.dead(&self.fleet).await;
        dead.into_iter()
            .filter(|dead| !asked(&dead.node, &dead.service))
            .map(|dead| {
                let how = (dead.how).map_or_else(String::new, |how| format!(" ({how})"));
                format!("{}/{}{how}", dead.node, dead.service)
            })
            .collect()
    }

    /// Reads the whole state.
    ///
    /// # Errors
    /// As [`Clients::checkpoint`].
    pub(crate) async fn checkpoint(&self, name: &str) -> Result<CheckpointTaken, String> {
        let nodes = &self.deployment.context().nodes;
        (self.clients)
            .checkpoint(name, nodes, self.clock, &self.dir)
            .await
    }

    /// Reads the whole state once all is over.
    ///
    /// # Errors
    /// As [`Clients::finish`].
    pub(crate) async fn last_read(&self) -> Result<LastRead, String> {
        let nodes = &self.deployment.context().nodes;
        (self.clients)
            .finish(nodes, self.clock, &self.sink, &self.dir)
            .await
    }
}
