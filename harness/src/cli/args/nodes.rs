//! Which nodes a command is about: those it is told, or those of a local cluster.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use shakedown_workloads::duration::HumanDuration;

/// Where the nodes are.
#[derive(Debug, Args)]
pub(in crate::cli) struct NodeArgs {
    /// Use a local cluster of this many nodes (default: as many as the scenarios need)
    #[arg(long, value_name = "N", conflicts_with_all = ["nodes", "nodes_file", "cluster"])]
    pub(in crate::cli) local: Option<usize>,
    /// Use the nodes of a running local cluster (see `shakedown cluster up`)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["nodes", "nodes_file"])]
    pub(in crate::cli) cluster: Option<String>,
    /// Nodes, `[user@]host[:port][=address]`, separated by commas; behind `=` the address that they know each other by
    #[arg(long, value_name = "LIST", conflicts_with = "nodes_file")]
    pub(in crate::cli) nodes: Option<String>,
    /// File with one node per line; `#` starts a comment
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) nodes_file: Option<PathBuf>,
    /// User on the nodes (default: as in ~/.ssh/config, else your own)
    #[arg(long)]
    pub(in crate::cli) user: Option<String>,
    /// SSH port (default: as in ~/.ssh/config, else 22)
    #[arg(long)]
    pub(in crate::cli) port: Option<u16>,
    /// Private key file
    #[arg(long)]
    pub(in crate::cli) key: Option<PathBuf>,
    /// Use keys of the running ssh-agent
    #[arg(long)]
    pub(in crate::cli) agent: bool,
    /// Host that every SSH connection goes by way of, `[user@]host[:port]`, as with `ssh -J`
    #[arg(long, value_name = "HOST", conflicts_with_all = ["local", "cluster"])]
    pub(in crate::cli) jump: Option<String>,
    /// Become root on the nodes with `sudo -n`
    #[arg(long)]
    pub(in crate::cli) sudo: bool,
    /// Known hosts file; a node that is not in it is refused
    #[arg(long)]
    pub(in crate::cli) known_hosts: Option<PathBuf>,
    /// Add the key of a node that is not in the known hosts file yet (a changed key is still refused)
    #[arg(long)]
    pub(in crate::cli) accept_new_host_keys: bool,
    /// SSH client configuration; `none` for none (default: ~/.ssh/config)
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) ssh_config: Option<PathBuf>,
    /// Longest wait for a connection to a node, and for each step of handshake and login
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_wait)]
    pub(in crate::cli) connect_timeout: HumanDuration,
}

fn parse_wait(text: &str) -> Result<HumanDuration, String> {
    let wait: HumanDuration = text.parse().map_err(|error| format!("{error}"))?;
    if wait.0.is_zero() {
        return Err("nothing answers in no time".to_owned());
    }
    Ok(wait)
}

/// Arguments of `heal`.
#[derive(Debug, Args)]
pub(in crate::cli) struct HealArgs {
    #[command(flatten)]
    /// Where the nodes are.
    pub(in crate::cli) nodes: NodeArgs,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(in crate::cli) struct DoctorArgs {
    #[command(flatten)]
    /// Where the nodes are; a local cluster of one node if none are named.
    pub(in crate::cli) nodes: NodeArgs,
    /// List instead what is left of faults on each node, and undo nothing; also while a run has the node
    #[arg(long)]
    pub(in crate::cli) leftovers: bool,
    /// Print the answer as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// Commands on local clusters.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ClusterCommand {
    /// Start a cluster that stays until `down`
    Up {
        /// Number of nodes
        #[arg(default_value_t = 5)]
        nodes: usize,
        /// Its name
        #[arg(long, default_value = "default")]
        name: String,
        /// Its network, a /24 of private addresses (default: the first that is free)
        #[arg(long)]
        subnet: Option<String>,
        /// Debian packages that its nodes get, separated by commas; the machine itself is left as it is
        #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
        packages: Vec<String>,
        /// A system whose packages its nodes get
        #[arg(long, value_name = "NAME")]
        system: Vec<String>,
        /// A system file of your own, for `--system`
        #[arg(long, value_name = "FILE")]
        system_file: Vec<PathBuf>,
    },
    /// Take a cluster down and remove everything it made
    Down {
        /// Its name
        #[arg(default_value = "default")]
        name: String,
    },
    /// List running clusters
    List,
    /// List the layers of packages kept for local clusters: hash, bytes, packages
    Packages {
        /// Remove them all; they are made again when they are needed
        #[arg(long)]
        remove: bool,
    },
    /// Open a shell on a node, or run a command there
    Ssh {
        /// The node, e.g. `n2`
        node: String,
        /// The cluster
        #[arg(long, default_value = "default")]
        cluster: String,
        /// The command; a shell without one
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}
