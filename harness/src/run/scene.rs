//! Everything the items of a running scenario need, and how each kind of item is carried out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use shakedown_checker::UNTIL_KEY;
use shakedown_checker::history::{Observation, ObservationWriter, Placement, Seen};
use shakedown_nemesis::fault::Fault;
use shakedown_workloads::clock::RunClock;
use shakedown_workloads::documents::final_read::{FinalReadConfig, FinalReader};
use shakedown_workloads::documents::http::{HttpClients, HttpConfig, HttpConfigError};
use shakedown_workloads::documents::{Documents, KeySpace, PayloadRange};
use shakedown_workloads::duration::HumanDuration;
use shakedown_workloads::load::{LoadError, StageSummary, drive};
use shakedown_workloads::sink::EventSink;
use shakedown_workloads::stop::StopSignal;
use tokio::net::TcpStream;

use super::deploy::Deployment;
use super::faults::{Nemesis, PreparedFault};
use super::fleet::{Fleet, FleetError};
use super::primary::with_primary;
use super::resolve::resolve;
use crate::scenario::{Names, Scenario};
use crate::system::{ClientSpec, NodeRef, System};

/// A connection that takes longer is given up: the operation then certainly failed.
const CONNECT_TIMEOUT: HumanDuration = HumanDuration::from_secs(2);

/// A scenario on its nodes.
pub(crate) struct Scene {
    pub(crate) scenario: Scenario,
    pub(crate) system: System,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) deployment: Deployment,
    pub(crate) nemesis: Nemesis,
    pub(crate) clock: RunClock,
    pub(crate) sink: EventSink,
    keys: KeySpace,
    clients: HttpClients,
    reader: FinalReader,
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
}

impl Scene {
    /// Sets up clients for the system.
    ///
    /// # Errors
    /// If the system file's client section cannot be used.
    pub(crate) fn new(parts: SceneParts) -> Result<Self, HttpConfigError> {
        let ClientSpec::DocumentsHttp {
            role,
            port,
            index,
            timeout,
            outcome_header,
            ..
        } = &parts.system.client;
        let documents = Documents::new(parts.seed, PayloadRange::default());
        let config = HttpConfig {
            urls: base_urls(&parts.deployment.context().nodes, role, *port),
            index: index.clone(),
            timeout: *timeout,
            connect_timeout: CONNECT_TIMEOUT,
            outcome_header: outcome_header.clone(),
            headers: BTreeMap::new(),
            bearer: None,
        };
        let read = FinalReadConfig {
            index: index.clone(),
            ..FinalReadConfig::default()
        };
        let stages = parts
            .scenario
            .load
            .iter()
            .map(|load| (load.keys.as_str(), load.processes));
        Ok(Scene {
            keys: KeySpace::new(parts.seed, stages),
            clients: HttpClients::new(&config, documents)?,
            reader: FinalReader::new(&read, documents)?,
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
        let spec = self.scenario.load[load].spec();
        drive(
            &spec,
            &self.keys,
            |process| self.clients.client(process),
            self.clock,
            &self.sink,
            stop,
        )
        .await
    }

    /// Works out a fault on this cluster and has the agents prepare it.
    pub(crate) async fn prepare_fault(&self, fault: usize) -> Result<PreparedFault, FleetError> {
        let item = &self.scenario.fault[fault];
        let context = self.deployment.context();
        let spec = self.system.primary.as_ref();
        let item = &with_primary(&self.fleet, &self.deployment, spec, item).await?;
        let fault = resolve(item, &context.nodes, self.deployment.root());
        self.nemesis
            .prepare(&self.fleet, item.name.get_ref(), fault)
            .await
    }

    /// Services that are gone though no fault was to leave them so, as `NODE/SERVICE`.
    pub(crate) async fn died_unasked(&self) -> Vec<String> {
        let nodes = &self.deployment.context().nodes;
        let left_down: Vec<(Option<Vec<String>>, String)> = (self.scenario.fault.iter())
            .filter_map(|item| {
                item.kill
                    .as_ref()
                    .filter(|kill| !kill.restart)
                    .map(|_| item)
            })
            .filter_map(|item| {
                // Which node was the primary is not known any more: any may have been.
                if item.names_primary() {
                    let kill = item.kill.as_ref()?;
                    return Some((None, kill.service.get_ref().clone()));
                }
                match resolve(item, nodes, self.deployment.root()) {
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
            .filter(|(node, service)| !asked(node, service))
            .map(|(node, service)| format!("{node}/{service}"))
            .collect()
    }

    /// Reads the whole state, through the front door and from each store.
    ///
    /// # Errors
    /// If the observations cannot be written; what goes wrong with the system is among them.
    pub(crate) async fn checkpoint(&self, name: &str) -> Result<CheckpointTaken, String> {
        let dir = self.dir.join("observations");
        let path = dir.join(format!("{name}.arrows"));
        let failed = |error: &dyn std::fmt::Display| format!("checkpoint `{name}`: {error}");
        std::fs::create_dir_all(&dir).map_err(|e| failed(&e))?;
        let time_ns = self.clock.now_ns();
        let ClientSpec::DocumentsHttp {
            role,
            port,
            stores,
            store_port,
            placement_path,
            ..
        } = &self.system.client;
        let nodes = &self.deployment.context().nodes;
        let store_nodes: Vec<&NodeRef> = stores
            .iter()
            .flat_map(|role| nodes.get(role).into_iter().flatten())
            .collect();
        let mut sources = vec![role.0.join(", ")];
        sources.extend(store_nodes.iter().map(|node| node.name.clone()));
        let metadata = BTreeMap::from([
            ("checkpoint".to_owned(), name.to_owned()),
            (UNTIL_KEY.to_owned(), time_ns.to_string()),
        ]);
        let mut writer =
            ObservationWriter::create(&path, &sources, &metadata).map_err(|e| failed(&e))?;
        let front = open_front(&base_urls(nodes, role, *port))
            .await
            .ok_or_else(|| failed(&"no front door"))?;
        self.reader
            .routed(0, &front, &self.keys.keys(), |row| writer.append(&row))
            .await
            .map_err(|e| failed(&e))?;
        let placement = match placement_path {
            Some(path) => self
                .reader
                .placement(&format!("{front}{path}"))
                .await
                .map(Some),
            None => Ok(None),
        };
        for (source, node) in (1u16..).zip(&store_nodes) {
            let address = format!("{}:{store_port}", node.address);
            let placement = match &placement {
                Ok(placement) => placement,
                Err(error) => {
                    let seen = Seen::Failed {
                        error: error.to_string(),
                    };
                    let row = Observation {
                        source,
                        placement: Placement::Owner,
                        seen,
                    };
                    writer.append(&row).map_err(|e| failed(&e))?;
                    continue;
                }
            };
            let its = placement.as_ref().map(|table| table.for_node(&address));
            self.reader
                .direct(source, &format!("http://{address}"), its.as_ref(), |row| {
                    writer.append(&row)
                })
                .await
                .map_err(|e| failed(&e))?;
        }
        writer.finish().map_err(|e| failed(&e))?;
        Ok(CheckpointTaken {
            name: name.to_owned(),
            time_ns,
            observations: path,
        })
    }
}

fn base_urls(nodes: &BTreeMap<String, Vec<NodeRef>>, roles: &Names, port: u16) -> Vec<String> {
    roles
        .0
        .iter()
        .flat_map(|role| nodes.get(role).into_iter().flatten())
        .map(|node| format!("http://{}:{port}", node.address))
        .collect()
}

/// The first front node that takes connections, or the first of all, so that what is wrong shows in the read.
async fn open_front(urls: &[String]) -> Option<String> {
    for url in urls {
        let address = url.trim_start_matches("http://").to_owned();
        let connected = TcpStream::connect(address);
        if let Ok(Ok(_)) = tokio::time::timeout(CONNECT_TIMEOUT.0, connected).await {
            return Some(url.clone());
        }
    }
    urls.first().cloned()
}
