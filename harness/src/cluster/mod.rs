//! The local cluster: one Linux machine turned into several real SSH hosts, without a container engine.
//!
//! Each node has its own network, PID, mount, UTS, IPC and cgroup namespace, an overlay over the machine's
//! root file system, and the distribution's own `sshd`. The nodes hang on a bridge that lies in a network
//! namespace of its own (the *switch*), so that a firewall on the machine that also filters bridged packets
//! (Docker's does) never comes between two nodes; one veth pair connects the switch with the machine.
//!
//! What a cluster consists of can be told from its name alone, and its state is on disk before anything else
//! exists, so that a later command can take down what a killed one left behind:
//!
//! | what | where |
//! |---|---|
//! | state, keys, logs | `/run/shakedown/clusters/NAME` |
//! | the nodes' files | `/var/lib/shakedown/clusters/NAME`, or below [`ClusterSpec::dir`] |
//! | packages that nodes share, kept from cluster to cluster | `/var/lib/shakedown/packages` |
//! | processes | those with `__node-init` and a path below the state directory in their command line |
//! | machine's end of the uplink | a network device named by a hash of NAME |
//! | control groups, of faults in force when it died | `shakedown_..._N`, N a process namespace that is gone |
//! | leak guard | an `unreachable` route to the subnet with metric 4000, there from first to last |

mod error;
mod groups;
mod keys;
mod launch;
mod local;
mod network;
pub mod node_init;
mod node_root;
pub mod packages;
mod prerequisites;
mod processes;
mod record;
mod subnet;
mod teardown;

pub use error::ClusterError;
pub use local::{ClusterSpec, LocalCluster};
pub use record::ClusterInfo;
pub use subnet::Subnet;
pub use teardown::{down, list, reap_stale};
