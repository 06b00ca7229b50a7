//! A file system that hands every operation on to a directory, through a gate.

mod answer;
mod attributes;
mod handles;
mod tree;

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt, lchown, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, FileAttr, FileHandle, Filesystem, INodeNo, LockOwner, OpenFlags, RenameFlags,
    ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use nix::fcntl::{AT_FDCWD, AtFlags, FallocateFlags, fallocate, readlinkat};
use nix::sys::stat::{Mode, SFlag, mknod};
use nix::unistd::linkat;

use self::answer::Answer;
use self::attributes::{PERMISSIONS, Setting};
use self::handles::Handles;
use self::tree::Tree;
use super::rules::Gate;
use crate::fault::io::Operation;

/// The directory, and what of it is in use.
pub(super) struct Passthrough {
    gate: Arc<Gate>,
    tree: Tree,
    handles: Handles,
}

impl Passthrough {
    pub(super) fn new(directory: &Path, gate: Arc<Gate>) -> io::Result<Self> {
        Ok(Self {
            gate,
            tree: Tree::new(directory)?,
            handles: Handles::new(),
        })
    }

    /// Does something to so many bytes when the gate has let it pass.
    fn pass<T>(
        &self,
        operation: Operation,
        bytes: usize,
        act: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        self.gate.pass(operation, bytes)?;
        act()
    }

    /// Changes what is not the bytes of a file.
    fn change<T>(&self, change: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.pass(Operation::Write, 0, change)
    }

    fn sync(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.pass(Operation::Sync, 0, sync)
    }

    /// Makes something by `make`, gives it to who asked for it, and finds it.
    fn make<T>(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        make: impl FnOnce(&Path) -> io::Result<T>,
    ) -> io::Result<(FileAttr, T)> {
        self.change(|| {
            let place = self.tree.child(parent, name)?;
            let made = make(place.as_ref())?;
            lchown(&place, Some(request.uid()), Some(request.gid()))?;
            Ok((self.tree.find(parent, name)?, made))
        })
    }
}

impl Filesystem for Passthrough {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        reply.answer(self.tree.find(parent, name));
    }

    fn forget(&self, _: &Request, inode: INodeNo, lookups: u64) {
        self.tree.forget(inode, lookups);
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let metadata = self.tree.held(inode).and_then(|held| held.metadata());
        reply.answer(metadata.map(|metadata| self.tree.attributes(&metadata)));
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
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let setting = Setting {
            mode,
            uid,
            gid,
            size,
            atime,
            mtime,
        };
        reply.answer(self.change(|| {
            let place = self.tree.place(inode)?;
            let by = handle.filter(|_| size.is_some());
            let open = by.map(|handle| self.handles.file(handle)).transpose()?;
            setting.apply(place.as_ref(), open.as_deref())?;
            Ok(self.tree.attributes(&place.held.metadata()?))
        }));
    }

    fn readlink(&self, _: &Request, inode: INodeNo, reply: ReplyData) {
        reply.answer(self.tree.held(inode).and_then(|held| {
            let target = readlinkat(&*held, "")?;
            Ok(target.into_vec())
        }));
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
            let permissions = Mode::from_bits_truncate(permissions(mode, umask));
            Ok(mknod(path, kind, permissions, rdev.into())?)
        });
        reply.answer(made.map(|(attributes, ())| attributes));
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
            fs::set_permissions(path, Permissions::from_mode(permissions(mode, umask)))
        });
        reply.answer(made.map(|(attributes, ())| attributes));
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let made = self.make(request, parent, name, |path| symlink(target, path));
        reply.answer(made.map(|(attributes, ())| attributes));
    }

    fn link(&self, _: &Request, inode: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        reply.answer(self.change(|| {
            let from = self.tree.place(inode)?;
            let to = self.tree.child(parent, name)?;
            let follow = AtFlags::AT_SYMLINK_FOLLOW;
            linkat(AT_FDCWD, from.as_ref(), AT_FDCWD, to.as_ref(), follow)?;
            self.tree.find(parent, name)
        }));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        reply.answer(self.change(|| fs::remove_file(self.tree.child(parent, name)?)));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        reply.answer(self.change(|| fs::remove_dir(self.tree.child(parent, name)?)));
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
        reply.answer(self.change(|| {
            if !flags.is_empty() {
                return Err(nix::Error::EINVAL.into());
            }
            let from = self.tree.child(parent, name)?;
            let to = self.tree.child(new_parent, new_name)?;
            fs::rename(from, to)
        }));
    }

    fn open(&self, _: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let place = self.tree.place(inode);
        let file = place.and_then(|place| handles::options(flags.0).open(place));
        reply.answer(file.map(|file| self.handles.keep_file(file)));
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
        let made = self.make(request, parent, name, |path| {
            let mut options = handles::options(flags);
            options.create(true).write(true);
            options.mode(permissions(mode, umask)).open(path)
        });
        reply.answer(made.map(|(attributes, file)| (attributes, self.handles.keep_file(file))));
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
        let size = size as usize;
        reply.answer(self.pass(Operation::Read, size, || {
            handles::read(&*self.handles.file(handle)?, offset, size)
        }));
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
        reply.answer(self.pass(Operation::Write, data.len(), || {
            let part = self.gate.tear(data.len());
            let file = self.handles.file(handle)?;
            file.write_all_at(&data[..part], offset)?;
            Ok(u32::try_from(data.len()).unwrap_or(u32::MAX))
        }));
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
        self.handles.close(handle);
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
        reply.answer(self.sync(|| {
            let file = self.handles.file(handle)?;
            match data_only {
                true => file.sync_data(),
                false => file.sync_all(),
            }
        }));
    }

    fn fsyncdir(
        &self,
        _: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        _data_only: bool,
        reply: ReplyEmpty,
    ) {
        reply.answer(self.sync(|| File::open(self.tree.place(inode)?)?.sync_all()));
    }

    fn opendir(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let entries = self.tree.list(inode);
        reply.answer(entries.map(|entries| self.handles.keep_directory(entries)));
    }

    fn readdir(
        &self,
        _: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let entries = match self.handles.directory(handle) {
            Ok(entries) => entries,
            Err(error) => return reply.error(error.into()),
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (index, entry) in entries.iter().enumerate().skip(from) {
            if reply.add(entry.inode, index as u64 + 1, entry.kind, &entry.name) {
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
        self.handles.close(handle);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.answer(self.tree.space());
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
        reply.answer(self.change(|| {
            let signed = |value: u64| i64::try_from(value).map_err(|_| nix::Error::EFBIG);
            let flags = FallocateFlags::from_bits_truncate(mode);
            let file = self.handles.file(handle)?;
            fallocate(&*file, flags, signed(offset)?, signed(length)?)?;
            Ok(())
        }));
    }
}

/// The permissions of something that is made.
fn permissions(mode: u32, umask: u32) -> u32 {
    mode & !umask & PERMISSIONS
}
