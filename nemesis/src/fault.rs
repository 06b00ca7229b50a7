//! The faults a scenario can ask for, and the orders single nodes get for them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A fault as a scenario states it, with node names already resolved from roles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Packets between two sets of nodes are dropped.
    Partition {
        /// One side.
        from: Vec<String>,
        /// The other side.
        to: Vec<String>,
        /// Drop only packets that travel `from` -> `to`; both directions if false.
        #[serde(default)]
        one_way: bool,
    },
    /// A service is killed with SIGKILL (all processes of its session).
    Kill {
        /// On these nodes.
        nodes: Vec<String>,
        /// The service, as the system file names it.
        service: String,
        /// Start it again when the fault ends (also on heal).
        #[serde(default = "yes")]
        restart: bool,
    },
    /// A service is stopped with SIGSTOP and continued with SIGCONT when the fault ends.
    Pause {
        /// On these nodes.
        nodes: Vec<String>,
        /// The service, as the system file names it.
        service: String,
    },
    /// Each data packet to a port is rejected with a TCP reset with some probability.
    Reset {
        /// The nodes that listen on the port.
        nodes: Vec<String>,
        /// The port.
        port: u16,
        /// Only packets from these nodes; empty: from any node of the cluster.
        #[serde(default)]
        from: Vec<String>,
        /// Share of data packets rejected, 0 to 1.
        probability: f64,
    },
}

fn yes() -> bool {
    true
}

/// What one node is told to do for a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NodeFault {
    /// Drop every packet that comes in from these addresses, except management traffic.
    DropFrom {
        /// Source addresses.
        peers: Vec<IpAddr>,
    },
    /// Kill a service started by this agent.
    Kill {
        /// Its name.
        service: String,
        /// Start it again on undo.
        restart: bool,
    },
    /// Stop a service started by this agent.
    Pause {
        /// Its name.
        service: String,
    },
    /// Reject data packets that come in for a local port with a TCP reset.
    Reset {
        /// The local port.
        port: u16,
        /// Source addresses.
        from: Vec<IpAddr>,
        /// Share rejected, 0 to 1.
        probability: f64,
    },
}
