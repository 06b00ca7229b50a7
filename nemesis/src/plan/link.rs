//! Bad links: where packets that are to meet effects come in.

use std::net::IpAddr;

use super::{PlanError, Topology, addresses, each};
use crate::effects::Effects;
use crate::fault::{CLIENTS, NodeFault};

/// The orders for a bad link from one set of nodes to another, or in both directions.
pub(super) fn shape(
    fault: &'static str,
    (from, to, both): (&[String], &[String], bool),
    port: Option<u16>,
    effects: Effects,
    topology: &Topology,
) -> Result<Vec<(String, NodeFault)>, PlanError> {
    if port == Some(0) {
        return Err(PlanError::Port);
    }
    effects.check()?;
    let (sources, clients) = senders(fault, from, topology)?;
    if to.is_empty() {
        return Err(PlanError::EmptySet { fault, set: "to" });
    }
    if to.iter().any(|node| node == CLIENTS) || (both && clients) {
        return Err(PlanError::ToClients);
    }
    let order = |from: Vec<IpAddr>, clients, answers| NodeFault::Shape {
        from,
        clients,
        port,
        answers,
        effects,
    };
    let mut orders = each(to, fault, topology, |_| {
        order(sources.clone(), clients, false)
    })?;
    if both {
        if let Some(node) = from.iter().find(|node| to.contains(node)) {
            return Err(PlanError::OnBothSides(node.clone()));
        }
        let answering = addresses(to, topology)?;
        orders.extend(each(from, fault, topology, |_| {
            order(answering.clone(), false, port.is_some())
        })?);
        orders.sort_by(|a, b| a.0.cmp(&b.0));
    }
    Ok(orders)
}

/// The addresses of nodes that send, and whether clients are among them.
pub(super) fn senders(
    fault: &'static str,
    from: &[String],
    topology: &Topology,
) -> Result<(Vec<IpAddr>, bool), PlanError> {
    if from.is_empty() {
        return Err(PlanError::EmptySet { fault, set: "from" });
    }
    let nodes: Vec<String> = from
        .iter()
        .filter(|node| *node != CLIENTS)
        .cloned()
        .collect();
    Ok((addresses(&nodes, topology)?, nodes.len() < from.len()))
}
