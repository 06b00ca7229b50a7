//! Loop devices: an image attached to a free one, which frees itself when its last user goes.
//!
//! Loop devices belong to the machine, not to a node's namespaces. Each is attached with the flag that
//! detaches it at its last close, so that the death of a node (its mounts go with it) frees it too.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use super::ioctl;

const LOOP_MAJOR: u64 = 7;
/// The character device /dev/loop-control; admin-guide/devices.txt.
const CONTROL: (u64, u64) = (10, 237);

/// How often someone else may be faster to take the device that was free.
const ATTEMPTS: u32 = 100;

/// A loop device with an image attached; detached when this is dropped, unless it is mounted by then.
#[derive(Debug)]
pub(crate) struct LoopDevice {
    path: PathBuf,
    _open: File,
    _made: Made,
}

impl LoopDevice {
    /// Attaches `image`, a regular file.
    pub(crate) fn attach(image: &Path) -> io::Result<Self> {
        let image = OpenOptions::new().read(true).write(true).open(image)?;
        let (control, _made) = open(Path::new("/dev/loop-control"), SFlag::S_IFCHR, CONTROL)?;
        for _ in 0..ATTEMPTS {
            let number = ioctl::free_loop_device(&control)?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let (device, made) = open(&path, SFlag::S_IFBLK, (LOOP_MAJOR, number.into()))?;
            match ioctl::attach(&device, &image) {
                Ok(()) => {
                    return Ok(Self {
                        path,
                        _open: device,
                        _made: made,
                    });
                }
                Err(nix::Error::EBUSY) => thread::sleep(Duration::from_millis(5)),
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::other("others took every free loop device first"))
    }

    /// Its file, there as long as this is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// A device file of our own making, removed when dropped.
#[derive(Debug)]
pub(crate) struct Made(Option<PathBuf>);

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// Sees to it that there is /dev/fuse, as long as what this returns lives; admin-guide/devices.txt.
pub(crate) fn fuse_device() -> io::Result<Made> {
    Ok(open(Path::new("/dev/fuse"), SFlag::S_IFCHR, (10, 229))?.1)
}

/// Opens a device. Where /dev is not the kernel's own (a container's, a local cluster's node's), its file
/// may be missing there: it is made for as long as it is needed.
fn open(path: &Path, kind: SFlag, (major, minor): (u64, u64)) -> io::Result<(File, Made)> {
    let with_path =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let made = match mknod(
        path,
        kind,
        Mode::from_bits_truncate(0o600),
        makedev(major, minor),
    ) {
        Ok(()) => Made(Some(path.to_owned())),
        Err(nix::Error::EEXIST) => Made(None),
        Err(error) => return Err(with_path(error.into())),
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(with_path)?;
    Ok((file, made))
}
