//! Clients of plain objects, by protocol, each process with its node.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use shakedown_reports::results::ClientError;
use shakedown_workloads::clock::RunClock;
use shakedown_workloads::load::{LoadError, StageSummary};
use shakedown_workloads::objects::clients::etcd::{EtcdConfig, Reads};
use shakedown_workloads::objects::clients::exec::ExecConfig;
use shakedown_workloads::objects::clients::redis::{RedisConfig, Sentinel};
use shakedown_workloads::objects::clients::{AnyClient, ClientConfig};
use shakedown_workloads::objects::{Effect, Objects, Spec, drive};
use shakedown_workloads::sink::EventSink;
use shakedown_workloads::stop::StopSignal;

use super::{ClientParts, ClientsError};
use crate::scenario::LoadItem;
use crate::system::{
    ClientSpec, EtcdSpec, ExecSpec, NodeRef, RedisSpec, TemplateContext, TemplateError,
};

/// What the last phase of a workload on objects showed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectsSeen {
    /// When the final reads began, nanoseconds since the start of the run.
    pub(crate) final_ns: u64,
    /// Final reads that had to be answered.
    pub(crate) wanted: u64,
    /// Final reads that were.
    pub(crate) answered: u64,
    /// Operations in which clients broke their own rules.
    pub(crate) defects: u64,
    /// The first of them, in words.
    pub(crate) first_defects: Vec<String>,
    /// Errors that operations ended with.
    pub(crate) errors: Vec<ClientError>,
}

/// Clients of a workload on objects.
pub(crate) struct ObjectClients {
    objects: Objects,
    /// One for each node that clients speak to; process `i` has that of node `i` modulo their number.
    nodes: Vec<ClientConfig>,
    /// How many clients read at the end.
    readers: u32,
}

impl ObjectClients {
    /// Sets up clients for the nodes of the client's roles; what they need on this machine goes to `dir`.
    pub(super) fn new(spec: &Spec, parts: &ClientParts<'_>) -> Result<Self, ClientsError> {
        let (client, context) = (&parts.system.client, parts.context);
        let roles = client.roles().iter();
        let nodes: Vec<&NodeRef> = roles
            .flat_map(|role| context.nodes.get(role).into_iter().flatten())
            .collect();
        let configs = match client {
            ClientSpec::Etcd(etcd) => members(etcd, context, &nodes)?,
            ClientSpec::Redis(redis) => servers(redis, context, &nodes)?,
            ClientSpec::Exec(exec) => programs(exec, parts, &nodes)?,
            ClientSpec::DocumentsHttp(_) => {
                return Err(ClientsError::NoObjects(client.protocol()));
            }
        };
        if configs.is_empty() {
            return Err(ClientsError::NoNodes(client.roles().join(", ")));
        }
        let most = parts
            .scenario
            .load
            .iter()
            .map(|load| load.processes.get())
            .max();
        Ok(ObjectClients {
            objects: Objects::new(spec, parts.seed),
            readers: most.unwrap_or(1).max(configs.len() as u32),
            nodes: configs,
        })
    }

    fn client(&self, process: u32) -> AnyClient {
        let mut config = self.nodes[process as usize % self.nodes.len()].clone();
        if let ClientConfig::Exec(exec) = &mut config {
            exec.process = process;
        }
        AnyClient::new(&config, self.objects.spec())
    }

    /// Runs a load stage.
    pub(super) async fn drive(
        &self,
        load: &LoadItem,
        clock: RunClock,
        sink: &EventSink,
        stop: &StopSignal,
    ) -> Result<StageSummary, LoadError> {
        let client = |process| self.client(process);
        drive(&load.objects(), &self.objects, client, clock, sink, stop).await
    }

    /// Reads everything once more, and tells how clients fared over the whole run.
    ///
    /// # Errors
    /// If the history takes no more events.
    pub(super) async fn finish(
        &self,
        clock: RunClock,
        sink: &EventSink,
    ) -> Result<ObjectsSeen, LoadError> {
        let final_ns = clock.now_ns();
        let clients = (0..self.readers).map(|process| self.client(process));
        let reads = self.objects.final_reads(clients.collect(), clock, sink);
        let reads = reads.await?;
        let defects = self.objects.defects();
        let errors = self.objects.errors().into_iter();
        Ok(ObjectsSeen {
            final_ns,
            wanted: reads.wanted,
            answered: reads.answered,
            defects: defects.count,
            first_defects: defects.first,
            errors: errors
                .map(|(error, times)| ClientError {
                    error: error.name.into_owned(),
                    effect: match error.effect {
                        Effect::None => "none",
                        Effect::Happened => "happened",
                        Effect::Maybe => "maybe",
                    }
                    .to_owned(),
                    about: error.about.into_owned(),
                    times,
                })
                .collect(),
        })
    }
}

fn members(
    spec: &EtcdSpec,
    context: &TemplateContext,
    nodes: &[&NodeRef],
) -> Result<Vec<ClientConfig>, ClientsError> {
    let reads: Reads = context.fill(&spec.reads)?.parse()?;
    let config = |node: &&NodeRef| {
        ClientConfig::Etcd(EtcdConfig {
            address: format!("{}:{}", node.host, spec.port),
            reads,
            timeout: spec.timeout.0,
        })
    };
    Ok(nodes.iter().map(config).collect())
}

fn servers(
    spec: &RedisSpec,
    context: &TemplateContext,
    nodes: &[&NodeRef],
) -> Result<Vec<ClientConfig>, ClientsError> {
    let config = |node: &&NodeRef| {
        let sentinel = spec.sentinel.as_ref().map(|sentinel| {
            Ok::<_, TemplateError>(Sentinel {
                address: format!("{}:{}", node.host, sentinel.port),
                name: context.fill(&sentinel.name)?,
            })
        });
        Ok(ClientConfig::Redis(RedisConfig {
            address: format!("{}:{}", node.host, spec.port),
            sentinel: sentinel.transpose()?,
            timeout: spec.timeout.0,
        }))
    };
    nodes.iter().map(config).collect()
}

/// Programs, one for each node, with their files written.
fn programs(
    spec: &ExecSpec,
    parts: &ClientParts<'_>,
    nodes: &[&NodeRef],
) -> Result<Vec<ClientConfig>, ClientsError> {
    let dir = std::path::absolute(parts.dir.join("clients"))?;
    std::fs::create_dir_all(&dir)?;
    let bin = parts.local_bin.iter();
    let here = TemplateContext {
        dir: dir.display().to_string(),
        bin: bin
            .map(|(name, path)| (name.clone(), path.display().to_string()))
            .collect(),
        ..parts.context.clone()
    };
    for (name, content) in &spec.files {
        let path: PathBuf = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(&dir))?;
        std::fs::write(path, here.fill(content)?)?;
    }
    let endpoint = |node: &NodeRef| match spec.port {
        Some(port) => format!("{}:{port}", node.host),
        None => node.address.clone(),
    };
    let endpoints: Vec<String> = nodes.iter().map(|node| endpoint(node)).collect();
    let settings = settings(&parts.context.settings);
    let config = |node: &&NodeRef| {
        let own = TemplateContext {
            node: Some((*node).clone()),
            ..here.clone()
        };
        Ok(ClientConfig::Exec(ExecConfig {
            argv: own.fill_argv(&spec.argv)?,
            dir: dir.clone(),
            stderr: dir.join("stderr.log"),
            process: 0,
            endpoint: endpoint(node),
            endpoints: endpoints.clone(),
            settings: settings.clone(),
            timeout: spec.timeout.0,
        }))
    };
    nodes.iter().map(config).collect()
}

/// Settings as programs are told them: text as it is, everything else as JSON.
fn settings(settings: &serde_json::Value) -> BTreeMap<String, String> {
    let entries = settings.as_object().into_iter().flatten();
    entries
        .map(|(name, value)| {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (name.clone(), text)
        })
        .collect()
}
