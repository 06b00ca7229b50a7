//! What can go wrong between harness and node; each message names the node and what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A host key, as its host has shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownKey {
    /// Host name or address.
    pub host: String,
    /// Kind of key, e.g. `ssh-ed25519`.
    pub kind: String,
    /// `SHA256:` and base64, as ssh(1) prints it.
    pub fingerprint: String,
}

/// Why a node could not be reached or would not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The host name has no address.
    #[error(
        "{node}: the name `{host}` does not resolve ({source}): correct it, or add it to /etc/hosts or DNS"
    )]
    Unresolved {
        /// The node.
        node: String,
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No TCP connection, or no SSH server behind it.
    #[error(
        "{node}: unreachable at {address}, tried {attempts} time(s) ({problem}): check that the machine is up, that \
         sshd listens there and that no firewall is between"
    )]
    Unreachable {
        /// The node.
        node: String,
        /// Address and port.
        address: String,
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        problem: String,
    },
    /// Client and server found no common language.
    #[error("{node}: SSH handshake with {address} failed: {problem}")]
    Handshake {
        /// The node.
        node: String,
        /// Address and port.
        address: String,
        /// What libssh2 said.
        problem: String,
    },
    /// The host's key is not known.
    #[error(
        "{node}: host key of {} is unknown, {} fingerprint {}: compare it with the machine's own, \
         then run `{remedy}`, or pass --accept-new-host-keys",
        .key.host, .key.kind, .key.fingerprint
    )]
    UnknownHostKey {
        /// The node.
        node: String,
        /// What the host has shown.
        key: Box<ShownKey>,
        /// A command that makes the key known.
        remedy: String,
    },
    /// The host's key is not the one that is known.
    #[error(
        "{node}: HOST KEY OF {} HAS CHANGED. Someone may be listening in, or the machine was reinstalled. It now \
         shows the {} key {}; {file}:{line} knows another. If the change is right, run `{remedy}` and \
         make the new key known; nothing was sent to the machine",
        .key.host, .key.kind, .key.fingerprint
    )]
    ChangedHostKey {
        /// The node.
        node: String,
        /// What the host has shown.
        key: Box<ShownKey>,
        /// The known_hosts file.
        file: String,
        /// The line in it, from 1.
        line: usize,
        /// A command that removes the old key.
        remedy: String,
    },
    /// A file of the harness's own could not be read or written.
    #[error("{node}: {what} {path}: {source}")]
    LocalFile {
        /// The node.
        node: String,
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The private key file cannot be used.
    #[error("{node}: key file {path} cannot be used: {problem}")]
    KeyFile {
        /// The node.
        node: String,
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The server did not accept us.
    #[error(
        "{node}: login as {user} refused; tried {tried}; the server offers {offered}: add the public key to \
         ~{user}/.ssh/authorized_keys there, or choose another with --key or --user"
    )]
    AuthRefused {
        /// The node.
        node: String,
        /// The user.
        user: String,
        /// Keys tried.
        tried: String,
        /// Methods the server offers.
        offered: String,
    },
    /// sudo would not run the command.
    #[error(
        "{node}: no sudo for {user} ({problem}): install sudo and allow `{user} ALL=(ALL) NOPASSWD: ALL` in \
         /etc/sudoers.d, or log in as root with --user root"
    )]
    NoSudo {
        /// The node.
        node: String,
        /// The user.
        user: String,
        /// What sudo, or the shell, said.
        problem: String,
    },
    /// A command did not end in time.
    #[error("{node}: no end after {limit:?} of `{command}`; it may still run there")]
    Timeout {
        /// The node.
        node: String,
        /// The command.
        command: String,
        /// The time it had.
        limit: Duration,
    },
    /// A command ended, but not well.
    #[error("{node}: `{command}` ended with {status}: {stderr}")]
    CommandFailed {
        /// The node.
        node: String,
        /// The command.
        command: String,
        /// How it ended.
        status: String,
        /// What it said.
        stderr: String,
    },
    /// The connection broke while something was under way.
    #[error("{node}: connection lost during {during}: {problem}")]
    ConnectionLost {
        /// The node.
        node: String,
        /// What was under way.
        during: String,
        /// What libssh2 or the kernel said.
        problem: String,
    },
    /// The user's SSH configuration cannot be read.
    #[error("{path}: {problem}: correct it, or pass --ssh-config none")]
    SshConfig {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}
