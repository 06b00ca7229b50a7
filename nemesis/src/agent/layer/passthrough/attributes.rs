//! Attributes of a file: what the kernel is told of them, and how it sets them.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

/// The bits of a mode that are no kind of file.
pub(super) const PERMISSIONS: u32 = 0o7777;

/// What the kernel is told of a file.
pub(super) fn told(number: INodeNo, metadata: &Metadata) -> FileAttr {
    FileAttr {
        ino: number,
        size: metadata.len(),
        blocks: metadata.blocks(),
        atime: time(metadata.atime(), metadata.atime_nsec()),
        mtime: time(metadata.mtime(), metadata.mtime_nsec()),
        ctime: time(metadata.ctime(), metadata.ctime_nsec()),
        crtime: UNIX_EPOCH,
        kind: kind(metadata.file_type()),
        perm: u16::try_from(metadata.mode() & PERMISSIONS).unwrap_or(0),
        nlink: u32::try_from(metadata.nlink()).unwrap_or(u32::MAX),
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: u32::try_from(metadata.rdev()).unwrap_or(0),
        blksize: 4096,
        flags: 0,
    }
}

pub(super) fn kind(file: fs::FileType) -> FileType {
    match file {
        file if file.is_dir() => FileType::Directory,
        file if file.is_symlink() => FileType::Symlink,
        file if file.is_fifo() => FileType::NamedPipe,
        file if file.is_socket() => FileType::Socket,
        file if file.is_block_device() => FileType::BlockDevice,
        file if file.is_char_device() => FileType::CharDevice,
        _ => FileType::RegularFile,
    }
}

fn time(seconds: i64, nanoseconds: i64) -> SystemTime {
    let part = Duration::from_nanos(nanoseconds.unsigned_abs());
    match u64::try_from(seconds) {
        Ok(seconds) => UNIX_EPOCH + Duration::from_secs(seconds) + part,
        Err(_) => UNIX_EPOCH,
    }
}

/// What is to be set of a file; the rest stays as it is.
pub(super) struct Setting {
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) size: Option<u64>,
    pub(super) atime: Option<TimeOrNow>,
    pub(super) mtime: Option<TimeOrNow>,
}

impl Setting {
    /// Sets it of the file at `path`; the size by the file that the program has `open`, if it goes by one.
    pub(super) fn apply(self, path: &Path, open: Option<&File>) -> io::Result<()> {
        if let Some(mode) = self.mode {
            fs::set_permissions(path, fs::Permissions::from_mode(mode & PERMISSIONS))?;
        }
        if self.uid.is_some() || self.gid.is_some() {
            chown(path, self.uid, self.gid)?;
        }
        if let Some(size) = self.size {
            match open {
                Some(file) => file.set_len(size)?,
                None => OpenOptions::new().write(true).open(path)?.set_len(size)?,
            }
        }
        if self.atime.is_some() || self.mtime.is_some() {
            let (atime, mtime) = (timespec(self.atime), timespec(self.mtime));
            let follow = UtimensatFlags::FollowSymlink;
            utimensat(AT_FDCWD, path, &atime, &mtime, follow)?;
        }
        Ok(())
    }
}

fn timespec(time: Option<TimeOrNow>) -> TimeSpec {
    match time {
        None => TimeSpec::UTIME_OMIT,
        Some(TimeOrNow::Now) => TimeSpec::UTIME_NOW,
        Some(TimeOrNow::SpecificTime(time)) => {
            TimeSpec::from_duration(time.duration_since(UNIX_EPOCH).unwrap_or_default())
        }
    }
}
