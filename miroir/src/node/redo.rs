//! The redo log: each batch of writes is appended and synced before it is answered, so that the database itself need
//! be synced only now and then. After a crash the batches that the database has not are applied again.
//!
//! A record is the length of its payload, a hash, the number of its batch, and the payload. Numbers increase by one
//! from record to record. After a checkpoint of the database the log begins again at the front of its file; what is
//! left of earlier records behind the new ones is told by hash or number.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use axum::body::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Length, hash, number.
const HEADER: usize = 20;
/// The file grows by so much at a time: syncing is cheaper as long as its length stays.
const GROWTH: u64 = 1 << 20;
/// Of the kernel's cache.
const PAGE: usize = 4096;

/// The log of one node.
#[derive(Debug)]
pub(crate) struct Redo {
    file: File,
    /// Where the next record goes.
    end: u64,
    /// Length of the file.
    length: u64,
}

impl Redo {
    /// Opens or makes the log, to be read first; see [`Self::read`].
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let is_new = !path.exists();
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        if is_new && let Some(directory) = path.parent() {
            File::open(directory)?.sync_all()?;
        }
        let length = file.metadata()?.len();
        Ok(Redo {
            file,
            end: 0,
            length,
        })
    }

    /// The batches with numbers above `after`, in order and without a gap. An error if there is one behind `after`:
    /// the database is another one, or was set back.
    pub(crate) fn read(&self, after: u64) -> io::Result<Vec<(u64, Bytes)>> {
        let length = self.file.metadata()?.len();
        let mut all = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut all, 0)?;
        let mut rest = Bytes::from(all);
        let mut batches: Vec<(u64, Bytes)> = Vec::new();
        let mut last = None;
        while let Some((number, payload)) = next(&mut rest) {
            if last.is_some_and(|last| number != last + 1) {
                break;
            }
            last = Some(number);
            if number > after {
                batches.push((number, payload));
            }
        }
        match batches.first() {
            Some((first, _)) if *first != after + 1 => Err(io::Error::other(format!(
                "it goes on at batch {first}, but the database ends at {after}"
            ))),
            _ => Ok(batches),
        }
    }

    /// Bytes since the last checkpoint.
    pub(crate) fn bytes(&self) -> u64 {
        self.end
    }

    /// Begins again at the front: the database is on disk with everything logged so far.
    pub(crate) fn rewind(&mut self) {
        self.end = 0;
    }

    /// Appends a batch; when this returns, it is on disk. `record` begins with room for the header: see [`record`].
    pub(crate) fn append(&mut self, number: u64, mut record: Vec<u8>) -> io::Result<()> {
        let (header, payload) = record.split_at_mut(HEADER);
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
        header[..4].copy_from_slice(&length.to_le_bytes());
        header[4..12].copy_from_slice(&xxh3_64_with_seed(payload, number).to_le_bytes());
        header[12..].copy_from_slice(&number.to_le_bytes());
        self.file.write_all_at(&record, self.end)?;
        let end = self.end + record.len() as u64;
        if end > self.length {
            self.grow(end)?;
        }
        self.file.sync_data()?;
        self.end = end;
        Ok(())
    }

    /// Adds zeros at `end`. Page by page: what was written in one piece the kernel keeps in one piece, and would write
    /// as a whole for each small record in it.
    fn grow(&mut self, end: u64) -> io::Result<()> {
        self.length = end;
        while self.length < end + GROWTH {
            let zeros =
                &[0; PAGE][..PAGE - usize::try_from(self.length % PAGE as u64).unwrap_or(0)];
            self.file.write_all_at(zeros, self.length)?;
            self.length += zeros.len() as u64;
        }
        Ok(())
    }
}

/// An empty record, to whose end the payload is added.
pub(crate) fn record() -> Vec<u8> {
    vec![0; HEADER]
}

/// Takes the next record off; `None` at the end, or where it makes no sense.
fn next(rest: &mut Bytes) -> Option<(u64, Bytes)> {
    let header = rest.get(..HEADER)?;
    let length = u32::from_le_bytes(header[..4].try_into().ok()?);
    let hash = u64::from_le_bytes(header[4..12].try_into().ok()?);
    let number = u64::from_le_bytes(header[12..].try_into().ok()?);
    let end = HEADER.checked_add(usize::try_from(length).ok()?)?;
    let payload = rest.get(HEADER..end)?;
    if length == 0 || xxh3_64_with_seed(payload, number) != hash {
        return None;
    }
    let taken = rest.split_to(end);
    Some((number, taken.slice(HEADER..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(log: &mut Redo, number: u64, payload: &str) {
        let mut bytes = record();
        bytes.extend_from_slice(payload.as_bytes());
        log.append(number, bytes).unwrap();
    }

    fn numbers(path: &Path, after: u64) -> Vec<u64> {
        let batches = Redo::open(path).unwrap().read(after).unwrap();
        batches.into_iter().map(|(n, _)| n).collect()
    }

    #[test]
    fn batches_come_back_in_order_without_those_the_database_has() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut log = Redo::open(&path).unwrap();
        for number in 5..9 {
            append(&mut log, number, &"x".repeat(number as usize * 100));
        }
        assert_eq!(numbers(&path, 4), [5, 6, 7, 8]);
        assert_eq!(numbers(&path, 6), [7, 8]);
        assert_eq!(numbers(&path, 8), [0; 0]);
        assert!(Redo::open(&path).unwrap().read(2).is_err());
        assert_eq!(Redo::open(&path).unwrap().read(7).unwrap()[0].1.len(), 800);
    }

    #[test]
    fn after_a_rewind_earlier_records_do_not_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut log = Redo::open(&path).unwrap();
        for number in 1..5 {
            append(&mut log, number, "same length");
        }
        log.rewind();
        append(&mut log, 5, "same length");
        assert_eq!(numbers(&path, 4), [5]);
        assert_eq!(numbers(&path, 5), [0; 0]);
    }

    #[test]
    fn a_record_that_was_cut_off_or_changed_ends_the_log() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut log = Redo::open(&path).unwrap();
        append(&mut log, 1, "first");
        let whole = log.bytes();
        append(&mut log, 2, "second");
        log.file.write_all_at(b"S", log.end - 6).unwrap();
        assert_eq!(numbers(&path, 0), [1]);
        log.file.set_len(whole - 1).unwrap();
        assert_eq!(numbers(&path, 0), [0; 0]);
    }
}
