//! What the machine must have before a cluster can be made.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::ClusterError;

/// sshd insists on being started by its full path.
pub(crate) const SSHD: &str = "/usr/sbin/sshd";

const PROGRAMS: [(&str, &str); 5] = [
    ("sshd", "openssh-server"),
    ("ssh-keygen", "openssh-client"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("setpriv", "util-linux"),
];

const NAMESPACES: [&str; 6] = ["net", "pid", "mnt", "uts", "ipc", "cgroup"];

/// Fails on the first thing that is missing, with what to do about it.
pub(crate) fn check() -> Result<(), ClusterError> {
    if !nix::unistd::geteuid().is_root() {
        return Err(ClusterError::NotRoot);
    }
    for (program, package) in PROGRAMS {
        if !found(program) {
            return Err(ClusterError::MissingProgram { program, package });
        }
    }
    for namespace in NAMESPACES {
        if !Path::new("/proc/self/ns").join(namespace).exists() {
            return Err(ClusterError::KernelLacks {
                what: format!("{namespace} namespaces"),
                remedy: "use a distribution kernel, or remote nodes with --nodes".to_owned(),
            });
        }
    }
    if !has_overlay() {
        return Err(ClusterError::KernelLacks {
            what: "the overlay file system".to_owned(),
            remedy: "load it with `modprobe overlay`, or use remote nodes with --nodes".to_owned(),
        });
    }
    Ok(())
}

fn found(program: &str) -> bool {
    // root's PATH may lack the sbin directories when the command came through su or cron.
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin"])
        .any(|dir| Path::new(dir).join(program).is_file())
}

fn has_overlay() -> bool {
    let listed = || {
        fs::read_to_string("/proc/filesystems")
            .unwrap_or_default()
            .split_whitespace()
            .any(|word| word == "overlay")
    };
    if !listed() {
        // A module not loaded yet is not listed; whether this helped is seen right below.
        let _ = Command::new("modprobe")
            .arg("overlay")
            .stderr(Stdio::null())
            .status();
    }
    listed()
}

/// A command that also finds what lies in the sbin directories.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin:/usr/bin:/bin"));
    command.env("LC_ALL", "C");
    command
}
