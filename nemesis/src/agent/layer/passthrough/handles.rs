//! What programs have open: files, and directories as they were when they were opened.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::{FileHandle, FileType, INodeNo};
use nix::fcntl::OFlag;

/// What is open, by the number that the kernel was given for it.
pub(super) struct Handles {
    open: Mutex<HashMap<u64, Open>>,
    next: AtomicU64,
}

enum Open {
    File(Arc<File>),
    Directory(Arc<[Entry]>),
}

/// One entry of a directory.
pub(super) struct Entry {
    pub(super) inode: INodeNo,
    pub(super) kind: FileType,
    pub(super) name: OsString,
}

impl Handles {
    pub(super) fn new() -> Self {
        Self {
            open: Mutex::default(),
            next: AtomicU64::new(1),
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, open: Open) -> FileHandle {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open().insert(number, open);
        FileHandle(number)
    }

    pub(super) fn keep_file(&self, file: File) -> FileHandle {
        self.keep(Open::File(Arc::new(file)))
    }

    pub(super) fn keep_directory(&self, entries: Vec<Entry>) -> FileHandle {
        self.keep(Open::Directory(entries.into()))
    }

    pub(super) fn file(&self, handle: FileHandle) -> io::Result<Arc<File>> {
        match self.open().get(&handle.0) {
            Some(Open::File(file)) => Ok(Arc::clone(file)),
            _ => Err(nix::Error::EBADF.into()),
        }
    }

    pub(super) fn directory(&self, handle: FileHandle) -> io::Result<Arc<[Entry]>> {
        match self.open().get(&handle.0) {
            Some(Open::Directory(entries)) => Ok(Arc::clone(entries)),
            _ => Err(nix::Error::EBADF.into()),
        }
    }

    pub(super) fn close(&self, handle: FileHandle) {
        self.open().remove(&handle.0);
    }
}

/// As the program opens it, but for what the kernel does itself (append) and what would need aligned memory.
pub(super) fn options(flags: i32) -> OpenOptions {
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

/// So many bytes of a file, or those up to its end.
pub(super) fn read(file: &File, offset: u64, size: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; size];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
