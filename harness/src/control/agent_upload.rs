//! Puts programs on a node, the agent first of all, and finds out how the node sees the harness.

use std::net::IpAddr;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use super::{AgentError, ControlError, Remote, SshRemote, quote};

/// Where programs are kept on a node, one file for each build.
const DIRECTORY: &str = "/var/lib/shakedown/bin";

/// A node that holds the agent.
pub(crate) struct Prepared {
    /// The agent on the node.
    pub(crate) agent: String,
    /// The harness's address, as the node sees it.
    pub(crate) harness: IpAddr,
    /// The port its SSH server was reached at.
    pub(crate) ssh_port: u16,
}

/// Uploads the agent if need be.
pub(crate) fn prepare(remote: &SshRemote, binary: &Path) -> Result<Prepared, AgentError> {
    let bytes = std::fs::read(binary).map_err(|e| AgentError::binary(binary, &e))?;
    let agent = place_program(remote, "shakedown-agent", &bytes)?;
    let (harness, ssh_port) = ends(remote)?;
    Ok(Prepared {
        agent,
        harness,
        ssh_port,
    })
}

/// Puts a program on a node, unless this build of it is there already. Returns its path there.
pub(crate) fn place_program(
    remote: &SshRemote,
    name: &str,
    bytes: &[u8],
) -> Result<String, ControlError> {
    let path = format!("{DIRECTORY}/{name}-{:032x}", xxh3_128(bytes));
    // The name holds the hash and a file appears only complete: its presence is enough.
    let present = remote.exec(&format!("test -x {}", quote(&path)))?;
    if !present.success() {
        remote.upload_bytes(bytes, &path, 0o755)?;
    }
    Ok(path)
}

/// The two ends of the connection as sshd sees them: through a NAT, the harness does not know its own address.
fn ends(remote: &SshRemote) -> Result<(IpAddr, u16), AgentError> {
    // sudo clears the environment, so this is asked of sshd's own child, as the login user.
    let seen = remote.exec_as_login_user("echo $SSH_CONNECTION")?.text();
    let words: Vec<&str> = seen.split_whitespace().collect();
    let parsed = match words[..] {
        [client, _, _, port] => client.parse().ok().zip(port.parse().ok()),
        _ => None,
    };
    parsed.ok_or_else(|| AgentError::Nonsense {
        node: remote.node().to_owned(),
        answer: format!("SSH_CONNECTION is `{seen}`"),
    })
}
