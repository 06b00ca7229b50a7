//! A file system that hands every operation on to a directory, through a gate.
//!
//! Files are reached by descriptors that hold them (O_PATH), through /proc/self/fd, so that renaming or unlinking
//! one changes nothing for who has it open.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{
    FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use nix::fcntl::{AT_FDCWD, AtFlags, FallocateFlags, OFlag};
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, mknod, utimensat};
use nix::sys::statvfs::statvfs;
use nix::sys::time::TimeSpec;
use nix::unistd::linkat;

use super::rules::Gate;
use crate::fault::io::Operation;

/// Nobody changes the directory but through this.
const TTL: Duration = Duration::from_secs(1);

const GENERATION: Generation = Generation(0);

/// The directory, and what of it is in use.
pub(super) struct Passthrough {
    gate: Arc<Gate>,
    root: Arc<File>,
    root_inode: u64,
    nodes: Mutex<HashMap<u64, Node>>,
    open: Mutex<HashMap<u64, Open>>,
    next: AtomicU64,
}

struct Node {
    held: Arc<File>,
    lookups: u64,
}

#[derive(Clone)]
enum Open {
    File(Arc<File>),
    Directory(Arc<Vec<(u64, FileType, std::ffi::OsString)>>),
}

impl Passthrough {
    pub(super) fn new(directory: &Path, gate: Arc<Gate>) -> io::Result<Self> {
        let root = hold(directory)?;
        Ok(Self {
            gate,
            root_inode: root.metadata()?.ino(),
            root: Arc::new(root),
            nodes: Mutex::default(),
            open: Mutex::default(),
            next: AtomicU64::new(1),
        })
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<u64, Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_ones(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self, inode: INodeNo) -> io::Result<Arc<File>> {
        if inode == INodeNo::ROOT {
            return Ok(Arc::clone(&self.root));
        }
        let nodes = self.nodes();
        let node = nodes.get(&inode.0).ok_or(nix::Error::ESTALE)?;
        Ok(Arc::clone(&node.held))
    }

    /// A path to a file that is valid as long as what it comes from is held.
    fn path(&self, inode: INodeNo) -> io::Result<(Arc<File>, PathBuf)> {
        let held = self.held(inode)?;
        let path = proc_path(&held);
        Ok((held, path))
    }

    fn child(&self, parent: INodeNo, name: &OsStr) -> io::Result<(Arc<File>, PathBuf)> {
        let (held, path) = self.path(parent)?;
        Ok((held, path.join(name)))
    }

    fn file(&self, handle: FileHandle) -> io::Result<Arc<File>> {
        match self.open_ones().get(&handle.0) {
            Some(Open::File(file)) => Ok(Arc::clone(file)),
            _ => Err(nix::Error::EBADF.into()),
        }
    }

    fn keep(&self, open: Open) -> FileHandle {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open_ones().insert(number, open);
        FileHandle(number)
    }

    fn attributes(&self, metadata: &Metadata) -> FileAttr {
        let seconds = |s: i64, ns: i64| {
            let part = Duration::from_nanos(ns.unsigned_abs());
            match u64::try_from(s) {
                Ok(s) => UNIX_EPOCH + Duration::from_secs(s) + part,
                Err(_) => UNIX_EPOCH,
            }
        };
        FileAttr {
            ino: self.number(metadata.ino()),
            size: metadata.len(),
            blocks: metadata.blocks(),
            atime: seconds(metadata.atime(), metadata.atime_nsec()),
            mtime: seconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime: seconds(metadata.ctime(), metadata.ctime_nsec()),
            crtime: UNIX_EPOCH,
            kind: kind(metadata.file_type()),
            perm: u16::try_from(metadata.mode() & 0o7777).unwrap_or(0),
            nlink: u32::try_from(metadata.nlink()).unwrap_or(u32::MAX),
            uid: metadata.uid(),
            gid: metadata.gid(),
            rdev: u32::try_from(metadata.rdev()).unwrap_or(0),
            blksize: 4096,
            flags: 0,
        }
    }

    /// The kernel calls the root 1.
    fn number(&self, inode: u64) -> INodeNo {
        INodeNo(if inode == self.root_inode { 1 } else { inode })
    }

    fn find(&self, parent: INodeNo, name: &OsStr) -> io::Result<FileAttr> {
        let (_parent, path) = self.child(parent, name)?;
        let held = hold(&path)?;
        let attributes = self.attributes(&held.metadata()?);
        let mut nodes = self.nodes();
        let node = nodes.entry(attributes.ino.0).or_insert_with(|| Node {
            held: Arc::new(held),
            lookups: 0,
        });
        node.lookups += 1;
        Ok(attributes)
    }

    /// Makes something by `make`, gives it to who asked for it, and finds it.
    fn make(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        make: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<FileAttr> {
        self.gate.pass(Operation::Write, 0)?;
        let (_parent, path) = self.child(parent, name)?;
        make(&path)?;
        std::os::unix::fs::lchown(&path, Some(request.uid()), Some(request.gid()))?;
        self.find(parent, name)
    }

    fn open_file(&self, inode: INodeNo, flags: i32) -> io::Result<FileHandle> {
        let (_held, path) = self.path(inode)?;
        let file = options(flags).open(path)?;
        Ok(self.keep(Open::File(Arc::new(file))))
    }

    fn list(&self, inode: INodeNo) -> io::Result<FileHandle> {
        let (_held, path) = self.path(inode)?;
        let mut entries = vec![
            (inode.0, FileType::Directory, ".".into()),
            (inode.0, FileType::Directory, "..".into()),
        ];
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let inode = std::os::unix::fs::DirEntryExt::ino(&entry);
            entries.push((
                self.number(inode).0,
                kind(entry.file_type()?),
                entry.file_name(),
            ));
        }
        Ok(self.keep(Open::Directory(Arc::new(entries))))
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "what the kernel may ask to be set"
    )]
    fn set(
        &self,
        inode: INodeNo,
        mode: Option<u32>,
        (uid, gid): (Option<u32>, Option<u32>),
        size: Option<u64>,
        (atime, mtime): (Option<TimeOrNow>, Option<TimeOrNow>),
        handle: Option<FileHandle>,
    ) -> io::Result<FileAttr> {
        self.gate.pass(Operation::Write, 0)?;
        let (held, path) = self.path(inode)?;
        if let Some(mode) = mode {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o7777))?;
        }
        if uid.is_some() || gid.is_some() {
            chown(&path, uid, gid)?;
        }
        if let Some(size) = size {
            match handle.map(|handle| self.file(handle)) {
                Some(file) => file?.set_len(size)?,
                None => OpenOptions::new().write(true).open(&path)?.set_len(size)?,
            }
        }
        if atime.is_some() || mtime.is_some() {
            let (atime, mtime) = (timespec(atime), timespec(mtime));
            utimensat(
                AT_FDCWD,
                &path,
                &atime,
                &mtime,
                UtimensatFlags::FollowSymlink,
            )?;
        }
        Ok(self.attributes(&held.metadata()?))
    }
}

impl Filesystem for Passthrough {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(self.find(parent, name), reply);
    }

    fn forget(&self, _: &Request, inode: INodeNo, lookups: u64) {
        let mut nodes = self.nodes();
        if let Some(node) = nodes.get_mut(&inode.0) {
            node.lookups = node.lookups.saturating_sub(lookups);
            if node.lookups == 0 {
                nodes.remove(&inode.0);
            }
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let found = self.held(inode).and_then(|held| held.metadata());
        attr(found.map(|metadata| self.attributes(&metadata)), reply);
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        attr(
            self.set(inode, mode, (uid, gid), size, (atime, mtime), handle),
            reply,
        );
    }

    fn readlink(&self, _: &Request, inode: INodeNo, reply: ReplyData) {
        let target = self.held(inode).and_then(|held| {
            let target = nix::fcntl::readlinkat(&*held, "")?;
            Ok(target)
        });
        match target {
            Ok(target) => reply.data(target.as_encoded_bytes()),
            Err(error) => reply.error(error.into()),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        rdev: u32,
        reply: ReplyEntry,
    ) {
        let made = self.make(request, parent, name, |path| {
            let kind = SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits());
            let permissions = Mode::from_bits_truncate(mode & !umask & 0o7777);
            Ok(mknod(path, kind, permissions, rdev.into())?)
        });
        entry(made, reply);
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let made = self.make(request, parent, name, |path| {
            fs::create_dir(path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(mode & !umask & 0o7777))
        });
        entry(made, reply);
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        entry(
            self.make(request, parent, name, |path| symlink(target, path)),
            reply,
        );
    }

    fn link(&self, _: &Request, inode: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let made = self.gate.pass(Operation::Write, 0).and_then(|()| {
            let (_held, from) = self.path(inode)?;
            let (_parent, to) = self.child(parent, name)?;
            linkat(AT_FDCWD, &from, AT_FDCWD, &to, AtFlags::AT_SYMLINK_FOLLOW)?;
            self.find(parent, name)
        });
        entry(made, reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let outcome = self.gate.pass(Operation::Write, 0).and_then(|()| {
            let (_parent, path) = self.child(parent, name)?;
            fs::remove_file(path)
        });
        empty(outcome, reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let outcome = self.gate.pass(Operation::Write, 0).and_then(|()| {
            let (_parent, path) = self.child(parent, name)?;
            fs::remove_dir(path)
        });
        empty(outcome, reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let outcome = self.gate.pass(Operation::Write, 0).and_then(|()| {
            if !flags.is_empty() {
                return Err(nix::Error::EINVAL.into());
            }
            let (_from, from) = self.child(parent, name)?;
            let (_to, to) = self.child(new_parent, new_name)?;
            fs::rename(from, to)
        });
        empty(outcome, reply);
    }

    fn open(&self, _: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        opened(self.open_file(inode, flags.0), reply);
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let mut file = None;
        let made = self.make(request, parent, name, |path| {
            let mut options = options(flags);
            options
                .create(true)
                .write(true)
                .mode(mode & !umask & 0o7777);
            file = Some(options.open(path)?);
            Ok(())
        });
        match (made, file) {
            (Ok(attributes), Some(file)) => {
                let handle = self.keep(Open::File(Arc::new(file)));
                reply.created(&TTL, &attributes, GENERATION, handle, FopenFlags::empty());
            }
            (Err(error), _) => reply.error(error.into()),
            (Ok(_), None) => reply.error(Errno::EIO),
        }
    }

    fn read(
        &self,
        _: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = || -> io::Result<Vec<u8>> {
            let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
            self.gate.pass(Operation::Read, bytes.len())?;
            let file = self.file(handle)?;
            let mut filled = 0;
            while filled < bytes.len() {
                match file.read_at(&mut bytes[filled..], offset + filled as u64)? {
                    0 => break,
                    count => filled += count,
                }
            }
            bytes.truncate(filled);
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error.into()),
        }
    }

    fn write(
        &self,
        _: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self.gate.pass(Operation::Write, data.len()).and_then(|()| {
            let part = self.gate.tear(data.len());
            self.file(handle)?.write_all_at(&data[..part], offset)
        });
        match written {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(error) => reply.error(error.into()),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.open_ones().remove(&handle.0);
        reply.ok();
    }

    fn fsync(
        &self,
        _: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        data_only: bool,
        reply: ReplyEmpty,
    ) {
        let synced = self.gate.pass(Operation::Sync, 0).and_then(|()| {
            let file = self.file(handle)?;
            if data_only {
                file.sync_data()
            } else {
                file.sync_all()
            }
        });
        empty(synced, reply);
    }

    fn fsyncdir(
        &self,
        _: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        _data_only: bool,
        reply: ReplyEmpty,
    ) {
        let synced = self.gate.pass(Operation::Sync, 0).and_then(|()| {
            let (_held, path) = self.path(inode)?;
            File::open(path)?.sync_all()
        });
        empty(synced, reply);
    }

    fn opendir(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        opened(self.list(inode), reply);
    }

    fn readdir(
        &self,
        _: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let Some(Open::Directory(entries)) = self.open_ones().get(&handle.0).cloned() else {
            return reply.error(Errno::EBADF);
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (index, (inode, kind, name)) in entries.iter().enumerate().skip(from) {
            if reply.add(INodeNo(*inode), index as u64 + 1, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.open_ones().remove(&handle.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        match statvfs(&proc_path(&self.root)) {
            Ok(state) => reply.statfs(
                state.blocks(),
                state.blocks_free(),
                state.blocks_available(),
                state.files(),
                state.files_free(),
                u32::try_from(state.block_size()).unwrap_or(4096),
                u32::try_from(state.name_max()).unwrap_or(255),
                u32::try_from(state.fragment_size()).unwrap_or(4096),
            ),
            Err(error) => reply.error(io::Error::from(error).into()),
        }
    }

    fn fallocate(
        &self,
        _: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let outcome = self.gate.pass(Operation::Write, 0).and_then(|()| {
            let signed = |value: u64| i64::try_from(value).map_err(|_| nix::Error::EFBIG);
            let flags = FallocateFlags::from_bits_truncate(mode);
            let file = self.file(handle)?;
            nix::fcntl::fallocate(&*file, flags, signed(offset)?, signed(length)?)?;
            Ok(())
        });
        empty(outcome, reply);
    }
}

/// Holds a file without opening it; links are held themselves.
fn hold(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_PATH | OFlag::O_NOFOLLOW).bits())
        .open(path)
}

fn proc_path(held: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()))
}

/// As the program opens it, but for what the kernel does itself (append) and what would need aligned memory.
fn options(flags: i32) -> OpenOptions {
    let flags = OFlag::from_bits_retain(flags);
    let access = flags & OFlag::O_ACCMODE;
    let kept = flags & (OFlag::O_TRUNC | OFlag::O_EXCL | OFlag::O_SYNC | OFlag::O_DSYNC);
    let mut options = OpenOptions::new();
    options
        .read(access != OFlag::O_WRONLY)
        .write(access != OFlag::O_RDONLY)
        .custom_flags(kept.bits());
    options
}

fn kind(file: fs::FileType) -> FileType {
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

fn timespec(time: Option<TimeOrNow>) -> TimeSpec {
    match time {
        None => TimeSpec::UTIME_OMIT,
        Some(TimeOrNow::Now) => TimeSpec::UTIME_NOW,
        Some(TimeOrNow::SpecificTime(time)) => {
            TimeSpec::from_duration(time.duration_since(UNIX_EPOCH).unwrap_or_default())
        }
    }
}

fn entry(found: io::Result<FileAttr>, reply: ReplyEntry) {
    match found {
        Ok(attributes) => reply.entry(&TTL, &attributes, GENERATION),
        Err(error) => reply.error(error.into()),
    }
}

fn attr(found: io::Result<FileAttr>, reply: ReplyAttr) {
    match found {
        Ok(attributes) => reply.attr(&TTL, &attributes),
        Err(error) => reply.error(error.into()),
    }
}

fn opened(handle: io::Result<FileHandle>, reply: ReplyOpen) {
    match handle {
        Ok(handle) => reply.opened(handle, FopenFlags::empty()),
        Err(error) => reply.error(error.into()),
    }
}

fn empty(outcome: io::Result<()>, reply: ReplyEmpty) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error.into()),
    }
}
