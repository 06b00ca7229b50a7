//! From a fault on a cluster to orders for its nodes, a sentence for people, and the probes that
//! show it from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use thiserror::Error;

use crate::fault::{Fault, NodeFault};

/// The nodes of a cluster and the addresses they speak from.
pub type Topology = BTreeMap<String, IpAddr>;

/// Why a fault can't be compiled.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PlanError {
    /// A node that the cluster doesn't have.
    #[error("unknown node `{node}` (the cluster has {known})")]
    UnknownNode {
        /// As written.
        node: String,
        /// The nodes there are.
        known: String,
    },
    /// A set of nodes without a node.
    #[error("`{set}` of {fault} is empty")]
    EmptySet {
        /// Kind of fault.
        fault: &'static str,
        /// Which of its sets.
        set: &'static str,
    },
    /// A partition that cuts a node off from itself.
    #[error("node `{0}` is on both sides of the partition")]
    OnBothSides(String),
    /// Not a probability.
    #[error("probability {0} is not within 0 to 1")]
    Probability(f64),
    /// Port 0 can't be listened on.
    #[error("port 0 can't be listened on")]
    Port,
    /// A service without a name, or one that agents would refuse.
    #[error("service name `{0}` is not [a-z0-9_-]{{1,32}}")]
    Service(String),
    /// Two nodes with one address can't be told apart on the wire.
    #[error("nodes `{0}` and `{1}` share the address {2}")]
    SharedAddress(String, String, IpAddr),
}

/// A packet to send from one node to another, and whether the fault stops it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probe {
    /// The node that sends.
    pub from: String,
    /// The node that counts.
    pub to: String,
    /// True if nothing may arrive while the fault holds; false if it must arrive.
    pub expected_blocked: bool,
}

/// The orders that make `fault` happen, one per node, by node name. Linear in nodes and peers.
///
/// A partition is installed where packets come in, never where they leave: the sender then sees
/// silence, as on a real network, and not a local error. An empty `from` of a reset means every node
/// of the cluster, the listening one included.
///
/// # Errors
/// When the fault names what the topology doesn't have, or makes no sense; see [`PlanError`].
pub fn compile(fault: &Fault, topology: &Topology) -> Result<Vec<(String, NodeFault)>, PlanError> {
    check_addresses(topology)?;
    match fault {
        Fault::Partition { from, to, one_way } => partition(from, to, *one_way, topology),
        Fault::Kill {
            nodes,
            service,
            restart,
        } => {
            check_service(service)?;
            each(nodes, "kill", topology, |_| NodeFault::Kill {
                service: service.clone(),
                restart: *restart,
            })
        }
        Fault::Pause { nodes, service } => {
            check_service(service)?;
            each(nodes, "pause", topology, |_| NodeFault::Pause {
                service: service.clone(),
            })
        }
        Fault::Reset {
            nodes,
            port,
            from,
            probability,
        } => {
            if !(0.0..=1.0).contains(probability) {
                return Err(PlanError::Probability(*probability));
            }
            if *port == 0 {
                return Err(PlanError::Port);
            }
            let sources = if from.is_empty() {
                topology.values().copied().collect()
            } else {
                addresses(from, topology)?
            };
            each(nodes, "reset", topology, |_| NodeFault::Reset {
                port: *port,
                from: sources.clone(),
                probability: *probability,
            })
        }
    }
}

/// One line that tells a person what the fault does.
pub fn summary(fault: &Fault) -> String {
    match fault {
        Fault::Partition {
            from,
            to,
            one_way: true,
        } => format!("packets {} -> {} dropped", list(from), list(to)),
        Fault::Partition { from, to, .. } => {
            format!("packets {} <-> {} dropped", list(from), list(to))
        }
        Fault::Kill {
            nodes,
            service,
            restart,
        } => {
            let after = if *restart {
                ", started again afterwards"
            } else {
                ""
            };
            format!("{service} on {} killed with SIGKILL{after}", list(nodes))
        }
        Fault::Pause { nodes, service } => {
            format!("{service} on {} stopped with SIGSTOP", list(nodes))
        }
        Fault::Reset {
            nodes,
            port,
            from,
            probability,
        } => {
            let sources = if from.is_empty() {
                "any node".to_owned()
            } else {
                list(from)
            };
            let targets: Vec<String> = nodes.iter().map(|n| format!("{n}:{port}")).collect();
            format!(
                "each data packet {sources} -> {} reset with probability {probability}",
                list(&targets)
            )
        }
    }
}

/// The probes that show a partition from outside: both directions between every node of one side and
/// every node of the other, so that a one-way cut is also shown to let packets pass the other way.
/// Empty for other faults, whose evidence the agents take themselves.
pub fn probes(fault: &Fault) -> Vec<Probe> {
    let Fault::Partition { from, to, one_way } = fault else {
        return Vec::new();
    };
    let mut found = BTreeSet::new();
    for a in from {
        for b in to {
            found.insert(Probe {
                from: a.clone(),
                to: b.clone(),
                expected_blocked: true,
            });
            found.insert(Probe {
                from: b.clone(),
                to: a.clone(),
                expected_blocked: !one_way,
            });
        }
    }
    found.into_iter().collect()
}

fn partition(
    from: &[String],
    to: &[String],
    one_way: bool,
    topology: &Topology,
) -> Result<Vec<(String, NodeFault)>, PlanError> {
    for (set, nodes) in [("from", from), ("to", to)] {
        if nodes.is_empty() {
            return Err(PlanError::EmptySet {
                fault: "partition",
                set,
            });
        }
    }
    if let Some(node) = from.iter().find(|node| to.contains(node)) {
        return Err(PlanError::OnBothSides(node.clone()));
    }
    let (from_addresses, to_addresses) = (addresses(from, topology)?, addresses(to, topology)?);
    let mut orders = each(to, "partition", topology, |_| NodeFault::DropFrom {
        peers: from_addresses.clone(),
    })?;
    if !one_way {
        orders.extend(each(from, "partition", topology, |_| {
            NodeFault::DropFrom {
                peers: to_addresses.clone(),
            }
        })?);
    }
    orders.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(orders)
}

fn each(
    nodes: &[String],
    fault: &'static str,
    topology: &Topology,
    order: impl Fn(&str) -> NodeFault,
) -> Result<Vec<(String, NodeFault)>, PlanError> {
    if nodes.is_empty() {
        return Err(PlanError::EmptySet {
            fault,
            set: "nodes",
        });
    }
    addresses(nodes, topology)?;
    let unique: BTreeSet<&String> = nodes.iter().collect();
    Ok(unique
        .into_iter()
        .map(|node| (node.clone(), order(node)))
        .collect())
}

fn addresses(nodes: &[String], topology: &Topology) -> Result<Vec<IpAddr>, PlanError> {
    let found: Result<BTreeSet<IpAddr>, PlanError> = nodes
        .iter()
        .map(|node| {
            topology
                .get(node)
                .copied()
                .ok_or_else(|| PlanError::UnknownNode {
                    node: node.clone(),
                    known: topology.keys().cloned().collect::<Vec<_>>().join(", "),
                })
        })
        .collect();
    Ok(found?.into_iter().collect())
}

fn check_addresses(topology: &Topology) -> Result<(), PlanError> {
    let mut owners: BTreeMap<IpAddr, &String> = BTreeMap::new();
    for (node, address) in topology {
        if let Some(other) = owners.insert(*address, node) {
            return Err(PlanError::SharedAddress(
                other.clone(),
                node.clone(),
                *address,
            ));
        }
    }
    Ok(())
}

fn check_service(name: &str) -> Result<(), PlanError> {
    if crate::protocol::is_service_name(name) {
        Ok(())
    } else {
        Err(PlanError::Service(name.to_owned()))
    }
}

fn list(names: &[String]) -> String {
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> Topology {
        (1..=4)
            .map(|n| (format!("n{n}"), IpAddr::from([10, 0, 0, n])))
            .collect()
    }

    fn names(nodes: &[&str]) -> Vec<String> {
        nodes.iter().map(|n| (*n).to_owned()).collect()
    }

    fn cut(from: &[&str], to: &[&str], one_way: bool) -> Fault {
        Fault::Partition {
            from: names(from),
            to: names(to),
            one_way,
        }
    }

    fn drop_from(last: &[u8]) -> NodeFault {
        NodeFault::DropFrom {
            peers: last.iter().map(|n| IpAddr::from([10, 0, 0, *n])).collect(),
        }
    }

    #[test]
    fn a_two_way_partition_is_installed_on_the_input_of_both_sides() {
        let orders = compile(&cut(&["n1", "n2"], &["n4"], false), &cluster()).unwrap();
        assert_eq!(
            orders,
            [
                ("n1".to_owned(), drop_from(&[4])),
                ("n2".to_owned(), drop_from(&[4])),
                ("n4".to_owned(), drop_from(&[1, 2])),
            ]
        );
    }

    #[test]
    fn a_one_way_partition_is_installed_on_the_receiver_only() {
        let orders = compile(&cut(&["n1"], &["n4"], true), &cluster()).unwrap();
        assert_eq!(orders, [("n4".to_owned(), drop_from(&[1]))]);
    }

    #[test]
    fn probes_of_a_one_way_partition_expect_the_other_direction_to_pass() {
        let seen: Vec<_> = probes(&cut(&["n1"], &["n4"], true))
            .into_iter()
            .map(|p| (p.from, p.to, p.expected_blocked))
            .collect();
        assert_eq!(
            seen,
            [
                ("n1".into(), "n4".into(), true),
                ("n4".into(), "n1".into(), false)
            ]
        );
    }

    #[test]
    fn probes_of_a_two_way_partition_cross_it_in_both_directions() {
        let seen = probes(&cut(&["n1", "n2"], &["n3", "n4"], false));
        assert_eq!(seen.len(), 8);
        assert!(seen.iter().all(|p| p.expected_blocked));
    }

    #[test]
    fn a_reset_without_sources_is_from_every_node() {
        let fault = Fault::Reset {
            nodes: names(&["n4", "n4"]),
            port: 7700,
            from: vec![],
            probability: 0.02,
        };
        let orders = compile(&fault, &cluster()).unwrap();
        assert_eq!(orders.len(), 1, "a node named twice gets one order");
        assert!(matches!(&orders[0].1, NodeFault::Reset { from, .. } if from.len() == 4));
    }

    #[test]
    fn senseless_faults_are_refused_with_the_reason() {
        let reset = |port, probability| Fault::Reset {
            nodes: names(&["n1"]),
            port,
            from: vec![],
            probability,
        };
        let kill = |nodes: &[&str], service: &str| Fault::Kill {
            nodes: names(nodes),
            service: service.into(),
            restart: true,
        };
        let refused: Vec<String> = [
            cut(&["n1"], &["n9"], false),
            cut(&["n1"], &[], false),
            cut(&["n1", "n2"], &["n2"], false),
            reset(7700, 1.5),
            reset(7700, f64::NAN),
            reset(0, 0.5),
            kill(&[], "web"),
            kill(&["n1"], "We b"),
        ]
        .iter()
        .map(|fault| compile(fault, &cluster()).unwrap_err().to_string())
        .collect();
        insta::assert_snapshot!(refused.join("\n"), @r"
        unknown node `n9` (the cluster has n1, n2, n3, n4)
        `to` of partition is empty
        node `n2` is on both sides of the partition
        probability 1.5 is not within 0 to 1
        probability NaN is not within 0 to 1
        port 0 can't be listened on
        `nodes` of kill is empty
        service name `We b` is not [a-z0-9_-]{1,32}
        ");
    }

    #[test]
    fn two_nodes_with_one_address_are_refused() {
        let mut cluster = cluster();
        cluster.insert("n5".into(), IpAddr::from([10, 0, 0, 1]));
        assert!(matches!(
            compile(&cut(&["n1"], &["n2"], false), &cluster),
            Err(PlanError::SharedAddress(..))
        ));
    }

    #[test]
    fn summaries_read_as_sentences() {
        let reset = Fault::Reset {
            nodes: names(&["n4"]),
            port: 7700,
            from: names(&["n1"]),
            probability: 0.02,
        };
        let kill = Fault::Kill {
            nodes: names(&["n1", "n2"]),
            service: "web".into(),
            restart: true,
        };
        let pause = Fault::Pause {
            nodes: names(&["n1"]),
            service: "web".into(),
        };
        let lines: Vec<String> = [
            &cut(&["n1", "n2"], &["n4"], false),
            &cut(&["n1"], &["n4"], true),
            &kill,
            &pause,
            &reset,
        ]
        .map(summary)
        .into();
        insta::assert_snapshot!(lines.join("\n"), @r"
        packets n1, n2 <-> n4 dropped
        packets n1 -> n4 dropped
        web on n1, n2 killed with SIGKILL, started again afterwards
        web on n1 stopped with SIGSTOP
        each data packet n1 -> n4:7700 reset with probability 0.02
        ");
    }
}
