//! The columns of a history: their schema, and the buffers that events are collected in.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow_array::builder::{
    ArrayBuilder, Int32Builder, Int64Builder, PrimitiveBuilder, StringBuilder, UInt64Builder,
};
use arrow_array::types::{UInt8Type, UInt16Type};
use arrow_array::{ArrayRef, DictionaryArray, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use hashbrown::HashMap;

use super::{Event, EventKind, HistoryError};

/// Name and version of the history format, stored in the schema's metadata as `shakedown.format`.
pub const FORMAT: &str = "shakedown-history-1";

/// Metadata key of the format's name and version.
pub(crate) const FORMAT_KEY: &str = "shakedown.format";

/// Values of the `type` column; a row's dictionary index is its position here.
pub(crate) const KINDS: [(&str, EventKind); 4] = [
    ("invoke", EventKind::Invoke),
    ("ok", EventKind::Ok),
    ("fail", EventKind::Fail),
    ("info", EventKind::Info),
];

static KIND_NAMES: LazyLock<ArrayRef> =
    LazyLock::new(|| Arc::new(StringArray::from_iter_values(KINDS.map(|(name, _)| name))));

/// A string column of few distinct values with indices of type `index`.
pub(crate) fn dictionary(index: DataType) -> DataType {
    DataType::Dictionary(Box::new(index), Box::new(DataType::Utf8))
}

/// The columns of a history file, in order.
pub(crate) fn fields() -> Vec<Field> {
    vec![
        Field::new("op", DataType::UInt64, false),
        Field::new("process", DataType::Int32, false),
        Field::new("type", dictionary(DataType::UInt8), false),
        Field::new("f", dictionary(DataType::UInt16), false),
        Field::new("time_ns", DataType::UInt64, false),
        Field::new("intended_ns", DataType::UInt64, true),
        Field::new("key", DataType::Int64, true),
        Field::new("value", DataType::Int64, true),
        Field::new("detail", DataType::Utf8, true),
    ]
}

/// A schema of `fields` that names its format.
pub(crate) fn schema(
    fields: Vec<Field>,
    format: &str,
    metadata: &BTreeMap<String, String>,
) -> SchemaRef {
    let mut metadata: std::collections::HashMap<_, _> = metadata.clone().into_iter().collect();
    metadata.insert(FORMAT_KEY.to_owned(), format.to_owned());
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// Events collected column by column until they are written as one record batch.
pub(crate) struct EventColumns {
    schema: SchemaRef,
    op: UInt64Builder,
    process: Int32Builder,
    kind: PrimitiveBuilder<UInt8Type>,
    f: PrimitiveBuilder<UInt16Type>,
    time_ns: UInt64Builder,
    intended_ns: UInt64Builder,
    key: Int64Builder,
    value: Int64Builder,
    detail: StringBuilder,
    functions: Functions,
}

impl EventColumns {
    /// No events, to be written with `schema`.
    pub(crate) fn new(schema: SchemaRef) -> Self {
        EventColumns {
            schema,
            op: Default::default(),
            process: Default::default(),
            kind: Default::default(),
            f: Default::default(),
            time_ns: Default::default(),
            intended_ns: Default::default(),
            key: Default::default(),
            value: Default::default(),
            detail: Default::default(),
            functions: Functions::default(),
        }
    }

    /// Events collected.
    pub(crate) fn len(&self) -> usize {
        self.op.len()
    }

    /// Bytes of text collected; the `detail` column of one batch must stay below 2 GiB.
    pub(crate) fn detail_bytes(&self) -> usize {
        self.detail.values_slice().len()
    }

    /// Adds one event.
    pub(crate) fn push(&mut self, event: &Event) -> Result<(), HistoryError> {
        let f = self.functions.index(&event.f)?;
        self.op.append_value(event.op);
        self.process.append_value(event.process.0);
        self.kind.append_value(event.kind as u8);
        self.f.append_value(f);
        self.time_ns.append_value(event.time_ns);
        self.intended_ns.append_option(event.intended_ns);
        self.key.append_option(event.key);
        self.value.append_option(event.value);
        self.detail.append_option(event.detail.as_deref());
        Ok(())
    }

    /// Hands over everything collected and starts anew.
    pub(crate) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let kind = DictionaryArray::<UInt8Type>::try_new(self.kind.finish(), KIND_NAMES.clone())?;
        let f = DictionaryArray::<UInt16Type>::try_new(self.f.finish(), self.functions.names())?;
        RecordBatch::try_new(
            self.schema.clone(),
            vec![
                Arc::new(self.op.finish()),
                Arc::new(self.process.finish()),
                Arc::new(kind),
                Arc::new(f),
                Arc::new(self.time_ns.finish()),
                Arc::new(self.intended_ns.finish()),
                Arc::new(self.key.finish()),
                Arc::new(self.value.finish()),
                Arc::new(self.detail.finish()),
            ],
        )
    }
}

/// The growing dictionary of the `f` column.
#[derive(Default)]
struct Functions {
    index: HashMap<String, u16>,
    names: Vec<String>,
    /// The names as an array; dropped when a name is added. Handing out the same array as long as
    /// nothing changed is what lets the Arrow writer skip writing it again.
    array: Option<ArrayRef>,
}

impl Functions {
    fn index(&mut self, name: &str) -> Result<u16, HistoryError> {
        if let Some(index) = self.index.get(name) {
            return Ok(*index);
        }
        let limit = usize::from(u16::MAX);
        let index = u16::try_from(self.names.len())
            .map_err(|_| HistoryError::DictionaryFull { column: "f", limit })?;
        self.index.insert(name.to_owned(), index);
        self.names.push(name.to_owned());
        self.array = None;
        Ok(index)
    }

    fn names(&mut self) -> ArrayRef {
        let names = &self.names;
        self.array
            .get_or_insert_with(|| Arc::new(StringArray::from_iter_values(names)))
            .clone()
    }
}
