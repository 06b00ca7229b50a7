//! From a fault on a cluster to orders for its nodes, a sentence for people, and the probes that
//! show it from outside.

mod link;
mod port;
mod split;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

pub use summary::summary;

use crate::effects::{Effects, EffectsError};
use crate::fault::local::LocalFault;
use crate::fault::{
    CLIENTS, Fault, LONGEST_OFFSET_MS, NodeFault, PROBABILITIES, RATES, STROBE_MS, Skew,
};

/// The nodes of a cluster and all the addresses they speak from.
pub type Topology = BTreeMap<String, Vec<IpAddr>>;

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
    /// A node can't be cut off from itself.
    #[error("node `{0}` is on both sides")]
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
    /// Not a byte regex.
    #[error("`containing`: `{0}` is no regular expression: {1}")]
    Containing(String, String),
    /// Effects on packets that can't be had.
    #[error(transparent)]
    Effects(#[from] EffectsError),
    /// Too few nodes to fall apart, or a node that isn't among them.
    #[error(
        "nobody is cut off by a split {how}: it needs {fewest} nodes or more, and those it names"
    )]
    Split {
        /// In which shape.
        how: String,
        /// The fewest nodes.
        fewest: usize,
    },
    /// Connections can't go wrong in such a way.
    #[error("{0}")]
    Stream(String),
    /// Answers to clients don't come in at any node.
    #[error("what goes to `{CLIENTS}` comes in at no node; name them in `from`")]
    ToClients,
    /// A clock that isn't off, or off by more than anyone wants.
    #[error("an offset of {0} ms is 0 or more than {LONGEST_OFFSET_MS} ms either way")]
    Offset(i64),
    /// A clock that doesn't drift, or more than anyone wants.
    #[error("a rate of {0} is 1, or not within {from} to {to}", from = RATES.start(), to = RATES.end())]
    Rate(f64),
    /// A clock that changes too often or too seldom.
    #[error("{0} ms are not within {from} to {to} ms", from = STROBE_MS.start(), to = STROBE_MS.end())]
    Strobe(u32),
    /// A number beyond its bounds, or a bad expression.
    #[error("{0}")]
    Local(String),
    /// Not where a disk can be mounted.
    #[error("`{0}` is not an absolute path without `..`")]
    Directory(String),
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
        Fault::Split { nodes, split } => split::split(nodes, split, topology),
        Fault::Kill {
            nodes,
            service,
            restart,
            signal,
        } => {
            check_service(service)?;
            each(nodes, "kill", topology, |_| NodeFault::Kill {
                service: service.clone(),
                restart: *restart,
                signal: *signal,
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
            containing,
        } => {
            if !PROBABILITIES.contains(probability) {
                return Err(PlanError::Probability(*probability));
            }
            if *port == 0 {
                return Err(PlanError::Port);
            }
            for pattern in containing {
                regex::bytes::Regex::new(pattern)
                    .map_err(|error| PlanError::Containing(pattern.clone(), reason(&error)))?;
            }
            let sources = if from.is_empty() {
                topology.values().flatten().copied().collect()
            } else {
                addresses(from, topology)?
            };
            each(nodes, "reset", topology, |_| NodeFault::Reset {
                port: *port,
                from: sources.clone(),
                probability: *probability,
                containing: containing.clone(),
            })
        }
        Fault::Delay {
            from,
            to,
            port,
            delay_ms,
            jitter_ms,
            distribution,
        } => {
            let effects = Effects {
                delay_ms: *delay_ms,
                jitter_ms: *jitter_ms,
                distribution: *distribution,
                ..Effects::default()
            };
            link::shape("delay", (from, to, false), *port, effects, topology)
        }
        Fault::Shape {
            from,
            to,
            both,
            port,
            effects,
        } => link::shape("shape", (from, to, *both), *port, *effects, topology),
        Fault::Block {
            nodes,
            port,
            from,
            mode,
        } => port::block(nodes, *port, from, *mode, topology),
        Fault::Stream {
            nodes,
            port,
            from,
            mode,
        } => port::stream(nodes, *port, from, *mode, topology),
        Fault::Dns { nodes, mode } => {
            each(nodes, "dns", topology, |_| NodeFault::Dns { mode: *mode })
        }
        Fault::Clock {
            nodes,
            service,
            skew,
        } => {
            check_service(service)?;
            check_skew(*skew)?;
            each(nodes, "clock", topology, |_| NodeFault::Clock {
                service: service.clone(),
                skew: *skew,
            })
        }
        Fault::PowerLoss {
            nodes,
            service,
            dir,
        } => {
            check_service(service)?;
            check_directory(dir)?;
            each(nodes, "power_loss", topology, |_| NodeFault::PowerLoss {
                service: service.clone(),
                dir: dir.clone(),
            })
        }
        Fault::Local { nodes, act } => local(nodes, act, topology),
        Fault::DiskFull {
            nodes,
            dir,
            leave_bytes,
        } => {
            check_directory(dir)?;
            each(nodes, "disk_full", topology, |_| NodeFault::DiskFull {
                dir: dir.clone(),
                leave_bytes: *leave_bytes,
            })
        }
    }
}

/// The probes that show a partition from outside: both directions between every node of one side and
/// every node of the other, so that a one-way cut is also shown to let packets pass the other way; for a
/// split between every two of its nodes.
/// Empty for other faults, whose evidence the agents take themselves.
pub fn probes(fault: &Fault) -> Vec<Probe> {
    let (from, to, one_way) = match fault {
        Fault::Partition { from, to, one_way } => (from, to, one_way),
        Fault::Split { nodes, split } => return split::probes(nodes, split).into_iter().collect(),
        _ => return Vec::new(),
    };
    let mut found = BTreeSet::new();
    for a in from.iter().filter(|node| *node != CLIENTS) {
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
    if to.iter().any(|node| node == CLIENTS) {
        return Err(PlanError::ToClients);
    }
    let (from_addresses, clients) = link::senders("partition", from, topology)?;
    let to_addresses = addresses(to, topology)?;
    let from_nodes: Vec<String> = from
        .iter()
        .filter(|node| *node != CLIENTS)
        .cloned()
        .collect();
    let mut orders = each(to, "partition", topology, |_| NodeFault::DropFrom {
        peers: from_addresses.clone(),
        clients,
    })?;
    if !one_way && !from_nodes.is_empty() {
        orders.extend(each(&from_nodes, "partition", topology, |_| {
            NodeFault::DropFrom {
                peers: to_addresses.clone(),
                clients: false,
            }
        })?);
    }
    orders.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(orders)
}

/// The last line of a complaint; the others draw the expression.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().to_owned()
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
    let mut found = BTreeSet::new();
    for node in nodes {
        let its = topology.get(node).ok_or_else(|| PlanError::UnknownNode {
            node: node.clone(),
            known: topology.keys().cloned().collect::<Vec<_>>().join(", "),
        })?;
        found.extend(its.iter().copied());
    }
    Ok(found.into_iter().collect())
}

fn check_addresses(topology: &Topology) -> Result<(), PlanError> {
    let mut owners: BTreeMap<IpAddr, &String> = BTreeMap::new();
    let each = topology
        .iter()
        .flat_map(|(node, its)| its.iter().map(move |address| (node, address)));
    for (node, address) in each {
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

fn local(
    nodes: &[String],
    act: &LocalFault,
    topology: &Topology,
) -> Result<Vec<(String, NodeFault)>, PlanError> {
    act.check().map_err(PlanError::Local)?;
    if let Some(service) = act.service() {
        check_service(service)?;
    }
    if let LocalFault::InodesFull { dir } | LocalFault::Io { dir, .. } = act {
        check_directory(dir)?;
    }
    each(nodes, act.kind(), topology, |node| {
        let mut act = act.clone();
        // Each node has its own places and operations.
        match &mut act {
            LocalFault::Corrupt { seed, .. } => *seed ^= xxh3_64(node.as_bytes()),
            LocalFault::Io { effects, .. } => effects.seed ^= xxh3_64(node.as_bytes()),
            _ => {}
        }
        NodeFault::Local { act }
    })
}

fn check_skew(skew: Skew) -> Result<(), PlanError> {
    let (Skew::Jump { offset_ms } | Skew::Strobe { offset_ms, .. }) = skew else {
        return match skew {
            Skew::Drift { rate } if rate == 1.0 || !RATES.contains(&rate) => {
                Err(PlanError::Rate(rate))
            }
            _ => Ok(()),
        };
    };
    if offset_ms == 0 || offset_ms.unsigned_abs() > LONGEST_OFFSET_MS.unsigned_abs() {
        return Err(PlanError::Offset(offset_ms));
    }
    match skew {
        Skew::Strobe { every_ms, .. } if !STROBE_MS.contains(&every_ms) => {
            Err(PlanError::Strobe(every_ms))
        }
        _ => Ok(()),
    }
}

fn check_directory(path: &str) -> Result<(), PlanError> {
    if crate::protocol::is_disk_path(path) {
        Ok(())
    } else {
        Err(PlanError::Directory(path.to_owned()))
    }
}

fn check_service(name: &str) -> Result<(), PlanError> {
    if crate::protocol::is_service_name(name) {
        Ok(())
    } else {
        Err(PlanError::Service(name.to_owned()))
    }
}
