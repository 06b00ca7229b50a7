//! Our own histories: Arrow as recorded, JSON lines as exported.
//!
//! `key` and `value` are columns of integers. Where that is not enough, an event's `detail` holds a JSON
//! object with `key`, `value` or both, which then count: `{"value": [1, 2]}`.

use crate::history::{self, EventBatch, EventKind, EventRow, HistoryReader};

use super::error::ImportError;
use super::event::Event;
use super::text_lines::TextLines;
use super::value::Value;

/// Reads a recorded history, one batch at a time.
pub(super) struct Arrow {
    reader: HistoryReader,
    batch: Option<EventBatch>,
    row: usize,
    events: u64,
    ended: bool,
}

impl Arrow {
    pub(super) fn new(reader: HistoryReader) -> Self {
        Arrow {
            reader,
            batch: None,
            row: 0,
            events: 0,
            ended: false,
        }
    }
}

impl Iterator for Arrow {
    type Item = Result<Event, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            if let Some(batch) = self.batch.as_ref().filter(|batch| self.row < batch.len()) {
                let event = event(self.events + 1, &batch.row(self.row));
                self.row += 1;
                self.events += 1;
                return Some(event);
            }
            self.row = 0;
            match self.reader.next_batch() {
                Ok(Some(batch)) => self.batch = Some(batch),
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(ImportError::new(self.events + 1, error.to_string())));
                }
            }
            if self.ended && self.reader.truncated() {
                let reason = format!("its writer was killed after event {}", self.events);
                return Some(Err(ImportError::cut_off(self.events, reason)));
            }
        }
        None
    }
}

/// Reads an exported history.
#[derive(Debug, Clone)]
pub(super) struct JsonLines<'a>(TextLines<'a>);

impl<'a> JsonLines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        JsonLines(TextLines::new(text))
    }
}

impl Iterator for JsonLines<'_> {
    type Item = Result<Event, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_event(|line, text| {
            let recorded: history::Event = serde_json::from_str(text)
                .map_err(|error| ImportError::new(line, format!("not an event: {error}")))?;
            event(line, &EventRow::from(&recorded))
        })
    }
}

fn event(line: u64, row: &EventRow<'_>) -> Result<Event, ImportError> {
    let mut event = Event {
        line,
        process: row.process.is_client().then_some(i64::from(row.process.0)),
        op: Some(row.op),
        kind: row.kind,
        f: row.f.into(),
        value: row.value.map_or(Value::Nil, Value::Int),
        key: row.key.map(Value::Int),
        time_ns: Some(row.time_ns),
        error: None,
    };
    let Some(detail) = row.detail.filter(|detail| detail.starts_with('{')) else {
        let failed = matches!(row.kind, EventKind::Fail | EventKind::Info);
        let error = row.detail.filter(|_| failed);
        event.error = error.map(|detail| Value::Keyword(detail.into()));
        return Ok(event);
    };
    // An error's text may begin so and not be JSON.
    if let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_str(detail) {
        let mut field = |name: &str| fields.remove(name).map(value);
        event.value = field("value").unwrap_or(event.value);
        event.key = field("key").or(event.key);
        event.error = field("error");
    }
    Ok(event)
}

fn value(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(value) => Value::Int(value),
            None => Value::Number(number.to_string().into()),
        },
        serde_json::Value::String(text) => Value::Text(text.into()),
        serde_json::Value::Array(items) => Value::Vector(items.into_iter().map(value).collect()),
        serde_json::Value::Object(fields) => {
            let entry = |(name, field): (String, _)| (Value::Keyword(name.into()), value(field));
            Value::Map(fields.into_iter().map(entry).collect())
        }
    }
}
