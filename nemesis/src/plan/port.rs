//! Faults on ports: where connections come in.

use std::net::IpAddr;

use super::link::senders;
use super::{PlanError, Topology, each};
use crate::fault::NodeFault;
use crate::ports::{BlockMode, StreamMode};

/// The orders for a blocked port.
pub(super) fn block(
    nodes: &[String],
    port: u16,
    from: &[String],
    mode: BlockMode,
    topology: &Topology,
) -> Result<Vec<(String, NodeFault)>, PlanError> {
    let (from, clients) = concerned("block", port, from, topology)?;
    each(nodes, "block", topology, |_| NodeFault::Block {
        from: from.clone(),
        clients,
        port,
        mode,
    })
}

/// The orders for connections that go wrong.
pub(super) fn stream(
    nodes: &[String],
    port: u16,
    from: &[String],
    mode: StreamMode,
    topology: &Topology,
) -> Result<Vec<(String, NodeFault)>, PlanError> {
    if let Some(problem) = mode.problem() {
        return Err(PlanError::Stream(problem));
    }
    let (from, clients) = concerned("stream", port, from, topology)?;
    each(nodes, "stream", topology, |_| NodeFault::Stream {
        from: from.clone(),
        clients,
        port,
        mode,
    })
}

/// Whom a fault on a port concerns: every node and clients, unless some are named.
fn concerned(
    fault: &'static str,
    port: u16,
    from: &[String],
    topology: &Topology,
) -> Result<(Vec<IpAddr>, bool), PlanError> {
    if port == 0 {
        return Err(PlanError::Port);
    }
    if from.is_empty() {
        return Ok((topology.values().flatten().copied().collect(), true));
    }
    senders(fault, from, topology)
}
