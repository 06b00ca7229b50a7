//! Clients of documents: they write and read them, and read back everything at a checkpoint.

use std::collections::BTreeMap;
use std::path::Path;

use shakedown_checker::UNTIL_KEY;
use shakedown_checker::history::{Observation, ObservationWriter, Placement, Seen};
use shakedown_workloads::clock::RunClock;
use shakedown_workloads::documents::final_read::{FinalReadConfig, FinalReader};
use shakedown_workloads::documents::http::{HttpClients, HttpConfig, HttpConfigError};
use shakedown_workloads::documents::{Documents, KeySpace, PayloadRange};
use shakedown_workloads::duration::HumanDuration;
use shakedown_workloads::load::{LoadError, StageSummary, drive};
use shakedown_workloads::sink::EventSink;
use shakedown_workloads::stop::StopSignal;
use tokio::net::TcpStream;

use crate::run::scene::CheckpointTaken;
use crate::scenario::{LoadItem, Names, Scenario};
use crate::system::{DocumentsHttpSpec, NodeRef};

/// A connection that takes longer is given up: the operation then certainly failed.
const CONNECT_TIMEOUT: HumanDuration = HumanDuration::from_secs(2);

/// Clients of a system of documents.
pub(crate) struct DocumentClients {
    spec: DocumentsHttpSpec,
    keys: KeySpace,
    clients: HttpClients,
    reader: FinalReader,
}

impl DocumentClients {
    /// Sets up clients for the nodes of the client's roles.
    pub(super) fn new(
        spec: &DocumentsHttpSpec,
        scenario: &Scenario,
        nodes: &BTreeMap<String, Vec<NodeRef>>,
        seed: u64,
    ) -> Result<Self, HttpConfigError> {
        let documents = Documents::new(seed, PayloadRange::default());
        let config = HttpConfig {
            urls: base_urls(nodes, &spec.role, spec.port),
            index: spec.index.clone(),
            timeout: spec.timeout,
            connect_timeout: CONNECT_TIMEOUT,
            outcome_header: spec.outcome_header.clone(),
            headers: BTreeMap::new(),
            bearer: None,
        };
        let read = FinalReadConfig {
            index: spec.index.clone(),
            ..FinalReadConfig::default()
        };
        let stages = (scenario.load.iter()).map(|load| (load.key_group(), load.processes));
        Ok(DocumentClients {
            keys: KeySpace::new(seed, stages),
            clients: HttpClients::new(&config, documents)?,
            reader: FinalReader::new(&read, documents)?,
            spec: spec.clone(),
        })
    }

    /// Runs a load stage.
    pub(super) async fn drive(
        &self,
        load: &LoadItem,
        clock: RunClock,
        sink: &EventSink,
        stop: &StopSignal,
    ) -> Result<StageSummary, LoadError> {
        let client = |process| self.clients.client(process);
        drive(&load.documents(), &self.keys, client, clock, sink, stop).await
    }

    /// Reads the whole state, through the front door and from each store, into a file below `dir`.
    ///
    /// # Errors
    /// If the observations cannot be written; what goes wrong with the system is among them.
    pub(super) async fn checkpoint(
        &self,
        name: &str,
        nodes: &BTreeMap<String, Vec<NodeRef>>,
        clock: RunClock,
        dir: &Path,
    ) -> Result<CheckpointTaken, String> {
        let dir = dir.join("observations");
        let path = dir.join(format!("{name}.arrows"));
        let failed = |error: &dyn std::fmt::Display| format!("checkpoint `{name}`: {error}");
        std::fs::create_dir_all(&dir).map_err(|e| failed(&e))?;
        let time_ns = clock.now_ns();
        let spec = &self.spec;
        let store_nodes: Vec<&NodeRef> = spec
            .stores
            .iter()
            .flat_map(|role| nodes.get(role).into_iter().flatten())
            .collect();
        let mut sources = vec![spec.role.0.join(", ")];
        sources.extend(store_nodes.iter().map(|node| node.name.clone()));
        let metadata = BTreeMap::from([
            ("checkpoint".to_owned(), name.to_owned()),
            (UNTIL_KEY.to_owned(), time_ns.to_string()),
        ]);
        let mut writer =
            ObservationWriter::create(&path, &sources, &metadata).map_err(|e| failed(&e))?;
        let front = open_front(&base_urls(nodes, &spec.role, spec.port))
            .await
            .ok_or_else(|| failed(&"no front door"))?;
        self.reader
            .routed(0, &front, &self.keys.keys(), |row| writer.append(&row))
            .await
            .map_err(|e| failed(&e))?;
        let placement = match &spec.placement_path {
            Some(path) => self
                .reader
                .placement(&format!("{front}{path}"))
                .await
                .map(Some),
            None => Ok(None),
        };
        for (source, node) in (1u16..).zip(&store_nodes) {
            let address = format!("{}:{}", node.host, spec.store_port);
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
        .map(|node| format!("http://{}:{port}", node.host))
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
