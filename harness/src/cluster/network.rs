//! The cluster's network, as `ip` commands: leak guard, uplink, bridge, and the nodes' interfaces.

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;

use serde::Deserialize;
use xxhash_rust::xxh64::xxh64;

use super::prerequisites::command;
use super::{ClusterError, Subnet};

/// The machine's end of the cable to the switch; at most 15 characters, as devices must be.
pub(crate) fn uplink(cluster: &str) -> String {
    // 11 hexadecimal digits: two clusters of one machine never meet.
    format!("sd-{:011x}", xxh64(cluster.as_bytes(), 0) >> 20)
}

#[derive(Deserialize)]
struct Route {
    dst: String,
}

/// Destinations of all IPv4 routes but the default ones. Addresses of the machine are among them.
pub(crate) fn destinations() -> Result<Vec<String>, ClusterError> {
    let arguments = ["-4", "-json", "route", "show", "table", "all"];
    let output = command("ip")
        .args(arguments)
        .output()
        .map_err(ClusterError::io("run", "ip"))?;
    let routes: Vec<Route> =
        serde_json::from_slice(&output.stdout).map_err(|_| ClusterError::Command {
            command: format!("ip {}", arguments.join(" ")),
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })?;
    Ok(routes
        .into_iter()
        .map(|route| route.dst)
        .filter(|dst| dst != "default")
        .collect())
}

/// Without this route, packets to a cluster that is not (or no longer) there would follow the machine's
/// default route out to a real network.
pub(crate) fn add_leak_guard(subnet: Subnet) -> Result<(), ClusterError> {
    let mut lines = format!("route add unreachable {subnet} metric 4000\n");
    if has_ipv6() {
        lines += &format!("route add unreachable {} metric 4000\n", subnet.prefix6());
    }
    batch(None, &lines)
}

/// Whether this network namespace has IPv6 at all.
fn has_ipv6() -> bool {
    let disabled = std::fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6");
    disabled.is_ok_and(|disabled| disabled.trim() == "0")
}

/// Removes the leak guard, if it is there.
pub(crate) fn remove_leak_guard(subnet: Subnet) -> Result<(), ClusterError> {
    let remove = |network: &str| {
        let line = format!("route del unreachable {network} metric 4000\n");
        ignore(batch(None, &line), "No such process")
    };
    if has_ipv6() {
        remove(&subnet.prefix6())?;
    }
    remove(&subnet.to_string())
}

/// The bridge, made inside the switch's namespace by the switch itself. None of its devices has an address,
/// not even a link-local one.
pub(crate) fn make_bridge() -> Result<(), ClusterError> {
    batch(
        None,
        "link set lo up\n\
         link add br0 type bridge forward_delay 0\n\
         link set br0 addrgenmode none up\n",
    )
}

/// Connects machine and nodes with the bridge. `node_pids` are processes inside the nodes' namespaces.
pub(crate) fn connect(
    cluster: &str,
    subnet: Subnet,
    switch_pid: u32,
    node_pids: &[u32],
) -> Result<(), ClusterError> {
    let uplink = uplink(cluster);
    let gateway = subnet.gateway();
    batch(
        None,
        &format!(
            "link add {uplink} type veth peer name uplink netns {switch_pid}\n\
             link set {uplink} addrgenmode none\n\
             addr add {gateway}/24 dev {uplink}\n\
             {}\
             link set {uplink} up\n",
            beside(subnet, gateway, &uplink)
        ),
    )?;
    let mut lines = "link set uplink addrgenmode none master br0 up\n".to_owned();
    for (pid, number) in node_pids.iter().zip(1..) {
        lines += &format!(
            "link add n{number} type veth peer name eth0 netns {pid}\n\
             link set n{number} addrgenmode none master br0 up\n"
        );
    }
    batch(Some(switch_pid), &lines)
}

/// The node's own end, configured by the node. It gets no default route, so that nothing it sends can leave.
pub(crate) fn configure_node(subnet: Subnet, address: Ipv4Addr) -> Result<(), ClusterError> {
    batch(
        None,
        &format!(
            "link set lo up\n\
             link set eth0 addrgenmode none\n\
             addr add {address}/24 dev eth0\n\
             {}\
             link set eth0 up\n",
            beside(subnet, address, "eth0")
        ),
    )
}

/// The line that gives a device its IPv6 address as well, if there is IPv6. Nobody else can have it, so it is not asked for.
fn beside(subnet: Subnet, address: Ipv4Addr, device: &str) -> String {
    if !has_ipv6() {
        return String::new();
    }
    let address = subnet.beside(address);
    format!("addr add {address}/64 dev {device} nodad\n")
}

/// Removes the machine's end of the uplink, if it is there. The rest goes with the switch's namespace.
pub(crate) fn remove_uplink(cluster: &str) -> Result<(), ClusterError> {
    let uplink = uplink(cluster);
    if !Path::new("/sys/class/net").join(&uplink).exists() {
        return Ok(());
    }
    // The kernel may remove it at this moment, with the namespace at its other end.
    let removed = batch(None, &format!("link del {uplink}\n"));
    ignore(removed, "Cannot find device")
}

fn ignore(result: Result<(), ClusterError>, harmless: &str) -> Result<(), ClusterError> {
    match result {
        Err(ClusterError::Command { stderr, .. }) if stderr.contains(harmless) => Ok(()),
        other => other,
    }
}

/// Runs lines of `ip -batch`, in the network namespace of a process or in this one. Stops at the first that fails.
fn batch(namespace_of: Option<u32>, lines: &str) -> Result<(), ClusterError> {
    let mut ip = match namespace_of {
        None => command("ip"),
        Some(pid) => {
            let mut enter = command("nsenter");
            enter.arg(format!("--net=/proc/{pid}/ns/net")).arg("ip");
            enter
        }
    };
    let mut child = ip
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(ClusterError::io("run", "ip"))?;
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let written = stdin.write_all(lines.as_bytes());
    drop(stdin);
    let output = child
        .wait_with_output()
        .map_err(ClusterError::io("run", "ip"))?;
    written.map_err(ClusterError::io("run", "ip"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if stderr.contains("Unknown device type") {
        return Err(ClusterError::KernelLacks {
            what: "bridge or veth devices".to_owned(),
            remedy: "load them with `modprobe -a bridge veth`, or use remote nodes with --nodes"
                .to_owned(),
        });
    }
    Err(ClusterError::Command {
        command: format!("ip -batch: {}", failed_line(lines, &stderr)),
        stderr,
    })
}

/// The line `ip` complains of, from its `Command failed -:N`.
fn failed_line<'a>(lines: &'a str, stderr: &str) -> &'a str {
    stderr
        .rsplit_once("-:")
        .and_then(|(_, number)| number.trim().parse::<usize>().ok())
        .and_then(|number| lines.lines().nth(number.saturating_sub(1)))
        .unwrap_or(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_fit_the_kernels_15_characters_for_any_cluster_name() {
        for name in ["a", "default", "a-very-long-cluster-name-of-32-cc"] {
            assert!(uplink(name).len() <= 15, "{}", uplink(name));
        }
    }

    #[test]
    fn a_failed_batch_names_the_line_that_failed() {
        let stderr = "RTNETLINK answers: File exists\nCommand failed -:2";
        assert_eq!(failed_line("link a\nlink b\nlink c\n", stderr), "link b");
    }
}
