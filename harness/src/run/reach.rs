//! Whether nodes are to be found at their addresses if SSH takes another way, which tells nothing of that: by each other,
//! and by the clients, which run on this machine.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};
use shakedown_nemesis::agent::send_probes;
use shakedown_nemesis::protocol::{Reply, RequestBody};
use tokio::sync::mpsc::unbounded_channel;

use super::RunError;
use super::fleet::{Fleet, FleetError, FleetNode, blocking};
use super::nodes::{Known, known};
use crate::control::{Access, LinkOptions, NodeAddress, SshRemote};

/// Probe packets sent to an address. One that arrives will do.
const PACKETS: u32 = 5;
/// Patience for one.
const PATIENCE_MS: u64 = 3000;

/// What becomes of packets that this machine sends to an address of a node.
enum Heard {
    /// They arrive, from these addresses as the node sees them.
    From(Vec<IpAddr>),
    /// None arrives, or the network lets none of this kind pass.
    Nothing,
    /// This machine knows no way there.
    NoWay(String),
}

/// Looks whether each node has the addresses by which it is known, if SSH takes another way. Returns what may be wrong.
///
/// # Errors
/// If a node cannot be logged in to, or is not where the list says.
pub async fn check_nodes(
    nodes: &[NodeAddress],
    access: &Access,
    agent: &Path,
) -> Result<Vec<String>, RunError> {
    let (mut remotes, mut all) = (Vec::new(), Vec::new());
    for node in nodes {
        let remote = SshRemote::new(node, access)?;
        all.push(known(node, remote.target())?);
        remotes.push(Arc::new(remote));
    }
    let checked = check(&remotes, &all, agent).await;
    for remote in remotes {
        blocking(move || remote.close()).await;
    }
    checked
}

/// Looks whether each node has the addresses by which it is known. Returns what may be wrong. Does nothing if SSH goes to
/// the same ones.
///
/// # Errors
/// If a node cannot be asked, or if nobody finds it there.
pub(super) async fn check(
    remotes: &[Arc<SshRemote>],
    known: &[Known],
    agent: &Path,
) -> Result<Vec<String>, RunError> {
    if !known.iter().any(|known| known.apart) {
        return Ok(Vec::new());
    }
    let (notices, _inbox) = unbounded_channel();
    let options = LinkOptions::new("reach");
    let fleet = Fleet::open(remotes, known, agent, &options, false, &notices).await?;
    let looked = try_join_all(apart(&fleet).map(|node| look(&fleet, node))).await;
    fleet.close().await;
    let (mut wrong, mut doubtful) = (Vec::new(), Vec::new());
    for (problem, warning) in looked? {
        wrong.extend(problem);
        doubtful.extend(warning);
    }
    match wrong.is_empty() {
        true => Ok(doubtful),
        false => Err(RunError::Nodes(wrong)),
    }
}

/// Tells nodes that SSH goes to in another way where the clients on this machine come from: maybe from elsewhere, too.
pub(super) async fn tell_clients(fleet: &Fleet) -> Result<(), FleetError> {
    let told = apart(fleet).map(|node| async move {
        let mut clients = BTreeSet::new();
        for address in &node.known.addresses {
            match from_here(fleet, node, *address).await? {
                Heard::From(seen) => clients.extend(seen),
                Heard::Nothing => clients.extend(own_end(*address)),
                Heard::NoWay(_) => {}
            }
        }
        if !clients.is_empty() {
            let addresses = clients.into_iter().collect();
            let tell = RequestBody::Clients { addresses };
            fleet.ask(&node.name, tell).await?;
        }
        Ok(())
    });
    try_join_all(told).await.map(drop)
}

fn apart(fleet: &Fleet) -> impl Iterator<Item = &FleetNode> {
    fleet.nodes().iter().filter(|node| node.known.apart)
}

/// What is wrong with the addresses of a node, and what may be.
async fn look(
    fleet: &Fleet,
    node: &FleetNode,
) -> Result<(Option<String>, Option<String>), FleetError> {
    for address in &node.known.addresses {
        if let Some(wrong) = misplaced(fleet, node, *address).await? {
            return Ok((Some(wrong), None));
        }
    }
    let (name, address) = (&node.name, node.known.addresses[0]);
    Ok(match from_here(fleet, node, address).await? {
        Heard::From(_) => (None, None),
        Heard::Nothing => {
            let warning = format!(
                "{name}: no probe packet from this machine arrives at {address} (UDP port {}): clients run here and must \
                 reach the system there; if it is only that other ports are closed, all is well",
                node.probe_port
            );
            (None, Some(warning))
        }
        Heard::NoWay(reason) => {
            let wrong = format!(
                "{name}: this machine knows no way to {address} ({reason}), where its clients are to reach the system: give \
                 it one (a route, a VPN), or run shakedown on a machine that has one"
            );
            (Some(wrong), None)
        }
    })
}

/// What is wrong if an address leads nobody to a node. One that the node does not have itself may be translated to one
/// that it has; then what others send to it arrives.
async fn misplaced(
    fleet: &Fleet,
    node: &FleetNode,
    address: IpAddr,
) -> Result<Option<String>, FleetError> {
    if node.own.contains(&address) {
        return Ok(None);
    }
    let mut others = fleet.nodes().iter().filter(|other| other.name != node.name);
    let name = &node.name;
    let own = in_words(&node.own);
    if let Some(other) = others.clone().find(|other| other.own.contains(&address)) {
        let other = &other.name;
        return Ok(Some(format!(
            "{name}: {address} is an address of {other}; {name} has {own}: correct the node list"
        )));
    }
    let wanted = (1, PATIENCE_MS);
    let asked = others.by_ref().map(|other| async move {
        let pair = (other.name.as_str(), name.as_str());
        let arrived = fleet.probe_at(pair, address, rand::random(), PACKETS, wanted);
        // A node that cannot even send it knows no way there.
        (&other.name, arrived.await.unwrap_or(0))
    });
    let asked = join_all(asked).await;
    let mut lost: Vec<&str> = (asked.iter())
        .filter(|(_, arrived)| *arrived == 0)
        .map(|(other, _)| other.as_str())
        .collect();
    if asked.is_empty() && !matches!(from_here(fleet, node, address).await?, Heard::From(_)) {
        lost.push("this machine");
    }
    if lost.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!(
        "{name}: nobody finds it at {address}: it has {own}, and no packet that {} sends to {address} arrives: correct the \
         node list",
        lost.join(", ")
    )))
}

/// Sends probe packets from this machine.
async fn from_here(fleet: &Fleet, node: &FleetNode, address: IpAddr) -> Result<Heard, FleetError> {
    let nonce = rand::random();
    let to = SocketAddr::new(address, node.probe_port);
    if let Err(error) = blocking(move || send_probes(to, nonce, PACKETS)).await {
        use ErrorKind::{HostUnreachable, NetworkUnreachable};
        return Ok(match error.kind() {
            HostUnreachable | NetworkUnreachable => Heard::NoWay(error.to_string()),
            // A rule of this machine's own may be against such packets only.
            _ => Heard::Nothing,
        });
    }
    let count = RequestBody::ProbeCount {
        nonce,
        wanted: 1,
        wait_ms: PATIENCE_MS,
    };
    match fleet.ask(&node.name, count).await? {
        Reply::Count { from, .. } if from.is_empty() => Ok(Heard::Nothing),
        Reply::Count { from, .. } => Ok(Heard::From(from)),
        other => Err(FleetError::Unexpected {
            node: node.name.clone(),
            reply: format!("{other:?}"),
        }),
    }
}

/// From which of its addresses this machine would send to another; sends nothing.
fn own_end(address: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    // Any port: it only asks the kernel for a route.
    socket.connect((address, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn in_words(addresses: &[IpAddr]) -> String {
    let words: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    words.join(", ")
}
