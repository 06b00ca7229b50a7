//! Appends events to a history directory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::SchemaRef;

use super::columns::{EventColumns, FORMAT, fields, schema};
use super::segment::{segment_path, segment_paths};
use super::{Event, HistoryError};

/// Rows in a full record batch.
const BATCH_ROWS: usize = 65_536;

/// Text in a full record batch, bytes.
const BATCH_DETAIL_BYTES: usize = 64 << 20;

/// Rows after which a new segment begins.
const SEGMENT_ROWS: u64 = 4_000_000;

/// Writes a history. One writer per directory; not for use from several threads.
///
/// Events are safe from a death of the process once [`flush`](HistoryWriter::flush) has returned; call
/// it at least every second. Dropping the writer flushes as well, but cannot report a failure.
pub struct HistoryWriter {
    dir: PathBuf,
    schema: SchemaRef,
    pending: EventColumns,
    segment: StreamWriter<BufWriter<File>>,
    segment_number: u32,
    segment_rows: u64,
    rows_per_segment: u64,
    broken: bool,
}

impl HistoryWriter {
    /// Starts a history in `dir`, which is created if need be.
    ///
    /// `metadata` (run name, seed, ...) goes into the schema metadata of every segment. Fails if the
    /// directory already holds a history.
    pub fn create(dir: &Path, metadata: &BTreeMap<String, String>) -> Result<Self, HistoryError> {
        Self::create_with_segments_of(dir, metadata, SEGMENT_ROWS)
    }

    pub(super) fn create_with_segments_of(
        dir: &Path,
        metadata: &BTreeMap<String, String>,
        rows_per_segment: u64,
    ) -> Result<Self, HistoryError> {
        fs::create_dir_all(dir).map_err(HistoryError::io("create", dir))?;
        if !segment_paths(dir)?.is_empty() {
            return Err(HistoryError::Exists(dir.to_owned()));
        }
        let schema = schema(fields(), FORMAT, metadata);
        Ok(HistoryWriter {
            dir: dir.to_owned(),
            pending: EventColumns::new(schema.clone()),
            segment: create_stream(&segment_path(dir, 1), &schema)?,
            schema,
            segment_number: 1,
            segment_rows: 0,
            rows_per_segment,
            broken: false,
        })
    }

    /// Adds one event; it reaches the file with the next full batch or flush.
    pub fn append(&mut self, event: &Event) -> Result<(), HistoryError> {
        self.pending.push(event)?;
        if self.pending.len() >= BATCH_ROWS || self.pending.detail_bytes() >= BATCH_DETAIL_BYTES {
            self.write_pending()?;
        }
        Ok(())
    }

    /// Adds events in order.
    pub fn append_all(&mut self, events: &[Event]) -> Result<(), HistoryError> {
        events.iter().try_for_each(|event| self.append(event))
    }

    /// Writes everything appended so far and hands it to the operating system.
    pub fn flush(&mut self) -> Result<(), HistoryError> {
        self.write_pending()
    }

    /// Flushes and marks the history as complete.
    pub fn finish(mut self) -> Result<(), HistoryError> {
        self.write_pending()?;
        self.end_segment()
    }

    fn write_pending(&mut self) -> Result<(), HistoryError> {
        let path = segment_path(&self.dir, self.segment_number);
        if self.broken {
            return Err(HistoryError::Broken(path));
        }
        if self.pending.len() == 0 {
            return Ok(());
        }
        // Cleared only when all went well: a batch cut short by a full disk must stay the last one.
        self.broken = true;
        if self.segment_rows >= self.rows_per_segment {
            self.end_segment()?;
            self.segment_number += 1;
            self.segment_rows = 0;
            self.segment =
                create_stream(&segment_path(&self.dir, self.segment_number), &self.schema)?;
        }
        let batch = self
            .pending
            .take()
            .map_err(|e| HistoryError::arrow(&path, e))?;
        write_batch(&mut self.segment, &batch, &path)?;
        self.segment_rows += batch.num_rows() as u64;
        self.broken = false;
        Ok(())
    }

    fn end_segment(&mut self) -> Result<(), HistoryError> {
        end_stream(
            &mut self.segment,
            &segment_path(&self.dir, self.segment_number),
        )
    }
}

impl Drop for HistoryWriter {
    fn drop(&mut self) {
        if !self.broken {
            // No one is left to tell; `flush` and `finish` are the ways to learn of an error.
            let _ = self.write_pending();
        }
    }
}

/// Creates a stream file and writes its schema.
pub(super) fn create_stream(
    path: &Path,
    schema: &SchemaRef,
) -> Result<StreamWriter<BufWriter<File>>, HistoryError> {
    let file = File::create_new(path).map_err(HistoryError::io("create", path))?;
    let mut stream =
        StreamWriter::try_new_buffered(file, schema).map_err(|e| HistoryError::arrow(path, e))?;
    stream.flush().map_err(|e| HistoryError::arrow(path, e))?;
    Ok(stream)
}

/// Writes a batch and hands it to the operating system.
pub(super) fn write_batch(
    stream: &mut StreamWriter<BufWriter<File>>,
    batch: &RecordBatch,
    path: &Path,
) -> Result<(), HistoryError> {
    stream
        .write(batch)
        .and_then(|()| stream.flush())
        .map_err(|e| HistoryError::arrow(path, e))
}

/// Writes the end marker and hands it to the operating system.
pub(super) fn end_stream(
    stream: &mut StreamWriter<BufWriter<File>>,
    path: &Path,
) -> Result<(), HistoryError> {
    stream
        .finish()
        .and_then(|()| stream.flush())
        .map_err(|e| HistoryError::arrow(path, e))
}
