//! The file of a final read: observations as one Arrow stream.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arrow_array::builder::{ArrayBuilder, Int64Builder, PrimitiveBuilder, StringBuilder};
use arrow_array::types::{UInt8Type, UInt16Type};
use arrow_array::{Array, ArrayRef, DictionaryArray, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, SchemaRef};

use super::columns::{FORMAT_KEY, dictionary, schema};
use super::observation_batch::{ObservationBatch, PLACEMENTS, SEEN};
use super::segment::Segment;
use super::writer::{create_stream, end_stream, write_batch};
use super::{HistoryError, Observation, Seen};

/// Name and version of the format.
const FORMAT: &str = "shakedown-observations-1";

/// Metadata key of the source names, a JSON array: an [`Observation::source`] is an index into it.
const SOURCES_KEY: &str = "shakedown.sources";

/// Rows in a full record batch.
const BATCH_ROWS: usize = 65_536;

static PLACEMENT_NAMES: LazyLock<ArrayRef> = LazyLock::new(|| {
    Arc::new(StringArray::from_iter_values(
        PLACEMENTS.map(|(name, _)| name),
    ))
});
static SEEN_NAMES: LazyLock<ArrayRef> =
    LazyLock::new(|| Arc::new(StringArray::from_iter_values(SEEN)));

fn fields() -> Vec<Field> {
    vec![
        Field::new("source", dictionary(DataType::UInt16), false),
        Field::new("placement", dictionary(DataType::UInt8), false),
        Field::new("seen", dictionary(DataType::UInt8), false),
        Field::new("key", DataType::Int64, true),
        Field::new("version", DataType::Int64, true),
        Field::new("detail", DataType::Utf8, true),
    ]
}

/// Writes the final read of one checkpoint.
pub struct ObservationWriter {
    path: PathBuf,
    schema: SchemaRef,
    source_names: ArrayRef,
    stream: StreamWriter<BufWriter<File>>,
    source: PrimitiveBuilder<UInt16Type>,
    placement: PrimitiveBuilder<UInt8Type>,
    seen: PrimitiveBuilder<UInt8Type>,
    key: Int64Builder,
    version: Int64Builder,
    detail: StringBuilder,
    broken: bool,
}

impl ObservationWriter {
    /// Creates the file; it must not exist. `sources` are all sources that are to be read (at most
    /// 65,535): one that gets no [`Seen::End`] row counts as incomplete.
    pub fn create(
        path: &Path,
        sources: &[String],
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self, HistoryError> {
        let limit = usize::from(u16::MAX);
        if sources.len() > limit {
            return Err(HistoryError::DictionaryFull {
                column: "source",
                limit,
            });
        }
        let mut metadata = metadata.clone();
        let names = serde_json::to_string(sources)
            .map_err(|e| HistoryError::io("write", path)(e.into()))?;
        metadata.insert(SOURCES_KEY.to_owned(), names);
        let schema = schema(fields(), FORMAT, &metadata);
        Ok(ObservationWriter {
            path: path.to_owned(),
            stream: create_stream(path, &schema)?,
            schema,
            source_names: Arc::new(StringArray::from_iter_values(sources)),
            source: Default::default(),
            placement: Default::default(),
            seen: Default::default(),
            key: Default::default(),
            version: Default::default(),
            detail: Default::default(),
            broken: false,
        })
    }

    /// Adds one row; it reaches the file with the next full batch or flush.
    pub fn append(&mut self, observation: &Observation) -> Result<(), HistoryError> {
        if usize::from(observation.source) >= self.source_names.len() {
            return Err(HistoryError::UnknownSource {
                index: observation.source,
                known: self.source_names.len(),
            });
        }
        let (seen, key, version, detail) = match &observation.seen {
            Seen::Version { key, version } => (0, Some(*key), Some(*version), None),
            Seen::Absent { key } => (1, Some(*key), None, None),
            Seen::Corrupt { key, detail } => (2, Some(*key), None, Some(detail)),
            Seen::Foreign { id } => (3, None, None, Some(id)),
            Seen::End => (4, None, None, None),
            Seen::Failed { error } => (5, None, None, Some(error)),
        };
        self.source.append_value(observation.source);
        self.placement.append_value(observation.placement as u8);
        self.seen.append_value(seen);
        self.key.append_option(key);
        self.version.append_option(version);
        self.detail.append_option(detail);
        if self.source.len() >= BATCH_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes everything appended so far and hands it to the operating system.
    pub fn flush(&mut self) -> Result<(), HistoryError> {
        if self.broken {
            return Err(HistoryError::Broken(self.path.clone()));
        }
        if self.source.len() == 0 {
            return Ok(());
        }
        // Cleared only when all went well: a batch cut short by a full disk must stay the last one.
        self.broken = true;
        let batch = self
            .take()
            .map_err(|e| HistoryError::arrow(&self.path, e))?;
        write_batch(&mut self.stream, &batch, &self.path)?;
        self.broken = false;
        Ok(())
    }

    /// Flushes and marks the file as complete.
    pub fn finish(mut self) -> Result<(), HistoryError> {
        self.flush()?;
        end_stream(&mut self.stream, &self.path)
    }

    fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let source = DictionaryArray::<UInt16Type>::try_new(
            self.source.finish(),
            self.source_names.clone(),
        )?;
        let placement = DictionaryArray::<UInt8Type>::try_new(
            self.placement.finish(),
            PLACEMENT_NAMES.clone(),
        )?;
        let seen = DictionaryArray::<UInt8Type>::try_new(self.seen.finish(), SEEN_NAMES.clone())?;
        RecordBatch::try_new(
            self.schema.clone(),
            vec![
                Arc::new(source),
                Arc::new(placement),
                Arc::new(seen),
                Arc::new(self.key.finish()),
                Arc::new(self.version.finish()),
                Arc::new(self.detail.finish()),
            ],
        )
    }
}

/// Reads the final read of one checkpoint; also an iterator over its rows.
///
/// A tail cut off by the death of the writer ends the file; the sources not read to their end then
/// lack their [`Seen::End`] row.
pub struct ObservationReader {
    segment: Segment,
    sources: Vec<String>,
    batch: Option<ObservationBatch>,
    row: usize,
}

impl ObservationReader {
    /// Opens the file.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let segment = Segment::open(path, &fields(), FORMAT)?;
        let names = segment.schema().map(|schema| {
            schema
                .metadata()
                .get(SOURCES_KEY)
                .map_or("", String::as_str)
        });
        let sources =
            serde_json::from_str(names.unwrap_or("[]")).map_err(|e| HistoryError::Format {
                path: path.to_owned(),
                expected: FORMAT,
                found: format!("its list of sources cannot be read: {e}"),
            })?;
        Ok(ObservationReader {
            segment,
            sources,
            batch: None,
            row: 0,
        })
    }

    /// Names of the sources that were to be read.
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// What the writer was given as metadata.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        let schema = self.segment.schema();
        schema
            .iter()
            .flat_map(|schema| schema.metadata().clone())
            .filter(|(key, _)| key != FORMAT_KEY && key != SOURCES_KEY)
            .collect()
    }

    /// Whether the end mark is missing; meaningful once the end was reached.
    pub fn truncated(&self) -> bool {
        !self.segment.is_complete()
    }

    /// The next batch of rows; `None` at the end. Do not mix with the iterator.
    pub fn next_batch(&mut self) -> Result<Option<ObservationBatch>, HistoryError> {
        let Some(batch) = self.segment.next_batch()? else {
            return Ok(None);
        };
        let batch = ObservationBatch::new(&batch, &self.sources)
            .map_err(|reason| self.segment.damage(reason))?;
        Ok(Some(batch))
    }
}

impl Iterator for ObservationReader {
    type Item = Result<Observation, HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.batch.as_ref().filter(|batch| self.row < batch.len()) {
                self.row += 1;
                return Some(Ok(batch.row(self.row - 1).to_observation()));
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
