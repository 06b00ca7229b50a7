//! The nodes that a run is given: their addresses, and whether each can be logged in to.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use futures_util::future::join_all;

use super::RunError;
use super::fleet::blocking;
use crate::control::{Access, NodeAddress, Remote, SshRemote, Target};
use crate::system::NodeRef;

/// The nodes as plans see them.
///
/// # Errors
/// If a node's host, as the SSH configuration has it, does not resolve.
pub fn node_refs(nodes: &[NodeAddress], access: &Access) -> Result<Vec<NodeRef>, RunError> {
    let node_ref = |node: &NodeAddress| {
        let address = resolve(&Target::resolve(node, access)?)?.to_string();
        Ok(NodeRef {
            name: node.name.clone(),
            address,
        })
    };
    nodes.iter().map(node_ref).collect()
}

pub(super) fn resolve(target: &Target) -> Result<IpAddr, RunError> {
    let failed = |reason: String| RunError::Resolve {
        node: target.node.clone(),
        host: target.host.clone(),
        reason,
    };
    let mut found = (target.host.as_str(), 0)
        .to_socket_addrs()
        .map_err(|error| failed(error.to_string()))?;
    let first = found
        .next()
        .ok_or_else(|| failed("no address".to_owned()))?;
    Ok(first.ip())
}

/// Logs in to every node before anything is touched, so that all that is wrong is said at once.
pub(super) async fn preflight(remotes: &[Arc<SshRemote>]) -> Result<(), RunError> {
    let asked = remotes.iter().map(|remote| {
        let remote = remote.clone();
        blocking(move || match remote.run("id -u") {
            Ok(user) if user == "0" => Ok(()),
            Ok(_) => Err(format!(
                "{}: not root there: log in as root, or pass --sudo",
                remote.node()
            )),
            Err(error) => Err(error.to_string()),
        })
    });
    let problems: Vec<String> = join_all(asked)
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(RunError::Nodes(problems))
    }
}
