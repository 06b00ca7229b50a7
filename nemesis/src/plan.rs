//! From a fault on a cluster to orders for its nodes, a sentence for people, and the probes that
//! show it from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use thiserror::Error;

use crate::fault::{Fault, LONGEST_DELAY_MS, LONGEST_OFFSET_MS, NodeFault};

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
    /// Not a byte regex.
    #[error("`containing`: `{0}` is no regular expression: {1}")]
    Containing(String, String),
    /// Packets held for no time, for too long, or for less than none.
    #[error(
        "a delay of {delay_ms} ms with a jitter of {jitter_ms} ms: the delay must be 1 to {LONGEST_DELAY_MS} ms, the jitter at most the delay"
    )]
    Delay {
        /// As given.
        delay_ms: u32,
        /// As given.
        jitter_ms: u32,
    },
    /// A clock that isn't off, or off by more than anyone wants.
    #[error("an offset of {0} ms is 0 or more than {LONGEST_OFFSET_MS} ms either way")]
    Offset(i64),
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
            if !(0.0..=1.0).contains(probability) {
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
                topology.values().copied().collect()
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
        } => delay(from, to, *port, *delay_ms, *jitter_ms, topology),
        Fault::Clock {
            nodes,
            service,
            offset_ms,
        } => {
            check_service(service)?;
            if *offset_ms == 0 || offset_ms.unsigned_abs() > LONGEST_OFFSET_MS.unsigned_abs() {
                return Err(PlanError::Offset(*offset_ms));
            }
            each(nodes, "clock", topology, |_| NodeFault::Clock {
                service: service.clone(),
                offset_ms: *offset_ms,
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
            signal,
        } => {
            let after = if *restart {
                ", started again afterwards"
            } else {
                ""
            };
            let signal = signal.name();
            format!("{service} on {} killed with {signal}{after}", list(nodes))
        }
        Fault::Pause { nodes, service } => {
            format!("{service} on {} stopped with SIGSTOP", list(nodes))
        }
        Fault::Reset {
            nodes,
            port,
            from,
            probability,
            containing,
        } => {
            let sources = if from.is_empty() {
                "any node".to_owned()
            } else {
                list(from)
            };
            let targets: Vec<String> = nodes.iter().map(|n| format!("{n}:{port}")).collect();
            let which = if containing.is_empty() {
                String::new()
            } else {
                format!(" containing {}", containing.join(" or "))
            };
            format!(
                "each data packet {sources} -> {}{which} reset with probability {probability}",
                list(&targets)
            )
        }
        Fault::Delay {
            from,
            to,
            port,
            delay_ms,
            jitter_ms,
        } => {
            let targets: Vec<String> = match port {
                Some(port) => to.iter().map(|node| format!("{node}:{port}")).collect(),
                None => to.clone(),
            };
            let jitter = match jitter_ms {
                0 => String::new(),
                jitter => format!(" ± {jitter} ms"),
            };
            format!(
                "packets {} -> {} held for {delay_ms} ms{jitter}",
                list(from),
                list(&targets)
            )
        }
        Fault::Clock {
            nodes,
            service,
            offset_ms,
        } => {
            let direction = if *offset_ms < 0 { "behind" } else { "ahead" };
            format!(
                "wall clock of {service} on {} set {} ms {direction}",
                list(nodes),
                offset_ms.unsigned_abs()
            )
        }
        Fault::PowerLoss {
            nodes,
            service,
            dir,
        } => format!(
            "power cut off {service} and its disk {dir} on {}: data not synced is lost",
            list(nodes)
        ),
        Fault::DiskFull {
            nodes,
            dir,
            leave_bytes,
        } => format!(
            "disk {dir} on {} filled, {leave_bytes} bytes left",
            list(nodes)
        ),
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

/// The last line of a complaint; the others draw the expression.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().to_owned()
}

fn delay(
    from: &[String],
    to: &[String],
    port: Option<u16>,
    delay_ms: u32,
    jitter_ms: u32,
    topology: &Topology,
) -> Result<Vec<(String, NodeFault)>, PlanError> {
    if from.is_empty() {
        return Err(PlanError::EmptySet {
            fault: "delay",
            set: "from",
        });
    }
    if to.is_empty() {
        return Err(PlanError::EmptySet {
            fault: "delay",
            set: "to",
        });
    }
    if port == Some(0) {
        return Err(PlanError::Port);
    }
    if !(1..=LONGEST_DELAY_MS).contains(&delay_ms) || jitter_ms > delay_ms {
        return Err(PlanError::Delay {
            delay_ms,
            jitter_ms,
        });
    }
    let sources = addresses(from, topology)?;
    each(to, "delay", topology, |_| NodeFault::Delay {
        from: sources.clone(),
        port,
        delay_ms,
        jitter_ms,
    })
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

fn list(names: &[String]) -> String {
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::KillSignal;

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

    fn delay(delay_ms: u32, jitter_ms: u32) -> Fault {
        Fault::Delay {
            from: names(&["n1"]),
            to: names(&["n4"]),
            port: Some(7700),
            delay_ms,
            jitter_ms,
        }
    }

    fn clock(offset_ms: i64) -> Fault {
        Fault::Clock {
            nodes: names(&["n1"]),
            service: "web".into(),
            offset_ms,
        }
    }

    fn power_loss(dir: &str) -> Fault {
        Fault::PowerLoss {
            nodes: names(&["n1"]),
            service: "web".into(),
            dir: dir.into(),
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
            containing: vec![],
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
            containing: vec![],
        };
        let kill = |nodes: &[&str], service: &str| Fault::Kill {
            nodes: names(nodes),
            service: service.into(),
            restart: true,
            signal: KillSignal::Kill,
        };
        let containing = |pattern: &str| Fault::Reset {
            nodes: names(&["n1"]),
            port: 7700,
            from: vec![],
            probability: 1.0,
            containing: vec![pattern.into()],
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
            containing("["),
            delay(0, 0),
            delay(100, 101),
            delay(LONGEST_DELAY_MS + 1, 0),
            clock(0),
            clock(i64::MIN),
            power_loss("data"),
            power_loss("/"),
            power_loss("/data/../etc"),
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
        `containing`: `[` is no regular expression: error: unclosed character class
        a delay of 0 ms with a jitter of 0 ms: the delay must be 1 to 10000 ms, the jitter at most the delay
        a delay of 100 ms with a jitter of 101 ms: the delay must be 1 to 10000 ms, the jitter at most the delay
        a delay of 10001 ms with a jitter of 0 ms: the delay must be 1 to 10000 ms, the jitter at most the delay
        an offset of 0 ms is 0 or more than 315360000000 ms either way
        an offset of -9223372036854775808 ms is 0 or more than 315360000000 ms either way
        `data` is not an absolute path without `..`
        `/` is not an absolute path without `..`
        `/data/../etc` is not an absolute path without `..`
        ");
    }

    #[test]
    fn a_delay_is_ordered_where_packets_come_in() {
        let orders = compile(&delay(200, 20), &cluster()).unwrap();
        let order = NodeFault::Delay {
            from: vec![IpAddr::from([10, 0, 0, 1])],
            port: Some(7700),
            delay_ms: 200,
            jitter_ms: 20,
        };
        assert_eq!(orders, [("n4".to_owned(), order)]);
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
            containing: vec!["shard\":5".into()],
        };
        let kill = Fault::Kill {
            nodes: names(&["n1", "n2"]),
            service: "web".into(),
            restart: true,
            signal: KillSignal::Terminate,
        };
        let full = Fault::DiskFull {
            nodes: names(&["n1"]),
            dir: "/data".into(),
            leave_bytes: 4096,
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
            &delay(200, 20),
            &clock(-5000),
            &power_loss("/data"),
            &full,
        ]
        .map(summary)
        .into();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        packets n1, n2 <-> n4 dropped
        packets n1 -> n4 dropped
        web on n1, n2 killed with SIGTERM, started again afterwards
        web on n1 stopped with SIGSTOP
        each data packet n1 -> n4:7700 containing shard":5 reset with probability 0.02
        packets n1 -> n4:7700 held for 200 ms ± 20 ms
        wall clock of web on n1 set 5000 ms behind
        power cut off web and its disk /data on n1: data not synced is lost
        disk /data on n1 filled, 4096 bytes left
        "#);
    }
}
