//! How clients speak to a system.

use std::collections::BTreeMap;

use serde::Deserialize;
use shakedown_workloads::duration::HumanDuration;

use crate::scenario::Names;

/// How clients speak to the system: one table for each protocol.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "protocol", rename_all = "kebab-case")]
pub enum ClientSpec {
    /// JSON documents over HTTP, as in Meilisearch.
    DocumentsHttp(DocumentsHttpSpec),
    /// etcd, version 3 of its interface.
    Etcd(EtcdSpec),
    /// Redis.
    Redis(RedisSpec),
    /// A program of one's own, which speaks JSON lines on standard input and output.
    Exec(ExecSpec),
}

/// Clients of documents.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentsHttpSpec {
    /// Roles of the nodes clients speak to; a process goes on with the next when one does not answer.
    pub role: Names,
    /// Their port.
    pub port: u16,
    /// Index written to.
    pub index: String,
    /// A write or read must be answered within this time.
    pub timeout: HumanDuration,
    /// Response header that says `none` when a failed write certainly did not happen.
    pub outcome_header: Option<String>,
    /// Roles of the nodes that store documents and are read one by one at the end.
    pub stores: Vec<String>,
    /// Their port.
    pub store_port: u16,
    /// Path on the front door that tells which node owns which shard.
    pub placement_path: Option<String>,
}

/// Clients of etcd.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EtcdSpec {
    /// Roles of the nodes clients speak to: process `i` to node `i` modulo their number.
    pub role: Names,
    /// Their port.
    pub port: u16,
    /// An operation must be answered within this time.
    pub timeout: HumanDuration,
    /// `linearizable` or `serializable` (template).
    #[serde(default = "linearizable")]
    pub reads: String,
}

fn linearizable() -> String {
    "linearizable".to_owned()
}

/// Clients of Redis.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisSpec {
    /// Roles of the nodes clients speak to: process `i` to node `i` modulo their number.
    pub role: Names,
    /// Their port.
    pub port: u16,
    /// An operation must be answered within this time.
    pub timeout: HumanDuration,
    /// Asks a Sentinel who the primary is.
    pub sentinel: Option<SentinelSpec>,
}

/// Where Sentinels listen, and what they call the primary.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentinelSpec {
    /// Their port, on the nodes that clients speak to.
    pub port: u16,
    /// The name of the group they watch (template).
    pub name: String,
}

/// Clients that are programs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecSpec {
    /// Roles of the nodes clients speak to: process `i` is told node `i` modulo their number.
    pub role: Names,
    /// Their port, which the program is told with the address.
    pub port: Option<u16>,
    /// Program and arguments (templates); run on the control machine, once for each process.
    pub argv: Vec<String>,
    /// Files written before it starts, into `dir`, a directory of the control machine: name, and content
    /// (template).
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// An operation must be answered within this time.
    pub timeout: HumanDuration,
}

impl ClientSpec {
    /// Its protocol, as system files spell it.
    pub fn protocol(&self) -> &'static str {
        match self {
            ClientSpec::DocumentsHttp(_) => "documents-http",
            ClientSpec::Etcd(_) => "etcd",
            ClientSpec::Redis(_) => "redis",
            ClientSpec::Exec(_) => "exec",
        }
    }

    /// Roles of the nodes clients speak to.
    pub fn roles(&self) -> &[String] {
        match self {
            ClientSpec::DocumentsHttp(spec) => &spec.role.0,
            ClientSpec::Etcd(spec) => &spec.role.0,
            ClientSpec::Redis(spec) => &spec.role.0,
            ClientSpec::Exec(spec) => &spec.role.0,
        }
    }
}
