//! The nodes of a run with their agents: who is who, and how to ask them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use shakedown_nemesis::plan::{PlanError, Topology};
use shakedown_nemesis::protocol::{Notice, Reply, RequestBody};
use tokio::sync::mpsc::UnboundedSender;

use super::nodes::Known;
use super::own_machine::{refuse_own_clock, refuse_own_machine};
use super::reach;
use crate::control::{AgentError, AgentLink, ControlError, LinkOptions, Output, Remote, SshRemote};

/// Why something could not be asked of a node.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// There is no such node.
    #[error("there is no node `{0}` in this run")]
    NoSuchNode(String),
    /// The agent did not do it.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The agent answered something that does not fit the question.
    #[error("{node}: unexpected answer from the agent: {reply}")]
    Unexpected {
        /// The node.
        node: String,
        /// Its answer.
        reply: String,
    },
    /// The node lacks something that faults need.
    #[error("{node} cannot carry out network faults: {missing}")]
    Lacks {
        /// The node.
        node: String,
        /// What, and the remedy.
        missing: String,
    },
    /// The node's address is one of every machine.
    #[error(
        "{node} has the loopback address {address}: rules by address would strike the machine this runs on; name the \
         node by an address that others reach it by, or use a local cluster (`--local N`)"
    )]
    Loopback {
        /// The node.
        node: String,
        /// Its address.
        address: IpAddr,
    },
    /// The system does not tell which node is the primary.
    #[error("the primary is not known: {0}")]
    NoPrimary(String),
    /// The node is the machine this runs on.
    #[error(
        "{node} is the machine this runs on, which faults would strike too; use another, or a local cluster (`--local N`)"
    )]
    OwnMachine {
        /// The node.
        node: String,
    },
    /// SSH reaches the node by way of another.
    #[error(
        "{node} is reached by way of {through}, whose faults would cut this machine off from it: go by a host that is no node"
    )]
    ThroughNode {
        /// The node.
        node: String,
        /// The other.
        through: String,
    },
    /// The node's clock is that of the machine this runs on.
    #[error(
        "{node} runs on the kernel of the machine this runs on: setting its clock would set this machine's"
    )]
    OwnClock {
        /// The node.
        node: String,
    },
    /// The fault makes no sense on this cluster.
    #[error(transparent)]
    Fault(PlanError),
}

/// A node with its agent.
pub(crate) struct FleetNode {
    pub(crate) name: String,
    pub(super) known: Known,
    /// Those by which it is known first, then the others it has.
    pub(super) addresses: Vec<IpAddr>,
    /// Those it has itself, as its agent says.
    pub(super) own: Vec<IpAddr>,
    /// Where it sees this machine's SSH connections come from.
    harness: IpAddr,
    link: AgentLink,
    remote: Arc<SshRemote>,
    /// Where its agent counts probe packets.
    pub(super) probe_port: u16,
}

impl FleetNode {
    /// Where other nodes send it probe packets: only where it is known if SSH tells nothing of that, else to any it has.
    fn probed(&self) -> &[IpAddr] {
        match self.known.apart {
            true => &self.known.addresses,
            false => &self.addresses,
        }
    }

    /// Runs a shell command within the usual time.
    pub(crate) async fn exec(&self, command: &str) -> Result<Output, ControlError> {
        let (remote, command) = (self.remote.clone(), command.to_owned());
        blocking(move || remote.exec(&command)).await
    }

    /// Runs a shell command within a given time.
    pub(crate) async fn exec_within(
        &self,
        command: &str,
        limit: Duration,
    ) -> Result<Output, ControlError> {
        let (remote, command) = (self.remote.clone(), command.to_owned());
        blocking(move || remote.exec_within(&command, limit)).await
    }

    /// Writes a file.
    pub(crate) async fn upload(&self, content: Vec<u8>, dest: String) -> Result<(), ControlError> {
        let remote = self.remote.clone();
        blocking(move || remote.upload_bytes(&content, &dest, 0o644)).await
    }

    /// Copies a file here.
    pub(crate) async fn download(&self, path: &str, local: &Path) -> Result<u64, ControlError> {
        let (remote, path, local) = (self.remote.clone(), path.to_owned(), local.to_owned());
        blocking(move || remote.download_file(&path, &local)).await
    }
}

/// Runs a blocking call of the SSH layer off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(call).await {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// The addresses by which a node is known, then the others it has.
fn first(known: &[IpAddr], own: &[IpAddr]) -> Vec<IpAddr> {
    let others = own.iter().filter(|address| !known.contains(address));
    known.iter().chain(others).copied().collect()
}

/// Leaves out addresses that several nodes say are theirs, as that of a bridge which containers bring along: they tell
/// nobody apart. Those by which a node is known stay.
fn forget_shared(nodes: &mut [FleetNode]) {
    let mut owners: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for address in nodes.iter().flat_map(|node| &node.addresses) {
        *owners.entry(*address).or_default() += 1;
    }
    for node in nodes {
        let known = &node.known.addresses;
        (node.addresses).retain(|address| known.contains(address) || owners[address] == 1);
    }
}

/// Faults on a node must not cut off the others.
fn refuse_way_through_nodes(nodes: &[FleetNode]) -> Result<(), FleetError> {
    for node in nodes {
        let mut others = nodes.iter().filter(|other| other.name != node.name);
        if let Some(other) = others.find(|other| other.addresses.contains(&node.harness)) {
            return Err(FleetError::ThroughNode {
                node: node.name.clone(),
                through: other.name.clone(),
            });
        }
    }
    Ok(())
}

/// Every node of a run.
pub(crate) struct Fleet {
    nodes: Vec<FleetNode>,
}

impl Fleet {
    /// Starts an agent on every node at the same time and opens its probe socket.
    ///
    /// # Errors
    /// If a node is the machine this runs on, if an agent cannot be started or does not answer, or, with
    /// `network_faults`, if a node lacks what those need.
    pub(crate) async fn open(
        remotes: &[Arc<SshRemote>],
        known: &[Known],
        agent: &Path,
        options: &LinkOptions,
        network_faults: bool,
        notices: &UnboundedSender<(String, Notice)>,
    ) -> Result<Self, FleetError> {
        let opened = remotes.iter().zip(known).map(|(remote, known)| async {
            refuse_own_machine(remote, &known.addresses).await?;
            if options.allow_host_clock {
                refuse_own_clock(remote).await?;
            }
            let (on, agent, options, notices) = (
                remote.clone(),
                agent.to_owned(),
                options.clone(),
                notices.clone(),
            );
            let (link, hello) =
                blocking(move || AgentLink::open(&on, &agent, &options, notices)).await?;
            let name = remote.node().to_owned();
            if network_faults && !hello.missing.is_empty() {
                let missing = hello.missing.join("; ");
                return Err(FleetError::Lacks {
                    node: name,
                    missing,
                });
            }
            match link.call(RequestBody::ProbeListen).await? {
                Reply::Probe { port } => Ok(FleetNode {
                    name,
                    known: known.clone(),
                    addresses: first(&known.addresses, &hello.addresses),
                    own: hello.addresses,
                    harness: hello.harness,
                    link,
                    remote: remote.clone(),
                    probe_port: port,
                }),
                other => Err(FleetError::Unexpected {
                    node: name,
                    reply: format!("{other:?}"),
                }),
            }
        });
        let mut nodes = try_join_all(opened).await?;
        forget_shared(&mut nodes);
        refuse_way_through_nodes(&nodes)?;
        let fleet = Fleet { nodes };
        reach::tell_clients(&fleet).await?;
        Ok(fleet)
    }

    /// Ends every agent, which undoes its faults, and waits for them.
    pub(crate) async fn close(self) {
        let closed = self
            .nodes
            .into_iter()
            .map(|node| blocking(move || node.link.close()));
        join_all(closed).await;
    }

    /// The nodes, in the order of the node list.
    pub(crate) fn nodes(&self) -> &[FleetNode] {
        &self.nodes
    }

    /// Names and addresses.
    pub(crate) fn topology(&self) -> Topology {
        self.nodes
            .iter()
            .map(|n| (n.name.clone(), n.addresses.clone()))
            .collect()
    }

    /// The node of that name.
    pub(crate) fn node(&self, name: &str) -> Result<&FleetNode, FleetError> {
        self.nodes
            .iter()
            .find(|n| n.name == name)
            .ok_or_else(|| FleetError::NoSuchNode(name.to_owned()))
    }

    /// Asks one node.
    pub(crate) async fn ask(&self, node: &str, body: RequestBody) -> Result<Reply, FleetError> {
        Ok(self.node(node)?.link.call(body).await?)
    }

    /// Asks several nodes at the same time.
    pub(crate) async fn ask_all(
        &self,
        requests: Vec<(String, RequestBody)>,
    ) -> Vec<(String, Result<Reply, FleetError>)> {
        join_all(requests.into_iter().map(|(node, body)| async move {
            let reply = self.ask(&node, body).await;
            (node, reply)
        }))
        .await
    }

    /// Whether probe packets can be sent from one node to another by IPv6 as well as by IPv4.
    pub(crate) fn both_protocols(&self, from: &str, to: &str) -> bool {
        let has_both = |node: &FleetNode| {
            node.probed().iter().any(IpAddr::is_ipv4) && node.probed().iter().any(IpAddr::is_ipv6)
        };
        (self.node(from).is_ok_and(has_both)) && self.node(to).is_ok_and(has_both)
    }

    /// Sends probe packets and says how many arrived, as soon as `wanted` did and at the latest after `wait_ms`. They go
    /// to the address by which the node is known, or with `other_protocol` to the first of the other version of IP.
    pub(crate) async fn probe(
        &self,
        (from, to): (&str, &str),
        other_protocol: bool,
        nonce: u64,
        count: u32,
        (wanted, wait_ms): (u64, u64),
    ) -> Result<u64, FleetError> {
        let node = self.node(to)?;
        let v6 = node.addresses[0].is_ipv6() ^ other_protocol;
        let address = node.probed().iter().find(|a| a.is_ipv6() == v6);
        let address = *address.unwrap_or(&node.addresses[0]);
        self.probe_at((from, to), address, nonce, count, (wanted, wait_ms))
            .await
    }

    /// As [`Fleet::probe`], to one address.
    pub(super) async fn probe_at(
        &self,
        (from, to): (&str, &str),
        address: IpAddr,
        nonce: u64,
        count: u32,
        (wanted, wait_ms): (u64, u64),
    ) -> Result<u64, FleetError> {
        let target = SocketAddr::new(address, self.node(to)?.probe_port);
        self.ask(
            from,
            RequestBody::ProbeSend {
                to: target,
                nonce,
                count,
            },
        )
        .await?;
        let question = RequestBody::ProbeCount {
            nonce,
            wanted,
            wait_ms,
        };
        match self.ask(to, question).await? {
            Reply::Count { packets, .. } => Ok(packets),
            other => Err(FleetError::Unexpected {
                node: to.to_owned(),
                reply: format!("{other:?}"),
            }),
        }
    }
}
