//! A record batch of a history, read column by column.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, UInt8Type, UInt16Type, UInt64Type};
use arrow_array::{
    Array, ArrowPrimitiveType, DictionaryArray, PrimitiveArray, RecordBatch, StringArray,
};

use super::columns::KINDS;
use super::{Event, EventKind, Process, WindowMark};

/// Names of functions that events borrow instead of owning a copy.
const COMMON_FUNCTIONS: [&str; 5] = ["put", "delete", "read", WindowMark::START, WindowMark::END];

/// Up to some ten thousand consecutive events; rows are read without allocation.
#[derive(Debug, Clone)]
pub struct EventBatch {
    op: PrimitiveArray<UInt64Type>,
    process: PrimitiveArray<Int32Type>,
    kind: PrimitiveArray<UInt8Type>,
    /// What the indices of the `type` column stand for, by index.
    kinds: Vec<EventKind>,
    f: DictionaryArray<UInt16Type>,
    functions: StringArray,
    time_ns: PrimitiveArray<UInt64Type>,
    intended_ns: PrimitiveArray<UInt64Type>,
    key: PrimitiveArray<Int64Type>,
    value: PrimitiveArray<Int64Type>,
    detail: StringArray,
}

/// One event of a batch; see [`Event`] for the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of Event")]
pub struct EventRow<'a> {
    pub op: u64,
    pub process: Process,
    pub kind: EventKind,
    pub f: &'a str,
    pub time_ns: u64,
    pub intended_ns: Option<u64>,
    pub key: Option<i64>,
    pub value: Option<i64>,
    pub detail: Option<&'a str>,
}

impl EventBatch {
    /// Takes a batch apart whose schema has been checked. The error says what is wrong with it.
    pub(super) fn new(batch: &RecordBatch) -> Result<Self, String> {
        let kind = batch.column(2).as_dictionary::<UInt8Type>();
        let kinds = kind
            .values()
            .as_string::<i32>()
            .iter()
            .map(|name| {
                KINDS
                    .iter()
                    .find(|(known, _)| Some(*known) == name)
                    .map(|(_, kind)| *kind)
                    .ok_or_else(|| format!("unknown event type {name:?}"))
            })
            .collect::<Result<_, _>>()?;
        let f = batch.column(3).as_dictionary::<UInt16Type>().clone();
        if f.values().null_count() > 0 {
            return Err("a function without name".to_owned());
        }
        for column in [0, 1, 2, 3, 4] {
            if batch.column(column).null_count() > 0 {
                return Err(format!(
                    "no {} in a row",
                    batch.schema().field(column).name()
                ));
            }
        }
        Ok(EventBatch {
            op: batch.column(0).as_primitive().clone(),
            process: batch.column(1).as_primitive().clone(),
            kind: kind.keys().clone(),
            kinds,
            functions: f.values().as_string::<i32>().clone(),
            f,
            time_ns: batch.column(4).as_primitive().clone(),
            intended_ns: batch.column(5).as_primitive().clone(),
            key: batch.column(6).as_primitive().clone(),
            value: batch.column(7).as_primitive().clone(),
            detail: batch.column(8).as_string::<i32>().clone(),
        })
    }

    /// Events in the batch, at least one.
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub fn len(&self) -> usize {
        self.op.len()
    }

    /// The names that [`function`](EventBatch::function) gives indices of.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.functions.iter().flatten()
    }

    /// Index of the row's `f` among [`functions`](EventBatch::functions): lets a checker look at each
    /// name once per batch instead of once per row. Panics if `row` is out of range.
    pub fn function(&self, row: usize) -> usize {
        usize::from(self.f.keys().value(row))
    }

    /// One event. Panics if `row` is out of range.
    pub fn row(&self, row: usize) -> EventRow<'_> {
        EventRow {
            op: self.op.value(row),
            process: Process(self.process.value(row)),
            kind: self.kinds[usize::from(self.kind.value(row))],
            f: self.functions.value(self.function(row)),
            time_ns: self.time_ns.value(row),
            intended_ns: optional(&self.intended_ns, row),
            key: optional(&self.key, row),
            value: optional(&self.value, row),
            detail: self.detail.is_valid(row).then(|| self.detail.value(row)),
        }
    }

    /// All events in order.
    pub fn rows(&self) -> impl Iterator<Item = EventRow<'_>> {
        (0..self.len()).map(|row| self.row(row))
    }
}

impl EventRow<'_> {
    /// The row as an owned event.
    pub fn to_event(&self) -> Event {
        let common = COMMON_FUNCTIONS.iter().find(|name| **name == self.f);
        Event {
            op: self.op,
            process: self.process,
            kind: self.kind,
            f: common.map_or_else(
                || Cow::Owned(self.f.to_owned()),
                |name| Cow::Borrowed(*name),
            ),
            time_ns: self.time_ns,
            intended_ns: self.intended_ns,
            key: self.key,
            value: self.value,
            detail: self.detail.map(Box::from),
        }
    }
}

impl<'a> From<&'a Event> for EventRow<'a> {
    fn from(event: &'a Event) -> Self {
        EventRow {
            op: event.op,
            process: event.process,
            kind: event.kind,
            f: &event.f,
            time_ns: event.time_ns,
            intended_ns: event.intended_ns,
            key: event.key,
            value: event.value,
            detail: event.detail.as_deref(),
        }
    }
}

fn optional<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>, row: usize) -> Option<T::Native> {
    column.is_valid(row).then(|| column.value(row))
}
