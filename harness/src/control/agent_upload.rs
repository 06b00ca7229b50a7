//! Puts programs on a node, the agent first of all, and finds out how the node sees the harness.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

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

/// A program as it was when it was first read: a run uses one build, even if it is built anew meanwhile.
pub(crate) struct Program {
    /// Its name with the hash of its content.
    file: String,
    bytes: Vec<u8>,
}

/// Programs read so far: reading and hashing one takes longer than looking whether a node has it.
static READ: Mutex<BTreeMap<PathBuf, Arc<Program>>> = Mutex::new(BTreeMap::new());

impl Program {
    /// Reads a program, once per process.
    pub(crate) fn read(name: &str, path: &Path) -> io::Result<Arc<Program>> {
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = read.get(path) {
            return Ok(program.clone());
        }
        let bytes = std::fs::read(path)?;
        let file = format!("{name}-{:032x}", xxh3_128(&bytes));
        let program = Arc::new(Program { file, bytes });
        read.insert(path.to_owned(), program.clone());
        Ok(program)
    }

    /// Puts it on a node, unless this build of it is there already. Returns its path there.
    pub(crate) fn place(&self, remote: &SshRemote) -> Result<String, ControlError> {
        let path = format!("{DIRECTORY}/{}", self.file);
        // The name holds the hash and a file appears only complete: its presence is enough.
        let present = remote.exec(&format!("test -x {}", quote(&path)))?;
        if !present.success() {
            remote.upload_bytes(&self.bytes, &path, 0o755)?;
        }
        Ok(path)
    }
}

/// Puts the agent on a node, unless it is there. Returns its path there.
pub(crate) fn place(remote: &SshRemote, binary: &Path) -> Result<String, AgentError> {
    let program = Program::read("shakedown-agent", binary);
    let program = program.map_err(|e| AgentError::binary(binary, &e))?;
    Ok(program.place(remote)?)
}

/// Uploads the agent if need be, and finds out how the node sees the harness.
pub(crate) fn prepare(remote: &SshRemote, binary: &Path) -> Result<Prepared, AgentError> {
    let agent = place(remote, binary)?;
    let (harness, ssh_port) = ends(remote)?;
    Ok(Prepared {
        agent,
        harness,
        ssh_port,
    })
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
