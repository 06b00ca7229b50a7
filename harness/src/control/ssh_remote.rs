//! A node reached over SSH, with a pool of sessions: as many as threads have used it at once.

use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::connection::Connection;
use super::exchange::{self, Broken, Limit};
use super::{Access, ControlError, NodeAddress, Output, Remote, Status, Target, quote};

/// A node reached over SSH.
pub struct SshRemote {
    target: Target,
    idle: Mutex<Vec<Connection>>,
}

impl SshRemote {
    /// Resolves how to reach the node. Connects with the first command.
    ///
    /// # Errors
    /// The SSH configuration cannot be read.
    pub fn new(node: &NodeAddress, access: &Access) -> Result<SshRemote, ControlError> {
        Ok(SshRemote {
            target: Target::resolve(node, access)?,
            idle: Mutex::new(Vec::new()),
        })
    }

    /// Where and as whom commands run.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Closes the sessions that are idle. The next command opens a new one.
    pub fn close(&self) {
        let idle = std::mem::take(&mut *self.pool());
        drop(idle);
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A thread that panicked has left a valid list: connections are moved in and out whole.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session of the caller's own, not from the pool.
    pub(crate) fn dedicated(&self) -> Result<Connection, ControlError> {
        Connection::open(&self.target)
    }

    /// The command as it is sent: through sudo, if asked to.
    pub(crate) fn wrap(&self, command: &str) -> String {
        if self.target.access.sudo {
            format!("sudo -n -- sh -c {}", quote(command))
        } else {
            command.to_owned()
        }
    }

    /// A session with an open channel. An idle session may have died meanwhile; as nothing was sent on it, it is simply
    /// replaced.
    fn checkout(&self) -> Result<(Connection, ssh2::Channel), ControlError> {
        let patience = self.target.access.patience.handshake;
        loop {
            let pooled = self.pool().pop();
            let fresh = pooled.is_none();
            let connection = match pooled {
                Some(connection) => connection,
                None => Connection::open(&self.target)?,
            };
            match exchange::open_channel(&connection, patience) {
                Ok(channel) => return Ok((connection, channel)),
                Err(broken) => {
                    connection.cut();
                    if fresh {
                        return Err(self.broken(broken, "the opening of a channel", patience));
                    }
                }
            }
        }
    }

    /// As [`Remote::exec`], without sudo.
    pub(crate) fn exec_as_login_user(&self, command: &str) -> Result<Output, ControlError> {
        self.output_of(command, self.target.access.patience.command)
    }

    fn output_of(&self, sent: &str, limit: Duration) -> Result<Output, ControlError> {
        let mut stdout = Vec::new();
        let limit = Limit::Total(limit);
        let (status, stderr) = self.converse(sent, &mut io::empty(), &mut stdout, limit)?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }

    /// Runs exactly `sent` on a pooled session.
    fn converse(
        &self,
        sent: &str,
        stdin: &mut dyn Read,
        stdout: &mut dyn Write,
        limit: Limit,
    ) -> Result<(Status, Vec<u8>), ControlError> {
        let (connection, mut channel) = self.checkout()?;
        let patience = self.target.access.patience.handshake;
        let mut stderr = Vec::new();
        let result = exchange::start(&connection, &mut channel, sent, patience).and_then(|()| {
            exchange::converse(&connection, &mut channel, stdin, stdout, &mut stderr, limit)
        });
        match result {
            Ok(status) => {
                drop(channel);
                self.pool().push(connection);
                self.check_sudo(&status, &stderr)?;
                Ok((status, stderr))
            }
            Err(broken) => {
                connection.cut();
                let (Limit::Total(limit) | Limit::Stall(limit)) = limit;
                Err(self.broken(broken, sent, limit))
            }
        }
    }

    fn broken(&self, broken: Broken, command: &str, limit: Duration) -> ControlError {
        let node = self.target.node.clone();
        let command = shortened(command);
        match broken {
            Broken::Timeout => ControlError::Timeout {
                node,
                command,
                limit,
            },
            Broken::Lost(problem) => ControlError::ConnectionLost {
                node,
                during: format!("`{command}`"),
                problem,
            },
            Broken::Local(e) => ControlError::ConnectionLost {
                node,
                during: format!("`{command}`"),
                problem: format!("the local end failed: {e}"),
            },
        }
    }

    /// Tells a refusal of sudo from a failure of the command.
    fn check_sudo(&self, status: &Status, stderr: &[u8]) -> Result<(), ControlError> {
        if !self.target.access.sudo || !matches!(status, Status::Exited(1 | 127)) {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(stderr);
        let refused = |line: &&str| {
            (line.starts_with("sudo: ")
                && (line.contains("a password is required")
                    || line.contains("a terminal is required")))
                || line.contains("is not in the sudoers file")
                || line.contains("is not allowed to execute")
                || line.ends_with("sudo: not found")
                || line.ends_with("sudo: command not found")
        };
        match stderr.lines().find(refused) {
            None => Ok(()),
            Some(problem) => Err(ControlError::NoSudo {
                node: self.target.node.clone(),
                user: self.target.user.clone(),
                problem: problem.to_owned(),
            }),
        }
    }

    fn failed(&self, command: String, status: &Status, stderr: &[u8]) -> ControlError {
        ControlError::CommandFailed {
            node: self.target.node.clone(),
            command,
            status: status.to_string(),
            stderr: String::from_utf8_lossy(stderr).trim().to_owned(),
        }
    }
}

impl Remote for SshRemote {
    fn node(&self) -> &str {
        &self.target.node
    }

    fn exec(&self, command: &str) -> Result<Output, ControlError> {
        self.exec_within(command, self.target.access.patience.command)
    }

    fn exec_within(&self, command: &str, limit: Duration) -> Result<Output, ControlError> {
        self.output_of(&self.wrap(command), limit)
    }

    fn upload(
        &self,
        source: &mut dyn Read,
        length: u64,
        dest: &str,
        mode: u32,
    ) -> Result<(), ControlError> {
        let dest = quote(dest);
        // The shell's own number makes the temporary name unique; the count keeps a broken connection, which looks
        // like the end of the file, from publishing half of it.
        let command = format!(
            "mkdir -p \"$(dirname {dest})\" && t={dest}.part.$$ && cat > \"$t\" && \
             if [ \"$(wc -c < \"$t\")\" -eq {length} ]; then chmod {mode:o} \"$t\" && mv -f \"$t\" {dest}; \
             else rm -f \"$t\"; echo 'incomplete upload' >&2; false; fi"
        );
        let limit = Limit::Stall(self.target.access.patience.stall);
        let (status, stderr) =
            self.converse(&self.wrap(&command), source, &mut io::sink(), limit)?;
        if status == Status::Exited(0) {
            return Ok(());
        }
        Err(self.failed(format!("upload to {dest}"), &status, &stderr))
    }

    fn download(&self, path: &str, sink: &mut dyn Write) -> Result<u64, ControlError> {
        let command = format!("cat -- {}", quote(path));
        let limit = Limit::Stall(self.target.access.patience.stall);
        let mut counted = Counted { sink, bytes: 0 };
        let (status, stderr) =
            self.converse(&self.wrap(&command), &mut io::empty(), &mut counted, limit)?;
        if status == Status::Exited(0) {
            return Ok(counted.bytes);
        }
        Err(self.failed(command, &status, &stderr))
    }
}

struct Counted<'a> {
    sink: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.sink.write(buffer)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

/// The start of a command, for messages.
fn shortened(command: &str) -> String {
    const LONGEST: usize = 200;
    if command.chars().count() <= LONGEST {
        return command.to_owned();
    }
    command.chars().take(LONGEST).chain("...".chars()).collect()
}
