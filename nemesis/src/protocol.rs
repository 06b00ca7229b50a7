//! The language between harness and agent: frames of a 4-byte big-endian length and a JSON body.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::fault::NodeFault;
use crate::outcome::NodeOutcome;

/// Version of this protocol; the agent refuses a harness of another version.
pub const PROTOCOL_VERSION: u32 = 6;

/// Longest frame body accepted, bytes.
pub const MAX_FRAME_BYTES: u32 = 16 << 20;

/// Smallest disk an agent makes, MiB.
pub const SMALLEST_DISK_MIB: u32 = 16;

/// Largest disk an agent makes, MiB.
pub const LARGEST_DISK_MIB: u32 = 65_536;

/// A request with the number its answer will carry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the harness, unique per channel.
    pub id: u64,
    /// What is asked.
    pub body: RequestBody,
}

/// What the harness can ask of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum RequestBody {
    /// First request on a channel. Undoes whatever an earlier agent left in the ledger.
    Hello {
        /// The harness's [`PROTOCOL_VERSION`].
        protocol: u32,
        /// Names this run in rule tables and the ledger; `[a-z0-9_]{1,24}`.
        run: String,
        /// Faults are undone when no request arrived for this long, milliseconds.
        lease_ms: u64,
        /// Addresses the harness speaks from; traffic between them and `ssh_port` is never touched.
        management: Vec<IpAddr>,
        /// The node's SSH port.
        ssh_port: u16,
        /// A fault on packets is undone when no [`RequestBody::Confirm`] came so soon after it was installed,
        /// milliseconds; 0 waits for none.
        probation_ms: u64,
        /// Whether this run may set the node's own clock.
        allow_host_clock: bool,
        /// All lots of faults on this node are drawn from this and the name of the fault.
        seed: u64,
    },
    /// Keeps the lease.
    Ping,
    /// Starts a service; an error if one of that name runs.
    Start(Service),
    /// Sends SIGTERM to a service, SIGKILL after `timeout_ms`, and forgets it.
    Stop {
        /// Its name.
        service: String,
        /// Patience before SIGKILL, milliseconds.
        timeout_ms: u64,
    },
    /// Stops and forgets every service on record, whichever run started it, as `Stop` does one.
    StopAll {
        /// Patience before SIGKILL for each, milliseconds.
        timeout_ms: u64,
    },
    /// State of a service.
    Status {
        /// Its name.
        service: String,
    },
    /// Gives the node an ext4 disk of its own, an image in the agent's state directory, mounted at
    /// `path`. It goes with `StopAll`; with `Heal`, the next `Hello` and the end of the channel once
    /// nothing uses it.
    Disk {
        /// An absolute path without `..`; made if missing, must be empty.
        path: String,
        /// Size of the image, MiB, [`SMALLEST_DISK_MIB`] to [`LARGEST_DISK_MIB`].
        size_mib: u32,
    },
    /// Puts a layer over a disk made by `Disk`, through which its operations can be made to fail. It goes
    /// with the disk.
    Layer {
        /// As in `Disk`.
        path: String,
    },
    /// Does everything that takes time before a fault, so that an `Install` with the same fields
    /// strikes within a few milliseconds. Optional; an `Undo` takes it back.
    Prepare {
        /// As in `Install`.
        fault: String,
        /// As in `Install`.
        order: NodeFault,
        /// As in `Install`.
        noop: bool,
    },
    /// Installs a fault; answered once its effect was looked for.
    Install {
        /// Unique within the run; `[a-z0-9_]{1,24}`.
        fault: String,
        /// What to do.
        order: NodeFault,
        /// Go through the motions without the effect (negative control); evidence must then show nothing.
        noop: bool,
    },
    /// Says that the answer to `Install` came through: the fault stays.
    Confirm {
        /// As in `Install`.
        fault: String,
    },
    /// Takes the final evidence of a fault, undoes it, and shows that it ended.
    Undo {
        /// As in `Install`.
        fault: String,
    },
    /// Undoes everything in the ledger.
    Heal,
    /// Opens a UDP socket that counts probe packets; answered with `Probe`.
    ProbeListen,
    /// Sends probe packets to another agent's socket.
    ProbeSend {
        /// Its address.
        to: SocketAddr,
        /// Tells this probe from others.
        nonce: u64,
        /// How many packets.
        count: u32,
    },
    /// How many packets with this nonce have arrived; answered once there are `wanted`, or after `wait_ms`.
    ProbeCount {
        /// The nonce.
        nonce: u64,
        /// How many packets are worth waiting for.
        wanted: u64,
        /// Patience, milliseconds.
        wait_ms: u64,
    },
    /// Says from which addresses the harness's clients speak; until then they are those of `management`.
    Clients {
        /// The addresses, as this node sees them.
        addresses: Vec<IpAddr>,
    },
    /// Sends a [`Notice::Line`] for each line appended to a file from now on (from its start if it does
    /// not exist yet) that matches a regular expression.
    Watch {
        /// Chosen by the harness, echoed in notices.
        watch: u64,
        /// The file; it may not exist yet, and may be replaced.
        path: String,
        /// Regular expression, `regex` crate syntax.
        pattern: String,
    },
}

/// A service: one command, run in its own session, output appended to a log file. It outlives the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Unique on the node; `[a-z0-9_-]{1,32}`.
    pub name: String,
    /// Program and arguments; no shell.
    pub argv: Vec<String>,
    /// Added to the environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Working directory; made if missing.
    pub dir: String,
    /// Standard output and error are appended here.
    pub log: String,
}

/// State of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ServiceState {
    /// Never started, or forgotten.
    Unknown,
    /// Its process exists.
    Running {
        /// Process id on the node.
        pid: i32,
        /// The kernel's state letter (`S`, `R`, `T`, ...).
        kernel_state: char,
        /// Memory in use by all processes of its session, KiB (pages they share count for each).
        rss_kib: u64,
    },
    /// Its process is gone.
    Dead {
        /// Its last process id.
        pid: i32,
        /// How that ended (`SIGSEGV, core dumped: /srv/core (245760 bytes)`); `None` if nobody was there to see it.
        #[serde(default)]
        how: Option<String>,
        /// The core it left, if that is a file which was found.
        #[serde(default)]
        core: Option<CoreFile>,
    },
}

/// The memory of a process that crashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreFile {
    /// Where it lies on the node.
    pub path: String,
    /// Its length.
    pub bytes: u64,
}

/// What an agent sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    /// Answer to a request.
    Reply {
        /// The request's number.
        id: u64,
        /// What came of it.
        result: Result<Reply, String>,
    },
    /// Sent on the agent's own account.
    Notice(Notice),
}

/// A successful answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Reply {
    /// Done, nothing to tell.
    Done,
    /// To `Hello`.
    Hello {
        /// The agent's [`PROTOCOL_VERSION`].
        protocol: u32,
        /// Faults found in the ledger and undone, by name.
        healed: Vec<String>,
        /// What this node lacks for some faults, e.g. `nft: not found; install nftables`.
        missing: Vec<String>,
        /// The node's addresses by which others may reach it: none of the loopback, none that hold on one link only.
        addresses: Vec<IpAddr>,
    },
    /// To `Start`, `Stop` and `Status`.
    Service(ServiceState),
    /// To `Install` and `Undo`.
    Fault(NodeOutcome),
    /// To `Heal`: what was undone.
    Healed {
        /// By name.
        faults: Vec<String>,
    },
    /// To `ProbeListen`: the port.
    Probe {
        /// UDP port.
        port: u16,
    },
    /// To `ProbeCount`.
    Count {
        /// Packets that arrived.
        packets: u64,
        /// The addresses they came from, as this node sees them, each once.
        from: Vec<IpAddr>,
    },
}

/// Something an agent noticed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// A watched file got a matching line.
    Line {
        /// As in `Watch`.
        watch: u64,
        /// The line, without its end.
        line: String,
    },
    /// Faults were undone without having been asked: the lease ran out.
    LeaseExpired {
        /// By name.
        faults: Vec<String>,
    },
}

/// Whether a name fits runs and faults: `[a-z0-9_]{1,24}`.
pub fn is_fault_name(name: &str) -> bool {
    (1..=24).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether a name fits services: `[a-z0-9_-]{1,32}`.
pub fn is_service_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// Whether a disk can be mounted at a path: absolute, not the root, and without `.`, `..` or empty parts.
pub fn is_disk_path(path: &str) -> bool {
    path.strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")))
}
