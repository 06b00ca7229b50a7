//! Following a file that grows, is truncated, or is replaced by another of the same name.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A line longer than this is handed out in pieces, bytes.
const LONGEST_LINE: usize = 64 << 10;

/// The state of following one file.
#[derive(Debug)]
pub(crate) struct Tail {
    path: PathBuf,
    open: Option<Open>,
    /// What is known of a file that could not be read any more: its disk lost power, and nothing may keep
    /// that from being unmounted.
    lost: Option<Lost>,
    /// The begin of a line whose end is not there yet.
    partial: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    file: File,
    inode: (u64, u64),
    read: u64,
    /// Its first bytes.
    head: Vec<u8>,
}

/// How a file is known again that was read up to some byte.
#[derive(Debug)]
struct Lost {
    head: Vec<u8>,
    read: u64,
}

/// Bytes by which a file is known again; a log's first line has a time in it, or a process's number.
const HEAD_BYTES: usize = 256;

impl Tail {
    /// Follows from the file's present end; from its start if it doesn't exist yet.
    pub(crate) fn from_now(path: &Path) -> io::Result<Self> {
        let mut tail = Self {
            path: path.to_owned(),
            open: None,
            lost: None,
            partial: Vec::new(),
        };
        if let Some(mut open) = tail.replacement()? {
            open.read = open.file.seek(SeekFrom::End(0))?;
            tail.open = Some(open);
        }
        Ok(tail)
    }

    /// The lines that ended since the last call, without their ends.
    pub(crate) fn lines(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        if let Err(error) = self.read_open(&mut lines) {
            self.lost = self.open.take().map(|open| Lost {
                head: open.head,
                read: open.read,
            });
            return Err(error);
        }
        if let Some(mut new) = self.replacement()? {
            if let Some(lost) = self.lost.take()
                && head(&new.file, lost.head.len())? == lost.head
            {
                // The same file on its disk mounted anew: what was read is not read again.
                let kept = lost.read.min(new.file.metadata()?.len());
                new.read = new.file.seek(SeekFrom::Start(kept))?;
            }
            // The old file may have grown before it was replaced.
            self.read_open(&mut lines)?;
            self.partial.clear();
            self.open = Some(new);
            self.read_open(&mut lines)?;
        }
        Ok(lines)
    }

    /// What the path names now, if that is another file than the open one.
    fn replacement(&self) -> io::Result<Option<Open>> {
        let absent = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Ok(None),
            _ => Err(error),
        };
        let metadata = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) => return absent(error),
        };
        let inode = (metadata.dev(), metadata.ino());
        if self.open.as_ref().is_some_and(|open| open.inode == inode) {
            return Ok(None);
        }
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) => return absent(error),
        };
        let metadata = file.metadata()?;
        Ok(Some(Open {
            inode: (metadata.dev(), metadata.ino()),
            file,
            read: 0,
            head: Vec::new(),
        }))
    }

    fn read_open(&mut self, lines: &mut Vec<String>) -> io::Result<()> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if open.file.metadata()?.len() < open.read {
            open.read = open.file.seek(SeekFrom::Start(0))?;
            open.head.clear();
            self.partial.clear();
        }
        let mut bytes = Vec::new();
        open.read += open.file.read_to_end(&mut bytes)? as u64;
        if !bytes.is_empty() && open.head.len() < HEAD_BYTES {
            open.head = head(&open.file, HEAD_BYTES)?;
        }
        for byte in bytes {
            if byte == b'\n' || self.partial.len() == LONGEST_LINE {
                lines.push(String::from_utf8_lossy(&self.partial).into_owned());
                self.partial.clear();
            }
            if byte != b'\n' {
                self.partial.push(byte);
            }
        }
        Ok(())
    }
}

/// The first bytes of a file; fewer if it is shorter.
fn head(file: &File, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    fn append(path: &Path, text: &str) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn only_lines_appended_from_now_on_and_only_whole_ones() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        append(&path, "old\n");
        let mut tail = Tail::from_now(&path).unwrap();
        append(&path, "a\nb");
        assert_eq!(tail.lines().unwrap(), ["a"]);
        append(&path, "c\n\n");
        assert_eq!(tail.lines().unwrap(), ["bc", ""]);
        assert!(tail.lines().unwrap().is_empty());
    }

    #[test]
    fn a_file_that_comes_later_is_read_from_its_start() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let mut tail = Tail::from_now(&path).unwrap();
        assert!(tail.lines().unwrap().is_empty());
        append(&path, "a\n");
        assert_eq!(tail.lines().unwrap(), ["a"]);
    }

    #[test]
    fn a_truncated_file_is_read_from_its_start_again() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        append(&path, "a long line\n");
        let mut tail = Tail::from_now(&path).unwrap();
        fs::write(&path, "b\n").unwrap();
        assert_eq!(tail.lines().unwrap(), ["b"]);
    }

    #[test]
    fn a_replaced_file_is_read_to_its_end_and_then_the_new_one() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let mut tail = Tail::from_now(&path).unwrap();
        append(&path, "a\n");
        assert_eq!(tail.lines().unwrap(), ["a"]);
        append(&path, "b\n");
        fs::rename(&path, home.path().join("log.1")).unwrap();
        append(&path, "c\n");
        assert_eq!(tail.lines().unwrap(), ["b", "c"]);
    }
}
