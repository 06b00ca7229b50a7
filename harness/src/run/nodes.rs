//! The nodes that a run is given: their addresses, and whether each can be logged in to.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use futures_util::future::join_all;

use super::RunError;
use super::fleet::blocking;
use crate::control::{Access, NodeAddress, Remote, SshRemote, Target};
use crate::system::NodeRef;

/// By which addresses nodes and clients know a node.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// Never none. The first is what services, clients and placeholders are given.
    pub(super) addresses: Vec<IpAddr>,
    /// Whether SSH takes another way: to another address, or by a jump host.
    pub(super) apart: bool,
}

/// The nodes as plans see them.
///
/// # Errors
/// If a node's host, as the SSH configuration has it, or what is listed instead, does not resolve.
pub fn node_refs(nodes: &[NodeAddress], access: &Access) -> Result<Vec<NodeRef>, RunError> {
    let node_ref = |node: &NodeAddress| {
        let known = known(node, &Target::resolve(node, access)?)?;
        Ok(NodeRef::new(&node.name, known.addresses[0].to_string()))
    };
    nodes.iter().map(node_ref).collect()
}

/// By which addresses a node is known: those listed, else that of the host that SSH goes to.
pub(super) fn known(node: &NodeAddress, target: &Target) -> Result<Known, RunError> {
    if node.cluster.is_empty() {
        return Ok(Known {
            addresses: vec![resolve(&node.name, &target.host)?[0]],
            apart: target.jump.is_some(),
        });
    }
    let mut addresses = Vec::new();
    for host in &node.cluster {
        for address in resolve(&node.name, host)? {
            if let Some(reason) = unfit(address) {
                return Err(RunError::Unfit {
                    node: node.name.clone(),
                    address,
                    reason,
                });
            }
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    Ok(Known {
        addresses,
        apart: true,
    })
}

/// Why no node can be known to others by an address.
fn unfit(address: IpAddr) -> Option<&'static str> {
    let on_one_link = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if address.is_loopback() {
        Some("is each machine's own")
    } else if address.is_unspecified() || address.is_multicast() {
        Some("is no single machine's")
    } else {
        on_one_link.then_some("holds on one link only")
    }
}

/// All addresses of a host, one at least.
fn resolve(node: &str, host: &str) -> Result<Vec<IpAddr>, RunError> {
    let failed = |error: io::Error| RunError::Resolve {
        node: node.to_owned(),
        host: host.to_owned(),
        reason: error.to_string(),
    };
    let found: Vec<IpAddr> = (host, 0)
        .to_socket_addrs()
        .map_err(failed)?
        .map(|found| found.ip())
        .collect();
    if found.is_empty() {
        return Err(failed(io::Error::other("no address")));
    }
    Ok(found)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::parse_nodes;

    fn known_by(entry: &str) -> Result<Vec<String>, String> {
        let node = parse_nodes(entry).unwrap().remove(0);
        let target = Target::resolve(&node, &Access::default()).unwrap();
        let known = known(&node, &target).map_err(|error| error.to_string())?;
        Ok(known.addresses.iter().map(IpAddr::to_string).collect())
    }

    #[test]
    fn a_node_is_known_by_what_is_listed_else_by_the_host_that_ssh_goes_to() {
        let own = |addresses: &[&str]| Ok(addresses.iter().map(|&a| a.to_owned()).collect());
        assert_eq!(known_by("10.0.0.1"), own(&["10.0.0.1"]));
        // The host need not resolve here: it may be an alias that only a tunnel knows.
        let entry = "two..dots=10.0.0.7+fd00::7+10.0.0.7";
        assert!(parse_nodes(entry).is_err(), "named twice");
        let entry = "two..dots=10.0.0.7+fd00::7";
        assert_eq!(known_by(entry), own(&["10.0.0.7", "fd00::7"]));
    }

    #[test]
    fn addresses_that_cannot_tell_a_node_from_others_are_refused() {
        for (address, reason) in [
            ("127.0.0.1", "is each machine's own"),
            ("::1", "is each machine's own"),
            ("0.0.0.0", "is no single machine's"),
            ("224.0.0.1", "is no single machine's"),
            ("169.254.1.1", "holds on one link only"),
            ("fe80::1", "holds on one link only"),
        ] {
            let error = known_by(&format!("a={address}")).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
