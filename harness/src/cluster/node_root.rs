//! A node's file systems: an overlay over the machine's root, with everything private to the machine masked.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{pivot_root, sethostname};

use super::node_init::NodeOrder;
use super::packages::inside::UPPER;
use super::prerequisites::{SSHD, command};

/// How often a mount by a loop device is tried again.
const MOUNT_RETRIES: u32 = 20;
const MOUNT_RETRY: Duration = Duration::from_millis(50);

/// Builds the root and enters it. Every mount is made in the caller's mount namespace only, and goes with it.
pub(crate) fn enter(order: &NodeOrder) -> io::Result<()> {
    make_private()?;
    let root = order.data.join("root");
    let mut lower = "/".to_owned();
    if let Some(image) = &order.layer {
        let at = order.data.join("layer");
        mount_image(image, &at, "ro")?;
        lower = format!("{}:/", at.join(UPPER).display());
    }
    let layers = format!(
        "lowerdir={lower},upperdir={},workdir={}",
        order.data.join("upper").display(),
        order.data.join("work").display()
    );
    mount_at("overlay", &root, "overlay", MsFlags::empty(), &layers)?;
    if !root.join(&SSHD[1..]).exists() {
        return Err(io::Error::other(
            "no sshd in the node's root: /usr must not be a file system of its own",
        ));
    }
    kernel_file_systems(&root)?;
    for (dir, options) in [
        ("run", "mode=755"),
        ("tmp", "mode=1777"),
        ("root", "mode=700"),
    ] {
        hide(&root.join(dir), options)?;
    }
    let host_dirs = [Path::new("/mnt"), Path::new("/media")];
    for dir in host_dirs
        .into_iter()
        .chain(order.masked.iter().map(|m| m.as_path()))
    {
        let masked = root.join(dir.strip_prefix("/").unwrap_or(dir));
        if masked.is_dir() {
            hide(&masked, "mode=755")?;
        }
    }
    // Ledger and uploads: the node's own, not those the machine may have from being a node itself.
    let own = root.join("var/lib/shakedown");
    fs::create_dir_all(&own)?;
    let private = order.data.join("shakedown");
    mount_at(
        &private.display().to_string(),
        &own,
        "",
        MsFlags::MS_BIND,
        "",
    )?;
    write_identity(&root, order)?;
    sethostname(&order.name)?;

    let old = root.join("run/.machine");
    fs::create_dir(&old)?;
    std::env::set_current_dir(&root)?;
    pivot_root(".", "run/.machine")?;
    std::env::set_current_dir("/")?;
    umount2("/run/.machine", MntFlags::MNT_DETACH)?;
    fs::remove_dir("/run/.machine")
}

/// `/proc`, `/sys` and `/dev` below `root`.
pub(crate) fn kernel_file_systems(root: &Path) -> io::Result<()> {
    mount_at("proc", &root.join("proc"), "proc", MsFlags::empty(), "")?;
    mount_at("sysfs", &root.join("sys"), "sysfs", MsFlags::empty(), "")?;
    let dev = root.join("dev");
    hide(&dev, "mode=755")?;
    let nodes = [
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
        ("tty", 5, 0),
    ];
    for (name, major, minor) in nodes {
        let path = dev.join(name);
        mknod(&path, SFlag::S_IFCHR, Mode::empty(), makedev(major, minor))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
    }
    fs::create_dir(dev.join("pts"))?;
    mount_at(
        "devpts",
        &dev.join("pts"),
        "devpts",
        MsFlags::empty(),
        "newinstance,ptmxmode=0666,mode=620,gid=5",
    )?;
    fs::create_dir(dev.join("shm"))?;
    hide(&dev.join("shm"), "mode=1777")?;
    for (target, name) in [
        ("pts/ptmx", "ptmx"),
        ("/proc/self/fd", "fd"),
        ("fd/0", "stdin"),
        ("fd/1", "stdout"),
        ("fd/2", "stderr"),
    ] {
        symlink(target, dev.join(name))?;
    }
    Ok(())
}

fn write_identity(root: &Path, order: &NodeOrder) -> io::Result<()> {
    fs::create_dir_all(root.join("run/sshd"))?;
    fs::create_dir_all(root.join("run/lock"))?;
    fs::write(root.join("etc/hostname"), format!("{}\n", order.name))?;
    fs::write(root.join("etc/hosts"), &order.hosts)?;
    unlock_root(&root.join("etc/shadow"))?;
    let ours = root.join("etc/shakedown");
    fs::create_dir_all(&ours)?;
    fs::write(ours.join("sshd_config"), &order.sshd_config)?;
    write_secret(&ours.join("ssh_host_key"), &order.host_key)?;
    fs::DirBuilder::new()
        .mode(0o700)
        .create(root.join("root/.ssh"))?;
    write_secret(
        &root.join("root/.ssh/authorized_keys"),
        &order.authorized_key,
    )
}

/// Without PAM, sshd refuses an account whose password field starts with `!`, even with a key. `*` forbids
/// passwords just as well.
fn unlock_root(shadow: &Path) -> io::Result<()> {
    let text = fs::read_to_string(shadow)?;
    let Some(rest) = text.strip_prefix("root:!") else {
        return Ok(());
    };
    let after_password = rest.split_once(':').map_or("", |(_, fields)| fields);
    fs::write(shadow, format!("root:*:{after_password}"))
}

fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// From here on, what is mounted is the caller's own.
pub(crate) fn make_private() -> io::Result<()> {
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount_at("", Path::new("/"), "", flags, "")
}

/// Mounts an ext4 image by a loop device, which goes with the mount.
pub(crate) fn mount_image(image: &Path, at: &Path, mode: &str) -> io::Result<()> {
    // mount(8) knows how to find a free device, or the one that another node has for this image.
    let mount = || {
        let mut mount = command("mount");
        mount.args(["-t", "ext4", "-o", &format!("loop,{mode}")]);
        mount.arg(image).arg(at).output()
    };
    let mut output = mount()?;
    for _ in 0..MOUNT_RETRIES {
        if output.status.success() {
            return Ok(());
        }
        // Another process may have been faster to take the device, or just let it go.
        std::thread::sleep(MOUNT_RETRY);
        output = mount()?;
    }
    Err(io::Error::other(format!(
        "{}; layers of packages need loop devices and ext4: load them with `modprobe -a loop ext4`, or install the \
         packages on the machine itself",
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

/// An empty directory in the place of one of the machine's.
pub(crate) fn hide(at: &Path, options: &str) -> io::Result<()> {
    mount_at("tmpfs", at, "tmpfs", MsFlags::empty(), options)
}

/// mount(2), with errors that say what was mounted where.
pub(crate) fn mount_at(
    source: &str,
    at: &Path,
    kind: &str,
    flags: MsFlags,
    options: &str,
) -> io::Result<()> {
    mount(Some(source), at, Some(kind), flags, Some(options)).map_err(|e| {
        let hint = match (kind, e) {
            ("overlay", nix::Error::EINVAL) => {
                "; the directory for the nodes' files must not lie on an overlay itself: name one on a disk"
            }
            _ => "",
        };
        io::Error::other(format!("mount {kind} {source} on {}: {e}{hint}", at.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_root_account_is_opened_for_keys_but_not_for_passwords() {
        let dir = tempfile::tempdir().unwrap();
        let shadow = dir.path().join("shadow");
        for (before, after) in [
            (
                "root:!:19000:0::::\nbin:*:1::::\n",
                "root:*:19000:0::::\nbin:*:1::::\n",
            ),
            ("root:!$y$hash:19000::\n", "root:*:19000::\n"),
            ("root:$y$hash:19000::\n", "root:$y$hash:19000::\n"),
        ] {
            fs::write(&shadow, before).unwrap();
            unlock_root(&shadow).unwrap();
            assert_eq!(fs::read_to_string(&shadow).unwrap(), after);
        }
    }
}
