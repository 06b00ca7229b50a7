//! What can go wrong on a node.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why the agent could not do something.
#[derive(Debug, Error)]
pub enum AgentError {
    /// A file or directory.
    #[error("{what} {path}: {source}")]
    File {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file of the state directory that this agent did not write.
    #[error("{path} is not readable: {source}")]
    Corrupt {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A name the protocol doesn't allow.
    #[error("{what} name `{name}` is not {allowed}")]
    Name {
        /// Of what.
        what: &'static str,
        /// As given.
        name: String,
        /// The pattern.
        allowed: &'static str,
    },
    /// Another run has the node.
    #[error(
        "run `{run}` has had this node for {for_s} s; wait for it or interrupt it (a run that died is \
         let go at the latest when its lease runs out)"
    )]
    Held {
        /// The run.
        run: String,
        /// For how long, seconds.
        for_s: u64,
    },
    /// The nft program can't be started.
    #[error("nft: {0}; install nftables")]
    NftMissing(io::Error),
    /// The nft program refused.
    #[error("nft {what}: {message}")]
    Nft {
        /// What was tried.
        what: &'static str,
        /// Its first line of complaint.
        message: String,
    },
    /// The rules in the kernel are not those asked for.
    #[error("table {table} holds [{found}] where [{wanted}] was loaded")]
    RulesDiffer {
        /// Its name.
        table: String,
        /// Rules found, by comment.
        found: String,
        /// Rules loaded, by comment.
        wanted: String,
    },
    /// A second fault of the same name.
    #[error("fault `{0}` is in place already")]
    FaultInPlace(String),
    /// A fault nobody installed.
    #[error("no fault `{0}` is in place")]
    NoSuchFault(String),
    /// A service that was never started here.
    #[error("no service `{0}` was started here")]
    NoSuchService(String),
    /// A service that is running.
    #[error("service `{name}` runs already, pid {pid}")]
    Running {
        /// Its name.
        name: String,
        /// Its process.
        pid: i32,
    },
    /// A service whose program could not be executed.
    #[error("service `{name}`: {message}")]
    Spawn {
        /// Its name.
        name: String,
        /// Why.
        message: String,
    },
    /// A signal could not be sent.
    #[error("signal {signal} to pid {pid}: {source}")]
    Signal {
        /// Its name.
        signal: &'static str,
        /// To whom.
        pid: i32,
        /// Why.
        source: nix::Error,
    },
    /// Something was undone, yet is still there.
    #[error("{0}")]
    StillThere(String),
    /// The watchdog could not be started, so no fault is begun.
    #[error("watchdog: {0}")]
    Watchdog(io::Error),
    /// A request out of turn.
    #[error("{0}")]
    Refused(String),
}

impl AgentError {
    /// Names the file in an I/O error.
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }
}
