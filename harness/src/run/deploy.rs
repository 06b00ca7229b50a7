//! Putting a system on the nodes: directories, configuration files, services, readiness.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use shakedown_nemesis::protocol::{Reply, RequestBody, Service, ServiceState};

use super::fleet::{Fleet, FleetError};
use crate::control::ControlError;
use crate::plan::Plan;
use crate::system::{NodeRef, ServiceSpec, System, TemplateContext, TemplateError};

/// How often a readiness URL is asked.
const READY_POLL: Duration = Duration::from_millis(20);
/// Holds the directories of runs on a node.
const WORK: &str = "/var/lib/shakedown/deploy";
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
#[error("{service} on {node}: {url} did not answer 200 within {within}: {last}\n{log}")]
pub struct NotReady {
    service: String,
    node: String,
    /// What was asked.
    url: String,
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
    pub(crate) node: NodeRef,
    pub(crate) dir: String,
    pub(crate) log: String,
}

/// A system on its nodes.
pub(crate) struct Deployment {
    root: String,
    pub(crate) placed: Vec<Placed>,
    context: TemplateContext,
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
        bin: BTreeMap<String, String>,
        run: &str,
    ) -> Self {
        let root = format!("{WORK}/{run}");
        let nodes = plan.roles();
        let mut placed = Vec::new();
        for spec in &system.service {
            for node in spec
                .roles
                .iter()
                .flat_map(|role| nodes.get(role).into_iter().flatten())
            {
                let dir = format!("{root}/{}", spec.name);
                let log = format!("{root}/{}.log", spec.name);
                placed.push(Placed {
                    spec: spec.clone(),
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
        }
    }

    /// What templates of commands see; `dir` is the deployment's directory.
    pub(crate) fn context(&self) -> &TemplateContext {
        &self.context
    }

    /// Ends what an earlier run that was killed left running, writes files, starts every service and
    /// waits until each is ready. Services of one kind start together, kinds in the order of the
    /// system file.
    ///
    /// # Errors
    /// The first thing that goes wrong.
    pub(crate) async fn start(
        &self,
        fleet: &Fleet,
        env: &BTreeMap<String, String>,
    ) -> Result<(), DeployError> {
        self.clear(fleet).await?;
        let http = reqwest::Client::new();
        for group in self.placed.chunk_by(|a, b| a.spec.name == b.spec.name) {
            let started = group
                .iter()
                .map(|placed| self.start_one(fleet, placed, env, &http));
            futures_util::future::try_join_all(started).await?;
        }
        Ok(())
    }

    /// Stops every service on the nodes and removes the directories of earlier runs.
    async fn clear(&self, fleet: &Fleet) -> Result<(), DeployError> {
        let cleared = fleet.nodes().iter().map(|node| async move {
            let stop = RequestBody::StopAll {
                timeout_ms: STOP_PATIENCE_MS,
            };
            fleet.ask(&node.name, stop).await?;
            node.exec(&format!("rm -rf {WORK}")).await?;
            Ok::<(), DeployError>(())
        });
        futures_util::future::try_join_all(cleared).await?;
        Ok(())
    }

    async fn start_one(
        &self,
        fleet: &Fleet,
        placed: &Placed,
        env: &BTreeMap<String, String>,
        http: &reqwest::Client,
    ) -> Result<(), DeployError> {
        let context = TemplateContext {
            dir: placed.dir.clone(),
            node: Some(placed.node.clone()),
            ..self.context.clone()
        };
        let node = fleet.node(&placed.node.name)?;
        node.exec(&format!("mkdir -p {}", placed.dir)).await?;
        for (name, template) in &placed.spec.files {
            node.upload(
                context.fill(template)?.into_bytes(),
                format!("{}/{name}", placed.dir),
            )
            .await?;
        }
        let mut service_env = env.clone();
        for (name, template) in &placed.spec.env {
            service_env.insert(name.clone(), context.fill(template)?);
        }
        let service = Service {
            name: placed.spec.name.clone(),
            argv: context.fill_argv(&placed.spec.argv)?,
            env: service_env,
            dir: placed.dir.clone(),
            log: placed.log.clone(),
        };
        fleet
            .ask(&placed.node.name, RequestBody::Start(service))
            .await?;
        let url = context.fill(&placed.spec.ready)?;
        self.wait_ready(fleet, placed, &url, http).await
    }

    async fn wait_ready(
        &self,
        fleet: &Fleet,
        placed: &Placed,
        url: &str,
        http: &reqwest::Client,
    ) -> Result<(), DeployError> {
        let deadline = Instant::now() + placed.spec.ready_within.0;
        loop {
            let asked = http.get(url).timeout(Duration::from_secs(1)).send().await;
            let last = match asked {
                Ok(answer) if answer.status() == reqwest::StatusCode::OK => return Ok(()),
                Ok(answer) => format!("answered {}", answer.status()),
                Err(error) => format!("{error}"),
            };
            let state = fleet
                .ask(
                    &placed.node.name,
                    RequestBody::Status {
                        service: placed.spec.name.clone(),
                    },
                )
                .await?;
            let dead = !matches!(state, Reply::Service(ServiceState::Running { .. }));
            if dead || Instant::now() >= deadline {
                let tail = fleet
                    .node(&placed.node.name)?
                    .exec(&format!("tail -n 20 {}", placed.log))
                    .await?;
                return Err(DeployError::NotReady(Box::new(NotReady {
                    service: placed.spec.name.clone(),
                    node: placed.node.name.clone(),
                    url: url.to_owned(),
                    within: placed.spec.ready_within.to_string(),
                    last: if dead {
                        "its process has ended".to_owned()
                    } else {
                        last
                    },
                    log: tail.text(),
                })));
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }

    /// Stops every service; those that are gone already are fine.
    pub(crate) async fn stop(&self, fleet: &Fleet) -> Vec<FleetError> {
        let requests = self.placed.iter().map(|placed| {
            let body = RequestBody::Stop {
                service: placed.spec.name.clone(),
                timeout_ms: STOP_PATIENCE_MS,
            };
            (placed.node.name.clone(), body)
        });
        fleet
            .ask_all(requests.collect())
            .await
            .into_iter()
            .filter_map(|(_, reply)| reply.err())
            .collect()
    }

    /// Copies logs and kept files of every service to `local/<node>/`; returns what could not be copied.
    pub(crate) async fn collect(&self, fleet: &Fleet, local: &std::path::Path) -> Vec<String> {
        let mut missing = Vec::new();
        for placed in &self.placed {
            let dir = local.join(&placed.node.name);
            if let Err(error) = std::fs::create_dir_all(&dir) {
                missing.push(format!("{}: {error}", dir.display()));
                continue;
            }
            let log = (
                placed.log.clone(),
                dir.join(format!("{}.log", placed.spec.name)),
            );
            let kept = placed.spec.keep.iter();
            let kept = kept.map(|name| (format!("{}/{name}", placed.dir), dir.join(name)));
            for (remote, target) in std::iter::once(log).chain(kept) {
                // A file that the service has not made yet, or a service that never ran, is no record.
                if !exists(fleet, &placed.node.name, &remote).await {
                    continue;
                }
                let copied = match fleet.node(&placed.node.name) {
                    Ok(node) => node
                        .download(&remote, &target)
                        .await
                        .map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                if let Err(error) = copied {
                    missing.push(format!("{} on {}: {error}", remote, placed.node.name));
                }
            }
        }
        missing
    }

    /// Removes the deployment's directory from every node.
    pub(crate) async fn remove(&self, fleet: &Fleet) -> Result<(), DeployError> {
        for node in fleet.nodes() {
            node.exec(&format!("rm -rf {}", self.root)).await?;
        }
        Ok(())
    }
}

/// Whether a file is there; true if that cannot be told, so that the failure shows when it is copied.
async fn exists(fleet: &Fleet, node: &str, path: &str) -> bool {
    match fleet.node(node) {
        Ok(node) => node
            .exec(&format!("test -e {path}"))
            .await
            .map_or(true, |output| output.success()),
        Err(_) => true,
    }
}
