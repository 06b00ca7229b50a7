//! SSH keys of a cluster: one for the harness, one for each node, and the files that tell them to each other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::prerequisites::{SSHD, command};
use super::{ClusterError, ClusterInfo};

/// The node's private host key, on the machine.
pub(crate) fn host_key(cluster: &ClusterInfo, node: &str) -> PathBuf {
    cluster.run_dir().join(format!("{node}.host_key"))
}

/// Makes all keys (in parallel), and from them `known_hosts`.
pub(crate) fn generate(cluster: &ClusterInfo) -> Result<(), ClusterError> {
    let mut paths = vec![cluster.client_key()];
    paths.extend(cluster.node_names.iter().map(|n| host_key(cluster, n)));
    let mut running = Vec::new();
    for path in &paths {
        let child = command("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", &cluster.name, "-f"])
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(ClusterError::io("run", "ssh-keygen"))?;
        running.push(child);
    }
    for child in running {
        let output = child
            .wait_with_output()
            .map_err(ClusterError::io("run", "ssh-keygen"))?;
        if !output.status.success() {
            return Err(ClusterError::Command {
                command: "ssh-keygen".to_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
    }
    let mut known_hosts = String::new();
    for node in cluster.nodes() {
        let public = host_key(cluster, &node.name).with_extension("host_key.pub");
        let text = read(&public)?;
        let mut words = text.split_whitespace();
        let (kind, key) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        known_hosts += &format!("{} {kind} {key}\n", node.host);
    }
    let path = cluster.known_hosts();
    fs::write(&path, known_hosts).map_err(ClusterError::io("write", &path))
}

/// The harness's public key.
pub(crate) fn client_public(cluster: &ClusterInfo) -> Result<String, ClusterError> {
    read(&cluster.client_key().with_extension("pub"))
}

fn read(path: &Path) -> Result<String, ClusterError> {
    fs::read_to_string(path).map_err(ClusterError::io("read", path))
}

/// The nodes' sshd configuration: keys only, no name look-ups, room for many sessions at once.
pub(crate) fn sshd_config(cluster: &ClusterInfo) -> String {
    let mut config = "\
        HostKey /etc/shakedown/ssh_host_key\n\
        AuthorizedKeysFile .ssh/authorized_keys\n\
        PermitRootLogin prohibit-password\n\
        PasswordAuthentication no\n\
        KbdInteractiveAuthentication no\n\
        UsePAM no\n\
        UseDNS no\n\
        PrintMotd no\n\
        MaxStartups 1000\n\
        MaxSessions 1000\n\
        PidFile none\n\
        Subsystem sftp internal-sftp\n"
        .to_owned();
    // OpenSSH 9.8 and later refuse clients for a while after failed logins; earlier ones do not know the option.
    if accepts(cluster, "PerSourcePenalties no") {
        config += "PerSourcePenalties no\n";
    }
    config
}

fn accepts(cluster: &ClusterInfo, option: &str) -> bool {
    let Some(node) = cluster.node_names.first() else {
        return false;
    };
    command(SSHD)
        .args(["-t", "-f", "/dev/null", "-o", option, "-h"])
        .arg(host_key(cluster, node))
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
