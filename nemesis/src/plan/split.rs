//! Groups of nodes that fall apart: what each drops, and what shows it.

use std::collections::{BTreeMap, BTreeSet};

use super::{PlanError, Probe, Topology, addresses};
use crate::fault::NodeFault;
use crate::split::Split;

/// The orders that split nodes: each drops what comes in from those it is cut off from.
pub(super) fn split(
    nodes: &[String],
    split: &Split,
    topology: &Topology,
) -> Result<Vec<(String, NodeFault)>, PlanError> {
    addresses(nodes, topology)?;
    let different: BTreeSet<&String> = nodes.iter().collect();
    let cut = split.cut(nodes);
    if different.len() < split.fewest() || cut.is_empty() {
        return Err(PlanError::Split {
            how: split.words(),
            fewest: split.fewest(),
        });
    }
    let mut dropped: BTreeMap<&String, Vec<String>> = BTreeMap::new();
    for (one, other) in &cut {
        dropped.entry(one).or_default().push(other.clone());
        dropped.entry(other).or_default().push(one.clone());
    }
    dropped
        .into_iter()
        .map(|(node, peers)| {
            let order = NodeFault::DropFrom {
                peers: addresses(&peers, topology)?,
                clients: false,
            };
            Ok((node.clone(), order))
        })
        .collect()
}

/// The probes that show a split: in both directions between every two of the nodes; those that are not cut
/// off from each other must reach each other.
pub(super) fn probes(nodes: &[String], split: &Split) -> BTreeSet<Probe> {
    let cut = split.cut(nodes);
    let pair = |a: &String, b: &String| cut.contains(&(a.clone(), b.clone()));
    let mut found = BTreeSet::new();
    for from in nodes {
        for to in nodes.iter().filter(|to| *to != from) {
            found.insert(Probe {
                from: from.clone(),
                to: to.clone(),
                expected_blocked: pair(from, to) || pair(to, from),
            });
        }
    }
    found
}
