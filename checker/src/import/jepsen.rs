//! Jepsen's histories: operations as EDN maps, in one vector or list, or one after the other.

use super::edn::Reader;
use super::error::ImportError;
use super::event::{Event, kind_of};
use super::value::Value;

/// Reads the events of a text. Linear time, memory for one operation.
#[derive(Debug, Clone)]
pub struct Events<'a> {
    reader: Reader<'a>,
    /// Inside a vector or list, what closes it.
    close: Option<char>,
}

impl<'a> Events<'a> {
    /// The events of this text.
    pub fn new(text: &'a str) -> Self {
        Events {
            reader: Reader::new(text),
            close: None,
        }
    }

    fn read(&mut self) -> Result<Option<Event>, ImportError> {
        loop {
            let Some(close) = self.close else {
                self.close = self.reader.enter()?;
                if self.close.is_some() {
                    continue;
                }
                let line = self.reader.line()?;
                let value = self.reader.value()?;
                return value.map(|value| event(line, value)).transpose();
            };
            let line = self.reader.line()?;
            match self.reader.item(close)? {
                Some(value) => return event(line, value).map(Some),
                None => self.close = None,
            }
        }
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Event, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// What went wrong: `:error`, or the class of an `:exception`.
fn error(event: &Value) -> Option<Value> {
    let exception = event.get("exception").map(|exception| {
        let first = exception
            .get("via")
            .and_then(Value::items)
            .and_then(<[Value]>::first);
        match first
            .and_then(|first| first.get("type"))
            .and_then(Value::name)
        {
            Some(class) => Value::Text(class.into()),
            None => Value::Text("an exception".into()),
        }
    });
    exception.or_else(|| event.get("error").cloned())
}

/// The event that a map describes.
fn event(line: u64, value: Value) -> Result<Event, ImportError> {
    let missing =
        |what: &str| ImportError::new(line, format!("an operation without {what}: {value}"));
    let kind = value.get("type").and_then(Value::name);
    let kind = kind.and_then(kind_of).ok_or_else(|| missing(":type"))?;
    let f = value.get("f").ok_or_else(|| missing(":f"))?;
    Ok(Event {
        line,
        // Where nobody is named, there is one client.
        process: match value.get("process") {
            Some(Value::Int(process)) => Some(*process),
            Some(_) => None,
            None => Some(0),
        },
        op: None,
        kind,
        f: match f.name() {
            Some(name) => name.into(),
            None => f.to_string().into_boxed_str(),
        },
        value: value.get("value").cloned().unwrap_or(Value::Nil),
        key: value.get("key").cloned(),
        time_ns: match value.get("time") {
            Some(Value::Int(time)) => u64::try_from(*time).ok(),
            _ => None,
        },
        error: error(&value),
    })
}
