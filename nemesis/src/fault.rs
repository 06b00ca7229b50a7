//! The faults a scenario can ask for, and the orders single nodes get for them.

pub mod forms;
pub mod io;
pub mod local;

use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use self::local::LocalFault;
use crate::effects::{Distribution, Effects};
use crate::ports::{BlockMode, DnsMode, StreamMode};
use crate::split::Split;

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
    /// Nodes fall apart into groups that don't reach each other.
    Split {
        /// Which nodes; their order counts.
        nodes: Vec<String>,
        /// How.
        split: Split,
    },
    /// A service is ended (all processes of its session).
    Kill {
        /// On these nodes.
        nodes: Vec<String>,
        /// The service, as the system file names it.
        service: String,
        /// Start it again when the fault ends (also on heal).
        #[serde(default = "yes")]
        restart: bool,
        /// How it is ended.
        #[serde(default)]
        signal: KillSignal,
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
        /// Regular expressions over bytes (`regex` crate syntax): if there are any, only packets whose
        /// payload matches one of them count as data packets.
        #[serde(default)]
        containing: Vec<String>,
    },
    /// Packets between two sets of nodes are held back; see [`Fault::Shape`] for more that can happen to them.
    Delay {
        /// The nodes that send.
        from: Vec<String>,
        /// The nodes that receive, where the packets are held.
        to: Vec<String>,
        /// Only TCP and UDP packets for this port of the receiver; all packets without it.
        #[serde(default)]
        port: Option<u16>,
        /// How long each packet is held, milliseconds, 1 to [`LONGEST_DELAY_MS`].
        delay_ms: u32,
        /// By how much that varies, milliseconds; at most the delay. Packets keep their order.
        #[serde(default)]
        jitter_ms: u32,
        /// How it varies.
        #[serde(default)]
        distribution: Distribution,
    },
    /// A bad link between two sets of nodes.
    Shape {
        /// The nodes that send; [`CLIENTS`] stands for where the harness and its clients are.
        from: Vec<String>,
        /// The nodes that receive, where packets are caught.
        to: Vec<String>,
        /// The other direction, too.
        #[serde(default)]
        both: bool,
        /// Only TCP and UDP packets for this port of `to` (and answers from it); all packets without it.
        #[serde(default)]
        port: Option<u16>,
        /// What happens to the packets.
        effects: Effects,
    },
    /// A port is blocked.
    Block {
        /// The nodes that listen on it.
        nodes: Vec<String>,
        /// The port.
        port: u16,
        /// Only for these nodes, or [`CLIENTS`]; empty: for every node of the cluster and clients.
        #[serde(default)]
        from: Vec<String>,
        /// How.
        mode: BlockMode,
    },
    /// TCP connections to a port go wrong.
    Stream {
        /// The nodes that listen on it.
        nodes: Vec<String>,
        /// The port.
        port: u16,
        /// Only those of these nodes, or [`CLIENTS`]; empty: of every node of the cluster and clients.
        #[serde(default)]
        from: Vec<String>,
        /// How.
        mode: StreamMode,
    },
    /// Names can't be resolved.
    Dns {
        /// On these nodes.
        nodes: Vec<String>,
        /// How that fails.
        mode: DnsMode,
    },
    /// A service's processes see a wall clock that is off. The machine's clock is never touched.
    Clock {
        /// On these nodes.
        nodes: Vec<String>,
        /// The service, as the system file names it.
        service: String,
        /// In which way.
        skew: Skew,
    },
    /// A node's own disk forgets what was not synced, and the service is killed with it; started again
    /// on the disk as it then is when the fault ends.
    PowerLoss {
        /// On these nodes.
        nodes: Vec<String>,
        /// The service, as the system file names it.
        service: String,
        /// Where the node's disk is mounted.
        dir: String,
    },
    /// A node's own disk is filled.
    DiskFull {
        /// On these nodes.
        nodes: Vec<String>,
        /// Where the node's disk is mounted.
        dir: String,
        /// What stays free, bytes (rounded down to blocks).
        leave_bytes: u64,
    },
    /// Each node suffers something by itself.
    Local {
        /// On these nodes.
        nodes: Vec<String>,
        /// What.
        act: LocalFault,
    },
}

/// Stands among nodes that send for the machine where the harness and its clients are.
pub const CLIENTS: &str = "clients";

/// Shares of packets or requests that are rejected.
pub const PROBABILITIES: RangeInclusive<f64> = 0.0..=1.0;

/// The longest delay of a packet, milliseconds.
pub const LONGEST_DELAY_MS: u32 = 10_000;

/// How long packets are held by a fault that does nothing else, milliseconds.
pub const DELAY_MS: RangeInclusive<u32> = 1..=LONGEST_DELAY_MS;

/// The largest offset of a clock, milliseconds: ten years.
pub const LONGEST_OFFSET_MS: i64 = 10 * 365 * 86_400_000;

/// How fast a drifting clock may run, against one that is right.
pub const RATES: RangeInclusive<f64> = 0.01..=100.0;

/// How long a strobing clock may stay as it is, milliseconds: up to an hour.
pub const STROBE_MS: RangeInclusive<u32> = 1..=3_600_000;

/// In which way a wall clock is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub enum Skew {
    /// Off by a fixed time.
    Jump {
        /// Added, milliseconds, at most [`LONGEST_OFFSET_MS`] either way; not 0.
        offset_ms: i64,
    },
    /// Right at first, then faster or slower.
    Drift {
        /// How fast, within [`RATES`]; not 1.
        rate: f64,
    },
    /// Off by a fixed time and right, by turns.
    Strobe {
        /// As of a jump.
        offset_ms: i64,
        /// How long it is either, milliseconds, within [`STROBE_MS`].
        every_ms: u32,
    },
    /// It stands still.
    Freeze,
}

/// How a service is ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KillSignal {
    /// SIGKILL to every process.
    #[default]
    Kill,
    /// SIGTERM to its first process, as an orderly stop does; what is left after its patience is not killed.
    Terminate,
}

impl KillSignal {
    /// The signal's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "SIGKILL",
            Self::Terminate => "SIGTERM",
        }
    }
}

fn yes() -> bool {
    true
}

impl NodeFault {
    /// Whether it acts on packets, and so could cut the node off from the harness.
    pub fn filters_packets(&self) -> bool {
        matches!(
            self,
            Self::DropFrom { .. }
                | Self::Reset { .. }
                | Self::Shape { .. }
                | Self::Block { .. }
                | Self::Stream { .. }
                | Self::Dns { .. }
        )
    }
}

/// What one node is told to do for a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NodeFault {
    /// Drop every packet that comes in from these addresses, except management traffic.
    DropFrom {
        /// Source addresses.
        peers: Vec<IpAddr>,
        /// The harness's addresses, too.
        #[serde(default)]
        clients: bool,
    },
    /// Kill a service started by this agent.
    Kill {
        /// Its name.
        service: String,
        /// Start it again on undo.
        restart: bool,
        /// How it is ended.
        #[serde(default)]
        signal: KillSignal,
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
        /// Only packets whose payload matches one of these byte regexes; empty: any with a payload.
        #[serde(default)]
        containing: Vec<String>,
    },
    /// Have effects on packets that come in from these addresses, except management traffic.
    Shape {
        /// Source addresses.
        from: Vec<IpAddr>,
        /// The harness's addresses, too.
        #[serde(default)]
        clients: bool,
        /// Only TCP and UDP packets for this local port.
        port: Option<u16>,
        /// The port is the sender's.
        #[serde(default)]
        answers: bool,
        /// Which effects.
        effects: Effects,
    },
    /// Block a local port, except for management traffic.
    Block {
        /// Source addresses.
        from: Vec<IpAddr>,
        /// The harness's addresses, too.
        clients: bool,
        /// The local port.
        port: u16,
        /// How.
        mode: BlockMode,
    },
    /// Lead new TCP connections to a local port to a process that ill-treats them.
    Stream {
        /// Source addresses.
        from: Vec<IpAddr>,
        /// The harness's addresses, too.
        clients: bool,
        /// The local port.
        port: u16,
        /// What happens to them.
        mode: StreamMode,
    },
    /// Let this node's questions for names fail.
    Dns {
        /// How.
        mode: DnsMode,
    },
    /// Make the wall clock wrong that a service's processes see.
    Clock {
        /// Its name.
        service: String,
        /// In which way.
        skew: Skew,
    },
    /// Make a disk forget what was not synced, and kill a service with it.
    PowerLoss {
        /// The service; started again on undo.
        service: String,
        /// Mount point of a disk made by `RequestBody::Disk`.
        dir: String,
    },
    /// Fill a disk.
    DiskFull {
        /// Mount point of a disk made by `RequestBody::Disk`.
        dir: String,
        /// What stays free, bytes.
        leave_bytes: u64,
    },
    /// Suffer something by itself.
    Local {
        /// What.
        act: LocalFault,
    },
}
