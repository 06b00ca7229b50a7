//! Putting a system on the nodes, and taking it away again.

mod records;
mod restart;
mod start;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::{join_all, try_join_all};
use shakedown_nemesis::protocol::{CoreFile, Reply, RequestBody, ServiceState};

use super::fleet::{Fleet, FleetError};
use crate::control::ControlError;
use crate::plan::Plan;
use crate::system::{NodeRef, ServiceSpec, System, TemplateContext, TemplateError};

/// Holds the directories of runs on a node.
const WORK: &str = "/var/lib/shakedown/deploy";
/// Holds the logs of services on a node: never on a disk that a fault breaks.
const LOGS: &str = "/var/lib/shakedown/logs";
/// Patience with SIGTERM before SIGKILL.
const STOP_PATIENCE_MS: u64 = 3000;

/// Why the system could not be put on its nodes.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// A template of the system file.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// SSH.
    #[error(transparent)]
    Remote(#[from] ControlError),
    /// An agent.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// A service did not become ready.
    #[error(transparent)]
    NotReady(Box<NotReady>),
    /// An action names a service that does not run there.
    #[error("no service `{service}` for node `{node}` in the system file")]
    NoService {
        /// The service.
        service: String,
        /// The node.
        node: String,
    },
    /// A service that is to be started anew does not run.
    #[error("{service} on {node}: does not run, so it can't be started anew")]
    NotRunning {
        /// The service.
        service: String,
        /// The node.
        node: String,
    },
    /// A program could not be read on its node.
    #[error("{node}: sha256sum of {path}: {reason}")]
    Sum {
        /// The node.
        node: String,
        /// The program.
        path: String,
        /// Why not.
        reason: String,
    },
    /// A file could not be copied from node to node.
    #[error("copy {from} -> {to}: {reason}")]
    Copy {
        /// Where from.
        from: String,
        /// Where to.
        to: String,
        /// Why not.
        reason: String,
    },
    /// A program to upload is not there.
    #[error(
        "no program `{name}` beside {exe}; build it (`make build`) or name it with `--binary {name}=PATH`"
    )]
    NoBinary {
        /// The program.
        name: String,
        /// This executable.
        exe: String,
    },
}

/// A service that did not become ready in time.
#[derive(Debug, thiserror::Error)]
#[error("{service} on {node}: {asked} within {within}: {last}\n{log}")]
pub struct NotReady {
    service: String,
    node: String,
    /// What was asked.
    asked: String,
    /// The time it had.
    within: String,
    /// The last answer, or that the process is gone.
    last: String,
    /// The end of its log.
    log: String,
}

/// A service on a node.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) spec: ServiceSpec,
    /// Whether it is started before the scenario begins.
    autostart: bool,
    pub(crate) node: NodeRef,
    pub(crate) dir: String,
    pub(crate) log: String,
}

impl Placed {
    fn key(&self) -> (String, String) {
        (self.node.name.clone(), self.spec.name.get_ref().clone())
    }
}

/// A service whose process is gone.
pub(crate) struct DeadService {
    pub(crate) node: String,
    pub(crate) service: String,
    /// How it ended, if that was seen.
    pub(crate) how: Option<String>,
    pub(crate) core: Option<CoreFile>,
}

/// A disk of a node's own.
pub(crate) struct NodeDisk {
    /// The node's name.
    pub(crate) node: String,
    /// Its size, MiB.
    pub(crate) size_mib: u32,
    /// Whether it has a layer.
    pub(crate) layered: bool,
}

/// A system on its nodes.
pub(crate) struct Deployment {
    root: String,
    pub(crate) placed: Vec<Placed>,
    context: TemplateContext,
    /// Added to every service's environment.
    env: BTreeMap<String, String>,
    /// Nodes that get a disk of their own, with its size in MiB.
    disks: Vec<NodeDisk>,
    http: reqwest::Client,
    /// Programs that take the place of others since an upgrade, as (name, path), by node and service.
    versions: Mutex<BTreeMap<(String, String), (String, String)>>,
}

/// Where a program is found: as named on the command line, else beside this executable.
///
/// # Errors
/// If it is in neither place.
pub fn local_binary(name: &str, given: &BTreeMap<String, PathBuf>) -> Result<PathBuf, DeployError> {
    if let Some(path) = given.get(name) {
        return Ok(path.clone());
    }
    let exe = std::env::current_exe().unwrap_or_default();
    let beside = exe.with_file_name(name);
    if beside.is_file() {
        return Ok(beside);
    }
    Err(DeployError::NoBinary {
        name: name.to_owned(),
        exe: exe.display().to_string(),
    })
}

impl Deployment {
    /// Works out which service goes where; touches nothing yet. `bin` has the programs' paths on the nodes.
    pub(crate) fn lay_out(
        plan: &Plan,
        system: &System,
        disks: Vec<NodeDisk>,
        bin: BTreeMap<String, String>,
        run: &str,
    ) -> Self {
        let root = format!("{WORK}/{run}");
        let nodes = plan.roles();
        let mut placed = Vec::new();
        for spec in &system.service {
            let placements = spec.roles.iter().flat_map(|role| {
                nodes
                    .get(role)
                    .into_iter()
                    .flatten()
                    .map(move |n| (role, n))
            });
            for (role, node) in placements {
                let name = spec.name.get_ref();
                let dir = format!("{root}/{name}");
                let log = format!("{LOGS}/{run}/{name}.log");
                placed.push(Placed {
                    spec: spec.clone(),
                    autostart: spec.autostart.covers(role),
                    node: node.clone(),
                    dir,
                    log,
                });
            }
        }
        let context = TemplateContext {
            nodes,
            bin,
            settings: plan.settings.clone(),
            dir: root.clone(),
            node: None,
            with: BTreeMap::new(),
            files: Vec::new(),
        };
        Deployment {
            root,
            placed,
            context,
            env: plan.env.clone(),
            disks,
            http: reqwest::Client::new(),
            versions: Mutex::default(),
        }
    }

    fn versions(&self) -> MutexGuard<'_, BTreeMap<(String, String), (String, String)>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What templates of commands see; `dir` is the deployment's directory.
    pub(crate) fn context(&self) -> &TemplateContext {
        &self.context
    }

    /// The directory on a node in which everything of the run lies; where its own disk is, if it has one.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// Ends what an earlier run that was killed left running, writes files, starts every service that is
    /// to run from the beginning and waits until each is ready. Services of one table start together,
    /// tables in the order of the system file.
    ///
    /// # Errors
    /// The first thing that goes wrong.
    pub(crate) async fn start(&self, fleet: &Fleet) -> Result<(), DeployError> {
        self.clear(fleet).await?;
        try_join_all(self.placed.iter().map(|p| self.place_files(fleet, p))).await?;
        for group in self.placed.chunk_by(|a, b| a.spec.name == b.spec.name) {
            let autostart = group.iter().filter(|placed| placed.autostart);
            try_join_all(autostart.map(|placed| self.start_one(fleet, placed))).await?;
        }
        Ok(())
    }

    /// Starts a service that is placed on a node, and waits until it is ready.
    ///
    /// # Errors
    /// If it is not placed there, or does not become ready.
    pub(crate) async fn start_service(
        &self,
        fleet: &Fleet,
        service: &str,
        node: &str,
    ) -> Result<(), DeployError> {
        self.start_one(fleet, self.placed_at(service, node)?).await
    }

    fn placed_at(&self, service: &str, node: &str) -> Result<&Placed, DeployError> {
        let placed = self
            .placed
            .iter()
            .find(|p| p.spec.name.get_ref() == service && p.node.name == node);
        placed.ok_or_else(|| DeployError::NoService {
            service: service.to_owned(),
            node: node.to_owned(),
        })
    }

    /// Stops every service on the nodes, removes the directories of earlier runs, and makes disks.
    async fn clear(&self, fleet: &Fleet) -> Result<(), DeployError> {
        let cleared = fleet.nodes().iter().map(|node| async move {
            let stop = RequestBody::StopAll {
                timeout_ms: STOP_PATIENCE_MS,
            };
            fleet.ask(&node.name, stop).await?;
            node.exec(&format!("rm -rf {WORK} {LOGS}")).await?;
            if let Some(disk) = self.disks.iter().find(|disk| disk.node == node.name) {
                let path = || self.root.clone();
                let make = RequestBody::Disk {
                    path: path(),
                    size_mib: disk.size_mib,
                };
                fleet.ask(&node.name, make).await?;
                if disk.layered {
                    let cover = RequestBody::Layer { path: path() };
                    fleet.ask(&node.name, cover).await?;
                }
            }
            Ok::<(), DeployError>(())
        });
        try_join_all(cleared).await?;
        Ok(())
    }

    /// Stops every service; those that are gone already, or were never started, are fine.
    pub(crate) async fn stop(&self, fleet: &Fleet) -> Vec<FleetError> {
        let stopped = self.placed.iter().map(|placed| async move {
            let (node, service) = (&placed.node.name, placed.spec.name.get_ref());
            if let Reply::Service(ServiceState::Unknown) = status(fleet, placed).await? {
                return Ok(());
            }
            let stop = RequestBody::Stop {
                service: service.clone(),
                timeout_ms: STOP_PATIENCE_MS,
            };
            fleet.ask(node, stop).await.map(drop)
        });
        let stopped: Vec<Result<(), FleetError>> = join_all(stopped).await;
        stopped.into_iter().filter_map(Result::err).collect()
    }

    /// The services that were started and whose process is gone.
    pub(crate) async fn dead(&self, fleet: &Fleet) -> Vec<DeadService> {
        let asked = self.placed.iter().map(|placed| async move {
            match status(fleet, placed).await {
                Ok(Reply::Service(ServiceState::Dead { how, core, .. })) => Some(DeadService {
                    node: placed.node.name.clone(),
                    service: placed.spec.name.get_ref().clone(),
                    how,
                    core,
                }),
                _ => None,
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Removes disks and directories of the deployment from every node.
    pub(crate) async fn remove(&self, fleet: &Fleet) -> Result<(), DeployError> {
        let removed = fleet.nodes().iter().map(|node| async move {
            if self.disks.iter().any(|disk| disk.node == node.name) {
                let stop = RequestBody::StopAll {
                    timeout_ms: STOP_PATIENCE_MS,
                };
                fleet.ask(&node.name, stop).await?;
            }
            node.exec(&format!("rm -rf {} {LOGS}", self.root)).await?;
            Ok::<(), DeployError>(())
        });
        join_all(removed).await.into_iter().collect()
    }
}

/// What the agent says of a service on its node.
async fn status(fleet: &Fleet, placed: &Placed) -> Result<Reply, FleetError> {
    let service = placed.spec.name.get_ref().clone();
    fleet
        .ask(&placed.node.name, RequestBody::Status { service })
        .await
}
