//! Jepsen's histories: operations as EDN maps, in one vector or list, or one after the other.

use super::edn::Reader;
use super::error::ImportError;
use super::event::{Event, kind_of};
use super::value::Value;

/// Reads the events of a text. Linear time.
pub fn read(text: &str) -> Result<Vec<Event>, ImportError> {
    let mut reader = Reader::new(text);
    let mut events = Vec::new();
    while let Some(close) = reader.enter()? {
        loop {
            let line = reader.line()?;
            match reader.item(close)? {
                Some(value) => events.push(event(line, &value)?),
                None => break,
            }
        }
    }
    loop {
        let line = reader.line()?;
        match reader.value()? {
            Some(value) => events.push(event(line, &value)?),
            None => return Ok(events),
        }
    }
}

/// The event that a map describes.
pub(super) fn event(line: u64, value: &Value) -> Result<Event, ImportError> {
    let missing =
        |what: &str| ImportError::new(line, format!("an operation without {what}: {value}"));
    let kind = value.get("type").and_then(Value::name);
    let kind = kind.and_then(kind_of).ok_or_else(|| missing(":type"))?;
    let f = value.get("f").ok_or_else(|| missing(":f"))?;
    let process = value.get("process").ok_or_else(|| missing(":process"))?;
    Ok(Event {
        line,
        process: match process {
            Value::Int(process) => Some(*process),
            _ => None,
        },
        kind,
        f: match f.name() {
            Some(name) => name.into(),
            None => f.to_string().into_boxed_str(),
        },
        value: value.get("value").cloned().unwrap_or(Value::Nil),
        key: value.get("key").cloned(),
    })
}
