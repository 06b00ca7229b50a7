//! How the kernel is answered: with what came of an operation, or with its error.

use std::io;
use std::time::Duration;

use fuser::{
    FileAttr, FileHandle, FopenFlags, Generation, ReplyAttr, ReplyCreate, ReplyData, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite,
};
use nix::sys::statvfs::Statvfs;

/// Nobody changes the directory but through this.
const TTL: Duration = Duration::from_secs(1);

const GENERATION: Generation = Generation(0);

/// A reply to an operation that gives a `T` when it is done.
pub(super) trait Answer<T> {
    fn answer(self, outcome: io::Result<T>);
}

impl Answer<()> for ReplyEmpty {
    fn answer(self, outcome: io::Result<()>) {
        match outcome {
            Ok(()) => self.ok(),
            Err(error) => self.error(error.into()),
        }
    }
}

impl Answer<FileAttr> for ReplyEntry {
    fn answer(self, outcome: io::Result<FileAttr>) {
        match outcome {
            Ok(attributes) => self.entry(&TTL, &attributes, GENERATION),
            Err(error) => self.error(error.into()),
        }
    }
}

impl Answer<FileAttr> for ReplyAttr {
    fn answer(self, outcome: io::Result<FileAttr>) {
        match outcome {
            Ok(attributes) => self.attr(&TTL, &attributes),
            Err(error) => self.error(error.into()),
        }
    }
}

impl Answer<FileHandle> for ReplyOpen {
    fn answer(self, outcome: io::Result<FileHandle>) {
        match outcome {
            Ok(handle) => self.opened(handle, FopenFlags::empty()),
            Err(error) => self.error(error.into()),
        }
    }
}

impl Answer<(FileAttr, FileHandle)> for ReplyCreate {
    fn answer(self, outcome: io::Result<(FileAttr, FileHandle)>) {
        match outcome {
            Ok((attributes, handle)) => {
                self.created(&TTL, &attributes, GENERATION, handle, FopenFlags::empty());
            }
            Err(error) => self.error(error.into()),
        }
    }
}

impl Answer<Vec<u8>> for ReplyData {
    fn answer(self, outcome: io::Result<Vec<u8>>) {
        match outcome {
            Ok(bytes) => self.data(&bytes),
            Err(error) => self.error(error.into()),
        }
    }
}

impl Answer<u32> for ReplyWrite {
    fn answer(self, outcome: io::Result<u32>) {
        match outcome {
            Ok(bytes) => self.written(bytes),
            Err(error) => self.error(error.into()),
        }
    }
}

impl Answer<Statvfs> for ReplyStatfs {
    fn answer(self, outcome: io::Result<Statvfs>) {
        match outcome {
            Ok(state) => self.statfs(
                state.blocks(),
                state.blocks_free(),
                state.blocks_available(),
                state.files(),
                state.files_free(),
                u32::try_from(state.block_size()).unwrap_or(4096),
                u32::try_from(state.name_max()).unwrap_or(255),
                u32::try_from(state.fragment_size()).unwrap_or(4096),
            ),
            Err(error) => self.error(error.into()),
        }
    }
}
