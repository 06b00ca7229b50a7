//! What can go wrong with a local cluster, and what to do about it.

use std::io;
use std::path::PathBuf;

use super::Subnet;

/// Why a local cluster could not be made, found or removed.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Namespaces, mounts and bridges need root.
    #[error("a local cluster needs root: run the command as root, or with sudo")]
    NotRoot,
    /// A program the cluster is made with is missing.
    #[error(
        "`{program}` not found: install the package {package} (on Debian: apt-get install {package})"
    )]
    MissingProgram {
        /// The program.
        program: &'static str,
        /// The Debian package that holds it.
        package: &'static str,
    },
    /// The kernel cannot do what a node needs.
    #[error("this kernel lacks {what}: {remedy}")]
    KernelLacks {
        /// What is missing.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// A cluster's name ends up in paths and host names.
    #[error(
        "`{0}` is no name for a cluster: use 1 to 32 of a-z, 0-9 and `-`, a letter or digit first"
    )]
    BadName(String),
    /// Too few or too many nodes.
    #[error("a local cluster has 1 to {max} nodes, not {asked}")]
    BadSize {
        /// The number asked for.
        asked: usize,
        /// The largest number.
        max: usize,
    },
    /// A live cluster has this name.
    #[error(
        "a cluster named `{0}` is up: choose another name, or remove it with `shakedown cluster down {0}`"
    )]
    NameInUse(String),
    /// There is something where the nodes' files would be.
    #[error("{} exists, and belongs to no cluster: move it away, or choose another directory or name", .0.display())]
    DataExists(PathBuf),
    /// No cluster has this name.
    #[error("no cluster is named `{0}`: `shakedown cluster list` shows those there are")]
    NotFound(String),
    /// Text that should be a subnet is none.
    #[error(
        "`{0}` is no subnet for a cluster: give an IPv4 network of 256 addresses, like 10.77.0.0/24"
    )]
    BadSubnet(String),
    /// The subnet asked for is taken.
    #[error(
        "subnet {subnet} is in use by {by}: choose another, or let one be chosen by naming none"
    )]
    SubnetInUse {
        /// The subnet asked for.
        subnet: Subnet,
        /// The route or address that overlaps it.
        by: String,
    },
    /// Every candidate subnet is taken.
    #[error(
        "no free subnet among 10.77.0.0/16, 172.30.0.0/16 and 192.168.128.0/17: name a free one"
    )]
    NoFreeSubnet,
    /// A program failed.
    #[error("`{command}` failed: {stderr}")]
    Command {
        /// The command line.
        command: String,
        /// What it said.
        stderr: String,
    },
    /// A node did not come up.
    #[error("node {node} did not come up: {what}\n{log}")]
    NodeFailed {
        /// Its name.
        node: String,
        /// What it failed at.
        what: String,
        /// The end of its log.
        log: String,
    },
    /// Text that should be a package's name is none.
    #[error("`{0}` is no name of a Debian package")]
    BadPackage(String),
    /// The machine is no Debian.
    #[error(
        "packages ({0}) are installed with apt-get, which this machine lacks: install their programs on the machine itself"
    )]
    NoPackageManager(String),
    /// Packages cannot be installed for a cluster's nodes.
    #[error("cannot install {packages} for the nodes of local clusters: {what}\n{log}")]
    Packages {
        /// Their names.
        packages: String,
        /// What went wrong, and what to do.
        what: String,
        /// The end of what the build said.
        log: String,
    },
    /// Something outlived its cluster.
    #[error("cluster `{name}` is not completely down: {what}")]
    LeftBehind {
        /// The cluster.
        name: String,
        /// What is left.
        what: String,
    },
    /// A file system operation failed.
    #[error("{what} {path}: {source}")]
    Io {
        /// What was tried: `create`, `read`.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl ClusterError {
    /// For `map_err` on a file system operation.
    pub(crate) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> ClusterError {
        let path = path.into();
        move |source| ClusterError::Io { what, path, source }
    }
}
