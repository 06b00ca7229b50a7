//! The hidden subcommand `shakedown __node-init ROLE ORDER` that a cluster's own processes run.
//!
//! - `switch` holds the network namespace with the bridge.
//! - `node` enters a node's namespaces and starts `init` in them, without the capabilities that reach the kernel
//!   all nodes share.
//! - `init` is the node's first process: it builds the root, starts sshd, and reaps what others leave behind.
//! - `packages` builds a layer, in namespaces that `packages-inside` is the first process of.
//!
//! `switch` and `node` say `ready` on standard output once they are in their namespaces. `switch` and `init` then wait
//! for a byte on standard input, which says that the cables are plugged in; should the harness be killed before, they
//! end by themselves. `init` says `ready` in turn once sshd runs.

use std::error::Error;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, setsid};
use serde::{Deserialize, Serialize};

use super::prerequisites::{SSHD, command};
use super::{Subnet, network, node_root, packages};

/// First argument of the hidden subcommand.
pub(crate) const SUBCOMMAND: &str = "__node-init";

/// What a line of the start-up protocol says.
pub(crate) const READY: &str = "ready\n";

/// A process of a node must never get these back: they reach the one kernel that all nodes and the machine share.
const DROPPED: &str = "-sys_time,-sys_module,-sys_rawio,-sys_boot,-syslog";

/// What a node is to be; written by the harness, read by the node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NodeOrder {
    /// Host name.
    pub(crate) name: String,
    /// The cluster's network.
    pub(crate) subnet: Subnet,
    /// Its address in it.
    pub(crate) address: Ipv4Addr,
    /// The node's private files: `upper`, `work`, `root`, `shakedown`, and the mount point `layer`.
    pub(crate) data: PathBuf,
    /// The image with the packages it shares with other nodes.
    pub(crate) layer: Option<PathBuf>,
    /// Directories of the machine that the node must see empty.
    pub(crate) masked: Vec<PathBuf>,
    /// Text of `/etc/hosts`.
    pub(crate) hosts: String,
    /// Text of root's `authorized_keys`.
    pub(crate) authorized_key: String,
    /// Text of the private host key.
    pub(crate) host_key: String,
    /// Text of the sshd configuration.
    pub(crate) sshd_config: String,
}

/// Call this first in `main`: takes over, and never returns, if the process was started as part of a cluster.
pub fn run_if_requested() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|a| a != SUBCOMMAND) {
        return;
    }
    let role = arguments.next().unwrap_or_default();
    let order = PathBuf::from(arguments.next().unwrap_or_default());
    let result = match role.to_str() {
        Some("switch") => switch(),
        Some("node") => node(&order),
        Some("init") => init(&order),
        Some("packages") => packages::inside::packages(&order),
        Some("packages-inside") => packages::inside::inside(&order),
        _ => Err(format!("{SUBCOMMAND} is not to be run by hand").into()),
    };
    if let Err(e) = result {
        eprintln!("{}: {e}", role.to_string_lossy());
        std::process::exit(1);
    }
    std::process::exit(0);
}

fn switch() -> Result<(), Box<dyn Error>> {
    setsid()?;
    unshare(CloneFlags::CLONE_NEWNET).map_err(not_allowed)?;
    network::make_bridge()?;
    say_ready()?;
    await_cables()?;
    let mut end = SigSet::empty();
    end.add(Signal::SIGTERM);
    end.thread_block()?;
    end.wait()?;
    Ok(())
}

fn node(order: &Path) -> Result<(), Box<dyn Error>> {
    // Out of the terminal's reach: the harness decides when nodes go, not Ctrl-C.
    setsid()?;
    unshare(
        CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWCGROUP,
    )
    .map_err(not_allowed)?;
    say_ready()?;
    // The bounding set cannot be reduced from safe Rust; the first process after unshare is the namespace's first.
    let status = command("setpriv")
        .arg(format!("--bounding-set={DROPPED}"))
        .arg("--inh-caps=-all")
        .arg("--")
        .arg(std::env::current_exe()?)
        .args([SUBCOMMAND, "init"])
        .arg(order)
        .status()?;
    if !status.success() {
        return Err(format!("the node's first process ended with {status}").into());
    }
    Ok(())
}

pub(crate) fn not_allowed(e: Errno) -> String {
    format!("unshare: {e}; inside a container, it must be a privileged one")
}

fn init(order: &Path) -> Result<(), Box<dyn Error>> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    let order: NodeOrder = serde_json::from_slice(&std::fs::read(order)?)?;
    node_root::enter(&order)?;
    await_cables()?;
    network::configure_node(order.subnet, order.address)?;
    // Blocked before sshd starts, so that its end cannot be missed; std unblocks all signals in the child.
    let mut awaited = SigSet::empty();
    awaited.add(Signal::SIGCHLD);
    awaited.add(Signal::SIGTERM);
    awaited.thread_block()?;
    let sshd = Command::new(SSHD)
        .args(["-D", "-e", "-f", "/etc/shakedown/sshd_config"])
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let sshd = Pid::from_raw(i32::try_from(sshd.id())?);
    say_ready()?;
    loop {
        if awaited.wait()? == Signal::SIGTERM {
            return Ok(());
        }
        // One SIGCHLD may stand for many children.
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => break,
                Ok(ended) if ended.pid() == Some(sshd) => {
                    return Err(format!("sshd ended: {ended:?}").into());
                }
                Ok(_) => {}
                Err(e) => return Err(format!("waitpid: {e}").into()),
            }
        }
    }
}

fn await_cables() -> Result<(), Box<dyn Error>> {
    match std::io::stdin().read(&mut [0])? {
        0 => Err("the harness went away during the start".into()),
        _ => Ok(()),
    }
}

fn say_ready() -> std::io::Result<()> {
    let mut out = std::io::stdout();
    out.write_all(READY.as_bytes())?;
    out.flush()
}
