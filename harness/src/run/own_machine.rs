//! The machine that the harness runs on is no node, and its clock is never set.

use std::net::IpAddr;
use std::sync::Arc;

use super::fleet::{FleetError, blocking};
use crate::control::{AgentError, Remote, SshRemote};

/// Prints which boot of which machine this is, and which of its networks: containers and nodes of local clusters
/// have a network of their own.
const MACHINE: &str = "cat /proc/sys/kernel/random/boot_id && readlink /proc/self/ns/net";

/// Nothing is done to the machine that the harness runs on, by whatever name it is called.
pub(super) async fn refuse_own_machine(
    remote: &Arc<SshRemote>,
    addresses: &[IpAddr],
) -> Result<(), FleetError> {
    let node = remote.node().to_owned();
    if let Some(&address) = addresses.iter().find(|address| address.is_loopback()) {
        return Err(FleetError::Loopback { node, address });
    }
    let on = remote.clone();
    let answer = blocking(move || on.exec(MACHINE))
        .await
        .map_err(AgentError::from)?;
    let theirs = String::from_utf8_lossy(&answer.stdout).into_owned();
    if answer.success() && own_machine().is_ok_and(|ours| ours == theirs) {
        return Err(FleetError::OwnMachine { node });
    }
    Ok(())
}

/// No clock is set that is this machine's, too: that of a node with the same kernel.
pub(super) async fn refuse_own_clock(remote: &Arc<SshRemote>) -> Result<(), FleetError> {
    const BOOT: &str = "/proc/sys/kernel/random/boot_id";
    let on = remote.clone();
    let answer = blocking(move || on.exec(&format!("cat {BOOT}"))).await;
    let theirs = answer.map_err(AgentError::from)?;
    let ours = std::fs::read(BOOT).unwrap_or_default();
    // A kernel that does not say which one it is might be this one.
    if theirs.success() && !ours.is_empty() && theirs.stdout != ours {
        return Ok(());
    }
    Err(FleetError::OwnClock {
        node: remote.node().to_owned(),
    })
}

/// What [`MACHINE`] prints here.
fn own_machine() -> std::io::Result<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let network = std::fs::read_link("/proc/self/ns/net")?;
    Ok(format!("{boot}{}\n", network.display()))
}
