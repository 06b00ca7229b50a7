//! Starts a cluster's processes and waits, within bounds, for what they say.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::node_init::{READY, SUBCOMMAND};
use super::prerequisites::command;
use super::{ClusterError, ClusterInfo};

/// A launcher, from its start to the end of its cluster.
pub(crate) struct Launched {
    /// The node's name, or `switch`.
    name: String,
    log: std::path::PathBuf,
    child: Child,
}

impl Launched {
    /// Starts `launcher __node-init ROLE ORDER`, with all it says in the log.
    pub(crate) fn start(
        cluster: &ClusterInfo,
        launcher: &Path,
        role: &str,
        name: &str,
        order: &Path,
    ) -> Result<Launched, ClusterError> {
        let log = cluster.node_log(name);
        let file = File::create(&log).map_err(ClusterError::io("create", &log))?;
        let mut start: Command = command(&launcher.to_string_lossy());
        let child = start
            .args([SUBCOMMAND, role])
            .arg(order)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .map_err(ClusterError::io("run", launcher))?;
        Ok(Launched {
            name: name.to_owned(),
            log,
            child,
        })
    }

    /// The launcher's process, which is in the namespaces after its first [`Self::wait_ready`].
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for one `ready`.
    pub(crate) fn wait_ready(&mut self, deadline: Instant) -> Result<(), ClusterError> {
        let stdout = self
            .child
            .stdout
            .as_mut()
            .expect("standard output is piped");
        // Byte by byte: it says the same word twice, and the second must not be swallowed with the first.
        for _ in READY.bytes() {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut fds = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let failure = match poll(&mut fds, timeout) {
                Ok(0) => Some("it was not ready in time".to_owned()),
                Ok(_) => match stdout.read(&mut [0]) {
                    Ok(1) => None,
                    Ok(_) => Some("its first process ended".to_owned()),
                    Err(e) => Some(e.to_string()),
                },
                Err(e) => Some(e.to_string()),
            };
            if let Some(what) = failure {
                return Err(self.failed(what));
            }
        }
        Ok(())
    }

    /// Says that the cables are plugged in.
    pub(crate) fn go(&mut self) -> Result<(), ClusterError> {
        let stdin = self.child.stdin.as_mut().expect("standard input is piped");
        let written = stdin.write_all(b"\n");
        written.map_err(|e| self.failed(format!("its first process went away: {e}")))
    }

    /// Waits until an SSH server greets at `address`.
    pub(crate) fn wait_greeting(
        &mut self,
        address: SocketAddr,
        deadline: Instant,
    ) -> Result<(), ClusterError> {
        loop {
            let problem = match greeting(address) {
                Ok(()) => return Ok(()),
                Err(e) => e,
            };
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failed(format!("its first process ended with {status}")));
            }
            if Instant::now() > deadline {
                return Err(self.failed(format!("no SSH server answers at {address}: {problem}")));
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Takes the dead child's exit status, so that no zombie is left.
    pub(crate) fn reap(&mut self) {
        // It was killed before; an error would say that it is already reaped.
        let _ = self.child.wait();
    }

    fn failed(&self, what: String) -> ClusterError {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        ClusterError::NodeFailed {
            node: self.name.clone(),
            what,
            log: lines[lines.len().saturating_sub(15)..].join("\n"),
        }
    }
}

fn greeting(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut start = [0; 4];
    stream.read_exact(&mut start)?;
    if &start == b"SSH-" {
        Ok(())
    } else {
        Err(std::io::Error::other("something else than SSH answers"))
    }
}
