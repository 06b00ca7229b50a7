//! Reads a history directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::batch::EventBatch;
use super::columns::{FORMAT, FORMAT_KEY, fields};
use super::segment::{Segment, segment_paths};
use super::{Event, HistoryError};

/// Reads a history from its start; also an iterator over its events.
///
/// A tail cut off by the death of the writer ends the history silently, but
/// [`truncated`](HistoryReader::truncated) tells. Holds one batch at a time.
pub struct HistoryReader {
    segment: Segment,
    /// Segments still to be read, last one first.
    later: Vec<PathBuf>,
    metadata: BTreeMap<String, String>,
    truncated: bool,
    batch: Option<EventBatch>,
    row: usize,
}

impl HistoryReader {
    /// Opens the history in `dir`.
    pub fn open(dir: &Path) -> Result<Self, HistoryError> {
        let mut later = segment_paths(dir)?;
        later.reverse();
        let first = later
            .pop()
            .ok_or_else(|| HistoryError::Empty(dir.to_owned()))?;
        Self::begin(&first, later)
    }

    /// Opens one segment as a history of its own.
    pub fn open_segment(path: &Path) -> Result<Self, HistoryError> {
        Self::begin(path, Vec::new())
    }

    fn begin(first: &Path, later: Vec<PathBuf>) -> Result<Self, HistoryError> {
        let segment = open_segment(first)?;
        let mut metadata: BTreeMap<_, _> = segment
            .schema()
            .map(|schema| schema.metadata().clone().into_iter().collect())
            .unwrap_or_default();
        metadata.remove(FORMAT_KEY);
        Ok(HistoryReader {
            segment,
            later,
            metadata,
            truncated: false,
            batch: None,
            row: 0,
        })
    }

    /// What the writer was given as metadata.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Whether the history read so far ended without the mark of a finished one: its writer was
    /// killed, so events after its last flush are missing. Meaningful once the end was reached.
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// The next batch of events; `None` at the end. Do not mix with the iterator: rows of a batch it
    /// has begun are not repeated.
    pub fn next_batch(&mut self) -> Result<Option<EventBatch>, HistoryError> {
        loop {
            if let Some(batch) = self.segment.next_batch()? {
                if batch.num_rows() == 0 {
                    continue;
                }
                let batch =
                    EventBatch::new(&batch).map_err(|reason| self.segment.damage(reason))?;
                return Ok(Some(batch));
            }
            let Some(next) = self.later.pop() else {
                self.truncated = !self.segment.is_complete();
                return Ok(None);
            };
            if !self.segment.is_complete() {
                return Err(self
                    .segment
                    .damage("the segment is cut off, but another one follows"));
            }
            self.segment = open_segment(&next)?;
        }
    }
}

impl Iterator for HistoryReader {
    type Item = Result<Event, HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.batch.as_ref().filter(|batch| self.row < batch.len()) {
                self.row += 1;
                return Some(Ok(batch.row(self.row - 1).to_event()));
            }
            self.row = 0;
            match self.next_batch() {
                Ok(Some(batch)) => self.batch = Some(batch),
                Ok(None) => return None,
                Err(e) => return Some(Err(e)),
            }
        }
    }
}

fn open_segment(path: &Path) -> Result<Segment, HistoryError> {
    Segment::open(path, &fields(), FORMAT)
}
