//! The clients of a running scenario: what carries out its loads, and reads back what there is.

mod documents;

use std::collections::BTreeMap;
use std::path::Path;

use shakedown_workloads::clock::RunClock;
use shakedown_workloads::documents::http::HttpConfigError;
use shakedown_workloads::load::{LoadError, StageSummary};
use shakedown_workloads::sink::EventSink;
use shakedown_workloads::stop::StopSignal;

use super::scene::CheckpointTaken;
use crate::scenario::{LoadItem, Scenario};
use crate::system::{ClientSpec, NodeRef, System};
use documents::DocumentClients;

/// Why there are no clients.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientsError {
    /// The section for documents.
    #[error(transparent)]
    Documents(#[from] HttpConfigError),
    /// The system does not store documents.
    #[error("clients of `{0}` do not write documents")]
    NoDocuments(&'static str),
}

/// Clients, by what they work on.
pub(crate) enum Clients {
    /// Documents.
    Documents(Box<DocumentClients>),
}

impl Clients {
    /// Sets up the clients that a scenario's workload needs.
    ///
    /// # Errors
    /// If the system file's client section cannot be used.
    pub(crate) fn new(
        system: &System,
        scenario: &Scenario,
        nodes: &BTreeMap<String, Vec<NodeRef>>,
        seed: u64,
    ) -> Result<Self, ClientsError> {
        match &system.client {
            ClientSpec::DocumentsHttp(spec) => {
                let clients = DocumentClients::new(spec, scenario, nodes, seed)?;
                Ok(Clients::Documents(Box::new(clients)))
            }
            other => Err(ClientsError::NoDocuments(other.protocol())),
        }
    }

    /// Runs a load stage.
    pub(crate) async fn drive(
        &self,
        load: &LoadItem,
        clock: RunClock,
        sink: &EventSink,
        stop: &StopSignal,
    ) -> Result<StageSummary, LoadError> {
        match self {
            Clients::Documents(clients) => clients.drive(load, clock, sink, stop).await,
        }
    }

    /// Reads back everything.
    ///
    /// # Errors
    /// If what is seen cannot be written; what goes wrong with the system is among it.
    pub(crate) async fn checkpoint(
        &self,
        name: &str,
        nodes: &BTreeMap<String, Vec<NodeRef>>,
        clock: RunClock,
        dir: &Path,
    ) -> Result<CheckpointTaken, String> {
        match self {
            Clients::Documents(clients) => clients.checkpoint(name, nodes, clock, dir).await,
        }
    }
}
