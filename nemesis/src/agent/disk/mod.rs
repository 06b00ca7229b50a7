//! Disks of a node's own: small ext4 images that can lose power and run full without harm to anyone else.

mod full;
mod inflict;
mod ioctl;
mod loop_device;
mod mounts;
mod power_loss;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{FallocateFlags, fallocate};
use nix::mount::{MsFlags, mount};
use serde::{Deserialize, Serialize};

pub(crate) use inflict::{disk_full, full_steps, power_loss, power_loss_steps, still_full};
pub(crate) use loop_device::fuse_device;
pub(crate) use power_loss::{is_down, restore};

use super::durable;
use super::error::AgentError;
use super::layer;
use super::service;
use super::state_dir::StateLock;
use crate::protocol::{LARGEST_DISK_MIB, SMALLEST_DISK_MIB, is_disk_path};

/// A disk of this node; on record before it exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Disk {
    /// Names its record and its image, `d1`, `d2`, ...
    name: String,
    /// Where it is mounted, without symbolic links.
    pub(crate) path: PathBuf,
    /// The mount point was made for it, and goes with it.
    made_directory: bool,
}

/// Makes a disk and mounts it. On an error nothing of it stays.
pub(crate) fn create(lock: &StateLock<'_>, path: &str, size_mib: u32) -> Result<(), AgentError> {
    if !is_disk_path(path) {
        return Err(AgentError::Refused(format!(
            "disk: `{path}` is not an absolute path without `..`"
        )));
    }
    if !(SMALLEST_DISK_MIB..=LARGEST_DISK_MIB).contains(&size_mib) {
        return Err(AgentError::Refused(format!(
            "disk: {size_mib} MiB is not within {SMALLEST_DISK_MIB} to {LARGEST_DISK_MIB} MiB"
        )));
    }
    let made_directory = !Path::new(path).exists();
    fs::create_dir_all(path).map_err(AgentError::file("make", path.as_ref()))?;
    let path = fs::canonicalize(path).map_err(AgentError::file("resolve", path.as_ref()))?;
    check_mount_point(lock, &path)?;
    let taken = list(lock)?;
    let name = (1..)
        .map(|number| format!("d{number}"))
        .find(|name| taken.iter().all(|disk| disk.name != *name))
        .expect("there are more numbers than disks");
    let disk = Disk {
        name,
        path,
        made_directory,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory(lock))
        .map_err(AgentError::file("make", &directory(lock)))?;
    durable::write(&record(lock, &disk), &disk)?;
    let made = make_image(&image(lock, &disk), size_mib).and_then(|()| mount_disk(lock, &disk));
    if made.is_err() {
        remove(lock, &disk)?;
    }
    made
}

/// Makes a small disk in the state directory and removes it.
pub(crate) fn trial(lock: &StateLock<'_>) -> Result<(), AgentError> {
    let path = lock.state.root().join("trial");
    create(lock, &path.to_string_lossy(), SMALLEST_DISK_MIB)?;
    let disk = find(lock, &path.to_string_lossy())?;
    remove(lock, &disk)
}

/// Puts a layer over a disk of this node's own.
pub(crate) fn cover(lock: &StateLock<'_>, path: &str) -> Result<(), AgentError> {
    layer::create(lock, &find(lock, path)?.path)
}

/// Makes a small disk with a layer and removes both.
pub(crate) fn layer_trial(lock: &StateLock<'_>) -> Result<(), AgentError> {
    let path = lock.state.root().join("trial").display().to_string();
    create(lock, &path, SMALLEST_DISK_MIB)?;
    let covered = cover(lock, &path);
    remove(lock, &find(lock, &path)?)?;
    covered
}

/// The disk mounted at a path.
pub(crate) fn find(lock: &StateLock<'_>, path: &str) -> Result<Disk, AgentError> {
    let none = || AgentError::Refused(format!("no disk of this node's own is mounted at {path}"));
    let real = fs::canonicalize(path).map_err(|_| none())?;
    let disk = list(lock)?.into_iter().find(|disk| disk.path == real);
    let disk = disk.ok_or_else(none)?;
    if mounts::is_mounted(&disk.path)? {
        Ok(disk)
    } else {
        Err(none())
    }
}

/// Where a disk of this node's own is mounted, to be filled; the root file system never is.
pub(crate) fn own(lock: &StateLock<'_>, path: &str) -> Result<PathBuf, AgentError> {
    let disk = find(lock, path)?;
    full::check(&disk)?;
    Ok(disk.path)
}

/// All disks on record.
pub(crate) fn list(lock: &StateLock<'_>) -> Result<Vec<Disk>, AgentError> {
    let directory = directory(lock);
    let read = |error| AgentError::file("read", &directory)(error);
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(read(error)),
    };
    let mut disks = Vec::new();
    for entry in entries {
        let path = entry.map_err(read)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            disks.extend(durable::read::<Disk>(&path)?);
        }
    }
    disks.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(disks)
}

/// Unmounts and deletes every disk, in use or not.
pub(crate) fn remove_all(lock: &StateLock<'_>) -> Result<(), AgentError> {
    let mut outcome = Ok(());
    for disk in list(lock)? {
        outcome = outcome.and(remove(lock, &disk));
    }
    outcome
}

/// Unmounts and deletes the disks that no service and no other process uses.
pub(crate) fn remove_idle(lock: &StateLock<'_>) -> Result<(), AgentError> {
    let disks = list(lock)?;
    if disks.is_empty() || service::any_alive(lock)? {
        return Ok(());
    }
    let mut outcome = Ok(());
    for disk in disks {
        let layer = layer::process(lock, &disk.path)?;
        let is_layer = |pid: &i32| layer.as_ref().is_some_and(|layer| layer.pid == *pid);
        if mounts::users(&disk.path).iter().all(is_layer) {
            outcome = outcome.and(remove(lock, &disk));
        }
    }
    outcome
}

/// Unmounts and deletes a disk, its data with it.
fn remove(lock: &StateLock<'_>, disk: &Disk) -> Result<(), AgentError> {
    layer::remove(lock, &disk.path)?;
    if mounts::is_mounted(&disk.path)? {
        // Nothing need be written back, and whoever follows a log there is made to let go of it.
        let root = File::open(&disk.path);
        let _ = root.map(|root| ioctl::shut_down(&root));
        mounts::unmount(&disk.path)?;
    }
    for file in [image(lock, disk), record(lock, disk)] {
        durable::remove(&file)?;
    }
    if disk.made_directory {
        // It may hold files put there while nothing was mounted; those aren't ours.
        let _ = fs::remove_dir(&disk.path);
    }
    Ok(())
}

fn check_mount_point(lock: &StateLock<'_>, path: &Path) -> Result<(), AgentError> {
    let refused = |why: &str| {
        Err(AgentError::Refused(format!(
            "disk: {} {why}",
            path.display()
        )))
    };
    if lock.state.root().starts_with(path) {
        return refused("holds the agent's own state");
    }
    if mounts::is_mounted(path)? {
        return refused("is a mount point already");
    }
    let mut entries = fs::read_dir(path).map_err(AgentError::file("read", path))?;
    if entries.next().is_some() {
        return refused("is not empty");
    }
    Ok(())
}

fn make_image(path: &Path, size_mib: u32) -> Result<(), AgentError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(AgentError::file("create", path))?;
    // Space on the node's real disk is taken now, so that it can't run out under the image later.
    let bytes = i64::from(size_mib) << 20;
    fallocate(&file, FallocateFlags::empty(), 0, bytes)
        .map_err(|error| AgentError::file("allocate", path)(error.into()))?;
    let output = Command::new("mkfs.ext4")
        .args(["-q", "-F", "-b", "4096", "-m", "0", "-E"])
        .arg("nodiscard,lazy_itable_init=0,lazy_journal_init=0")
        .arg(path)
        .output()
        .map_err(|error| AgentError::Refused(format!("mkfs.ext4: {error}; install e2fsprogs")))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(AgentError::Refused(format!(
        "mkfs.ext4: {}",
        complaint.trim()
    )))
}

fn mount_disk(lock: &StateLock<'_>, disk: &Disk) -> Result<(), AgentError> {
    let image = image(lock, disk);
    let device =
        loop_device::LoopDevice::attach(&image).map_err(AgentError::file("attach", &image))?;
    mount(
        Some(device.path()),
        &disk.path,
        Some("ext4"),
        MsFlags::MS_NODEV | MsFlags::MS_NOSUID,
        None::<&str>,
    )
    .map_err(|error| AgentError::file("mount a disk at", &disk.path)(error.into()))?;
    // Some systems want their directory to be empty.
    let _ = fs::remove_dir(disk.path.join("lost+found"));
    Ok(())
}

fn directory(lock: &StateLock<'_>) -> PathBuf {
    lock.state.root().join("disks")
}

fn record(lock: &StateLock<'_>, disk: &Disk) -> PathBuf {
    directory(lock).join(format!("{}.json", disk.name))
}

fn image(lock: &StateLock<'_>, disk: &Disk) -> PathBuf {
    directory(lock).join(format!("{}.img", disk.name))
}
