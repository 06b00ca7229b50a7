//! The clients of a running scenario: what carries out its loads, and reads back what there is.

mod documents;
mod objects;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use shakedown_workloads::clock::RunClock;
use shakedown_workloads::documents::http::HttpConfigError;
use shakedown_workloads::load::{LoadError, StageSummary};
use shakedown_workloads::objects::clients::etcd::ReadsError;
use shakedown_workloads::sink::EventSink;
use shakedown_workloads::stop::StopSignal;

use super::scene::CheckpointTaken;
use crate::scenario::{LoadItem, Scenario};
use crate::system::{ClientSpec, NodeRef, System, TemplateContext, TemplateError};
use documents::DocumentClients;
use objects::ObjectClients;
pub(crate) use objects::ObjectsSeen;

/// Why there are no clients.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientsError {
    /// The section for documents.
    #[error(transparent)]
    Documents(#[from] HttpConfigError),
    /// The system does not store documents.
    #[error("clients of `{0}` do not write documents")]
    NoDocuments(&'static str),
    /// The system stores documents only.
    #[error("clients of `{0}` know no plain objects")]
    NoObjects(&'static str),
    /// There is nobody to speak to.
    #[error("no node has a role that clients speak to: {0}")]
    NoNodes(String),
    /// A template of the section.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// What the template of a way to read comes to.
    #[error(transparent)]
    Reads(#[from] ReadsError),
    /// A file that a program needs.
    #[error("cannot write the files of the client: {0}")]
    Files(#[from] std::io::Error),
}

/// Clients, by what they work on.
pub(crate) enum Clients {
    /// Documents.
    Documents(Box<DocumentClients>),
    /// Plain objects.
    Objects(Box<ObjectClients>),
}

/// What clients have to do with.
pub(crate) struct ClientParts<'a> {
    pub(crate) system: &'a System,
    pub(crate) scenario: &'a Scenario,
    /// What templates can refer to; programs are those on the nodes.
    pub(crate) context: &'a TemplateContext,
    /// The system's programs on this machine.
    pub(crate) local_bin: &'a BTreeMap<String, PathBuf>,
    pub(crate) seed: u64,
    /// The scenario's directory.
    pub(crate) dir: &'a Path,
}

/// What was read back at the end.
pub(crate) enum LastRead {
    /// Documents, as at every checkpoint.
    Documents(CheckpointTaken),
    /// Objects: what was read is in the history.
    Objects(ObjectsSeen),
}

impl Clients {
    /// Sets up the clients that a scenario's workload needs.
    ///
    /// # Errors
    /// If the system file's client section cannot be used.
    pub(crate) fn new(parts: &ClientParts<'_>) -> Result<Self, ClientsError> {
        match (&parts.scenario.workload, &parts.system.client) {
            (Some(workload), _) => {
                let clients = ObjectClients::new(workload.get_ref(), parts)?;
                Ok(Clients::Objects(Box::new(clients)))
            }
            (None, ClientSpec::DocumentsHttp(spec)) => {
                let nodes = &parts.context.nodes;
                let clients = DocumentClients::new(spec, parts.scenario, nodes, parts.seed)?;
                Ok(Clients::Documents(Box::new(clients)))
            }
            (None, other) => Err(ClientsError::NoDocuments(other.protocol())),
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
            Clients::Objects(clients) => clients.drive(load, clock, sink, stop).await,
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
            Clients::Objects(_) => Err(format!("checkpoint `{name}`: there are no documents")),
        }
    }

    /// Reads back everything once all is over.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint).
    pub(crate) async fn finish(
        &self,
        nodes: &BTreeMap<String, Vec<NodeRef>>,
        clock: RunClock,
        sink: &EventSink,
        dir: &Path,
    ) -> Result<LastRead, String> {
        match self {
            Clients::Documents(_) => {
                let taken = self.checkpoint("final", nodes, clock, dir).await?;
                Ok(LastRead::Documents(taken))
            }
            Clients::Objects(clients) => match clients.finish(clock, sink).await {
                Ok(seen) => Ok(LastRead::Objects(seen)),
                Err(error) => Err(format!("final reads: {error}")),
            },
        }
    }
}
