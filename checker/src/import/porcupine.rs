//! The logs of Porcupine's test data. (Its key-value histories are EDN.)

use super::edn::Reader;
use super::error::ImportError;
use super::event::{Event, kind_of};
use super::text_lines::TextLines;
use super::value::Value;

/// Reads a log of Jepsen's etcd test: `INFO  jepsen.util - 4 :invoke :write 3` a line, in real-time
/// order. Other lines are an error, but for empty ones.
#[derive(Debug, Clone)]
pub struct EtcdLog<'a>(TextLines<'a>);

impl<'a> EtcdLog<'a> {
    /// The events of this text.
    pub fn new(text: &'a str) -> Self {
        EtcdLog(TextLines::new(text))
    }
}

impl Iterator for EtcdLog<'_> {
    type Item = Result<Event, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_event(event)
    }
}

fn event(line: u64, text: &str) -> Result<Event, ImportError> {
    let wrong = |what: &str| ImportError::new(line, format!("{what}: {text}"));
    let (_, rest) = text
        .split_once(" - ")
        .filter(|(head, _)| head.starts_with("INFO") && head.ends_with("jepsen.util"))
        .ok_or_else(|| wrong("not a line of jepsen.util"))?;
    let mut reader = Reader::new(rest);
    let mut field = |what: &str| {
        let value = reader.value().map_err(|error| wrong(&error.reason))?;
        value.ok_or_else(|| wrong(&format!("no {what}")))
    };
    let process = match field("process")? {
        Value::Int(process) => Some(process),
        _ => None,
    };
    let kind = field("type")?;
    let kind = kind
        .name()
        .and_then(kind_of)
        .ok_or_else(|| wrong("not a type of event"))?;
    let f = field("function")?;
    let f = f.name().ok_or_else(|| wrong("not a function"))?.into();
    let value = field("value")?;
    Ok(Event {
        line,
        process,
        op: None,
        kind,
        f,
        value,
        key: None,
        time_ns: None,
        error: None,
    })
}
