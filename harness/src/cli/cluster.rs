//! `shakedown cluster up|down|list|packages|ssh`.

use std::os::unix::process::CommandExt;

use super::Failure;
use super::args::ClusterCommand;
use super::choose::{catalogue, find_system};
use super::exit::Exit;
use crate::cluster::packages::Layers;
use crate::cluster::{self, ClusterSpec, LocalCluster};

pub(super) fn cluster(command: ClusterCommand) -> Result<Exit, Failure> {
    match command {
        ClusterCommand::Up {
            nodes,
            name,
            subnet,
            packages,
            system,
            system_file,
        } => {
            let mut spec = ClusterSpec::new(name, nodes);
            spec.packages = packages;
            let catalogue = catalogue(&system_file)?;
            for name in &system {
                let system = find_system(&catalogue, name)?;
                spec.packages.extend(system.debian_packages());
            }
            spec.detached = true;
            spec.subnet = subnet
                .map(|text| text.parse())
                .transpose()
                .map_err(Failure::usage)?;
            let cluster = LocalCluster::up(spec).map_err(Failure::cluster)?;
            for node in cluster.nodes() {
                println!("{}\t{}", node.name, node.host);
            }
        }
        ClusterCommand::Down { name } => cluster::down(&name).map_err(Failure::cluster)?,
        ClusterCommand::List => {
            for info in cluster::list().map_err(Failure::harness)? {
                let nodes: Vec<String> = info
                    .nodes()
                    .iter()
                    .map(|n| format!("{} {}", n.name, n.host))
                    .collect();
                println!("{}\t{}\t{}", info.name, info.subnet, nodes.join(", "));
            }
        }
        ClusterCommand::Packages { remove } => {
            let layers = if remove {
                Layers::default().remove_all()
            } else {
                Layers::default().list()
            };
            for layer in layers.map_err(Failure::harness)? {
                let (id, bytes) = (layer.id(), layer.bytes());
                println!("{id}\t{bytes}\t{}", layer.contents());
            }
        }
        ClusterCommand::Ssh {
            node,
            cluster,
            command,
        } => return ssh(&cluster, &node, &command),
    }
    Ok(Exit::Valid)
}

/// Becomes `ssh` to the node, with the cluster's key and known hosts.
fn ssh(cluster: &str, node: &str, command: &[String]) -> Result<Exit, Failure> {
    let clusters = cluster::list().map_err(Failure::harness)?;
    let info = clusters
        .into_iter()
        .find(|c| c.name == cluster)
        .ok_or_else(|| {
            Failure::Usage(format!(
                "no local cluster `{cluster}` runs; `shakedown cluster list` shows those that do"
            ))
        })?;
    let nodes = info.nodes();
    let address = nodes.iter().find(|n| n.name == node).ok_or_else(|| {
        let names: Vec<&str> = nodes.iter().map(|n| n.name.as_str()).collect();
        Failure::Usage(format!(
            "cluster `{cluster}` has no node `{node}`; it has {}",
            names.join(", ")
        ))
    })?;
    let access = info.access();
    let mut ssh = std::process::Command::new("ssh");
    ssh.args([
        "-F",
        "/dev/null",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "LogLevel=ERROR",
    ]);
    ssh.arg("-o").arg(format!(
        "UserKnownHostsFile={}",
        access.known_hosts.display()
    ));
    if let Some(key) = &access.key {
        ssh.arg("-i").arg(key);
    }
    ssh.arg(format!("root@{}", address.host))
        .arg("--")
        .args(command);
    let error = ssh.exec();
    Err(Failure::Harness(format!(
        "cannot run ssh: {error}; install openssh-client"
    )))
}
