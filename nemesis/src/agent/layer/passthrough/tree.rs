//! The files of the directory that the kernel knows, by their numbers.
//!
//! They are held by descriptors (O_PATH) and reached through /proc/self/fd, so that renaming or unlinking one changes
//! nothing for who has it open.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirEntryExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::{FileAttr, FileType, INodeNo};
use nix::fcntl::OFlag;
use nix::sys::statvfs::{Statvfs, statvfs};

use super::attributes;
use super::handles::Entry;

/// The directory, and what of it the kernel knows.
pub(super) struct Tree {
    root: Arc<File>,
    root_inode: u64,
    nodes: Mutex<HashMap<u64, Node>>,
}

struct Node {
    held: Arc<File>,
    lookups: u64,
}

/// A path to a file. It is valid as long as what it comes from is held, which this does.
pub(super) struct Place {
    path: PathBuf,
    pub(super) held: Arc<File>,
}

impl AsRef<Path> for Place {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl Tree {
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        let root = hold(directory)?;
        Ok(Self {
            root_inode: root.metadata()?.ino(),
            root: Arc::new(root),
            nodes: Mutex::default(),
        })
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<u64, Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file that the kernel knows.
    pub(super) fn held(&self, inode: INodeNo) -> io::Result<Arc<File>> {
        if inode == INodeNo::ROOT {
            return Ok(Arc::clone(&self.root));
        }
        let nodes = self.nodes();
        let node = nodes.get(&inode.0).ok_or(nix::Error::ESTALE)?;
        Ok(Arc::clone(&node.held))
    }

    /// Where a file that the kernel knows can be reached.
    pub(super) fn place(&self, inode: INodeNo) -> io::Result<Place> {
        let held = self.held(inode)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
        Ok(Place { path, held })
    }

    pub(super) fn child(&self, parent: INodeNo, name: &OsStr) -> io::Result<Place> {
        let mut place = self.place(parent)?;
        place.path.push(name);
        Ok(place)
    }

    /// Finds a file by its name; from here on the kernel knows it.
    pub(super) fn find(&self, parent: INodeNo, name: &OsStr) -> io::Result<FileAttr> {
        let held = hold(self.child(parent, name)?.as_ref())?;
        let attributes = self.attributes(&held.metadata()?);
        let mut nodes = self.nodes();
        let node = nodes.entry(attributes.ino.0).or_insert_with(|| Node {
            held: Arc::new(held),
            lookups: 0,
        });
        node.lookups += 1;
        Ok(attributes)
    }

    /// The kernel forgets so many of the times that a file was found.
    pub(super) fn forget(&self, inode: INodeNo, lookups: u64) {
        let mut nodes = self.nodes();
        if let Some(node) = nodes.get_mut(&inode.0) {
            node.lookups = node.lookups.saturating_sub(lookups);
            if node.lookups == 0 {
                nodes.remove(&inode.0);
            }
        }
    }

    pub(super) fn attributes(&self, metadata: &Metadata) -> FileAttr {
        attributes::told(self.number(metadata.ino()), metadata)
    }

    /// The kernel calls the root 1.
    fn number(&self, inode: u64) -> INodeNo {
        INodeNo(if inode == self.root_inode { 1 } else { inode })
    }

    /// How much room the directory's disk has.
    pub(super) fn space(&self) -> io::Result<Statvfs> {
        Ok(statvfs(self.place(INodeNo::ROOT)?.as_ref())?)
    }

    /// What is in a directory.
    pub(super) fn list(&self, inode: INodeNo) -> io::Result<Vec<Entry>> {
        let itself = |name: &str| Entry {
            inode,
            kind: FileType::Directory,
            name: name.into(),
        };
        let mut entries = vec![itself("."), itself("..")];
        for entry in fs::read_dir(self.place(inode)?)? {
            let entry = entry?;
            entries.push(Entry {
                inode: self.number(entry.ino()),
                kind: attributes::kind(entry.file_type()?),
                name: entry.file_name(),
            });
        }
        Ok(entries)
    }
}

/// Holds a file without opening it; links are held themselves.
fn hold(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_PATH | OFlag::O_NOFOLLOW).bits())
        .open(path)
}
