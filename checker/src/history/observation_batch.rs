//! A record batch of observations, read column by column.

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowDictionaryKeyType, Int64Type, UInt8Type, UInt16Type};
use arrow_array::{Array, PrimitiveArray, RecordBatch, StringArray};

use super::{Observation, Placement, Seen};

/// Values of the `placement` column; a row's dictionary index is its position here.
pub(super) const PLACEMENTS: [(&str, Placement); 5] = [
    ("routed", Placement::Routed),
    ("owner", Placement::Owner),
    ("former_owner", Placement::FormerOwner),
    ("stranger", Placement::Stranger),
    ("joining", Placement::Joining),
];

/// Values of the `seen` column, likewise.
pub(super) const SEEN: [&str; 6] = ["version", "absent", "corrupt", "foreign", "end", "failed"];

/// Up to some ten thousand consecutive observations; rows are read without allocation.
#[derive(Debug, Clone)]
pub struct ObservationBatch {
    source: Vec<u16>,
    placement: Vec<Placement>,
    /// Positions in [`SEEN`].
    seen: Vec<u8>,
    key: PrimitiveArray<Int64Type>,
    version: PrimitiveArray<Int64Type>,
    detail: StringArray,
}

/// One row; see [`Observation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of Observation")]
pub struct ObservationRow<'a> {
    pub source: u16,
    pub placement: Placement,
    pub seen: SeenRow<'a>,
}

/// What a source said; see [`Seen`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are those of Seen")]
pub enum SeenRow<'a> {
    Version { key: i64, version: i64 },
    Absent { key: i64 },
    Corrupt { key: i64, detail: &'a str },
    Foreign { id: &'a str },
    End,
    Failed { error: &'a str },
}

impl ObservationBatch {
    /// Takes a batch apart whose schema has been checked. The error says what is wrong with it.
    pub(super) fn new(batch: &RecordBatch, sources: &[String]) -> Result<Self, String> {
        let source = decode_dictionary::<UInt16Type, _>(batch, 0, |name| {
            let index = sources.iter().position(|source| source == name)?;
            u16::try_from(index).ok()
        })?;
        let placement = decode_dictionary::<UInt8Type, _>(batch, 1, |name| {
            PLACEMENTS
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, placement)| *placement)
        })?;
        let seen = decode_dictionary::<UInt8Type, _>(batch, 2, |name| {
            (0..)
                .zip(SEEN)
                .find(|(_, known)| *known == name)
                .map(|(index, _)| index)
        })?;
        let decoded = ObservationBatch {
            source,
            placement,
            seen,
            key: batch.column(3).as_primitive().clone(),
            version: batch.column(4).as_primitive().clone(),
            detail: batch.column(5).as_string::<i32>().clone(),
        };
        decoded.check_rows()?;
        Ok(decoded)
    }

    /// Rows in the batch.
    pub fn len(&self) -> usize {
        self.source.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.source.is_empty()
    }

    /// One row. Panics if `row` is out of range.
    pub fn row(&self, row: usize) -> ObservationRow<'_> {
        let key = self.key.value(row);
        let detail = || self.detail.value(row);
        ObservationRow {
            source: self.source[row],
            placement: self.placement[row],
            seen: match self.seen[row] {
                0 => SeenRow::Version {
                    key,
                    version: self.version.value(row),
                },
                1 => SeenRow::Absent { key },
                2 => SeenRow::Corrupt {
                    key,
                    detail: detail(),
                },
                3 => SeenRow::Foreign { id: detail() },
                4 => SeenRow::End,
                _ => SeenRow::Failed { error: detail() },
            },
        }
    }

    /// All rows in order.
    pub fn rows(&self) -> impl Iterator<Item = ObservationRow<'_>> {
        (0..self.len()).map(|row| self.row(row))
    }

    /// Every row has the values its kind needs.
    fn check_rows(&self) -> Result<(), String> {
        for (row, seen) in self.seen.iter().enumerate() {
            let missing =
                (*seen <= 2 && self.key.is_null(row)) || (*seen == 0 && self.version.is_null(row));
            if missing {
                return Err(format!(
                    "a row of kind {} lacks its key or version",
                    SEEN[usize::from(*seen)]
                ));
            }
        }
        Ok(())
    }
}

impl ObservationRow<'_> {
    /// The row as an owned observation.
    pub fn to_observation(&self) -> Observation {
        let seen = match self.seen {
            SeenRow::Version { key, version } => Seen::Version { key, version },
            SeenRow::Absent { key } => Seen::Absent { key },
            SeenRow::Corrupt { key, detail } => Seen::Corrupt {
                key,
                detail: detail.to_owned(),
            },
            SeenRow::Foreign { id } => Seen::Foreign { id: id.to_owned() },
            SeenRow::End => Seen::End,
            SeenRow::Failed { error } => Seen::Failed {
                error: error.to_owned(),
            },
        };
        Observation {
            source: self.source,
            placement: self.placement,
            seen,
        }
    }
}

impl<'a> From<&'a Observation> for ObservationRow<'a> {
    fn from(observation: &'a Observation) -> Self {
        let seen = match &observation.seen {
            Seen::Version { key, version } => SeenRow::Version {
                key: *key,
                version: *version,
            },
            Seen::Absent { key } => SeenRow::Absent { key: *key },
            Seen::Corrupt { key, detail } => SeenRow::Corrupt { key: *key, detail },
            Seen::Foreign { id } => SeenRow::Foreign { id },
            Seen::End => SeenRow::End,
            Seen::Failed { error } => SeenRow::Failed { error },
        };
        ObservationRow {
            source: observation.source,
            placement: observation.placement,
            seen,
        }
    }
}

/// Decodes a dictionary column: each name once, then each row by its index.
fn decode_dictionary<I: ArrowDictionaryKeyType, T: Copy>(
    batch: &RecordBatch,
    column: usize,
    decode: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, String> {
    let name = batch.schema_ref().field(column).name().clone();
    let array = batch.column(column).as_dictionary::<I>();
    if array.null_count() > 0 {
        return Err(format!("no {name} in a row"));
    }
    let values: Vec<Option<T>> = array
        .values()
        .as_string::<i32>()
        .iter()
        .map(|value| decode(value?))
        .collect();
    array
        .keys_iter()
        .map(|index| index.and_then(|index| values[index]))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("unknown value of {name}"))
}
