//! The build of a layer, in namespaces of its own: an overlay over the machine's root whose upper directory lies on
//! the layer's image, and the machine's own `apt-get` in it.
//!
//! Everything it mounts is its own and goes with it, also when it is killed; so does the loop device, and so do the
//! processes that packages start.

use std::error::Error;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::unistd::{getppid, setsid};
use serde::{Deserialize, Serialize};

use super::super::node_init::{SUBCOMMAND, not_allowed};
use super::super::node_root::{hide, kernel_file_systems, make_private, mount_at, mount_image};
use super::super::prerequisites::command;
use super::QUERY;

/// The directory of an image that is a layer.
pub(crate) const UPPER: &str = "upper";

/// What to build.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BuildOrder {
    /// Who ordered it: the build goes with it.
    pub(crate) parent: u32,
    /// What to install.
    pub(crate) packages: Vec<String>,
    /// An empty ext4 file system.
    pub(crate) image: PathBuf,
}

/// Enters the namespaces and starts the build in them.
pub(crate) fn packages(order: &Path) -> Result<(), Box<dyn Error>> {
    // Out of the terminal's reach: it goes when the harness goes.
    setsid()?;
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    let parent = read(order)?.parent;
    if getppid().as_raw().cast_unsigned() != parent {
        return Err("the harness went away during the start".into());
    }
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC)
        .map_err(not_allowed)?;
    let status = Command::new(std::env::current_exe()?)
        .args([SUBCOMMAND, "packages-inside"])
        .arg(order)
        .status()?;
    if !status.success() {
        return Err(format!("the build ended with {status}").into());
    }
    Ok(())
}

/// Builds the layer, and prints the packages with their versions.
pub(crate) fn inside(order: &Path) -> Result<(), Box<dyn Error>> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    let order = read(order)?;
    make_private()?;
    // Mount points that only this namespace needs.
    hide(Path::new("/mnt"), "mode=700")?;
    let (layer, root) = (Path::new("/mnt/layer"), Path::new("/mnt/root"));
    fs::create_dir(layer)?;
    fs::create_dir(root)?;
    mount_image(&order.image, layer, "rw")?;
    let (upper, work) = (layer.join(UPPER), layer.join("work"));
    // The upper directory's mode is that of the nodes' root directory.
    DirBuilder::new().mode(0o755).create(&upper)?;
    fs::create_dir(&work)?;
    let layers = format!(
        "lowerdir=/,upperdir={},workdir={}",
        upper.display(),
        work.display()
    );
    mount_at("overlay", root, "overlay", MsFlags::empty(), &layers)?;
    kernel_file_systems(root)?;
    for (dir, options) in [
        ("run", "mode=755"),
        ("tmp", "mode=1777"),
        ("root", "mode=700"),
    ] {
        hide(&root.join(dir), options)?;
    }
    fs::create_dir(root.join("run/lock"))?;
    keep_name_servers(root)?;
    let policy = root.join("usr/sbin/policy-rc.d");
    fs::write(&policy, "#!/bin/sh\nexit 101\n")?;
    fs::set_permissions(&policy, fs::Permissions::from_mode(0o755))?;

    install(root, &order.packages)?;
    let printed = in_root(root, "dpkg-query")
        .args(["-W", QUERY])
        .args(&order.packages)
        .status()?;
    if !printed.success() {
        return Err(format!("dpkg-query ended with {printed}").into());
    }

    umount2(root, MntFlags::MNT_DETACH)?;
    // What apt fetched: the machine's own lists show through again.
    for dir in ["var/lib/apt/lists", "var/cache/apt", "var/log/apt"] {
        match fs::remove_dir_all(upper.join(dir)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
            _ => {}
        }
    }
    umount2(layer, MntFlags::empty())?;
    Ok(())
}

fn read(order: &Path) -> Result<BuildOrder, Box<dyn Error>> {
    Ok(serde_json::from_slice(&fs::read(order)?)?)
}

/// With the lists that the machine has, or else with fresh ones.
fn install(root: &Path, packages: &[String]) -> Result<(), Box<dyn Error>> {
    let attempt = || apt(root).args(["install", "--"]).args(packages).status();
    if attempt()?.success() {
        return Ok(());
    }
    println!("trying again with fresh lists");
    // A mirror of no concern here may be down: whether it matters shows in the second attempt.
    apt(root).arg("update").status()?;
    let status = attempt()?;
    if !status.success() {
        return Err(format!("apt-get install ended with {status}").into());
    }
    Ok(())
}

fn apt(root: &Path) -> Command {
    let mut apt = in_root(root, "apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-q", "-y"]);
    for option in [
        "APT::Install-Recommends=false",
        "Acquire::Retries=2",
        "Acquire::http::Timeout=20",
        "Acquire::https::Timeout=20",
        "Dpkg::Use-Pty=0",
        "Dpkg::Options::=--force-confdef",
        "Dpkg::Options::=--force-confold",
        // A build that does not end is not used.
        "Dpkg::Options::=--force-unsafe-io",
    ] {
        apt.args(["-o", option]);
    }
    apt
}

fn in_root(root: &Path, program: &str) -> Command {
    let mut chroot = command("chroot");
    chroot.arg(root).arg(program);
    chroot
}

/// `/etc/resolv.conf` is often a link into `/run`, which is empty here.
fn keep_name_servers(root: &Path) -> std::io::Result<()> {
    let Ok(file) = fs::canonicalize("/etc/resolv.conf") else {
        return Ok(());
    };
    let Ok(below) = file.strip_prefix("/run") else {
        return Ok(());
    };
    let copy = root.join("run").join(below);
    fs::create_dir_all(copy.parent().unwrap_or(root))?;
    fs::copy(&file, copy).map(drop)
}
