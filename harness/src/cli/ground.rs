//! The nodes a command works on: a local cluster, or hosts reached over the network.

use std::path::PathBuf;

use super::Failure;
use super::args::NodeArgs;
use crate::cluster::{self, ClusterSpec, LocalCluster};
use crate::control::{Access, NodeAddress, Patience, parse_jump, parse_nodes, parse_nodes_file};

/// Nodes and how to log in to them.
pub(super) struct Ground {
    pub(super) nodes: Vec<NodeAddress>,
    pub(super) access: Access,
    /// The local cluster made for this command; taken down when it is dropped.
    pub(super) cluster: Option<LocalCluster>,
}

impl Ground {
    /// The nodes of the arguments. Without any, a local cluster of `needed` nodes with these packages.
    pub(super) fn find(
        args: &NodeArgs,
        needed: usize,
        packages: Vec<String>,
    ) -> Result<Self, Failure> {
        if let Some(ground) = Self::existing(args)? {
            return Ok(ground);
        }
        let mut spec = ClusterSpec::new(own_cluster_name(), args.local.unwrap_or(needed));
        spec.packages = packages;
        let cluster = LocalCluster::up(spec).map_err(Failure::cluster)?;
        Ok(Ground {
            nodes: cluster.nodes().to_vec(),
            access: patient(cluster.access(), args),
            cluster: Some(cluster),
        })
    }

    /// The nodes of the arguments, if they name nodes that exist already.
    pub(super) fn existing(args: &NodeArgs) -> Result<Option<Self>, Failure> {
        let nodes = if let Some(name) = &args.cluster {
            let clusters = cluster::list().map_err(Failure::harness)?;
            let info = clusters
                .into_iter()
                .find(|c| c.name == *name)
                .ok_or_else(|| Failure::Usage(format!("no local cluster `{name}` runs; `shakedown cluster list` shows those that do")))?;
            return Ok(Some(Ground {
                nodes: info.nodes(),
                access: patient(info.access(), args),
                cluster: None,
            }));
        } else if let Some(list) = &args.nodes {
            parse_nodes(list).map_err(Failure::usage)?
        } else if let Some(file) = &args.nodes_file {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
            parse_nodes_file(&text)
                .map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?
        } else {
            return Ok(None);
        };
        let jump = args.jump.as_deref().map(parse_jump).transpose();
        let mut access = Access {
            jump: jump.map_err(Failure::usage)?,
            user: args.user.clone(),
            port: args.port,
            key: args.key.clone(),
            agent: args.agent,
            sudo: args.sudo,
            accept_new: args.accept_new_host_keys,
            ..Access::default()
        };
        if let Some(known_hosts) = &args.known_hosts {
            access.known_hosts = PathBuf::clone(known_hosts);
        }
        if let Some(config) = &args.ssh_config {
            access.ssh_config = (config.as_os_str() != "none").then(|| config.clone());
        }
        Ok(Some(Ground {
            nodes,
            access: patient(access, args),
            cluster: None,
        }))
    }
}

/// With the patience that was asked for.
fn patient(access: Access, args: &NodeArgs) -> Access {
    Access {
        patience: Patience::to_log_in(args.connect_timeout.0),
        ..access
    }
}

/// The name of the local cluster that goes with this process.
pub(super) fn own_cluster_name() -> String {
    format!("run-{}", std::process::id())
}
